"""Edges at the frame's resolution: the network's alpha, enlarged along what the frame shows.

A fast guided filter (He and Sun 2015, arXiv:1505.00996): near every pixel alpha is taken for a linear function of the
frame's brightness; the function is found at the network's resolution and applied to the larger frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, Matte
from figureground.preprocess import FAINT, Fit, crisp, tidy, to_matte
from figureground.profiles import STRIP, strips

RADIUS = 2  # pixels of the network's resolution, of the window in which alpha follows brightness
EPSILON = 1e-3  # of brightness in [0, 1], squared: fainter texture does not count as an edge
SCALE = 2  # about so many times the network's resolution are looked at: more shows no better in the figures
STRETCH = 1.3  # around 0.5: takes away the faint halo that the window spreads
# Levels of 255 in any channel by which a pixel of a stream, a mean of SMOOTH x SMOOTH, must differ from when its alpha
# was believed: a wall may be just as dark as the person who uncovers it.
CHANGED, SMOOTH = 8, 5
RISE, FALL = 0.7, 0.05  # seconds in which a still pixel follows its alpha up, and down: no ghosts
JUMP = 0.3  # a larger rise is no noise: what gives the small alpha has thought about it
IDLE = 0.4  # of what the new alpha lacks of 0 or 1: a still pixel that differs by less stays as it is
GAP = 0.5  # seconds without a frame: another stream
_NOTHING, _CHANGED = (0, 0, 0), (CHANGED, CHANGED, CHANGED)
Levels = NDArray[np.uint8] | NDArray[np.uint16]


def refine(frame: Frame, alpha: Alpha) -> Alpha:
    """Enlarge an alpha to the size of the frame, its edges moved to those of the frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        alpha: (h, w) float32 in [0, 1], computed from it, smaller at the same aspect ratio.

    Returns:
        (H, W) float32 in [0, 1], new at every call. Where `alpha` is 0 or 1 all around (twice RADIUS), so it stays.
        A frame no larger than the alpha has nothing to add: it is scaled linearly.
    """
    if _nothing_to_add(frame, alpha):
        return cv2.resize(alpha, frame.shape[1::-1])
    box = _Box.of(frame, alpha)
    out = np.zeros(frame.shape[:2], np.float32)
    out[box.full] = cv2.resize(_fine(_grey(_seen(frame, box)), alpha[box.small]), _size(box.full))
    return out


def refined_levels(frame: Frame, alpha: Alpha, most: int = 255) -> Levels:
    """`refine` in whole levels of 0 to `most`, without its float32 of the frame's size.

    Args:
        frame: (H, W, 3) uint8 RGB.
        alpha: (h, w) float32 in [0, 1], computed from it.
        most: 255, or 65535 for uint16.

    Returns:
        (H, W) uint8 or uint16; of a large frame a level of 255 may differ by one where rounding falls the other way.
    """
    if _nothing_to_add(frame, alpha):
        return enlarged_levels(alpha, frame.shape[1], frame.shape[0], most)
    box = _Box.of(frame, alpha)
    out = np.zeros(frame.shape[:2], np.uint8 if most == 255 else np.uint16)
    _enlarge_into(out[box.full], _fine(_grey(_seen(frame, box)), alpha[box.small]), most)
    return out


def enlarged_levels(alpha: Alpha, width: int, height: int, most: int = 255) -> Levels:
    """An alpha scaled linearly to (height, width), in whole levels of 0 to `most`, 255 or 65535."""
    out = np.empty((height, width), np.uint8 if most == 255 else np.uint16)
    _enlarge_into(out, alpha, most)
    return out


def _enlarge_into(out: Levels, alpha: Alpha, most: int) -> None:
    """As `cv2.resize` of it all would, in strips."""
    height, width = out.shape
    if height * width <= STRIP or height < alpha.shape[0]:
        out[:] = _levels(cv2.resize(alpha, (width, height)), most)
        return
    wide = cv2.resize(alpha, (width, alpha.shape[0]))
    for rows in strips(height, width):
        places = (np.arange(rows.start, rows.stop) + 0.5) * (alpha.shape[0] / height) - 0.5
        upper = np.clip(np.floor(places), 0, alpha.shape[0] - 1).astype(np.intp)
        share = np.clip(places - upper, 0, 1).astype(np.float32)[:, None]
        strip = wide[upper] * (1 - share)
        strip += wide[np.minimum(upper + 1, alpha.shape[0] - 1)] * share
        out[rows] = _levels(strip, most)


def _levels(alpha: Alpha, most: int) -> Levels:
    return to_matte(alpha) if most == 255 else np.rint(alpha * np.float32(most)).astype(np.uint16)


def to_alpha(frame: Frame, output: Alpha, fit: Fit) -> Alpha:
    """From what the network says of `frame`, (input_height, input_width), to a new alpha of the frame's size."""
    return refine(frame, tidy(crisp(output, fit)))


