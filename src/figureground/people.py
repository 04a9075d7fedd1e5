"""Who of several people in an alpha is kept: everyone, the largest, or the one nearest to the centre."""

from __future__ import annotations

import math
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Mask
from figureground.errors import InputError

Which = Literal["everyone", "largest", "centre"]
SMALLEST = 0.003  # of the picture: a smaller part, as a lock of hair or a hand, belongs to the person nearest to it
LOST = 2  # frames in which the chosen one may be missing before another is chosen


class Choice:
    """Keeps one person of a stream: `alpha = choice(alpha)`, frame after frame.

    People are the connected parts of an alpha that are at least half person: people who touch are one. The one chosen
    stays chosen as long as their part overlaps the place where they were last, however large or near others become.

    Args:
        which: `everyone`, the `largest` part, or the one whose middle is nearest to the `centre` of the picture.

    Raises:
        InputError: `which` is none of these.
    """

    def __init__(self, which: str) -> None:
        if which not in get_args(Which):
            raise InputError(f"people {which!r}: want one of {', '.join(get_args(Which))}")
        self.which = which
        self.reset()

    def reset(self) -> None:
        """Forget who was chosen."""
        self._place: Mask | None = None
        self._lost = 0

    def __call__(self, alpha: Alpha) -> Alpha:
        """Take the next frame's alpha, (h, w) float32 in [0, 1]; all of it, or a new array with one person only."""
        if self.which == "everyone":
            return alpha
        count, labels, boxes, middles = cv2.connectedComponentsWithStats((alpha >= 0.5).view(np.uint8))
        areas = boxes[:, cv2.CC_STAT_AREA]
        people = [label for label in range(1, count) if areas[label] >= SMALLEST * alpha.size]
        chosen = self._choose(people, labels, areas, middles)
        if chosen is None:
            return np.zeros_like(alpha)
        self._place = labels == chosen
        return alpha if len(people) == 1 else np.where(_nearest(labels, people, self._place), alpha, np.float32(0))

    def _choose(
        self, people: list[int], labels: NDArray[np.int32], areas: NDArray[np.int32], middles: NDArray[np.float64]
    ) -> int | None:
        """The label of the person to keep; None while nobody is there, or only others are for the moment."""
        if not people:
            self._lost += 1
            return None
        if self._place is not None and self._place.shape == labels.shape:
            overlaps = np.bincount(labels[self._place], minlength=len(areas))
            best = max(people, key=lambda label: overlaps[label])
            if overlaps[best]:
                self._lost = 0
                return best
            self._lost += 1
            if self._lost <= LOST:
                return None
        self._lost = 0
        if self.which == "largest":
            return max(people, key=lambda label: areas[label])
        x, y = (labels.shape[1] - 1) / 2, (labels.shape[0] - 1) / 2
        return min(people, key=lambda label: math.hypot(middles[label][0] - x, middles[label][1] - y))


def _nearest(labels: NDArray[np.int32], people: list[int], place: Mask) -> Mask:
    """The pixels that are nearer to `place` than to any other person's part."""
    others = np.isin(labels, people) & ~place
    near, far = (cv2.distanceTransform((~part).view(np.uint8), cv2.DIST_L2, 3) for part in (place, others))
    closer: Mask = near < far
    return closer
