"""Standard pictures among those of high dynamic range: what an sRGB level is called in a video of PQ or HLG.

Shown as they stand, a background's levels would be many times as bright as the person: PQ's highest level means 10,000
cd/m². White becomes what ITU-R BT.2408 calls the reference white, 203 cd/m², which is 58 % of PQ and 75 % of HLG.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Deep, Frame

PQ, HLG, BT2020 = 16, 18, 9  # as FFmpeg numbers transfers and primaries
_WHITE = {PQ: 203 / 10_000, HLG: 0.2646}  # of full light: BT.2408's white, in HLG the light of its level 0.75
_STEPS = 4096  # of the tables of levels, in roots of light: more than 8 bits can tell apart
# BT.709's colours by BT.2020's primaries (ITU-R BT.2087).
_WIDER = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32)


def deepened(pixels: Frame, transfer: int, primaries: int) -> Deep:
    """A background's levels in 16 bits, for a video of this transfer and these primaries, as FFmpeg numbers them.

    Where the video is no HDR, they stay what they are, as in 8 bits.
    """
    if transfer not in _WHITE:
        return pixels.astype(np.uint16) * np.uint16(257)
    light = _light()[pixels]
    if primaries == BT2020:
        light = np.clip(cv2.transform(light, _WIDER), 0, 1)
    return _levels(transfer)[np.rint(np.sqrt(light) * (_STEPS - 1)).astype(np.intp)]


@lru_cache(1)
def _light() -> NDArray[np.float32]:
    """The share of white's light that each sRGB level gives (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(2)
def _levels(transfer: int) -> Deep:
    """The level, of 65535, of each share of white's light, given by its root."""
    light = _WHITE[transfer] * np.linspace(0, 1, _STEPS) ** 2
    if transfer == PQ:  # SMPTE ST 2084
        power = light ** (2610 / 16384)
        level = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:  # ITU-R BT.2100, where white is below the curve's end
        bright = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073
        level = np.where(light <= 1 / 12, np.sqrt(3 * light), bright)
    return np.rint(65535 * level).astype(np.uint16)
