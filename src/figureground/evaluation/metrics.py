"""How far a guess is from the truth, one picture at a time, and how sure a mean over pictures is.

Masks are (H, W) bool, alphas (H, W) float32 in [0, 1] (see `figureground.arrays`). Every metric is a plain
float; IoU, Dice, boundary F and accuracy run from 0 (all wrong) to 1 (all right), MAD and MSE from 0 (equal) to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Mask, check_alpha
from figureground.errors import ArrayError

BOUNDARY_TOLERANCE = 0.0075  # share of the diagonal, as in Martin et al. 2004 and in DAVIS
# OpenCV's exact distances are float32 and off by some 1e-5 pixels; a distance equal to the radius must still count.
_DISTANCE_SLACK = 1e-4
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True, slots=True)
class Scores:
    """One picture's mask against its truth; each field in [0, 1], 1 is a perfect mask."""

    accuracy: float
    iou: float
    dice: float
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
    guess_edge, truth_edge = _boundary(guess), _boundary(truth)
    if not guess_edge.any() and not truth_edge.any():
        return float(guess[0, 0] == truth[0, 0])  # both are all True or all False
    if not guess_edge.any() or not truth_edge.any():
        return 0.0
    radius = tolerance * math.hypot(*truth.shape)
    precision = _share_near(guess_edge, truth_edge, radius)
    recall = _share_near(truth_edge, guess_edge, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def mad(alpha: Alpha, truth: Alpha) -> float:
    """Mean absolute difference, in [0, 1], of two (H, W) float32 alphas in [0, 1] (Rhemann et al. 2009: SAD / pixels).

    Raises:
        ArrayError: not two alphas of one shape.
    """
    return float(np.abs(_difference(alpha, truth)).mean())


def mse(alpha: Alpha, truth: Alpha) -> float:
    """Mean squared difference, in [0, 1], of two (H, W) float32 alphas in [0, 1] (Rhemann et al. 2009).

    Raises:
        ArrayError: not two alphas of one shape.
    """
    return float(np.square(_difference(alpha, truth)).mean())


def bootstrap_interval(
    values: NDArray[np.float64], level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Low and high end of the percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13).

    `values` is (N,) float64, one figure a picture, and the ends are in its unit; `level` in (0, 1) is the share of
    the `draws` resampled means between them. The same arguments give the same interval. Pictures of one person or
    one video are no independent draws: their interval comes out too narrow.

    Raises:
        ArrayError: `values` is not one-dimensional, is empty or holds a NaN or an infinity.
    """
    if values.ndim != 1 or values.size == 0:
        raise ArrayError(f"values must have shape (N,) with N at least 1, got {values.shape}")
    if not np.isfinite(values).all():
        raise ArrayError(f"values must be finite, got {np.count_nonzero(~np.isfinite(values))} that are not")
    picks = np.random.default_rng(seed).integers(0, values.size, (draws, values.size))
    low, high = np.quantile(values[picks].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _boundary(mask: Mask) -> Mask:
    # Outside the picture counts as mask, so that the picture's border eats nothing away.
    inside = cv2.erode(mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=(1,))
    boundary: Mask = mask & (inside == 0)
    return boundary


def _share_near(edge: Mask, other: Mask, radius: float) -> float:
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(np.mean(distance[edge] <= radius + _DISTANCE_SLACK))


def _difference(alpha: Alpha, truth: Alpha) -> NDArray[np.float64]:
    check_alpha(alpha)
    check_alpha(truth, name="truth")
    _check_shapes("alpha", alpha.shape, truth.shape)
    return np.subtract(alpha, truth, dtype=np.float64)


def _check_masks(guess: Mask, truth: Mask) -> None:
    for name, mask in (("guess", guess), ("truth", truth)):
        if mask.dtype != np.bool_:
            raise ArrayError(f"{name} must be bool, got {mask.dtype}; compare with a threshold first")
        if mask.ndim != 2 or 0 in mask.shape:
            raise ArrayError(f"{name} must have shape (height, width), got {mask.shape}")
    _check_shapes("guess", guess.shape, truth.shape)


def _check_shapes(name: str, got: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if got != wanted:
        raise ArrayError(f"{name} must have the truth's shape: {got} != {wanted}")
