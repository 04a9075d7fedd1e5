"""Alpha errors against the published formulas, written out pixel by pixel, and their laws."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from figureground.arrays import Alpha
from figureground.errors import ArrayError
from figureground.evaluation.matting import AlphaScores, connectivity, gradient, mad, mse, score_alpha

METRICS: tuple[Callable[[Alpha, Alpha], float], ...] = (mad, mse, gradient, connectivity)


@st.composite
def alpha_pairs(draw: st.DrawFn) -> tuple[Alpha, Alpha]:
    """Two soft blobs, or one and the other's neighbour, of one small size."""
    height, width = draw(st.integers(1, 22)), draw(st.integers(1, 22))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return _blob(rng, height, width), _blob(rng, height, width)


def _blob(rng: np.random.Generator, height: int, width: int) -> Alpha:
    noise = ndimage.gaussian_filter(rng.random((height, width)), float(rng.choice([0.5, 1.5, 3.0])))
    return np.clip((noise - 0.5) * float(rng.choice([1.0, 4.0, 20.0])) + 0.5, 0, 1).astype(np.float32)


def slow_gradient(alpha: Alpha) -> NDArray[np.float64]:
    """Gradient magnitudes by the 2-D kernel of the published code, a loop over its taps."""
    sigma, half = 1.4, 4

    def gauss(x: float) -> float:
        return math.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    places = range(-half, half + 1)
    kernel = np.array([[gauss(i) * -j * gauss(j) / sigma**2 for j in places] for i in places])
    kernel /= np.sqrt((kernel**2).sum())
    across = ndimage.convolve(alpha.astype(np.float64), kernel, mode="nearest")
    down = ndimage.convolve(alpha.astype(np.float64), kernel.T, mode="nearest")
    return np.sqrt(across**2 + down**2)


def slow_parts(mask: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """The 4-connected parts of a mask, by flooding."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    parts = []
    while left:
        part, edge = set[tuple[int, int]](), deque([left.pop()])
        while edge:
            y, x = edge.popleft()
            part.add((y, x))
            near = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
            left -= near
            edge.extend(near)
        parts.append(part)
    return parts


def slow_connectivity(alpha: Alpha, truth: Alpha) -> float:
    level = np.full(alpha.shape, -1.0)
    for step in range(1, 11):
        parts = slow_parts((alpha >= np.float32(step / 10)) & (truth >= np.float32(step / 10)))
        omega = np.zeros(alpha.shape, np.bool_)
        for part in parts:
            if len(part) == max(map(len, parts)):
                for place in part:
                    omega[place] = True
        level[(level == -1) & ~omega] = (step - 1) / 10
    level[level == -1] = 1
    phis = []
    for each in (alpha, truth):
        above = each - level
        phis.append(1 - above * (above >= 0.15))
    return float(np.abs(phis[0] - phis[1]).sum() / 1000)


@settings(max_examples=60, deadline=None)
@given(alpha_pairs())
def test_errors_agree_with_the_published_formulas(pair: tuple[Alpha, Alpha]) -> None:
    alpha, truth = pair
    gaps = alpha.astype(np.float64) - truth
    assert mad(alpha, truth) * alpha.size == pytest.approx(np.abs(gaps).sum())  # the sum of absolute differences
    assert mse(alpha, truth) == pytest.approx((gaps**2).mean())
    wanted = ((slow_gradient(alpha) - slow_gradient(truth)) ** 2).sum() / 1000
    assert gradient(alpha, truth) == pytest.approx(wanted, abs=1e-9)
    assert connectivity(alpha, truth) == pytest.approx(slow_connectivity(alpha, truth), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(alpha_pairs())
def test_laws_of_alpha_errors(pair: tuple[Alpha, Alpha]) -> None:
    alpha, truth = pair
    for metric in METRICS:
        value = metric(alpha, truth)
        assert value >= 0
        assert metric(alpha, alpha) == 0
        assert value == pytest.approx(metric(truth, alpha), abs=1e-12)
        assert value == pytest.approx(metric(alpha[:, ::-1], truth[:, ::-1]), abs=1e-9)
        assert value == pytest.approx(metric(alpha[::-1], truth[::-1]), abs=1e-9)
        assert value == pytest.approx(metric(alpha.T, truth.T), abs=1e-9)
    assert score_alpha(alpha, truth) == AlphaScores(*(metric(alpha, truth) for metric in METRICS))


def test_mad_and_mse_by_hand() -> None:
    alpha = np.array([[0.0, 0.25, 1.0], [0.5, 0.5, 1.0]], np.float32)
    truth = np.array([[0.0, 0.75, 0.0], [0.5, 0.25, 1.0]], np.float32)
    assert mad(alpha, truth) == (0.5 + 1.0 + 0.25) / 6
    assert mse(alpha, truth) == (0.25 + 1.0 + 0.0625) / 6


def test_mad_is_not_summed_in_float32() -> None:
    alpha = np.full((3000, 3000), 0.1, np.float32)
    assert mad(alpha, np.zeros_like(alpha)) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_gradient_of_a_step_by_hand() -> None:
    """Along a straight edge the sum of squared slopes is that of the kernel's running sums."""
    truth = np.zeros((30, 40), np.float32)
    step = truth.copy()
    step[:, 20:] = 1
    places = np.arange(-4, 5)
    smooth = np.exp(-(places**2) / (2 * 1.4**2))
    slope = places * smooth / np.linalg.norm(places * smooth)
    columns = np.array([slope[column:].sum() for column in range(1, 9)]) * smooth.sum() / np.linalg.norm(smooth)
    assert gradient(step, truth) == pytest.approx(30 * (columns**2).sum() / 1000)


def test_connectivity_by_hand() -> None:
    truth = np.zeros((6, 10), np.float32)
    truth[:, :4] = 1
    with_hole, with_island, faint = truth.copy(), truth.copy(), truth.copy()
    with_hole[2, 1] = 0
    with_island[2, 8] = 0.6
    faint[2, 8] = 0.14  # under the threshold of 0.15
    assert connectivity(with_island, truth) == pytest.approx(0.6 / 1000)
    assert connectivity(with_hole, truth) == pytest.approx(1 / 1000)
    assert connectivity(faint, truth) == 0


def test_both_empty_and_one_empty() -> None:
    empty, full = np.zeros((5, 7), np.float32), np.ones((5, 7), np.float32)
    assert score_alpha(empty, empty) == AlphaScores(0, 0, 0, 0)
    wrong = score_alpha(full, empty)
    assert (wrong.mad, wrong.mse, wrong.connectivity) == (1, 1, 35 / 1000)
    assert wrong.gradient == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [*METRICS, score_alpha])
def test_what_is_refused(metric: Callable[[Alpha, Alpha], object]) -> None:
    good = np.zeros((3, 4), np.float32)
    with pytest.raises(ArrayError, match=r"alpha .* \(3, 4\) != \(3, 5\)"):
        metric(good, np.zeros((3, 5), np.float32))
    with pytest.raises(ArrayError, match="truth must lie in"):
        metric(good, good + 2)
    with pytest.raises(ArrayError, match="alpha must be float32"):
        metric(np.zeros((3, 4), np.uint8), good)  # type: ignore[arg-type]
