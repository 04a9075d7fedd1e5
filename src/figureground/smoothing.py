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
    weighted = frame.astype(np.float32)
    weighted *= weight[:, :, None]
    mean = np.array(cv2.mean(weighted)[:3], np.float32) * np.float32(weight.size / total)
    near = cv2.GaussianBlur(weighted, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    share = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    little = np.float32(1e-4)
    near += little * mean
    near /= (share + little)[:, :, None]
    return np.asarray(np.clip(near + 0.5, 0, 255), np.uint8)