class Refiner:
    """`refine` for a stream, `matte = refiner(frame, alpha, time)`: edges follow the frame only where it changes.

    A still pixel moves to its new alpha slowly, for what differs there is noise. Where the frame has changed it gets
    the new alpha at once; it never gets more of the person than the larger of its previous and its new alpha.
    """

    def __init__(self) -> None:
        self._time = -math.inf
        # At the resolution that is looked at: what each pixel looked like when its alpha was believed, that alpha, and
        # 255 where nobody was near in the frame before.
        self._known, self._new = np.empty((1, 1, 3), np.uint8), np.empty((1, 1), np.uint8)
        self._fine = np.empty((1, 1), np.float32)

    def __call__(self, frame: Frame, alpha: Alpha, time: float | Fraction) -> Matte:
        """As `refine`, for the next frame of the stream, in 8 bits; `time` in seconds."""
        passed, self._time = float(time) - self._time, float(time)
        if _nothing_to_add(frame, alpha):
            return to_matte(cv2.resize(alpha, frame.shape[1::-1]))
        box = _Box.of(frame, alpha)
        colours = _seen(frame, box)
        fine, smooth = _fine(_grey(colours), alpha[box.small]), cv2.blur(colours, (SMOOTH, SMOOTH))
        if self._fine.shape != box.shape or not 0 < passed <= GAP:
            self._known, self._fine = np.zeros((*box.shape, 3), np.uint8), np.zeros(box.shape, np.float32)
            self._new = np.full(box.shape, 255, np.uint8)
        known, before = self._known[box.fine], self._fine[box.fine]
        changed = cv2.bitwise_not(cv2.inRange(cv2.absdiff(smooth, known), _NOTHING, _CHANGED))
        cv2.bitwise_or(changed, self._new[box.fine], dst=changed)
        cv2.copyTo(smooth, changed, known)
        after = _followed(before, fine, changed, passed)
        self._fine[:], self._new[:] = 0, 255
        self._fine[box.fine], self._new[box.fine] = after, 0
        out = np.zeros(frame.shape[:2], np.uint8)
        out[box.full] = cv2.resize(to_matte(after), _size(box.full))
        return out


def _followed(before: Alpha, fine: Alpha, changed: NDArray[np.uint8], passed: float) -> Alpha:
    """`before` on its way to `fine`; it falls faster than it rises."""
    up = cv2.subtract(fine, before)
    idle = cv2.compare(cv2.absdiff(fine, before), cv2.min(fine, 1 - fine) * np.float32(IDLE), cv2.CMP_LT)
    at_once = cv2.bitwise_or(changed, cv2.compare(up, JUMP, cv2.CMP_GT))
    down = up * np.float32(-math.expm1(-passed / FALL))
    up *= np.float32(-math.expm1(-passed / RISE))
    after = cv2.add(before, cv2.min(up, down, dst=up), dst=up)
    cv2.copyTo(before, idle, after)
    return cv2.copyTo(fine, at_once, after)


def _nothing_to_add(frame: Frame, alpha: Alpha) -> bool:
    return frame.shape[0] <= alpha.shape[0] or frame.shape[1] <= alpha.shape[1]


_Part = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class _Box:
    """Where the person is, as far as the windows reach; everywhere else 0 comes out.

    A stabiliser never quite lets go: what is FAINT counts as nothing, for STRETCH takes away a good deal more.

    Attributes:
        small, fine, full: rows and columns of the alpha, of what is looked at, of the frame.
        shape: of all that is looked at: about SCALE times the alpha's, or the frame's own.
    """

    small: _Part
    fine: _Part
    full: _Part
    shape: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame, alpha: Alpha) -> _Box:
        """Of whole blocks, the smallest of which all three are made: a part is enlarged to the same places as all."""
        shrink = max(1, round(frame.shape[1] / (SCALE * alpha.shape[1])))
        shape = max(1, frame.shape[0] // shrink), max(1, frame.shape[1] // shrink)
        x, y, width, height = cv2.boundingRect((alpha > FAINT).view(np.uint8))
        rows = _blocks(y, height, (alpha.shape[0], shape[0], frame.shape[0]))
        columns = _blocks(x, width, (alpha.shape[1], shape[1], frame.shape[1]))
        small, fine, full = zip(rows, columns, strict=True)
        return cls(small, fine, full, shape)


def _blocks(first: int, length: int, sides: tuple[int, int, int]) -> list[slice]:
    """What the windows reach from some pixels of the first of three sides, in whole blocks, on each side."""
    blocks, reach = math.gcd(*sides), 2 * RADIUS + 1
    block = sides[0] // blocks
    begin, end = max(0, (first - reach) // block), min(blocks, -(-(first + length + reach) // block))
    return [slice(begin * (side // blocks), end * (side // blocks)) for side in sides]


def _size(part: _Part) -> tuple[int, int]:
    """Width and height."""
    rows, columns = part
    return columns.stop - columns.start, rows.stop - rows.start


def _seen(frame: Frame, box: _Box) -> Frame:
    """What is looked at: the frame in the box."""
    part = frame[box.full]
    if box.full != box.fine:
        part = np.asarray(cv2.resize(part, _size(box.fine), interpolation=cv2.INTER_AREA), np.uint8)
    return part


def _grey(colours: Frame) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.uint8)


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
