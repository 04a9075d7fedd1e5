"""A source, whatever its notation, as a stream of records."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figureground.data.folders import pictures_called, walk
from figureground.data.json_stream import JsonError
from figureground.data.notations import NOTATIONS, prepared
from figureground.data.records import Folder, Problem, Record
from figureground.errors import DatasetError

AUTO = "auto"
STATE = ".prepare.sqlite"  # in a dataset whose `prepare` has not finished
_SAMPLE = 4096  # characters of a file's beginning and end that tell its notation
_TEXTS = (".json", ".ndjson", ".jsonl", ".xml", ".csv", ".txt")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
# Not annotations but beside them, by the tools that write them; unless they are some after all.
_COMPANIONS = {"meta.json", "key_id_map.json", "obj_class_to_machine_color.json", "dataset.json", "rejects.csv"}


@dataclass(frozen=True, slots=True)
class Source:
    """What is read: a folder or one annotation file, the folder its pictures are looked for in, its notation."""

    path: Path
    root: Path
    name: str
    notation: str
    classes: tuple[str, ...]

    @property
    def has_labels(self) -> bool:
        """Whether its annotations say of which class they are; masks are of those asked for."""
        return self.notation not in ("masks", "voc", "prepared")

    def is_annotation(self, file: Path) -> bool:
        """Whether a file, by its path, holds annotations: a picture of masks does."""
        return NOTATIONS[self.notation][1](file, "", self.root)


def open_source(path: Path, classes: tuple[str, ...], notation: str = AUTO) -> Source:
    """What to read of a source, and in which notation.

    Raises:
        DatasetError: there is nothing at `path`, no notation is recognised, or several are.
    """
    if notation not in (AUTO, *NOTATIONS):
        raise DatasetError(f"--format {notation}: want {AUTO}, {', '.join(NOTATIONS)}")
    path = Path(os.path.normpath(path))
    if not os.path.exists(path):
        raise DatasetError(f"{path}: no such file or folder")
    if path.suffix.lower() in _ARCHIVES and path.is_file():
        raise DatasetError(f"{path}: is an archive; unpack it and name the folder")
    if (path / STATE).exists() and not (path / "manifest.csv").exists():
        raise DatasetError(f"{path}: a prepare into it has not finished; run that again before it is a source")
    root = path if path.is_dir() else path.parent
    if not path.is_dir() and root.name == "annotations":
        root = root.parent  # COCO keeps its pictures beside that folder
    stem = Path(os.path.abspath(path)).name if path.is_dir() else path.stem
    name = re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "source"
    return Source(path, root, name, notation if notation != AUTO else _detected(path, root), classes)


def read_source(source: Source) -> Iterator[Record]:
    """Every picture and problem of a source, annotation files in the order of their paths."""
    suffixes, claims, read = NOTATIONS[source.notation]
    folder = Folder(source.root, source.classes)
    for file in _files(source.path):
        if isinstance(file, Problem):
            yield file
        elif claims(file, _head(file), source.root) or _is_text_of(file, suffixes):
            try:
                yield from read(file, folder)
            except DatasetError as error:
                place = error.place if isinstance(error, JsonError) else ""
                yield Problem(str(file), place, "", "rejected", str(error))


def _is_text_of(file: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a file that is not claimed is still one of the notation's, broken: nothing may be dropped silently."""
    suffix = file.suffix.lower()
    if suffix not in suffixes or suffix not in _TEXTS or file.name in _COMPANIONS:
        return False
    return suffix != ".txt" or bool(pictures_called(file.stem, file.parent))


def _detected(source: Path, root: Path) -> str:
    found = Counter[str]()
    for file in _files(source):
        if isinstance(file, Path):
            head = _head(file)
            found.update(name for name, (_, claims, _) in NOTATIONS.items() if claims(file, head, root))
    if not found:
        raise DatasetError(f"{source}: no notation recognised in it; name it with --format {', '.join(NOTATIONS)}")
    if len(found) > 1:
        shown = ", ".join(f"{name} ({count} files)" for name, count in sorted(found.items()))
        raise DatasetError(f"{source}: holds several notations: {shown}; choose one with --format")
    return next(iter(found))


def _files(source: Path) -> Iterator[Path | Problem]:
    """The files of a source; of a prepared dataset only its manifest, which names the others."""
    if not source.is_dir():
        yield source
    elif prepared.claims(source / "manifest.csv", "", source):
        yield source / "manifest.csv"
    else:
        yield from walk(source)


def _head(file: Path) -> str:
    """The beginning and the end of a text file; "" of any other."""
    if file.suffix.lower() not in _TEXTS:
        return ""
    try:
        with file.open("rb") as opened:
            first = opened.read(_SAMPLE)
            opened.seek(max(_SAMPLE, file.stat().st_size - _SAMPLE))
            last = opened.read(_SAMPLE)
    except OSError:
        return ""
    return (first + b"\n" + last).decode("utf-8-sig", "replace")
