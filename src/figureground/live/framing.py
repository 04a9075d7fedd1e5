"""A camera's picture brought to the size of the output."""

from __future__ import annotations

import cv2
import numpy as np

from figureground.arrays import Frame
from figureground.live.settings import Fitting


class Framing:
    """`framing(frame)` gives `frame` at width x height: itself, or in memory that the next call overwrites.

    Args:
        width, height: in pixels.
        fit: `cover` cuts what is too much at two sides, `contain` leaves black bars at two sides.
        mirror: left and right are exchanged.
    """

    def __init__(self, width: int, height: int, fit: Fitting = "cover", mirror: bool = False) -> None:
        self._out = np.zeros((height, width, 3), np.uint8)
        self._choose = max if fit == "cover" else min
        self._mirror = mirror
        self._shape: tuple[int, ...] = ()

    def __call__(self, frame: Frame) -> Frame:
        height, width = self._out.shape[:2]
        if frame.shape == self._out.shape and not self._mirror:
            return frame
        if frame.shape != self._shape:
            self._out[:], self._shape = 0, frame.shape  # the bars lie elsewhere now
        scale = self._choose(width / frame.shape[1], height / frame.shape[0])
        # What is seen of the camera's picture, and where it goes: the middle of each.
        shown = [min(side, max(1, round(out / scale))) for side, out in zip(frame.shape, (height, width), strict=False)]
        into = [min(out, max(1, round(side * scale))) for side, out in zip(frame.shape, (height, width), strict=False)]
        part, place = _middle(frame, *shown), _middle(self._out, *into)
        if part.shape == place.shape:
            np.copyto(place, part[:, ::-1] if self._mirror else part)
        else:
            smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            sized = cv2.resize(part, (into[1], into[0]), interpolation=smooth)
            np.copyto(place, sized[:, ::-1] if self._mirror else sized)
        return self._out


def _middle(picture: Frame, height: int, width: int) -> Frame:
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
