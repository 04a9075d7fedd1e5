"""Where the live picture goes besides the page: a file."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.video.reformatter import Colorspace

from figureground.sinks import VideoSink, video_sink


@dataclass(frozen=True, slots=True)
class Stream:
    """What a video file needs to know of pictures that come from no file."""

    width: int
    height: int
    rate: Fraction
    path: None = None
    aspect: Fraction = Fraction(1)
    tick: Fraction = Fraction(1, 1_000_000)
    begin: Fraction = Fraction(0)
    colorspace: int = int(Colorspace.ITU709)
    primaries: int = 1  # BT.709
    transfer: int = 1


def recording(path: Path, width: int, height: int, fps: float) -> AbstractContextManager[VideoSink]:
    """A video file of the live picture; it stands at `path` once this ends."""
    return video_sink(path, Stream(width, height, Fraction(fps).limit_denominator(1001)))
