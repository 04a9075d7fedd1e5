"""What tests of the live loop share: a sink that looks for the room, a camera's video of it, networks that fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from figureground.errors import ModelError
from marked import leaked, room, shown

SIZE = (160, 96)


class Eye:
    """A sink that looks at every picture for pixels of the room."""

    def __init__(self) -> None:
        self.pictures = self.leaks = self.people = 0
        self.last = np.zeros((1, 1, 3), np.uint8)
        self.broken: Exception | None = None
        self.blocked: Event | None = None  # takes no picture until this is set
        self.times: list[Fraction] = []

    def send(self, picture: NDArray[np.uint8], at: Fraction) -> None:
        if self.broken is not None:
            raise self.broken
        if self.blocked is not None:
            self.blocked.wait(30)
        self.pictures += 1
        self.leaks += leaked(picture)
        self.people += shown(picture)
        self.last = picture.copy()
        self.times.append(at)

    def __enter__(self) -> Eye:
        return self

    def __exit__(self, *args: object) -> None:
        self.closed = True


def write_room(path: Path, frames: int = 40, size: tuple[int, int] = SIZE, rate: int | Fraction = 30) -> Path:
    """A video without loss in which the figure walks from side to side, fast."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
        for number in range(frames):
            picture = room(*size, at=0.5 + 0.4 * np.sin(2 * np.pi * number / frames))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    return path


def wait_for(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Until something is so, or the test has failed."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def broken(picture: NDArray[np.uint8]) -> Any:
    raise ModelError("the network gave a value that is no number")


FAULTS: dict[str, Callable[[NDArray[np.uint8]], Any]] = {
    "raises": broken,
    "no number": lambda picture: np.full(picture.shape[:2], np.nan, np.float32),
    "everything": lambda picture: np.ones(picture.shape[:2], np.float32),
    "nothing": lambda picture: np.zeros(picture.shape[:2], np.float32),
    "another size": lambda picture: np.ones((3, 3), np.float32),
}
