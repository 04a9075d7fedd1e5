"""What stands behind, beside and before a person: Frames (RGB) and mattes, (H, W) uint8 from 0 to 255, of one size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.training.colour import match_colours, match_light
from figureground.training.config import Augment
from figureground.training.geometry import Matte, Sample, happens


def crop_background(frame: Frame, size: int, rng: np.random.Generator) -> Frame:
    """A random square of a picture of any size, at least half as large as it can be, scaled to (size, size, 3)."""
    height, width = frame.shape[:2]
    side = max(1, int(min(height, width) * rng.uniform(0.5, 1.0)))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    crop = frame[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR)


def put_onto(background: Frame, frame: Frame, matte: Matte, settings: Augment, rng: np.random.Generator) -> Frame:
    """Put the person on another background, its edge drawn in a little and softened against the old fringe."""
    alpha = matte
    if rng.random() < 0.7:
        alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.5:
        background = match_colours(background, frame, rng.uniform(0.2, 0.8))
    if happens(settings.match_person, rng):
        frame = match_light(frame, matte < 128, background, rng.uniform(0.3, 1.0))
    if rng.random() < 0.3:  # shallow depth of field
        background = cv2.GaussianBlur(background, (0, 0), rng.uniform(0.6, 3.0))
    return _blend(frame, background, alpha)


def join(first: Sample, second: Sample) -> Sample:
    """The second person stands in front of the first picture."""
    return _blend(second[0], first[0], second[1]), np.maximum(first[1], second[1])


def occlude(frame: Frame, matte: Matte, rng: np.random.Generator) -> Sample:
    """Cover a random convex patch with one colour or with a blurred pattern; it is no person."""
    size = matte.shape[0]
    patch = _patch(size, rng.uniform(0.1, 0.9, 2), rng.uniform(0.06, 0.16), rng)
    colour = np.full_like(frame, rng.integers(0, 256, 3, np.uint8))
    if rng.random() < 0.5:
        texture = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
        colour = cv2.addWeighted(colour, 0.6, texture, 0.4, 0)
    hidden = matte.astype(np.uint16) * (255 - patch.astype(np.uint16)) // 255
    return _blend(colour, frame, patch), hidden.astype(np.uint8)


def clothe(frame: Frame, matte: Matte, rng: np.random.Generator) -> Frame:
    """Paint a convex part of the person in one colour, its folds showing through more or less; it stays the person."""
    rows, columns = np.nonzero(matte > 128)
    if not len(rows):
        return frame
    size, place = matte.shape[0], int(rng.integers(len(rows)))
    centre = np.array([columns[place], rows[place]]) / size
    patch = _patch(size, centre, rng.uniform(0.08, 0.3), rng)
    share = cv2.multiply(cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.5, 3.0)), matte, scale=rng.uniform(0.6, 1) / 255)
    return _blend(np.full_like(frame, rng.integers(0, 256, 3, np.uint8)), frame, share)


def _patch(size: int, centre: NDArray[Any], spread: float, rng: np.random.Generator) -> Matte:
    """A random convex shape; `centre` and `spread` in parts of the size."""
    points = (rng.normal(0, spread, (6, 2)) + centre) * size
    patch = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(patch, cv2.convexHull(points.astype(np.int32)), 255, lineType=cv2.LINE_AA)
    return patch


def _blend(frame: Frame, background: Frame, alpha: Matte) -> Frame:
    weight = alpha.astype(np.float32) * (1 / 255)
    return cv2.blendLinear(frame, background, weight, 1 - weight)
