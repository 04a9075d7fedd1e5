"""How sure a mean over pictures is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from figureground.errors import ArrayError

Interval = tuple[float, float]


def bootstrap_intervals(
    values: NDArray[np.float64], level: float = 0.95, draws: int = 1000, seed: int = 0
) -> list[Interval]:
    """Low and high end of each column's percentile bootstrap interval of the mean, all by the same resampled rows.

    `values` is (N, M) float64, a row a picture, and the ends are in its columns' units; `level` in (0, 1) is the share
    of the `draws` resampled means between them (Efron and Tibshirani 1993, chapter 13). The same arguments give the
    same intervals. Pictures of one person or one video are no independent draws: their interval comes out too narrow.

    Raises:
        ArrayError: `values` is not two-dimensional, has no row or holds a NaN or an infinity.
    """
    if values.ndim != 2 or len(values) == 0:
        raise ArrayError(f"values must have shape (N, M) with N at least 1, got {values.shape}")
    if not np.isfinite(values).all():
        raise ArrayError(f"values must be finite, got {np.count_nonzero(~np.isfinite(values))} that are not")
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    ends = [(1 - level) / 2, (1 + level) / 2]
    return [_ends(column[picks].mean(axis=1), ends) for column in np.ascontiguousarray(values.T)]


def _ends(means: NDArray[np.float64], ends: list[float]) -> Interval:
    low, high = np.quantile(means, ends)
    return float(low), float(high)
