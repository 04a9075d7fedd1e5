"""How far an alpha is from the true one, one picture at a time, by the errors of Rhemann et al. 2009 (CVPR).

Alphas are (H, W) float32 in [0, 1]. Each error is 0 for equal alphas, symmetric in its two arguments, and taken over
the whole picture: there is no trimap. MAD and MSE are means over the pixels, in [0, 1]; gradient and connectivity
errors are sums over the pixels divided by 1000, as benchmarks print them, and so grow with the picture's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Mask, check_alpha
from figureground.errors import ArrayError

SIGMA = 1.4  # pixels, of the derivative of a Gaussian
_CUT = 0.01  # where the Gaussian ends, as a height
STEPS = 10  # of alpha, on each of which connectedness is looked at
THETA = 0.15  # of alpha: less above the connected level is no break


@dataclass(frozen=True, slots=True)
class AlphaScores:
    """One picture's alpha against its truth: MAD and MSE in [0, 1], the other two in thousands of pixels."""

    mad: float
    mse: float
    gradient: float
    connectivity: float


def score_alpha(alpha: Alpha, truth: Alpha) -> AlphaScores:
    """Measure an (H, W) float32 alpha in [0, 1] against its (H, W) float32 truth.

    Raises:
        ArrayError: not two alphas of one shape.
    """
    return AlphaScores(
        mad=mad(alpha, truth),
        mse=mse(alpha, truth),
        gradient=gradient(alpha, truth),
        connectivity=connectivity(alpha, truth),
    )


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


def gradient(alpha: Alpha, truth: Alpha) -> float:
    """Gradient error of two (H, W) float32 alphas in [0, 1], in thousands: at least 0 (Rhemann et al. 2009).

    The sum of the squared differences of gradient magnitudes, over 1000. Gradients are by first derivatives of a
    Gaussian of sigma 1.4, cut off and normalised (sum of squares 1) as in the published code; at its border the
    picture is repeated. That code stretches either alpha to [0, 1] first, the paper does not, nor does this.

    Raises:
        ArrayError: not two alphas of one shape.
    """
    _check(alpha, truth)
    return float(np.square(_magnitude(alpha) - _magnitude(truth)).sum() / 1000)


def connectivity(alpha: Alpha, truth: Alpha) -> float:
    """Connectivity error of two (H, W) float32 alphas in [0, 1], in thousands: at least 0 (Rhemann et al. 2009).

    A pixel's level is the highest tenth at which it hangs together (4-connected) with the largest region where both
    alphas are at least that; phi = 1 - d where d, its alpha above that level, is at least 0.15, else 1. The error
    is the sum of the differences of phi, over 1000. As in the published code the distance to the region plays no
    part; of several largest regions all count.

    Raises:
        ArrayError: not two alphas of one shape.
    """
    _check(alpha, truth)
    level = _connected_level(np.minimum(alpha, truth))
    ours, theirs = (np.where(above >= THETA, above, 0) for above in (alpha - level, truth - level))
    return float(np.abs(ours - theirs).sum() / 1000)


def _magnitude(alpha: Alpha) -> NDArray[np.float64]:
    half = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * _CUT)))
    places = np.arange(-half, half + 1, dtype=np.float64)
    smooth = np.exp(-(places**2) / (2 * SIGMA**2))
    slope = places * smooth
    smooth, slope = smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)
    across = cv2.sepFilter2D(alpha, cv2.CV_64F, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(alpha, cv2.CV_64F, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)


def _connected_level(low: Alpha) -> NDArray[np.float64]:
    """For each pixel the highest tenth up to which it hangs together with the largest region; `low` is (H, W)."""
    level = np.ones(low.shape, np.float64)
    connected = np.ones(low.shape, np.bool_)
    for step in range(1, STEPS + 1):
        still = connected & _largest(low >= np.float32(step / STEPS))
        level[connected & ~still] = (step - 1) / STEPS
        connected = still
    return level


def _largest(mask: Mask) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    chosen: Mask = ((areas == areas.max()) & (areas > 0))[labels]
    return chosen


def _difference(alpha: Alpha, truth: Alpha) -> NDArray[np.float64]:
    _check(alpha, truth)
    return np.subtract(alpha, truth, dtype=np.float64)


def _check(alpha: Alpha, truth: Alpha) -> None:
    check_alpha(alpha)
    check_alpha(truth, name="truth")
    if alpha.shape != truth.shape:
        raise ArrayError(f"alpha must have the truth's shape: {alpha.shape} != {truth.shape}")
