"""The files of folders, one folder's names in memory at a time, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from figureground.batch.places import entries, join, same
from figureground.errors import InputError

Place = tuple[str, str]  # a root and the name, with slashes, of something below it


@dataclass(frozen=True, slots=True)
class Folder:
    """The same folder of one or several roots: what is in it, by name.

    Attributes:
        name: below the roots, with slashes; empty for the roots themselves.
        files: each name, with the roots that have such a file.
        folders: likewise.
        unreadable: roots whose folder of this name cannot be listed, and why.
    """

    name: str
    files: dict[str, tuple[str, ...]]
    folders: dict[str, tuple[str, ...]]
    unreadable: list[tuple[str, str]]

    def below(self, name: str) -> str:
        return str(PurePosixPath(self.name, name))


def list_folder(roots: Sequence[str], name: str, suffixes: Sequence[str]) -> Folder:
    """What folder `name` of the `roots` holds: its folders, and its files with one of the `suffixes`."""
    files, folders = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    unreadable = list[tuple[str, str]]()
    for root in roots:
        alone = (root,)  # one for all the files that only this root has
        try:
            for entry, is_folder in entries(join(root, name) if name else root):
                if is_folder:
                    folders[entry] = (*folders[entry], root) if entry in folders else alone
                elif entry.lower().endswith(tuple(suffixes)):
                    files[entry] = (*files[entry], root) if entry in files else alone
        except OSError as error:
            unreadable.append((root, error.strerror or str(error)))
        except InputError as error:
            unreadable.append((root, str(error)))
    return Folder(name, files, folders, unreadable)


def walk(roots: Sequence[str], suffixes: Sequence[str], left_out: str = "") -> Iterator[tuple[Folder, str]]:
    """Each file of the folders `roots`, as its folder and its name; the trees are read as if laid over each other.

    A folder that cannot be listed is given with the name "". Files and folders come in the order of their names.

    Args:
        roots: paths or URLs of folders.
        suffixes: in small letters; other files are passed over.
        left_out: the place of a folder that is not looked into: that of the results.
    """
    stack = [_steps(list_folder(roots, "", suffixes))]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            continue
        folder, name = step
        if name in folder.files or not name:
            yield step
        below = folder.below(name)
        inside = [root for root in folder.folders.get(name, ()) if not same(join(root, below), left_out)]
        if inside:
            stack.append(_steps(list_folder(inside, below, suffixes)))


def _steps(folder: Folder) -> Iterator[tuple[Folder, str]]:
    if folder.unreadable:
        yield folder, ""
    yield from ((folder, name) for name in sorted({*folder.files, *folder.folders}))
