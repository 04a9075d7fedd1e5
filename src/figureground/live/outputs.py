"""Where the live picture goes besides the page: a file, or raw frames for another program."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from figureground.errors import OutputError
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


class Pipe:
    """Raw RGB24 pictures, one after another, as `ffmpeg -f rawvideo -pix_fmt rgb24` reads them.

    Args:
        descriptor: of an open file, as 1 for standard output.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, picture: NDArray[np.uint8], time: Fraction) -> None:
        """Write one picture; waits as long as the reader does.

        Raises:
            OutputError: nobody reads any more.
        """
        left = np.ascontiguousarray(picture).data.cast("B")
        try:
            while left:  # past any buffer of Python's, which would be written to a reader that has gone
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            raise OutputError("the program that read the pictures has ended") from error

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *args: object) -> None:
        """The descriptor is its owner's."""
