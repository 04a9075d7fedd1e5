"""Where a training crop lies in its picture: one map, the same for picture and mask."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.training.config import Augment

Matte = NDArray[np.uint8]
Sample = tuple[Frame, Matte]
Matrix = NDArray[np.float64]
SEEN = (0.3, 0.9)  # how much of a person that the frame cuts stays in it, along the cut axis


def warp(sample: Sample, size: int, settings: Augment, rng: np.random.Generator) -> Sample:
    """Flip, rotate, zoom, shift, stretch and tilt picture and mask alike.

    Args:
        sample: (H, W, 3) uint8 RGB and (H, W) uint8, 0 background to 255 person.
        size: side of the square result in pixels.
        settings: how far to go.
        rng: source of all randomness.

    Returns:
        (size, size, 3) and (size, size) uint8.
    """
    frame, matte = sample
    matrix = _affine(matte, size, settings, rng)
    border = cv2.BORDER_REFLECT_101 if rng.random() < settings.mirror else cv2.BORDER_REPLICATE
    if settings.perspective:
        matrix = _perspective(size, settings.perspective, rng) @ np.vstack([matrix, [0, 0, 1]])
        move = cv2.warpPerspective
    else:
        move = cv2.warpAffine
    frame, matte = (move(each, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border) for each in sample)
    return frame, matte


def happens(probability: float, rng: np.random.Generator) -> bool:
    """Draw whether something happens; what never does draws nothing, so that a new setting leaves old seeds alone."""
    return probability > 0 and rng.random() < probability


def _affine(matte: Matte, size: int, settings: Augment, rng: np.random.Generator) -> Matrix:
    """From the picture's pixels to the crop's, (2, 3)."""
    side = max(matte.shape) * np.exp(rng.uniform(*np.log(settings.zoom)))
    stretch = np.exp(rng.uniform(-settings.stretch, settings.stretch))
    angle = np.deg2rad(rng.uniform(-settings.rotate, settings.rotate))
    flip = -1.0 if rng.random() < settings.flip else 1.0
    upright = -1.0 if happens(settings.flip_vertical, rng) else 1.0
    scale = np.array([size / side * stretch * flip, size / side / stretch * upright])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    centre = _centre(matte, side, settings, rng)
    if happens(settings.cut, rng):
        centre = _cutting(matte, centre, side / np.array([stretch, 1 / stretch]), rng)
    return np.column_stack([turn, size / 2 - turn @ centre])


def _centre(matte: Matte, side: float, settings: Augment, rng: np.random.Generator) -> NDArray[Any]:
    """The crop's centre moves within the picture where the crop is smaller, and a little where it is not."""
    height, width = matte.shape
    room = settings.crop * np.maximum(np.array([width, height]) - side, 0) / 2 + settings.shift * side
    return np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * room


def _cutting(matte: Matte, centre: NDArray[Any], sides: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Move a crop of `sides` (width, height) so that one of its edges goes through the person."""
    left, top, width, height = cv2.boundingRect((matte > 127).astype(np.uint8))
    if not width:
        return centre
    low, length = np.array([left, top]), np.array([width, height])
    centre = np.clip(centre, low, low + length)  # the person is in the crop along the other axis, too
    axis = int(rng.integers(2))
    hidden = (1 - rng.uniform(*SEEN)) * length[axis]
    # The crop lies on that side of the cut where there is more of the picture.
    if low[axis] + length[axis] / 2 > matte.shape[1 - axis] / 2:
        centre[axis] = low[axis] + length[axis] - hidden - sides[axis] / 2
    else:
        centre[axis] = low[axis] + hidden + sides[axis] / 2
    return centre


def _perspective(size: int, strength: float, rng: np.random.Generator) -> Matrix:
    """What brings a square with its corners moved at random back to the square, (3, 3)."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size
    moved = corners + rng.uniform(-strength, strength, (4, 2)) * size
    return cv2.getPerspectiveTransform(moved.astype(np.float32), corners.astype(np.float32))
