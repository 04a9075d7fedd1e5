"""A steady alpha for video: what the network is unsure of is not decided anew in every frame.

A causal filter at the network's resolution. It leans on the previous alpha only where the picture stands still. Where
the picture changes the new alpha counts at once, so that nothing trails behind a moving hand; and it never gives a
pixel more of the person than the larger of its previous and its new alpha, nor, where the picture has changed, more
than the new one.
"""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame

SHRINK = 2  # motion is looked for on a picture so many times smaller: less noise, a quarter of the time
# Levels of 255 by which a smoothed pixel, in its worst channel, must differ to count as changed: from the frame before,
# and from what it looked like when its alpha was last believed. The second sees what moves too slowly for the first.
STEP, DRIFT = 8, 12
NOISE = 5.0  # or so many times the median difference between frames where that is more, up to twice the above
MOTION = 2.5  # times STEP: what moves as clearly makes the alphas around it, within REACH pixels, doubtful too
REACH = 18
# Seconds: for a still pixel to believe the network; for one outside of the person to be let go of; for motion nearby to
# be forgotten; for a still pixel's remembered colour to follow the light.
PATIENCE, LETTING_GO, FORGET, LIGHT = 1.5, 0.1, 0.25, 0.3
FADE = 0.3  # seconds in which a still pixel changes sides once it has been convinced
RISE = 0.06  # near motion alpha rises at this share of the speed at which it falls: a ghost is worse than a late edge
MARGIN = 0.15  # beyond 0.5, that the evidence must reach before a still pixel changes sides
CUT = 0.5  # share of the picture that moves clearly: nothing of the frame before is left
GAP = 0.5  # seconds without a frame
DIFFERENT, TIMES = 0.5, 2  # the new alpha is right if, so many frames running, its IoU with the old one is below
ONE = 64  # in maps of change: just changed
_LEVELS = np.arange(256)
_FALL = np.where(_LEVELS >= ONE, 1, 0).astype(np.float32)  # by change: the part of the way down to the new alpha
_RISE = np.where(_LEVELS >= ONE, np.clip(_LEVELS / ONE - 0.5, 0, 1), 0).astype(np.float32)  # and up to it
_NEAR = np.clip(3 * (_LEVELS - 0.05 * 255), 0, 255).astype(np.uint8)  # by the share of moving pixels around
_DOUBT = (4 * _LEVELS / 255).astype(np.float32)  # by motion nearby: to be multiplied by the square of (alpha - 0.5)


