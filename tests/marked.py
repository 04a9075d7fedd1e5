"""A marked room: red everywhere, in front of it a blue figure that moves; behind it, once replaced, only green.

No red may reach an output: a single pixel of it is a pixel of the camera's room.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame
from figureground.preprocess import Fit
from scenes import BLUE, RED, plain

TINGE = 8  # levels of red that rounding and soft edges may leave in a pixel


def room(width: int, height: int, at: float, size: float = 0.5) -> Frame:
    """The camera's picture: the figure's middle is `at` of the way from left to right."""
    frame = plain(width, height, RED)
    centre, radius = (round(at * width), height), round(size * height)
    cv2.ellipse(frame, centre, (radius, round(1.6 * radius)), 0, 0, 360, BLUE, -1)
    return frame


def leaked(picture: NDArray[np.uint8]) -> int:
    """Pixels of the room in a picture: redder than the figure, the background, the card and any mixture with grey."""
    red, others = picture[:, :, 0].astype(np.int16), picture[:, :, 1:].min(2)
    return int(np.count_nonzero(red - others > TINGE))


def shown(picture: NDArray[np.uint8]) -> bool:
    """Whether the figure is on it."""
    return bool((picture[:, :, 2] > 200).any())


def true_alpha(frame: Frame) -> Alpha:
    """The figure of `frame`, a little inside of its outline: a function of this very frame."""
    blue = np.asarray((frame[:, :, 2] > 200) & (frame[:, :, 0] < 60), np.uint8)
    return np.asarray(cv2.erode(blue, np.ones((7, 7), np.uint8)), np.float32)


class Oracle:
    """In the engine's place: knows the marked room. `fault` may be set to a function to run in its place."""

    size = 256

    def __init__(self, model: object = "small", threads: int = 1, device: str = "cpu") -> None:
        self.fault: Callable[[Frame], Alpha] | None = None

    def __call__(self, frame: Frame) -> Alpha:
        return true_alpha(frame)

    def fit(self, width: int, height: int, size: int | None = None) -> Fit:
        return Fit.of(width, height, size or self.size)

    def run(self, picture: Frame) -> Alpha:
        return true_alpha(picture) if self.fault is None else self.fault(picture)
