"""Putting the person of a frame on another background, or cutting it out.

A pixel that is less than half person takes none of its colour from the camera: at a soft edge the camera's
pixel is a mixture of person and room, and the room's share would show as a fringe. Its colour comes from the
sure pixels of the person nearby instead, and mixes with the frame's own as alpha goes from 0.5 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, check_alpha, check_frame
from figureground.errors import ArrayError
from figureground.smoothing import weighted_blur

GUIDE_SIDE = 320  # pixels; the person's nearby colours are smooth, so they are found on a small copy
GUIDE_SIGMA = 2.5
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
    trust = cv2.LUT(matte, np.round(255 * _SURE).astype(np.uint8))
    nearby = cv2.resize(_nearby_colours(frame, matte), frame.shape[1::-1])
    rgb = cv2.add(_scaled(frame, cv2.merge((trust,) * 3)), _scaled(nearby, cv2.merge((255 - trust,) * 3)))
    rgb[matte == 0] = 0
    return np.dstack((rgb, matte))


def to_uint8(alpha: Alpha) -> NDArray[np.uint8]:
    """An alpha as 8 bit, 0..255, rounded."""
    return cv2.convertScaleAbs(alpha, alpha=255.0)


@dataclass(slots=True)
class Compositor:
    """`composite` for a stream: the same result, in memory kept from frame to frame.

    The array it returns is overwritten by the next call.
    """

    _memory: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __call__(self, frame: Frame, alpha: Alpha, background: Frame) -> Frame:
        matte = cv2.convertScaleAbs(alpha, alpha=255.0, dst=self._get("matte", frame.shape[:2]))
        nearby = self._get("nearby", frame.shape)
        cv2.resize(_nearby_colours(frame, matte), frame.shape[1::-1], dst=nearby)
        out, part = self._get("out", frame.shape), self._get("part", frame.shape)
        self._weigh(frame, cv2.LUT(matte, _TRUST, dst=self._get("share", matte.shape)), out)
        self._weigh(nearby, cv2.LUT(matte, _NEARBY, dst=self._get("share", matte.shape)), part)
        cv2.add(out, part, dst=out)
        self._weigh(background, cv2.bitwise_not(matte, dst=self._get("share", matte.shape)), part)
        return cv2.add(out, part, dst=out)

    def _weigh(self, picture: Frame, share: NDArray[np.uint8], out: Frame) -> None:
        shares = cv2.merge((share, share, share), dst=self._get("shares", picture.shape))
        cv2.multiply(picture, shares, dst=out, scale=1 / 255)

    def _get(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        if name not in self._memory or self._memory[name].shape != shape:
            self._memory[name] = np.empty(shape, np.uint8)
        return self._memory[name]


def _nearby_colours(frame: Frame, matte: NDArray[np.uint8]) -> Frame:
    """Around each pixel the mean colour of the sure pixels of the person; a small copy, at most GUIDE_SIDE a side."""
    scale = min(1.0, GUIDE_SIDE / max(matte.shape))
    size = tuple(max(1, round(side * scale)) for side in matte.shape[::-1])
    # Single pixels, no means: a mean with a pixel of the room would let its colour in.
    small, weight = (cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST) for picture in (frame, matte))
    return weighted_blur(np.asarray(small, np.uint8), cv2.LUT(weight, _VOICE), GUIDE_SIGMA)


def _scaled(picture: Frame, share: NDArray[np.uint8]) -> Frame:
    return cv2.multiply(picture, share, scale=1 / 255)
