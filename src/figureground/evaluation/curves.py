"""What an alpha's levels are worth: scores over the threshold, and whether 0.8 means person four times of five."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Mask

BINS = 20  # of alpha
EDGES = (np.arange(1, BINS) / BINS).astype(np.float32)  # between the bins; thresholds, too


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """A picture's pixels by bin of alpha, (BINS,) each: how many, how many of them person, and their alphas' sum.

    Bin n holds the alphas from n / BINS up to but not including (n + 1) / BINS; the last one holds 1, too.
    """

    pixels: NDArray[np.int64]
    person: NDArray[np.int64]
    alpha: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """Mean IoU and Dice (F1) over pictures, in [0, 1], where an alpha of at least each threshold is person."""

    thresholds: list[float]
    iou: list[float]
    dice: list[float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Alphas as probabilities, over all pixels of the pictures whose masks are hard.

    For each bin of alpha that holds pixels: their mean alpha, the share of them that is person, and their share of
    all pixels. `error` is the expected calibration error (Naeini et al. 2015): the mean of |person - alpha| over
    the bins, weighted by share; in [0, 1], 0 is perfect.
    """

    pictures: int
    error: float
    alpha: list[float]
    person: list[float]
    share: list[float]


def tally(alpha: Alpha, truth: Mask) -> Tally:
    """Count an (H, W) float32 alpha in [0, 1] by its level and its (H, W) bool truth."""
    levels = np.searchsorted(EDGES, alpha.ravel(), side="right")
    return Tally(
        pixels=np.bincount(levels, minlength=BINS),
        person=np.bincount(levels[truth.ravel()], minlength=BINS),
        alpha=np.bincount(levels, alpha.ravel(), minlength=BINS).astype(np.float64),
    )


def threshold_curve(tallies: Sequence[Tally]) -> ThresholdCurve:
    """Score the decision at every edge between two bins; at 0.5 it gives the mean IoU and Dice themselves.

    A picture where neither truth nor decision holds a person counts as 1.
    """
    pixels, person = (np.array([getattr(each, name) for each in tallies]) for name in ("pixels", "person"))
    guessed, both = (_at_least(counts) for counts in (pixels, person))
    areas = guessed + person.sum(axis=1, keepdims=True)
    iou, dice = _ratio(both, areas - both), _ratio(2 * both, areas)
    return ThresholdCurve(
        [number / BINS for number in range(1, BINS)], iou.mean(axis=0).tolist(), dice.mean(axis=0).tolist()
    )


def calibration(tallies: Sequence[Tally]) -> Calibration | None:
    """Compare alphas with how often they are right, pooled over pictures; None without any."""
    if not tallies:
        return None
    pixels, person, alpha = (
        np.array([getattr(each, name) for each in tallies], np.float64).sum(axis=0)
        for name in ("pixels", "person", "alpha")
    )
    used = pixels > 0
    mean, right, share = (part[used] for part in (alpha, person, pixels))
    mean, right, share = mean / share, right / share, share / share.sum()
    error = float((np.abs(right - mean) * share).sum())
    return Calibration(len(tallies), error, mean.tolist(), right.tolist(), share.tolist())


def _at_least(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, BINS) pixels by bin as (N, BINS - 1) pixels at or above each edge."""
    return counts[:, ::-1].cumsum(axis=1)[:, -2::-1]


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.ones(part.shape), where=whole > 0)
