"""One input after the other, whatever goes wrong with any of them; as many threads at once as like."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from figureground.backgrounds import make_background
from figureground.batch.content import hashes, model_hashes, sha256
from figureground.batch.join import Joined
from figureground.batch.manifest import Entry
from figureground.batch.options import Options
from figureground.batch.picture import replace_picture
from figureground.batch.places import Stamp, fetched, is_url, put, result_size, stamp, stored
from figureground.batch.plan import Item, Job, is_video, written_beside
from figureground.batch.video import Progress, Spread, replace_video
from figureground.errors import FigureGroundError, OutputError
from figureground.runtimes.peers import open_model

# As OpenCV, ONNX Runtime and FFmpeg say that there is no memory.
_NO_MEMORY = ("Insufficient memory", "bad_alloc", "Failed to allocate memory", "Cannot allocate memory")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input; `reason` says why where `status` is `failed`, `note` what could not be kept of it.

    `kept`: an earlier run did it, and neither the input nor what is asked of it has changed since.
    """

    input: str
    output: str
    status: str
    frames: int = 0
    seconds: float = 0.0
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """An item, and what the manifest knows of it."""

    number: int
    item: Item
    known: Entry | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task, for the user and, if it is news, for the manifest."""

    result: Result
    entry: Entry | None = None


class Worker:
    """Does tasks, `done = worker(task)`, with one model; threads may share it.

    Args:
        options: what is asked of every input.
        progress: called with the input, the frames done and the frames in all (0: not known), by one thread at a time.
        spread: as `replace_video` wants it.

    Attributes:
        fingerprint: a hash of all that decides what a result is: the options, the model and the background.

    Raises:
        FigureGroundError: an unknown model, or a background that cannot be read.
    """

    def __init__(self, options: Options, progress: Progress | None = None, spread: Spread | None = None) -> None:
        self.options = options
        self._spread = spread
        self._progress = progress
        self._telling = threading.Lock()
        self._stopped = threading.Event()
        # Never called, only copied: a background keeps its place and its memory from one frame to the next.
        self._background = make_background(options.background) if options.kind == "composite" else None
        self._own = threading.local()
        self._model = open_model(options.model)
        self.fingerprint = _fingerprint(options)

    def stop(self) -> None:
        """Give up videos at their next frame: the call was interrupted."""
        self._stopped.set()

    def __call__(self, task: Task) -> Done:
        """Do one task; whatever goes wrong with it is told in its result."""
        item, started = task.item, time.perf_counter()
        entry = Entry(item.name, item.result, "failed", options=self.fingerprint)
        try:
            if item.refused:
                raise OutputError(item.refused)
            if item.result:
                at = stamp(item.input) or Stamp(0, "")
                entry = replace(entry, bytes=at.bytes, modified=at.modified)
                if task.known is not None and task.known.modified == at.modified and self._stands(task, entry):
                    return Done(Result(item.input, item.output, "kept"))
            with fetched(item.input) as local:
                if item.result and local.is_file():
                    entry = replace(entry, sha256=sha256(local))
                    if task.known is not None and self._stands(task, entry, by_content=True):
                        return Done(
                            Result(item.input, item.output, "kept"), replace(task.known, modified=entry.modified)
                        )
                made = self._make(item, local)
            entry = replace(entry, output_bytes=(result_size(item.output) or 0) if item.result else 0)
        except Exception as error:  # a codec's own, perhaps: the other inputs must not suffer
            return _failed(item, entry, _reason(item, error))
        seconds = time.perf_counter() - started
        note = "; ".join(made.notes)
        entry = replace(entry, status="done", frames=made.frames, ms=round(1000 * seconds), note=note)
        result = Result(item.input, item.output, "done", made.frames, round(seconds, 3), note=note)
        return Done(result, entry if item.result else None)

    def _stands(self, task: Task, now: Entry, by_content: bool = False) -> bool:
        """Whether the result of an earlier run is what this one would make."""
        item, known = task.item, task.known
        if known is None or known.status != "done":
            return False
        if (known.output, known.options, known.bytes) != (item.result, now.options, now.bytes):
            return False
        if by_content and known.sha256 != now.sha256:
            return False
        if result_size(item.output) != known.output_bytes:
            return False
        return all(stamp(place) is not None for place in written_beside(item, self.options))

    def _make(self, item: Item, local: Path) -> Joined:
        """Make the result of the file `local`."""
        with stored(item.output) as output:
            job = Job(local, output)
            try:
                made = self._video(job, item) if is_video(local) else self._picture(job, item)
            except FigureGroundError as error:  # of what lies somewhere else it knows the copy's name
                told = str(error).replace(str(local), item.input).replace(str(output), item.output)
                raise OutputError(told) from error
            for place in written_beside(item, self.options):
                if is_url(place):
                    put(output.with_name(PurePosixPath(place).name), place)
            return made

    def _picture(self, job: Job, item: Item) -> Joined:
        if not hasattr(self._own, "background"):
            self._own.background = copy.copy(self._background)
        note = replace_picture(job, self._model, self.options, self._own.background)
        self._tell(item, 1, 1)
        return Joined(1, (note,) if note else ())

    def _video(self, job: Job, item: Item) -> Joined:
        # A copy of what lies somewhere else is on this machine only, and so would its spans be.
        spread = None if is_url(item.input) or is_url(item.output) else self._spread

        def sent(_: Path, done: int, of: int) -> None:
            if self._stopped.is_set():
                raise KeyboardInterrupt
            self._tell(item, done, of)

        return replace_video(job, self._model, self.options, sent, spread)

    def _tell(self, item: Item, done: int, of: int) -> None:
        if self._progress is not None:
            with self._telling:
                self._progress(Path(item.input), done, of)


def _reason(item: Item, error: Exception) -> str:
    """Why it failed, in a line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or any(word in str(cause) for word in _NO_MEMORY):
            return f"{item.input}: there is not enough memory for it; free some, or do fewer at once (--jobs 1)"
        cause = cause.__cause__
    if isinstance(error, FigureGroundError):
        return str(error)
    return f"{item.input}: {type(error).__name__}: {error}".strip().splitlines()[0]


def _failed(item: Item, entry: Entry, reason: str) -> Done:
    return Done(
        Result(item.input, item.output, "failed", reason=reason), replace(entry, reason=reason) if item.result else None
    )


def _fingerprint(options: Options) -> str:
    """Where model and background lie does not count, what they are does."""
    behind = hashes(Path(options.background)) if options.kind == "composite" else []
    spec = options.background if options.kind == "composite" and not behind else ""
    asked = asdict(replace(options, model="", background=spec, resume=False))
    told = json.dumps([asked, model_hashes(options.model), behind], default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
