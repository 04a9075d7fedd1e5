"""What the commands share: a line for what went wrong, a bar for how far it is, a command for what is missing."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from figureground.errors import FigureGroundError, MissingExtraError

if TYPE_CHECKING:
    from rich.progress import Progress

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]


def complain(message: str) -> int:
    """Say on stderr what went wrong; give the exit code of a wrong call."""
    print(f"figureground: {message}", file=sys.stderr)
    return 2


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
            return Text(f"{task.finished_speed or task.speed or 0:.0f} {unit}")

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
