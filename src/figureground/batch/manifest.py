"""What became of every input, a line of JSON each, beside the results: what the next run need not do again.

Lines are added as the work goes on; of several with the same input the last one counts. A run that is killed in the
middle of a line loses that line. At the end of a run every input has one.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from threading import Lock

from figureground.atomic import atomic_path
from figureground.batch.places import fetched, is_url, join, put, stamp
from figureground.errors import OutputError

NAME = "figureground-manifest.jsonl"
PUT_AFTER = 10.0  # seconds between two copies of it to a store, which cannot be added to


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the manifest.

    Attributes:
        input: its name below the folder that was asked for, with slashes.
        output: of the result below the output folder, with slashes.
        status: `done` or `failed`.
        reason: why it failed.
        sha256: of the input's content; empty if it could not be read.
        bytes, modified: of the input, when it was read: what tells without reading it that it has changed.
        output_bytes: size of the result.
        options: a hash of all that decides what the result is, the model and the background with it.
        frames: of a video; 1 for a picture.
        ms: what it took.
        note: what of the input could not be kept.
    """

    input: str
    output: str
    status: str
    reason: str = ""
    sha256: str = ""
    bytes: int = 0
    modified: str = ""
    output_bytes: int = 0
    options: str = ""
    frames: int = 0
    ms: int = 0
    note: str = ""


Find = Callable[[str], Entry | None]  # what is known of the input of a name


class Manifest:
    """The manifest at `path`, read and added to; threads may share one.

    Of each line only the place in the file is kept in memory.

    Attributes:
        alone: no other run can be at work in its folder; some network disks cannot tell.

    Raises:
        OutputError: it cannot be read or written, or another run is at work in its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._places = dict[int, int]()  # a hash of the input's name to where its last line begins
        self._lines = 0
        self._waiting = deque[Entry]()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file, self.alone = _locked(path)  # written without a buffer
            self._read = path.open("rb")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
        self._mend()
        self._index()

    def _mend(self) -> None:
        """Cut off what a killed run wrote of its last line."""
        end = self._read.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - 65536)
            self._read.seek(begin)
            newline = self._read.read(end - begin).rfind(b"\n")
            end = begin + newline + 1
            if newline >= 0:
                break
        self._file.truncate(end)

    def _index(self) -> None:
        at = self._read.seek(0)
        for line in self._read:
            entry = _parse(line)
            if entry is not None:
                self._places[_key(entry.input)] = at
            self._lines += 1
            at += len(line)

    def find(self, name: str) -> Entry | None:
        """The last entry of the input of this name."""
        with self._lock:
            at = self._places.get(_key(name))
            if at is None:
                return None
            self._read.seek(at)
            entry = _parse(self._read.readline())
        return entry if entry is not None and entry.input == name else None

    def add(self, entry: Entry) -> None:
        """A line that the disk has no room for is written with the next one, or at the end: there may be room again."""
        with self._lock:
            self._waiting.append(entry)
            with suppress(OSError):
                self._write()

    def _write(self) -> None:
        while self._waiting:
            entry, at = self._waiting[0], os.fstat(self._file.fileno()).st_size
            line = _line(entry)
            try:
                if self._file.write(line) != len(line):
                    raise OSError("the disk is full")
            except OSError:
                self._file.truncate(at)
                raise
            self._waiting.popleft()
            self._places[_key(entry.input)] = at
            self._lines += 1

    def close(self) -> None:
        """Leave one line for each input; no file if there is none.

        Raises:
            OutputError: it cannot be written.
        """
        with self._lock, self._file, self._read:
            try:
                self._write()
            except OSError as error:
                lost = f"{len(self._waiting)} inputs will be done again"
                raise OutputError(f"{self.path}: cannot be written ({error.strerror or error}); {lost}") from error
            if not self._places:
                self.path.unlink(missing_ok=True)
            elif self._lines > len(self._places):
                # Where the disk is full it stays as long as it is.
                with suppress(OutputError), atomic_path(self.path) as temporary, temporary.open("wb") as kept:
                    for at in sorted(self._places.values()):
                        self._read.seek(at)
                        kept.write(self._read.readline())


@contextmanager
def manifest_of(folder: str) -> Iterator[Manifest]:
    """The manifest of an output folder, a path or URL; that of a URL is copied there every PUT_AFTER seconds.

    Raises:
        OutputError: as `Manifest`.
    """
    if not is_url(folder):
        manifest = Manifest(Path(folder) / NAME)
        try:
            yield manifest
        finally:
            manifest.close()
        return
    url = join(folder, NAME)
    with tempfile.TemporaryDirectory(prefix="figureground-") as name:
        path = Path(name) / NAME
        if stamp(url) is not None:
            with fetched(url) as copy:
                path.write_bytes(copy.read_bytes())
        manifest = _Copied(path, url)
        try:
            yield manifest
        finally:
            manifest.close()


class _Copied(Manifest):
    """A manifest whose home is a store."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path)
        self._url, self._put = url, time.monotonic()

    def add(self, entry: Entry) -> None:
        super().add(entry)
        if time.monotonic() - self._put > PUT_AFTER:
            with self._lock:
                with suppress(OutputError):  # the next one, or the last, may come through again
                    put(self.path, self._url)
                self._put = time.monotonic()

    def close(self) -> None:
        super().close()
        if self.path.exists():  # it does not where nothing was done
            put(self.path, self._url)


def read_manifest(path: Path) -> Iterator[Entry]:
    """The entries of a manifest file, in its order; lines that are none are passed over."""
    with path.open("rb") as file:
        yield from (entry for entry in map(_parse, file) if entry is not None)


def _parse(line: bytes) -> Entry | None:
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
    return entry if isinstance(entry.input, str) and isinstance(entry.output, str) else None


def _line(entry: Entry) -> bytes:
    try:
        return json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # a name whose bytes are no text
        return json.dumps(asdict(entry)).encode() + b"\n"


def _key(name: str) -> int:
    return int.from_bytes(blake2b(os.fsencode(name), digest_size=8).digest(), "big")


def _locked(path: Path) -> tuple[FileIO, bool]:
    """The file, opened, and whether it is held against other runs as long as it is open."""
    while True:
        file = FileIO(path, "a+b")
        if sys.platform == "win32":
            return file, False
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise OutputError(f"{path.parent}: another run is at work here; wait for it or change --output") from error
        except OSError:
            return file, False
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file, True
        file.close()  # the other run gave the name to another file in between
