"""Threshold curves and calibration: hand counts, and agreement with the scores themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.evaluation.curves import calibration, tally, threshold_curve
from figureground.evaluation.metrics import dice, iou


def test_tally_by_hand() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    alpha = np.array([[0, 0.04, 0.5, below, 1, 0.97]], np.float32)
    counts = tally(alpha, np.array([[False, True, True, False, True, False]]))
    assert {n: int(count) for n, count in enumerate(counts.pixels) if count} == {0: 2, 9: 1, 10: 1, 19: 2}
    assert {n: int(count) for n, count in enumerate(counts.person) if count} == {0: 1, 10: 1, 19: 1}
    assert counts.alpha[19] == pytest.approx(1.97)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.booleans())
def test_curve_is_the_score_at_each_threshold(seed: int, pictures: int, empty: bool) -> None:
    rng = np.random.default_rng(seed)
    alphas = [(rng.integers(0, 41, (5, 6)) / 40).astype(np.float32) for _ in range(pictures)]
    truths = [rng.random((5, 6)) > (2 if empty else 0.5) for _ in range(pictures)]
    curve = threshold_curve([tally(*each) for each in zip(alphas, truths, strict=True)])
    for threshold, got_iou, got_dice in zip(curve.thresholds, curve.iou, curve.dice, strict=True):
        masks = [alpha >= np.float32(threshold) for alpha in alphas]
        assert got_iou == pytest.approx(np.mean([iou(*each) for each in zip(masks, truths, strict=True)]))
        assert got_dice == pytest.approx(np.mean([dice(*each) for each in zip(masks, truths, strict=True)]))


def test_calibration_by_hand() -> None:
    alpha = np.array([[0.0, 0.0, 0.72, 0.72, 0.72, 0.72, 1.0, 1.0]], np.float32)
    truth = np.array([[False, True, True, True, True, False, True, True]])
    got = calibration([tally(alpha, truth)])
    assert got is not None
    assert got.alpha == pytest.approx([0, 0.72, 1])
    assert got.person == [0.5, 0.75, 1]
    assert got.share == [0.25, 0.5, 0.25]
    assert got.error == pytest.approx(0.25 * 0.5 + 0.5 * 0.03)
    assert calibration([]) is None


def test_honest_alphas_are_calibrated() -> None:
    rng = np.random.default_rng(1)
    alpha = rng.random((400, 500)).astype(np.float32)
    honest, inverted = (calibration([tally(alpha, rng.random(alpha.shape) < share)]) for share in (alpha, 1 - alpha))
    assert honest is not None
    assert inverted is not None
    assert honest.error < 0.01
    assert inverted.error == pytest.approx(0.5, abs=0.02)
