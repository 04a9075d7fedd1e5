"""What the commands share: a line for what went wrong, a bar for how far it is, a command for what is missing."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from figureground.errors import FigureGroundError, MissingExtraError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from figureground.batch import Result

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]


def complain(message: str) -> int:
    """Say on stderr what went wrong; give the exit code of a wrong call."""
    say(f"figureground: {message}\n", sys.stderr)
    return 2


def say(text: str, out: TextIO) -> None:
    """Write for whoever reads it, at once; where nobody does any more, as after `| head`, the work goes on."""
    try:
        out.write(text)  # in one piece: others write there, too
        out.flush()
    except OSError as error:
        # What is left in its buffer would be tried again, and be an error, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if not isinstance(error, BrokenPipeError) and out is not sys.stderr:
            complain(f"standard output: cannot be written ({error.strerror or error}); the work goes on")


def parse_size(size: str) -> tuple[int, int]:
    """`1280x720` as width and height.

    Raises:
        FigureGroundError: it says no such thing.
    """
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) <= 8192 and 0 < int(height) <= 8192):
        raise FigureGroundError(f"--size {size}: want WIDTHxHEIGHT up to 8192, as in 1280x720")
    return int(width), int(height)


def parse_time(time: str) -> Fraction:
    """`90`, `1:30`, `0:01:30` or `90.5` as seconds.

    Raises:
        FigureGroundError: it says no such thing.
    """
    if not re.fullmatch(r"((\d+:)?\d{1,2}:)?\d+(\.\d+)?", time, re.ASCII):
        raise FigureGroundError(f"time {time!r}: want seconds or h:mm:ss, as in 90, 1:30 or 0:01:30.5")
    seconds = Fraction(0)
    for part in time.split(":"):
        seconds = 60 * seconds + Fraction(part)
    return seconds


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing part of an extra into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{error.name}, which this command needs,", extra) from error


@contextmanager
def ctrl_c_waits(message: str) -> Iterator[Callable[[], bool]]:
    """Hold a first Ctrl-C back, with a `message`, and give what tells whether there was one; a second one ends all."""
    before, asked = signal.getsignal(signal.SIGINT), False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)
        complain(message)

    if before is signal.default_int_handler:  # not where it is ignored, as in the background of a shell
        signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def progress_bar(unit: str) -> Progress:
    """A bar of counted things on stderr, hidden where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.0f} {task.fields.get('unit', unit)}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


class Report:
    """What `replace` says: its results, one by one, and a bar for all inputs and one for each video at work.

    Args:
        bar: on which that is shown.
        as_json: one document instead, which begins with what `about` holds.

    Attributes:
        failed: whether any input did.
    """

    def __init__(self, bar: Progress, as_json: bool, about: Mapping[str, object]) -> None:
        self._bar, self._as_json = bar, as_json
        self._head = json.dumps({**about, "results": []})[: -len("]}")]
        self._whole = bar.add_task("", total=None)
        self._videos: dict[str, TaskID] = {}
        self.failed, self._kept, self._said = False, 0, 0

    def tell(self, path: Path, done: int, total: int) -> None:
        """How far an input is, from any thread."""
        if total == 1:
            self._bar.update(self._whole, description=path.name)
            return
        if str(path) not in self._videos:
            self._videos[str(path)] = self._bar.add_task(path.name, unit="frames/s")
        self._bar.update(self._videos[str(path)], completed=done, total=total or None)

    def add(self, result: Result) -> None:
        self._bar.advance(self._whole)
        if str(Path(result.input)) in self._videos:
            self._bar.remove_task(self._videos.pop(str(Path(result.input))))
        self.failed |= result.status == "failed"
        if self._as_json:
            begin = ",\n" if self._said else f"{self._head}\n"
            say(begin + json.dumps(asdict(result)), sys.stdout)
            self._said += 1
        elif result.status == "failed":
            complain(result.reason)
        elif result.status == "kept":
            self._kept += 1
        else:
            rate = f", {result.frames / result.seconds:.0f} frames/s" if result.frames > 1 and result.seconds else ""
            frames = f"{result.frames} {'frame' if result.frames == 1 else 'frames'}"
            say(f"{result.output}  ({frames}{rate})\n", sys.stdout)
            if result.note:
                complain(f"{result.output}: {result.note}")

    def __enter__(self) -> Report:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Whatever ends it, what was printed is a whole document."""
        if self._as_json and self._said:
            say("\n]}\n", sys.stdout)
        elif self._as_json and error is None:
            say(self._head + "]}\n", sys.stdout)
        elif self._kept:
            say(f"{self._kept} kept: done before, and not changed since\n", sys.stdout)
