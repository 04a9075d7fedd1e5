"""Writing files so that a killed run leaves no half file that looks whole."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from figureground.errors import OutputError


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


PAGES = (".html", ".htm")
_UNFINISHED = re.compile(r"\..*\.[a-z0-9_]{8}\.part(\.[^.]*)?", re.DOTALL)  # as `atomic_path` names them
UMASK = _umask()  # read once: reading it means setting it, which threads must not see


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, with its suffix; rename it to `path` when the block ends well.

    On any exception, Ctrl-C included, the temporary file is removed and `path` is left as it was.

    Raises:
        OutputError: the folder cannot be made or written, or `path` is one itself, or a pipe or device.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; choose another name")
    _check_regular(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=f".part{path.suffix}", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~UMASK)  # mkstemp makes files only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_regular(path: Path) -> None:
    if os.path.exists(path) and not os.path.isfile(path):  # renaming would put a file in the place of /dev/null
        raise OutputError(f"{path}: is no regular file; choose another name")


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files, and folders of pictures, that killed runs left in `folder`.

    Nobody may be writing there.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not _UNFINISHED.fullmatch(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.is_file(follow_symlinks=False):
                os.unlink(entry.path)


def check_writable(folder: Path) -> None:
    """Find out before the work, not after it, that files cannot be made in `folder`; it need not exist yet.

    Raises:
        OutputError: they cannot.
    """
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another --output"
        ) from error


def check_file(path: Path, example: str, suffixes: Sequence[str] = ()) -> None:
    """Find out before the work that `path` cannot be written; `example` is the name of a file such as it.

    Raises:
        OutputError: it is a folder, a pipe or a device, its suffix is none of those wanted, or files cannot be made
            in its folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name the file to write, as in {path / example}")
    _check_regular(path)
    if suffixes and path.suffix.lower() not in suffixes:  # a page would take the place of a model or a picture
        raise OutputError(f"{path}: want a name that ends in {' or '.join(suffixes)}, as in {path.with_name(example)}")
    check_writable(path.parent)


def check_spared(path: Path, **read: str | Path) -> None:
    """Find out before the work that writing `path` would overwrite what is read, each under its name for people.

    Raises:
        OutputError: it would.
    """
    for name, place in read.items():
        with suppress(OSError, ValueError):  # one of them is not there, or names no file
            if os.path.samefile(path, place):
                raise OutputError(f"{path}: is the {name}; choose another name")
