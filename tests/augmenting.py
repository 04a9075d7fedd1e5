"""Settings and pictures that show what augmentation did."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.training.config import Augment
from figureground.training.geometry import Matte, Sample

ALWAYS = (
    "flip",
    "colour",
    "grey",
    "blur",
    "noise",
    "jpeg",
    "dark",
    "swap_background",
    "second_person",
    "occluder",
    "clothes",
    "flip_vertical",
    "cut",
    "motion",
    "match_person",
)  # every probability but that of a negative
OFF = replace(
    Augment(), rotate=0.0, zoom=(1.0, 1.0), shift=0.0, stretch=0.0, negative=0.0, **dict.fromkeys(ALWAYS, 0.0)
)
MOVED = replace(Augment(), **dict.fromkeys(ALWAYS, 0.0), negative=0.0)  # only the geometry varies
SEEDS = range(40)


def blob(seed: int, width: int = 90, height: int = 70) -> Matte:
    """A mask of soft patches, some of which run out of the picture."""
    noise = np.random.default_rng(seed).random((height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), 7)
    scaled = (smooth - np.quantile(smooth, 0.5)) / (np.ptp(smooth) + 1e-9)
    return np.clip(scaled * 2000 + 128, 0, 255).astype(np.uint8)


def telltale(matte: Matte) -> Sample:
    """A picture whose every pixel says what its mask is: red is the mask, green its opposite."""
    return np.dstack([matte, 255 - matte, np.full_like(matte, 77)]), matte


def far_inside(matte: Matte, pixels: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return cv2.erode((matte == 255).astype(np.uint8), kernel, borderValue=(1,)) == 1


def coordinates(width: int, height: int) -> Sample:
    """A picture whose red is each pixel's column, whose green is its row; at most 256 pixels a side."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.dstack([columns, rows, np.zeros_like(rows)]), np.zeros((height, width), np.uint8)