class Stabiliser:
    """Makes the alphas of a stream steady: `alpha = stabiliser(picture, alpha, time)`, frame after frame.

    Where the picture has changed, the new alpha counts. Elsewhere evidence is gathered: a pixel changes sides (0.5)
    only when the network has said so for some time, sooner near motion, where it falls faster than it rises.
    Not to be shared by streams or threads.
    """

    def __init__(self) -> None:
        self._allocate(1, 1)

    def reset(self) -> None:
        """Forget the stream: the next alpha passes as it is."""
        self._time = -math.inf

    def _allocate(self, height: int, width: int) -> None:
        self._motion = _Motion(width, height)
        self._alpha, self._evidence, self._way = np.empty((3, height, width), np.float32)
        self._rate, self._rise, self._work = np.empty((3, height, width), np.float32)
        self._given, self._nothing = np.zeros((2, height, width), np.float32)
        self._masks = np.empty((4, height, width), np.bool_)
        self._contradictions = 0
        self.reset()

    def __call__(self, picture: Frame, alpha: Alpha, time: float | Fraction) -> Alpha:
        """Take the next frame.

        Args:
            picture: (h, w, 3) uint8 RGB, what the network saw of the frame.
            alpha: (h, w) float32 in [0, 1], what it said.
            time: the frame's, in seconds.

        Returns:
            (h, w) float32 in [0, 1], overwritten by the next call. `alpha`'s own values where there is nothing to
            lean on: the first frame, after a cut, another size, a gap or a step back in time, or when the network
            has contradicted what is remembered for TIMES frames.
        """
        if alpha.shape != self._alpha.shape:
            self._allocate(*alpha.shape)
        passed, self._time = float(time) - self._time, float(time)
        if not 0 < passed <= GAP or self._motion.look(picture, passed) > CUT or self._contradicted(alpha):
            self._motion.start(picture)
            self._alpha[:], self._evidence[:] = alpha, alpha
            self._contradictions = 0
        else:
            self._blend(alpha, passed)
        self._given[:] = self._alpha  # whoever tidies it must not write into what is remembered
        return self._given

    def _contradicted(self, alpha: Alpha) -> bool:
        """Whether the network has seen something quite different for some frames; sorts out which pixels are in."""
        new, old, either, _ = self._masks
        np.greater_equal(alpha, 0.5, out=new)
        np.greater_equal(self._alpha, 0.5, out=old)
        union = np.count_nonzero(np.logical_or(new, old, out=either))
        common = np.count_nonzero(np.logical_and(new, old, out=either))
        self._contradictions = self._contradictions + 1 if common < DIFFERENT * union else 0
        return self._contradictions >= TIMES

    def _blend(self, alpha: Alpha, passed: float) -> None:
        """Move `_alpha` towards the new one, as far as each pixel allows."""
        rate, way = self._rate, self._way
        self._rates(alpha, passed)
        cv2.subtract(alpha, self._evidence, dst=way)
        cv2.multiply(way, rate, dst=way)
        cv2.add(self._evidence, way, dst=self._evidence)
        self._hold(rate, passed)
        cv2.subtract(alpha, self._alpha, dst=way)
        cv2.multiply(way, rate, dst=way)
        cv2.add(self._alpha, way, dst=self._alpha)

    def _rates(self, alpha: Alpha, passed: float) -> None:
        """For each pixel the part of the way to the new alpha that it may go now."""
        rate, rise, sure, work = self._rate, self._rise, self._way, self._work
        least, release = (-math.expm1(-passed / each) for each in (PATIENCE, LETTING_GO))
        np.subtract(alpha, np.float32(0.5), out=sure)
        np.multiply(sure, sure, out=sure)  # 0.25 where it is sure
        np.multiply(cv2.LUT(self._motion.near, _DOUBT, dst=rate), sure, out=rate)
        np.multiply(rate, np.float32(RISE), out=rise)
        # A hole in the person is believed late, what lies outside of all but a few of the new pixels around it soon.
        cv2.blur(alpha, (REACH // 2, REACH // 2), dst=work)
        np.multiply(work, np.float32(-8 * release), out=work)
        np.maximum(np.add(work, np.float32(4 * release), out=work), 0, out=work)
        np.maximum(rate, np.multiply(work, sure, out=work), out=rate)
        for each, gate in ((rate, _FALL), (rise, _RISE)):
            np.multiply(each, np.float32(1 - least), out=each)
            np.add(each, np.float32(least), out=each)
            np.maximum(each, cv2.LUT(self._motion.change, gate, dst=work), out=each)
        up = self._masks[2]
        np.greater(alpha, self._alpha, out=up)
        cv2.copyTo(rise, up.view(np.uint8), rate)

    def _hold(self, rate: Alpha, passed: float) -> None:
        """Of the pixels that would change sides, keep the still ones without enough evidence; let the others hurry."""
        new, old, held, enough = self._masks
        np.not_equal(new, old, out=held)
        np.greater_equal(self._evidence, 0.5 + MARGIN, out=enough)
        np.greater(enough, old, out=enough)  # for the way up
        np.greater(held, enough, out=held)
        np.less(self._evidence, 0.5 - MARGIN, out=enough)
        np.logical_and(enough, old, out=enough)  # and for the way down
        np.greater(held, enough, out=held)
        np.less(self._motion.change, ONE, out=enough)
        np.logical_and(held, enough, out=held)
        cv2.copyTo(self._nothing, held.view(np.uint8), rate)
        np.not_equal(new, old, out=enough)
        np.greater(enough, held, out=enough)
        np.maximum(rate, np.float32(-math.expm1(-passed / FADE)), out=self._work)
        cv2.copyTo(self._work, enough.view(np.uint8), rate)


class _Motion:
    """Where a stream of one size moves.

    `change`: (h, w) uint8, ONE and above where the picture is not what it was. `near`: (h, w) uint8, 255 where
    something moves or has just moved close by.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = (max(1, width // SHRINK), max(1, height // SHRINK))
        small = self._size[::-1]
        self._now, self._before, self._apart = np.empty((3, *small, 3), np.uint8)
        self._known, self._way, self._rates = np.empty((3, *small, 3), np.float32)
        self._channels = list(np.empty((3, *small), np.uint8))
        self._step, self._change, self._near, self._moving = np.empty((4, *small), np.uint8)
        self._rate = np.empty(small, np.float32)
        self.change, self.near = np.empty((2, height, width), np.uint8)

    def start(self, picture: Frame) -> None:
        """Begin with this picture, all of whose surroundings are in doubt."""
        self._shrink(picture)
        self._before[:], self._known[:] = self._now, self._now
        self._near[:] = 255
        self._noise = 0.0

    def look(self, picture: Frame, passed: float) -> float:
        """Compare the next picture, `passed` seconds later; the share of it that moves clearly."""
        self._shrink(picture)
        levels = min(2.0, max(1.0, NOISE * self._noise / STEP))
        self._worst(self._before, self._step)
        self._follow_noise()
        _, moving = cv2.threshold(self._step, MOTION * STEP * levels, 255, cv2.THRESH_BINARY, dst=self._moving)
        self._worst(cv2.convertScaleAbs(self._known, dst=self._before), self._change)
        cv2.convertScaleAbs(self._change, dst=self._change, alpha=ONE / (DRIFT * levels))
        cv2.convertScaleAbs(self._step, dst=self._step, alpha=ONE / (STEP * levels))
        cv2.max(self._change, self._step, dst=self._change)
        self._spread(moving, passed)
        self._remember(passed)
        self._before, self._now = self._now, self._before
        cv2.resize(self._change, self.change.shape[::-1], dst=self.change)
        cv2.resize(self._near, self.near.shape[::-1], dst=self.near)
        return cv2.countNonZero(moving) / moving.size

    def _shrink(self, picture: Frame) -> None:
        cv2.resize(picture, self._size, dst=self._now, interpolation=cv2.INTER_AREA)

    def _worst(self, other: Frame, out: NDArray[np.uint8]) -> None:
        """The largest difference in any channel between `_now` and `other`."""
        cv2.split(cv2.absdiff(self._now, other, dst=self._apart), self._channels)
        cv2.max(cv2.max(self._channels[0], self._channels[1], dst=out), self._channels[2], dst=out)

    def _follow_noise(self) -> None:
        """Most of a picture stands still, so the median difference is noise; that of a moving camera is bounded."""
        counts = np.cumsum(cv2.calcHist([self._step], [0], None, [256], [0, 256]))
        self._noise += 0.1 * (min(float(np.searchsorted(counts, counts[-1] / 2)), 2 * STEP / NOISE) - self._noise)

    def _spread(self, moving: NDArray[np.uint8], passed: float) -> None:
        """Motion makes its surroundings doubtful, for a while."""
        cv2.convertScaleAbs(self._near, dst=self._near, alpha=math.exp(-passed / FORGET))
        side = REACH // SHRINK
        around = cv2.LUT(cv2.blur(moving, (side, side), dst=self._step), _NEAR, dst=self._moving)
        cv2.max(self._near, around, dst=self._near)

    def _remember(self, passed: float) -> None:
        """Take over the colours of what has changed, and slowly those of the rest."""
        cv2.LUT(self._change, _RISE, dst=self._rate)
        np.maximum(self._rate, np.float32(-math.expm1(-passed / LIGHT)), out=self._rate)
        cv2.merge((self._rate,) * 3, dst=self._rates)
        cv2.subtract(self._now, self._known, dst=self._way, dtype=cv2.CV_32F)
        cv2.multiply(self._way, self._rates, dst=self._way)
        cv2.add(self._known, self._way, dst=self._known)
