"""Fail closed: what is shown is a composite of this frame and this frame's alpha, or no camera picture at all.

The guard is the only way from a camera frame to an output. Whatever fails on the way (the model, its numbers, the
background, the compositor), and every mask that hides nothing, ends in the cover: the chosen background, or where that
is the blurred room, the last safe picture blurred beyond recognition, or a plain card if there is none yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from figureground.arrays import Frame, Matte, check_matte
from figureground.backgrounds import Background, Blur, Still
from figureground.compositor import Compositor
from figureground.errors import FigureGroundError
from figureground.live.plausible import Plausible

CARD = (32, 34, 38)  # RGB of the plain card
Matting = Callable[[Frame, float], Matte]


@dataclass(frozen=True, slots=True)
class Picture:
    """What may be shown: (H, W, 3) RGB, overwritten by the next one.

    `matte` is the one it was composited with. On a cover there is none, and `reason` says why.
    """

    picture: Frame
    matte: Matte | None = None
    reason: str = ""


class Guard:
    """`guard(frame, time)` gives a picture that is safe to show, whatever happens.

    Args:
        width, height: of every picture, in pixels.

    Attributes:
        background: what stands behind the person; a plain card until it is set, and may be replaced between two
            pictures.
    """

    def __init__(self, width: int, height: int) -> None:
        self.background: Background = Still(np.array([[CARD]], np.uint8))
        self._shape = (height, width, 3)
        self._compositor = Compositor()
        self._plausible = Plausible()
        self._last: Frame | None = None  # a small copy of the last picture with a person, blurred
        self._behind: Frame | None = None  # the background as it was last shown
        self._nothing = np.zeros((height, width), np.uint8)
        self._black = np.zeros(self._shape, np.uint8)

    def __call__(
        self, frame: Frame, time: float, matting: Matting, lap: Callable[[str], None] = lambda _: None
    ) -> Picture:
        """The composite of `frame`, or the cover.

        Args:
            frame: (H, W, 3) uint8 RGB, of the guard's size; it must not change until this returns.
            time: of the frame, in seconds.
            matting: gives the alpha of the very frame it is given, in 8 bits.
            lap: called with the name of each stage when that is done.
        """
        try:
            if frame.shape != self._shape:
                return self.cover(time, f"a picture of {frame.shape[1]}x{frame.shape[0]} came unasked")
            matte = check_matte(matting(frame, time), like=frame)
            self._plausible(cv2.mean(matte)[0] / 255)
            behind = self.background(frame, matte, _exact(time))
            if behind.shape != frame.shape or behind.dtype != np.uint8:
                return self.cover(time, "the background gave no picture of the right size")
            if not isinstance(self.background, Blur):
                self._behind = behind
            lap("background")
            picture = self._compositor(frame, matte, behind)
            self._remember(picture)
            lap("composite")
            return Picture(picture, matte)
        except FigureGroundError as error:
            return self.cover(time, str(error))
        except Exception as error:  # whatever it is, the room must not be seen
            return self.cover(time, f"{type(error).__name__}: {error}".splitlines()[0])

    def _remember(self, picture: Frame) -> None:
        """Only the blurred room needs it: every other background is its own cover."""
        if isinstance(self.background, Blur):
            small = cv2.resize(picture, (16, 9), interpolation=cv2.INTER_LINEAR)
            self._last = np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), np.uint8)

    def cover(self, time: float, reason: str) -> Picture:
        """A picture without anything of the camera's current frame, and `reason`."""
        try:
            if isinstance(self.background, Blur):
                return Picture(self._blurred(), reason=reason)
            behind = self.background(self._black, self._nothing, _exact(time))
            if behind.shape == self._shape and behind.dtype == np.uint8:
                self._behind = behind
                return Picture(behind, reason=reason)
        except Exception as error:  # the cover must come whatever the background does
            reason = f"{reason}; and the background: {error}" if str(error) not in reason else reason
        return Picture(self._card(), reason=reason)

    def standby(self, reason: str) -> Picture:
        """A cover for another thread, while the guard is held up: made of what was shown before, nothing is called."""
        if isinstance(self.background, Blur) or self._behind is None:
            return Picture(self._blurred(), reason=reason)
        return Picture(self._behind, reason=reason)

    def _blurred(self) -> Frame:
        if self._last is None:
            return self._card()
        return np.asarray(cv2.resize(self._last, self._shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)

    def _card(self) -> Frame:
        return np.full(self._shape, CARD, np.uint8)


def _exact(time: float) -> Fraction:
    return Fraction(round(time * 1_000_000), 1_000_000)
