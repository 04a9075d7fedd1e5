"""Where files lie: paths, and URLs of object stores and other machines, which fsspec reads and writes.

A place is a string; one with `://` in it is a URL. Only here a path and a URL differ.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from figureground.atomic import atomic_path
from figureground.errors import ChangedError, InputError, MissingExtraError, OutputError

# Stores in which a file is there once all of it is: no name for the meantime is needed, and to rename is to copy.
_WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "hf"}
_CHANGED = "{}: changed or removed while it was read; run again when it is whole"
_CHANGES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells without reading a file that it has changed: its size, and a time or whatever its store gives."""

    bytes: int
    modified: str


def is_url(place: str) -> bool:
    return "://" in place


def join(folder: str, name: str) -> str:
    """The place of `name`, with slashes, below `folder`."""
    if is_url(folder):
        return f"{folder.rstrip('/')}/{name}"
    return os.path.join(folder, *PurePosixPath(name).parts)


def same(place: str, other: str) -> bool:
    """Whether both name one file or folder, be it by another spelling or a link; False if one is not there.

    Raises:
        InputError: not a URL that can be read here.
    """
    if is_url(place) or is_url(other):
        return real(place) == real(other)
    try:
        return os.path.samefile(place, other)
    except OSError:
        return False


def real(place: str) -> str:
    """The one spelling of a file or folder: without links, a file:// as a path, a URL as its store spells it.

    Raises:
        InputError: not a URL that can be read here.
    """
    if not is_url(place):
        return os.path.realpath(place)
    files, path = _files(place)
    protocol = files.protocol if isinstance(files.protocol, str) else files.protocol[0]
    return os.path.realpath(path) if protocol == "file" else f"{protocol}://{path.strip('/')}"


def stamp(place: str) -> Stamp | None:
    """Of a file or folder; None if it is not there or may not be looked at.

    Raises:
        InputError: the store cannot be asked.
    """
    if not is_url(place):
        try:
            status = os.stat(place)
        except OSError:
            return None
        return Stamp(status.st_size, str(status.st_mtime_ns))
    files, path = _files(place)
    try:
        found = files.info(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # each store has exceptions of its own
        raise InputError(f"{place}: cannot be reached ({_first_line(error)})") from error
    changed = next((str(found[key]) for key in _CHANGES if found.get(key)), "")
    return Stamp(int(found.get("size") or 0), changed)


def result_size(place: str) -> int | None:
    """The bytes of a file, or of all files in a folder of pictures; None if it is not there.

    Raises:
        InputError: the store cannot be asked.
    """
    if is_url(place) or not os.path.isdir(place):
        found = stamp(place)
        return None if found is None else found.bytes
    with os.scandir(place) as listed:
        return sum(entry.stat().st_size for entry in listed)


@contextmanager
def unchanged(file: Path) -> Iterator[None]:
    """A block that reads a file of this machine, which somebody else may be writing.

    Raises:
        ChangedError: it is another one, or gone, when the block has ended, be it well or because of that.
    """
    seen = stamp(str(file))
    try:
        yield
    except Exception as error:
        if stamp(str(file)) != seen:
            raise ChangedError(_CHANGED.format(file)) from error
        raise
    if stamp(str(file)) != seen:
        raise ChangedError(_CHANGED.format(file))


def is_folder(place: str) -> bool:
    """
    Raises:
        InputError: the store cannot be asked.
    """
    if not is_url(place):
        return os.path.isdir(place)
    files, path = _files(place)
    try:
        return bool(files.isdir(path))
    except Exception as error:
        raise InputError(f"{place}: cannot be reached ({_first_line(error)})") from error


def entries(folder: str) -> Iterator[tuple[str, bool]]:
    """The names in a folder, hidden ones left out, and whether each is a folder.

    A link to a file is a file, one to a folder is left out: it may lead back up, and its pictures are somebody else's.
    A link that leads nowhere counts as a file, so that it is told that it cannot be read.

    Raises:
        OSError: a folder of this machine cannot be read.
        InputError: one at a URL cannot.
    """
    if is_url(folder):
        yield from _listed(folder)
        return
    with os.scandir(folder) as listed:
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield entry.name, True
            elif entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)):
                yield entry.name, False


def _listed(url: str) -> Iterator[tuple[str, bool]]:
    files, path = _files(url)
    try:
        found = files.ls(path, detail=True)
    except Exception as error:
        raise InputError(f"{url}: cannot be listed ({_first_line(error)})") from error
    for each in found:
        name = each["name"].rstrip("/").rpartition("/")[2]
        # Some stores list the folder itself among what is in it.
        if name and not name.startswith(".") and each["name"].strip("/") != path.strip("/"):
            yield name, each["type"] == "directory"


@contextmanager
def fetched(place: str) -> Iterator[Path]:
    """The file as one of this machine: a copy, for as long as the block lasts, if it is somewhere else.

    Raises:
        InputError: it cannot be had.
    """
    if not is_url(place):
        yield Path(place)
        return
    files, path = _files(place)
    with tempfile.TemporaryDirectory(prefix="figureground-") as folder:
        copy = Path(folder) / PurePosixPath(path).name
        try:
            files.get_file(path, str(copy))
        except FileNotFoundError as error:
            raise InputError(f"{place}: no such file") from error
        except Exception as error:
            raise InputError(f"{place}: cannot be fetched ({_first_line(error)})") from error
        yield copy


@contextmanager
def stored(place: str) -> Iterator[Path]:
    """A path to write to; what was written there stands at `place`, whole, when the block has ended well.

    Raises:
        OutputError: it cannot be put there.
    """
    if not is_url(place):
        yield Path(place)  # whoever writes there writes beside it and renames
        return
    with tempfile.TemporaryDirectory(prefix="figureground-") as folder:
        copy = Path(folder) / PurePosixPath(place).name
        yield copy
        put(copy, place)


def put(file: Path, url: str) -> None:
    """Bring a file to a URL, whole or not at all.

    Raises:
        OutputError: it cannot be put there.
    """
    files, path = _files(url)
    parent, _, name = path.rpartition("/")
    part = f"{parent}/.{name[:40]}.{secrets.token_hex(4)}.part"
    try:
        if url.partition("://")[0] in _WHOLE:
            files.put_file(str(file), path)
            return
        files.makedirs(parent, exist_ok=True)
        try:
            files.put_file(str(file), part)
            if files.exists(path):  # not everything that renames puts the new one in the place of the old
                files.rm_file(path)
            files.mv(part, path)
        finally:
            if files.exists(part):
                files.rm_file(part)
    except Exception as error:
        raise OutputError(f"{url}: cannot be written ({_first_line(error)})") from error


def write(place: str, content: bytes) -> None:
    """Write a small file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with stored(place) as path, atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _files(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"fsspec, which reads {url.partition('://')[0]}://,", "cluster") from error
    try:
        # Not from memory: others write into the same folders.
        files, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:  # its message says what to install
        raise InputError(f"{url}: {_first_line(error)}") from error
    except Exception as error:
        raise InputError(f"{url}: not a URL that can be read here ({_first_line(error)})") from error
    return files, str(path)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
