"""Blur that takes its colours from some pixels only."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame


def weighted_blur(frame: Frame, weight: NDArray[np.float32], sigma: float) -> Frame:
    """Normalised convolution (Knutsson and Westin 1993): a Gaussian mean in which each pixel counts by its weight.

    Where no pixel of any weight is near, the weighted mean of the whole picture stands; with no weight at all,
    mid-grey.

    Args:
        frame: (H, W, 3) uint8.
        weight: (H, W) float32, 0 for pixels that must not colour the result.
        sigma: of the Gaussian, in pixels.

    Returns:
        (H, W, 3) uint8.
    """
    total = float(weight.sum())
    if total <= 0:
        return np.full_like(frame, 128)
    weighted = cv2.multiply(frame, cv2.merge((weight,) * 3), dtype=cv2.CV_32F)
    near, share = _smooth(weighted, sigma), _smooth(weight, sigma)
    little = np.float32(1e-4)
    near += np.array(cv2.mean(weighted)[:3], np.float32) * np.float32(little * weight.size / total)
    share += little
    return np.asarray(cv2.divide(near, cv2.merge((share,) * 3), dtype=cv2.CV_8U), np.uint8)


def _smooth(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    side = 2 * round(3 * sigma) + 1  # beyond that little is left of it, and time goes with the side
    return np.asarray(cv2.GaussianBlur(picture, (side, side), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
