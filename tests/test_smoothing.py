"""Blurs that take their colours from some pixels only."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage  # type: ignore[import-untyped]

from figureground.smoothing import weighted_blur
from scenes import noise


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 999), st.floats(0.6, 12))
@settings(deadline=None, max_examples=40)
def test_a_weighted_blur_is_a_normalised_convolution(width: int, height: int, seed: int, sigma: float) -> None:
    frame = noise(width, height, seed)
    spots = noise(width, height, seed + 1)[:, :, 0] / 255 - 0.5
    radius = round(3 * sigma)
    options = {"sigma": sigma, "mode": "nearest", "radius": radius}
    weight = np.maximum(ndimage.gaussian_filter(spots, 2), 0).astype(np.float32)
    weight64 = weight.astype(np.float64)
    if not weight64.any():
        return
    share = ndimage.gaussian_filter(weight64, **options) + 1e-4
    mean = (weight64[:, :, None] * frame).sum((0, 1)) / weight64.sum()
    planes = [ndimage.gaussian_filter(weight64 * frame[:, :, i], **options) + 1e-4 * mean[i] for i in range(3)]
    want = np.dstack(planes) / share[:, :, None]
    assert np.abs(weighted_blur(frame, weight, sigma) - want).max() <= 1


def test_a_weighted_blur_without_any_weight_is_grey() -> None:
    assert (weighted_blur(noise(9, 7), np.zeros((7, 9), np.float32), 2.0) == 128).all()
