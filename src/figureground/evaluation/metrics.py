"""How far a mask is from the truth, one picture at a time.

Masks are (H, W) bool (see `figureground.arrays`). Every metric is a plain float from 0 (all wrong) to 1 (all right).
Where a ratio has nothing to count, two equal masks (both empty, say) are right, 1, and a mask that is empty where
the other is not is wrong, 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from figureground.arrays import Mask
from figureground.data.measure import boundary
from figureground.errors import ArrayError

BOUNDARY_TOLERANCE = 0.0075  # share of the diagonal, as in Martin et al. 2004 and in DAVIS
BAND = 0.02  # share of the diagonal, as Cheng et al. 2021 use for COCO and LVIS
# OpenCV's exact distances are float32 and off by some 1e-5 pixels; a distance equal to the radius must still count.
_DISTANCE_SLACK = 1e-4


@dataclass(frozen=True, slots=True)
class Scores:
    """One picture's mask against its truth; each field in [0, 1], 1 is a perfect mask."""

    accuracy: float
    iou: float
    dice: float
    precision: float
    recall: float
    boundary_iou: float
    boundary_f: float


def score(guess: Mask, truth: Mask) -> Scores:
    """Measure an (H, W) bool mask against its (H, W) bool truth, boundaries at 0.75 % of the diagonal.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    return Scores(
        accuracy=pixel_accuracy(guess, truth),
        iou=iou(guess, truth),
        dice=dice(guess, truth),
        precision=precision(guess, truth),
        recall=recall(guess, truth),
        boundary_iou=boundary_iou(guess, truth),
        boundary_f=boundary_f(guess, truth),
    )


def pixel_accuracy(guess: Mask, truth: Mask) -> float:
    """Share of pixels, in [0, 1], on which two (H, W) bool masks agree.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    return float(np.count_nonzero(guess == truth) / truth.size)


def iou(guess: Mask, truth: Mask) -> float:
    """Intersection over union of two (H, W) bool masks, in [0, 1]; 1 when both are empty (Jaccard 1912).

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    union = np.count_nonzero(guess | truth)
    return float(np.count_nonzero(guess & truth) / union) if union else 1.0


def dice(guess: Mask, truth: Mask) -> float:
    """Twice the intersection over the sum of the areas, in [0, 1]; 1 when both masks are empty (Dice 1945).

    Both masks are (H, W) bool.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    areas = np.count_nonzero(guess) + np.count_nonzero(truth)
    return float(2 * np.count_nonzero(guess & truth) / areas) if areas else 1.0


def precision(guess: Mask, truth: Mask) -> float:
    """Share of the guess that is in the truth, in [0, 1]; both are (H, W) bool.

    An empty guess has nothing to be precise about: 1 if the truth is empty, too, else 0, so that Dice always is the
    harmonic mean of precision and recall.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    area = np.count_nonzero(guess)
    return float(np.count_nonzero(guess & truth) / area) if area else float(not truth.any())


def recall(guess: Mask, truth: Mask) -> float:
    """Share of the truth that is in the guess, in [0, 1]; both are (H, W) bool.

    Where the truth is empty: 1 if the guess is empty, too, else 0.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    return precision(truth, guess)


def boundary_iou(guess: Mask, truth: Mask, band: float = BAND) -> float:
    """IoU, in [0, 1], of the bands inside the outlines of two (H, W) bool masks (Cheng et al. 2021).

    A mask's band is its pixels within `band` (a share of the picture's diagonal, rounded to pixels, at least 1) of
    a pixel outside it, by the larger of the two coordinates' differences; outside the picture counts as outside the
    mask. That is the authors' own code. 1 where both masks are empty.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    width = max(1, round(band * math.hypot(*truth.shape)))
    return iou(_band(guess, width), _band(truth, width))


def boundary_f(guess: Mask, truth: Mask, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """F measure, in [0, 1], of the boundaries of two (H, W) bool masks (Martin et al. 2004, Perazzi et al. 2016).

    A boundary pixel is a mask pixel with a 4-neighbour in the picture outside the mask: where a mask runs out of
    the picture it has no boundary. Precision is the share of the guess's boundary pixels whose Euclidean distance
    to the truth's boundary is at most `tolerance` (a share of the picture's diagonal, at least 0) times the
    diagonal in pixels, not rounded; recall is the same the other way round; the result is their harmonic mean.

    Where neither mask has a boundary (all person or all background) the result is 1 if they are equal, else 0;
    where only one has, it is 0.

    DAVIS's own code rounds the radius up and marks the upper or left pixel of every edge, be it inside the mask or
    not, which gives higher figures: compare these only with figures by this function.

    Raises:
        ArrayError: not two bool masks of one shape.
    """
    _check_masks(guess, truth)
    guess_edge, truth_edge = boundary(guess), boundary(truth)
    if not guess_edge.any() and not truth_edge.any():
        return float(guess[0, 0] == truth[0, 0])  # both are all True or all False
    if not guess_edge.any() or not truth_edge.any():
        return 0.0
    radius = tolerance * math.hypot(*truth.shape)
    precision = _share_near(guess_edge, truth_edge, radius)
    recall = _share_near(truth_edge, guess_edge, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _band(mask: Mask, width: int) -> Mask:
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    inside = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=(0,))
    band: Mask = mask & (inside == 0)
    return band


def _share_near(edge: Mask, other: Mask, radius: float) -> float:
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(np.mean(distance[edge] <= radius + _DISTANCE_SLACK))


def _check_masks(guess: Mask, truth: Mask) -> None:
    for name, mask in (("guess", guess), ("truth", truth)):
        if mask.dtype != np.bool_:
            raise ArrayError(f"{name} must be bool, got {mask.dtype}; compare with a threshold first")
        if mask.ndim != 2 or 0 in mask.shape:
            raise ArrayError(f"{name} must have shape (height, width), got {mask.shape}")
    if guess.shape != truth.shape:
        raise ArrayError(f"guess must have the truth's shape: {guess.shape} != {truth.shape}")
