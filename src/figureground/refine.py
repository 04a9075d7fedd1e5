"""Edges at the frame's resolution: the network's alpha, enlarged along what the frame shows.

A fast guided filter (He and Sun 2015, arXiv:1505.00996): near every pixel alpha is taken for a linear function of the
frame's brightness; the function is found at the network's resolution and applied to the larger frame.
"""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame
from figureground.preprocess import Fit, crisp, tidy

RADIUS = 2  # pixels of the network's resolution, of the window in which alpha follows brightness
EPSILON = 1e-3  # of brightness in [0, 1], squared: fainter texture does not count as an edge
SCALE = 2  # about so many times the network's resolution are looked at: more shows no better in the figures
STRETCH = 1.3  # around 0.5: takes away the faint halo that the window spreads
# Levels of 255 by which a pixel of a stream, a mean of SMOOTH x SMOOTH, must differ from when its alpha was believed.
CHANGED, SMOOTH = 8, 5
RISE, FALL = 0.7, 0.05  # seconds in which a still pixel follows its alpha up, and down: no ghosts
JUMP = 0.3  # a larger rise is no noise: what gives the small alpha has thought about it
GAP = 0.5  # seconds without a frame: another stream


def refine(frame: Frame, alpha: Alpha) -> Alpha:
    """Enlarge an alpha to the size of the frame, its edges moved to those of the frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        alpha: (h, w) float32 in [0, 1], computed from it, smaller at the same aspect ratio.

    Returns:
        (H, W) float32 in [0, 1], new at every call. Where `alpha` is 0 or 1 all around (twice RADIUS), so it stays.
        A frame no larger than the alpha has nothing to add: it is scaled linearly.
    """
    full = frame.shape[1::-1]
    if _nothing_to_add(frame, alpha):
        return cv2.resize(alpha, full)
    fine = _fine(_grey(frame, alpha), alpha)
    return cv2.resize(fine, full) if fine.shape != full[::-1] else fine


def to_alpha(frame: Frame, output: Alpha, fit: Fit) -> Alpha:
    """From what the network says of `frame`, (input_height, input_width), to a new alpha of the frame's size."""
    return refine(frame, tidy(crisp(output, fit)))


class Refiner:
    """`refine` for a stream, `alpha = refiner(frame, alpha, time)`: edges follow the frame only where it changes.

    A still pixel moves to its new alpha slowly, for what differs there is noise. Where the frame has changed it gets
    the new alpha at once; it never gets more of the person than the larger of its previous and its new alpha.
    """

    def __init__(self) -> None:
        self._time = -math.inf
        self._known = np.empty((1, 1), np.uint8)
        self._fine = np.empty((1, 1), np.float32)

    def __call__(self, frame: Frame, alpha: Alpha, time: float | Fraction) -> Alpha:
        """As `refine`, for the next frame of the stream; `time` in seconds."""
        passed, self._time = float(time) - self._time, float(time)
        full = frame.shape[1::-1]
        if _nothing_to_add(frame, alpha):
            return cv2.resize(alpha, full)
        grey = _grey(frame, alpha)
        fine, smooth = _fine(grey, alpha), cv2.blur(grey, (SMOOTH, SMOOTH))
        if self._fine.shape == fine.shape and 0 < passed <= GAP:
            changed = cv2.compare(cv2.absdiff(smooth, self._known), CHANGED, cv2.CMP_GT)
            cv2.copyTo(smooth, changed, self._known)
            self._follow(fine, changed, passed)
        else:
            self._known, self._fine = smooth, fine
        # A copy where the sizes are the same: the next call must not change what was given.
        return cv2.resize(self._fine, full)

    def _follow(self, fine: Alpha, changed: NDArray[np.uint8], passed: float) -> None:
        up = cv2.subtract(fine, self._fine)
        cv2.bitwise_or(changed, cv2.compare(up, JUMP, cv2.CMP_GT), dst=changed)
        down = up * np.float32(-math.expm1(-passed / FALL))
        up *= np.float32(-math.expm1(-passed / RISE))
        cv2.add(self._fine, cv2.min(up, down, dst=up), dst=self._fine)  # it falls faster than it rises
        cv2.copyTo(fine, changed, self._fine)


def _nothing_to_add(frame: Frame, alpha: Alpha) -> bool:
    return frame.shape[0] <= alpha.shape[0] or frame.shape[1] <= alpha.shape[1]


def _grey(frame: Frame, alpha: Alpha) -> NDArray[np.uint8]:
    """The frame's brightness at about SCALE times the alpha's resolution, or at its own."""
    height, width = frame.shape[:2]
    times = max(1, round(width / (SCALE * alpha.shape[1])))
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (width // times, height // times), interpolation=cv2.INTER_AREA) if times > 1 else grey


def _fine(grey: NDArray[np.uint8], alpha: Alpha) -> Alpha:
    """The alpha at the resolution of `grey`."""
    guide, size = grey.astype(np.float32) * np.float32(1 / 255), grey.shape[::-1]
    slope, offset = _fit(cv2.resize(guide, alpha.shape[::-1]), alpha)
    fine = cv2.multiply(guide, cv2.resize(slope, size))
    cv2.add(fine, cv2.resize(offset, size), dst=fine)
    return np.clip(fine, 0, 1, out=fine)


def _fit(guide: Alpha, alpha: Alpha) -> tuple[Alpha, Alpha]:
    """Slope and offset that give alpha, stretched, from brightness: both (h, w), means over the windows of a pixel."""
    guide_mean, alpha_mean = _mean(guide), _mean(alpha)
    covariance: Alpha = _mean(cv2.multiply(guide, alpha)) - guide_mean * alpha_mean
    variance: Alpha = _mean(cv2.multiply(guide, guide)) - guide_mean * guide_mean
    slope: Alpha = covariance / (variance + EPSILON)
    offset: Alpha = alpha_mean - slope * guide_mean
    stretched = _mean(offset) * STRETCH + (1 - STRETCH) / 2
    return _mean(slope) * STRETCH, stretched


def _mean(values: Alpha) -> Alpha:
    side = 2 * RADIUS + 1
    return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
