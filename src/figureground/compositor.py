"""Putting the person of a frame on another background, or cutting it out.

A pixel that is less than half person takes none of its colour from the camera: at a soft edge the camera's
pixel is a mixture of person and room, and the room's share would show as a fringe. Its colour comes from the
sure pixels of the person nearby instead, and mixes with the frame's own as alpha goes from 0.5 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, check_alpha, check_frame
from figureground.errors import ArrayError
from figureground.smoothing import weighted_blur

GUIDE_SIDE = 224  # pixels; the person's nearby colours are smooth, so they are found on a small copy
GUIDE_SIGMA = 2.0
MANY = 0.1  # of the pixels: when more are soft, computing all of them takes less time than picking them out
_LEVELS = np.arange(256)
# How sure a pixel of each 8-bit alpha is of the person: 0 up to the half (0.5 is rounded to 128), 1 at 255.
_SURE = np.clip((_LEVELS - 128) / 127, 0, 1)
# The share of a pixel's colour that comes from the frame itself, and the share from the person's nearby colours.
_TRUST = np.round(_LEVELS * _SURE).astype(np.uint8)
_NEARBY = (_LEVELS - _TRUST).astype(np.uint8)
# A pixel's weight among the nearby colours. A nearly sure one still holds some of the room: the high power leaves
# it a voice only where no sure one is near, as in thin hair.
_VOICE = np.where(_SURE > 0, np.maximum(_SURE**16, 1e-6), 0).astype(np.float32)


def composite(frame: Frame, alpha: Alpha, background: Frame) -> Frame:
    """Put the person of `frame` on `background`.

    Args:
        frame: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32 in [0, 1], computed from this very frame.
        background: (H, W, 3) uint8 RGB.

    Returns:
        (H, W, 3) uint8 RGB; where alpha is 0 exactly the background, where it is 1 exactly the frame.

    Raises:
        ArrayError: wrong shape, dtype or range.
    """
    check_alpha(alpha, like=check_frame(frame))
    if check_frame(background, "background").shape != frame.shape:
        raise ArrayError(f"background must have the frame's shape {frame.shape}, got {background.shape}")
    return Compositor()(frame, alpha, background)


def cutout(frame: Frame, alpha: Alpha) -> NDArray[np.uint8]:
    """The person of `frame` on transparency: (H, W, 4) uint8 RGBA, straight alpha, colours freed of the room's.

    Where alpha is 0 the colour is black: nothing of the room is left in the file.

    Raises:
        ArrayError: wrong shape, dtype or range.
    """
    check_alpha(alpha, like=check_frame(frame))
    matte = to_uint8(alpha)
    rgb = cv2.copyTo(frame, _whole(matte))
    soft, where = _soft(matte)
    if len(where):
        sure = cv2.LUT(soft, np.round(255 * _SURE).astype(np.uint8))
        nearby = _weighed(_read(_nearby_colours(frame, matte), where, matte.shape), 255 - sure)
        rgb.reshape(-1, 1, 3)[where] = cv2.add(_weighed(_taken(frame, where), sure), nearby)
    return np.dstack((rgb, matte))


def to_uint8(alpha: Alpha) -> NDArray[np.uint8]:
    """An alpha as 8 bit, 0..255, rounded."""
    return cv2.convertScaleAbs(alpha, alpha=255.0)


@dataclass(slots=True)
class Compositor:
    """`composite` for a stream: the same result, in memory kept from frame to frame.

    Whole pixels of person and background are copied; only the soft ones, a few in a hundred, are computed.
    The array it returns is overwritten by the next call.
    """

    _out: Frame | None = None
    _matte: NDArray[np.uint8] | None = None

    def __call__(self, frame: Frame, alpha: Alpha, background: Frame) -> Frame:
        if self._out is None or self._out.shape != frame.shape:
            self._out = np.empty(frame.shape, np.uint8)
            self._matte = np.empty(frame.shape[:2], np.uint8)
        matte = np.asarray(cv2.convertScaleAbs(alpha, alpha=255.0, dst=self._matte), np.uint8)
        np.copyto(self._out, background)
        cv2.copyTo(frame, _whole(matte), dst=self._out)
        soft, where = _soft(matte)
        if len(where) > MANY * matte.size:
            nearby = cv2.resize(_nearby_colours(frame, matte), frame.shape[1::-1])
            self._out[:] = _mixed(frame, np.asarray(nearby, np.uint8), background, matte)
        elif len(where):
            nearby = _read(_nearby_colours(frame, matte), where, matte.shape)
            mixed = _mixed(_taken(frame, where), nearby, _taken(background, where), soft)
            self._out.reshape(-1, 1, 3)[where] = mixed
        return self._out


def _mixed(frame: Frame, nearby: Frame, background: Frame, matte: NDArray[np.uint8]) -> Frame:
    """Pixels of the composite, (H, W, 3), from pixels of all that is in it."""
    person = cv2.add(_weighed(frame, cv2.LUT(matte, _TRUST)), _weighed(nearby, cv2.LUT(matte, _NEARBY)))
    return np.asarray(cv2.add(person, _weighed(background, 255 - matte)), np.uint8)


def _whole(matte: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Not 0 where the matte is 255."""
    return np.asarray(cv2.threshold(matte, 254, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _soft(matte: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The values strictly between 0 and 255, (N, 1), and where they are in the flattened array."""
    where = np.flatnonzero(matte - np.uint8(1) < 254)  # 0 - 1 is 255
    return np.take(matte.ravel(), where)[:, None], where


def _taken(picture: Frame, where: NDArray[np.intp]) -> Frame:
    """Some pixels, (N, 1, 3)."""
    return np.take(np.ascontiguousarray(picture).reshape(-1, 1, 3), where, axis=0)


def _weighed(colours: Frame, share: NDArray[np.uint8]) -> Frame:
    """(H, W, 3) colours times (H, W) shares of 255."""
    return np.asarray(cv2.multiply(colours, cv2.merge((share,) * 3), scale=1 / 255), np.uint8)


def _nearby_colours(frame: Frame, matte: NDArray[np.uint8]) -> Frame:
    """Around each pixel the mean colour of the sure pixels of the person; a small copy, at most GUIDE_SIDE a side."""
    height, width = matte.shape
    scale = min(1.0, GUIDE_SIDE / max(matte.shape))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Single pixels, no means: a mean with a pixel of the room would let its colour in.
    small, weight = (cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST) for picture in (frame, matte))
    return weighted_blur(np.asarray(small, np.uint8), cv2.LUT(weight, _VOICE), GUIDE_SIGMA)


def _read(small: Frame, where: NDArray[np.intp], shape: tuple[int, ...]) -> Frame:
    """`small`, enlarged linearly to `shape`, at some pixels only: (N, 1, 3)."""
    height, width = shape
    # OpenCV takes no more than 32767 points in a row.
    rows, columns = np.divmod(np.resize(where, (-(-len(where) // 1024), 1024)), width)
    x, y = (columns + 0.5) * (small.shape[1] / width) - 0.5, (rows + 0.5) * (small.shape[0] / height) - 0.5
    x, y = x.astype(np.float32), y.astype(np.float32)
    found = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(-1, 1, 3)[: len(where)], np.uint8)
