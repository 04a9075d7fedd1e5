"""The files of a source: walked in order, pictures found by name, nothing followed out of it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from figureground.data.records import Problem
from figureground.errors import DatasetError
from figureground.images import EXTENSIONS

BESIDE = ("images", "image", "imgs", "img", "photos", "JPEGImages", "data")  # where notations keep their pictures
_DRIVE = re.compile(r"^[A-Za-z]:")


def walk(root: Path) -> Iterator[Path | Problem]:
    """Every file under `root`, sorted by path, and what is no file of it: links to folders and links out of it.

    Hidden files and folders are skipped: they are those of tools.
    """
    yield from _walk(root, Path(os.path.realpath(root)))


def _walk(folder: Path, root: Path) -> Iterator[Path | Problem]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield _rejected(folder, f"the folder cannot be read ({error.strerror or error})")
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path = Path(entry.path)
        if not _is_storable(entry.name):
            yield _rejected(path, "its name has bytes that are no characters: rename it")
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(path, root)
            else:
                fault = _fault(path, root)
                yield _rejected(path, fault) if fault else path
        except OSError as error:  # a link that leads to itself
            yield _rejected(path, f"cannot be read ({error.strerror or error})")


def _fault(path: Path, root: Path) -> str:
    """Why what is at `path` is no file to read, if so."""
    if path.is_symlink():
        if path.is_dir():
            return "a symbolic link to a folder: not followed"
        if not Path(os.path.realpath(path)).is_relative_to(root):
            return "a symbolic link out of the source: not followed"
    if path.is_file():
        return ""
    # A pipe, say: to open it could take for ever.
    return "not a regular file" if path.exists() else "a symbolic link that leads nowhere"


def _is_storable(name: str) -> bool:
    """Whether a name is of characters, and not of bytes as other systems left them: no report could hold it."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _rejected(path: Path, reason: str) -> Problem:
    return Problem(str(path).encode("utf-8", "replace").decode(), "", "", "rejected", reason)


def is_picture(path: Path) -> bool:
    """Whether a file's name is a picture's."""
    return path.suffix.lower() in EXTENSIONS


def pictures_called(stem: str, folder: Path) -> list[Path]:
    """The pictures in a folder that are called so, whatever their suffix."""
    found = list[Path]()
    for suffix in EXTENSIONS:
        paths = (folder / f"{stem}{suffix}", folder / f"{stem}{suffix.upper()}")
        found += [path for path in paths if os.path.isfile(path)][:1]  # some file systems take both for one
    return found


def _folded(name: str) -> str:
    """A name as file systems compare it that heed neither case nor how accents are written."""
    return unicodedata.normalize("NFC", name).casefold()


class Finder:
    """Finds the pictures that annotations name, inside one source only."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = Path(os.path.realpath(root))

    def find(self, name: str, file: Path) -> tuple[Path, str]:
        """Where the picture called `name` in the annotation file `file` is, and what had to be mended to find it.

        Looks where the name leads from the annotation file, from the source's root, in the customary folders
        beside them, and in those of the subset that the file's name ends with. A name whose own folder is nowhere in
        the source, as of another machine, or that has none, is looked for everywhere in it.

        Raises:
            DatasetError: it is not in the source, or there are several.
        """
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts or "\0" in name:
            raise DatasetError("no picture is named")
        paths = list[Path]()
        if not name.startswith(("/", "\\")) and not _DRIVE.match(name):
            paths = [Path(os.path.normpath(base.joinpath(*parts))) for base in self._bases(file)]
        found = next(filter(self.holds, paths), None)
        if found:
            return found, ""
        if any(os.path.isfile(path) and path.is_relative_to(self._root) for path in paths):
            raise DatasetError(f"its picture {name[:200]} is behind a symbolic link out of {self._root}: not followed")
        subset = file.stem.partition("_")[2]
        here = [path.parent for path in paths if len(parts) > 1 or (subset and path.parent.name == subset)]
        if any(os.path.isdir(folder) and folder.is_relative_to(self._root) for folder in here):
            path = self._one_of([path for path in self._called(parts[-1]) if path.parent in here], name)
        else:
            path = self._by_name(parts, name)
        is_elsewhere = len(parts) > 1 or path.name != parts[-1] or file.parent in self._folders
        return path, f"its picture is not at {name[:200]}: took {path}" if is_elsewhere else ""

    def led_to(self, name: str, file: Path) -> Path | None:
        """The picture that `name` leads to from the folder of the annotation file `file`, if there is one."""
        path = Path(os.path.normpath(file.parent / name.replace("\\", "/")))
        return path if name and self.holds(path) else None

    def _bases(self, file: Path) -> Iterator[Path]:
        for folder in dict.fromkeys((file.parent, self._root, file.parent.parent)):
            if not folder.is_relative_to(self._root):
                continue
            for within in dict.fromkeys(("", file.stem.partition("_")[2])):  # instances_train.json: images/train
                yield folder / within
                for beside in BESIDE:
                    yield folder / beside / within

    def holds(self, path: Path) -> bool:
        """Whether `path` is a regular file in the source, links followed."""
        if not path.is_relative_to(self._root) or "\0" in str(path):
            return False
        return os.path.isfile(path) and Path(os.path.realpath(path)).is_relative_to(self._real)

    def _by_name(self, parts: list[str], name: str) -> Path:
        found = self._called(parts[-1])
        for length in range(2, len(parts) + 1):  # the more of its folders agree, the better
            if len(found) < 2:
                break
            tail = tuple(parts[-length:])
            found = [path for path in found if path.parts[-length:] == tail] or found
        return self._one_of(found, name)

    def _called(self, name: str) -> list[Path]:
        """The pictures of this name; if there are none, those that other systems take for it."""
        found = [path for path in self._pictures.get(_folded(name), []) if self.holds(path)]
        return [path for path in found if path.name == name] or found

    def _one_of(self, found: list[Path], name: str) -> Path:
        if len(found) > 1:
            shown = " and ".join(str(path) for path in found[:3])
            raise DatasetError(f"several pictures are called {found[0].name}: {shown}; say which by its folder")
        if not found:
            raise DatasetError(f"its picture {name[:200]} is not in {self._root}")
        return found[0]

    @cached_property
    def _pictures(self) -> dict[str, list[Path]]:
        """Every picture of the source by its folded file name; made only when a name leads nowhere."""
        found = defaultdict[str, list[Path]](list)
        for path in walk(self._root):
            if isinstance(path, Path) and is_picture(path):
                found[_folded(path.name)].append(path)
        return found

    @cached_property
    def _folders(self) -> set[Path]:
        """The folders that hold pictures."""
        return {path.parent for paths in self._pictures.values() for path in paths}
