"""Raw frames in and out, one after another, as FFmpeg's rawvideo has them: no heads, nothing between them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.errors import OutputError, SettingError, VideoError

MAX_SIDE = 16384
FPS = 25


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Frames of RGB, 8 bits a channel, so many a second."""

    width: int
    height: int
    fps: Fraction

    @classmethod
    def of(cls, spec: str) -> RawFormat:
        """What `rgb24:1280x720` or `rgb24:1280x720@30000/1001` means; 25 frames a second if nothing is said of it.

        Raises:
            SettingError: it means nothing, or a size or rate that cannot be.
        """
        found = re.fullmatch(r"rgb24:(\d{1,5})x(\d{1,5})(?:@(\d{1,6}(?:\.\d{1,6}|/\d{1,6})?))?", spec)
        try:
            width, height, fps = int(found[1]), int(found[2]), Fraction(found[3] or FPS)  # type: ignore[index]
        except (TypeError, ZeroDivisionError):
            width = height = fps = 0  # type: ignore[assignment]
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and 0 < fps <= 1000):
            raise SettingError(
                f"--pipe {spec}: want rgb24:WIDTHxHEIGHT or rgb24:WIDTHxHEIGHT@FPS, as rgb24:1280x720@25"
            )
        return cls(width, height, fps)


class RawSource:
    """The frames that come in through an open file.

    Raises, while it is gone through:
        VideoError: there is none, or the last one is not whole.
    """

    def __init__(self, file: BinaryIO, format: RawFormat) -> None:
        self._file, self._format = file, format
        self.time = Fraction(0)

    def __iter__(self) -> Iterator[Frame]:
        size, number = (self._format.height, self._format.width, 3), 0
        while True:
            frame = np.empty(size, np.uint8)
            got = self._fill(frame.data.cast("B"))
            if not got and number:
                return
            if got < frame.size:
                shape = f"{self._format.width}x{self._format.height} in rgb24"
                raise VideoError(f"standard input: frame {number + 1} has {got} bytes; want {frame.size} for {shape}")
            self.time = number / self._format.fps
            yield frame
            number += 1

    def _fill(self, room: memoryview) -> int:
        """Read until there is no room or no more; how many bytes that was."""
        filled = 0
        while filled < len(room) and (more := self._file.readinto(room[filled:])):  # type: ignore[attr-defined]
            filled += more
        return filled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        """The file is its owner's."""


class ReaderGoneError(OutputError):
    """Whoever read what is written has ended, as `head` does when it has enough."""


class Pipe:
    """Raw pictures, one after another, as `ffmpeg -f rawvideo -pix_fmt rgb24` (rgba, gray) reads them.

    Args:
        descriptor: of an open file, as 1 for standard output.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, picture: NDArray[np.uint8], time: Fraction) -> None:
        """Write one picture; waits as long as the reader does.

        Raises:
            ReaderGoneError: nobody reads any more.
            OutputError: it cannot be written, as to a full disk.
        """
        write_all(self._descriptor, np.ascontiguousarray(picture).data.cast("B"))

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *args: object) -> None:
        """The descriptor is its owner's."""


def write_all(descriptor: int, data: memoryview) -> None:
    """Write past any buffer of Python's, which would be written to a reader that has gone.

    Raises:
        ReaderGoneError: nobody reads any more.
        OutputError: it cannot be written, as to a full disk.
    """
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ReaderGoneError("the program that read the pictures has ended") from error
    except OSError as error:
        raise OutputError(f"standard output: cannot be written ({error.strerror or error})") from error
