"""One stream's way from frame to alpha: network, stability, choice of people, edges; or an alpha used again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from figureground.arrays import Alpha, Frame, Mask, Matte, check_alpha
from figureground.engine import Engine
from figureground.live.governor import Effort
from figureground.live.plausible import Plausible
from figureground.people import Choice
from figureground.preprocess import FAINT, Fit, crisp, enlarge, tidy, to_input, to_matte
from figureground.refine import Refiner
from figureground.temporal import Stabiliser

CHANGED = 10  # levels in any channel, of a smoothed picture: more than a camera's noise
AROUND = 9  # pixels a side of the network's input: so near to the person nothing may change for an alpha to serve again


@dataclass(frozen=True, slots=True)
class Found:
    """A frame as the network saw it, (h, w, 3), and the person in it, (h, w), without the network's border."""

    picture: Frame
    alpha: Alpha
    fit: Fit


class Matting:
    """`matting(frame, time)` gives the alpha of a stream's next frame, in 8 bits.

    Args:
        engine: the network.
        people: who is kept, as in `people.Choice`.
        stabilise: whether the alpha may lean on the one before.
        refine: whether edges are sought in the full picture, where the effort allows it.
        lap: called with the name of each stage when it is done.

    Attributes:
        made_of: the first four arguments.
        effort: may be replaced between two frames.
    """

    def __init__(
        self,
        engine: Engine,
        people: str = "everyone",
        stabilise: bool = True,
        refine: bool = True,
        lap: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.made_of = (engine, people, stabilise, refine)
        self.effort = Effort()
        self._engine, self._refine, self._lap = engine, refine, lap
        self._refiner = Refiner()
        self._choice = Choice(people)
        self._stabiliser = Stabiliser() if stabilise else None
        self._memory = Memory()
        self._plausible = Plausible()

    def __call__(self, frame: Frame, time: float) -> Matte:
        """The matte, (H, W), of `frame`, (H, W, 3) uint8 RGB; `time` in seconds.

        Raises:
            ModelError: the network cannot run, gave a value that is no number, or a mask that hides nothing.
            ArrayError: what it gave is no alpha of the picture's size.
        """
        return self.finish(frame, self.find(frame, time), time)

    def reset(self) -> None:
        """Forget the frames before: one of them was wrong, and must not tell what the next ones show."""
        self._memory, self._refiner = Memory(), Refiner()
        self._choice.reset()
        if self._stabiliser is not None:
            self._stabiliser.reset()

    def find(self, frame: Frame, time: float) -> Found:
        """The person of the stream's next frame, at the network's resolution."""
        fit = self._engine.fit(frame.shape[1], frame.shape[0], round(self._engine.size * self.effort.scale))
        picture = to_input(frame, fit)
        inside = picture[: fit.height, : fit.width]
        self._lap("resize")
        small = self._memory.again(inside, self.effort.reuse)
        if small is None:
            small = self._infer(picture, inside, fit, time)
            self._memory.keep(inside, small)
        return Found(inside, small, fit)

    def finish(self, frame: Frame, found: Found, time: float) -> Matte:
        """The matte, (H, W), of the frame in which `found` was found."""
        if self._refine and self.effort.refine:
            matte = self._refiner(frame, found.alpha, time)
        else:
            matte = enlarge(to_matte(found.alpha), found.fit)
        self._lap("refine")
        return matte

    def _infer(self, picture: Frame, inside: Frame, fit: Fit, time: float) -> Alpha:
        small = check_alpha(crisp(self._engine.run(picture), fit), like=inside)
        self._lap("infer")
        self._plausible(float(small.mean()))  # before it is mixed with others and no longer looks like what it is
        small = tidy(small)
        if self._stabiliser is not None:
            small = self._stabiliser(inside, small, time).copy()  # the next call writes over what it gave
        small = self._choice(small)
        self._lap("stabilise")
        return small


class Memory:
    """The last alpha and its picture, for a picture in which the person has not moved since."""

    def __init__(self) -> None:
        self._picture: Frame | None = None
        self._alpha: Alpha | None = None
        self._near: Mask = np.zeros((1, 1), np.bool_)
        self._used = 0

    def keep(self, picture: Frame, alpha: Alpha) -> None:
        """Remember what the network found in `picture`."""
        self._picture, self._alpha, self._used = smooth(picture), alpha.copy(), 0
        self._near = cv2.dilate((alpha > FAINT).view(np.uint8), np.ones((AROUND, AROUND), np.uint8)).view(np.bool_)

    def again(self, picture: Frame, times: int) -> Alpha | None:
        """The last alpha; None if anything changed in or around the person, or it was used `times` times already.

        So whatever it lets through of `picture` looks as it did when the alpha was found. Elsewhere it is 0.
        """
        if self._alpha is None or self._picture is None or self._used >= times or picture.shape != self._picture.shape:
            return None
        if (changed(smooth(picture), self._picture) & self._near).any():
            return None
        self._used += 1
        return self._alpha


def smooth(picture: Frame) -> Frame:
    return np.asarray(cv2.blur(picture, (3, 3)), np.uint8)


def changed(picture: Frame, other: Frame) -> Mask:
    """Where two smooth pictures differ, in whichever channel: a room may be just as dark as the person before it."""
    red, green, blue = cv2.split(cv2.absdiff(picture, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue) > CHANGED, np.bool_)
