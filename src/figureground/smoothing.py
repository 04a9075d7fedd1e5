"""Blur that takes its colours from some pixels only."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Colours

LITTLE = 1e-4  # the weight of the mean of the whole picture


def weighted_blur(frame: Colours, weight: NDArray[np.float32], sigma: float) -> Colours:
    """Normalised convolution (Knutsson and Westin 1993): a Gaussian mean in which each pixel counts by its weight.

    Where no pixel of any weight is near, the weighted mean of the whole picture stands; with no weight at all,
    mid-grey.

    Args:
        frame: (H, W, 3) uint8 or uint16.
        weight: (H, W) float32, 0 for pixels that must not colour the result.
        sigma: of the Gaussian, in pixels.

    Returns:
        (H, W, 3), as deep as the frame.
    """
    most, depth = (255, cv2.CV_8U) if frame.dtype == np.uint8 else (65535, cv2.CV_16U)
    total = float(weight.sum())
    if total <= 0:
        return np.full_like(frame, most // 2 + 1)
    # The fourth channel holds the weight times white: one filter for all of it.
    four = cv2.multiply(cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA), cv2.merge((weight,) * 4), dtype=cv2.CV_32F)
    mean = np.array(cv2.sumElems(four), np.float32) / np.float32(total)
    near = _smooth(four, sigma)
    cv2.add(near, tuple((LITTLE * mean).tolist()), dst=near)
    share = cv2.merge((cv2.extractChannel(near, 3),) * 3)
    return np.asarray(cv2.divide(cv2.cvtColor(near, cv2.COLOR_RGBA2RGB), share, scale=most, dtype=depth), frame.dtype)


def _smooth(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    side = 2 * round(3 * sigma) + 1  # beyond that little is left of it, and time goes with the side
    return np.asarray(cv2.GaussianBlur(picture, (side, side), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
