"""Metrics against hand counts, an independent implementation and their own laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from figureground.arrays import Mask
from figureground.errors import ArrayError
from figureground.evaluation.bootstrap import Interval, bootstrap_intervals
from figureground.evaluation.metrics import (
    Scores,
    boundary_f,
    boundary_iou,
    dice,
    iou,
    pixel_accuracy,
    precision,
    recall,
    score,
)

MaskMetric = Callable[[Mask, Mask], float]
MASK_METRICS: tuple[MaskMetric, ...] = (pixel_accuracy, iou, dice, precision, recall, boundary_iou, boundary_f)

# Wide enough a tolerance range that small masks meet radii from below one pixel to several.
tolerances = st.floats(0.0, 0.3)


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[Mask, Mask]:
    """Two masks of one shape: white noise, or blobs with long boundaries, or full or empty."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return _random_mask(draw, rng, shape), _random_mask(draw, rng, shape)


def _random_mask(draw: st.DrawFn, rng: np.random.Generator, shape: tuple[int, ...]) -> Mask:
    noise = ndimage.gaussian_filter(rng.random(shape), draw(st.sampled_from([0.0, 1.0, 3.0])), mode="nearest")
    mask: Mask = noise > np.quantile(noise, draw(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0])))
    return ~mask if draw(st.booleans()) else mask


def parse(text: str) -> Mask:
    """Rows of a mask, '#' for the person."""
    return np.array([[letter == "#" for letter in row] for row in text.split()])


def square(top: int, left: int, side: int = 20, size: int = 100) -> Mask:
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


# The independent implementation: loops over pixels and all pairs of boundary points, nothing from OpenCV.


def slow_boundary(mask: Mask) -> list[tuple[int, int]]:
    height, width = mask.shape
    points = []
    for y in range(height):
        for x in range(width):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            seen = [bool(mask[v, u]) for v, u in around if 0 <= v < height and 0 <= u < width]
            if mask[y, x] and not all(seen):
                points.append((y, x))
    return points


def slow_boundary_f(guess: Mask, truth: Mask, tolerance: float) -> float:
    ours, theirs = slow_boundary(guess), slow_boundary(truth)
    if not ours or not theirs:
        return float(not ours and not theirs and bool((guess == truth).all()))
    radius = tolerance * math.sqrt(guess.shape[0] ** 2 + guess.shape[1] ** 2) + 1e-4
    pairs = np.array(ours)[:, None, :] - np.array(theirs)[None, :, :]
    near = np.sqrt((pairs**2).sum(axis=2)) <= radius
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def slow_counts(guess: Mask, truth: Mask) -> tuple[int, int, int, int]:
    """Both, only the guess, only the truth, neither."""
    pairs = list(zip(guess.ravel().tolist(), truth.ravel().tolist(), strict=True))
    return (
        pairs.count((True, True)),
        pairs.count((True, False)),
        pairs.count((False, True)),
        pairs.count((False, False)),
    )


# Hand-counted cases.

GUESS = parse("##.. ##.. ....")  # 4 pixels
TRUTH = parse(".##. .##. .#..")  # 5 pixels, 2 shared, 7 in the union, 5 of 12 wrong


def test_region_metrics_by_hand() -> None:
    assert pixel_accuracy(GUESS, TRUTH) == 7 / 12
    assert iou(GUESS, TRUTH) == 2 / 7
    assert dice(GUESS, TRUTH) == 4 / 9
    assert precision(GUESS, TRUTH) == 2 / 4
    assert recall(GUESS, TRUTH) == 2 / 5


def test_boundary_iou_by_hand() -> None:
    # 60x80: diagonal 100, so a band of 2 pixels. 20x20 squares, the guess 4 to the right: bands of 400 - 256 = 144.
    guess, truth = (np.zeros((60, 80), np.bool_) for _ in range(2))
    truth[20:40, 20:40] = guess[20:40, 24:44] = True
    shared = 16 * 4  # 16 columns of the two rows above and below
    assert boundary_iou(guess, truth) == shared / (2 * 144 - shared)
    # The border of the picture is a boundary here, unlike in boundary F.
    left = np.zeros((60, 80), np.bool_)
    left[:, :40] = True
    band = 60 * 40 - 56 * 36
    assert boundary_iou(left, np.ones((60, 80), np.bool_)) == (band - 56 * 2) / (60 * 80 - 56 * 76 + 56 * 2)


def test_boundary_f_by_hand() -> None:
    # Guess: (0,0) has its right and lower neighbour in the mask and the picture's border elsewhere: no boundary.
    # That leaves (0,1) (1,0) (1,1); all five pixels of the truth are boundary. At distance 0: (0,1) and (1,1).
    assert boundary_f(GUESS, TRUTH, tolerance=0.0) == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))
    # Diagonal 5, radius 1: every point has a partner one pixel away.
    assert boundary_f(GUESS, TRUTH, tolerance=0.2) == 1.0


def test_boundary_radius_is_not_rounded() -> None:
    # 60x80: diagonal 100. Two one-pixel dots 3 apart, then (2, 2) apart: 2.828.
    truth = np.zeros((60, 80), np.bool_)
    straight, slanted = truth.copy(), truth.copy()
    truth[20, 20] = straight[20, 23] = slanted[22, 22] = True
    assert boundary_f(straight, truth, tolerance=0.03) == 1.0
    assert boundary_f(straight, truth, tolerance=0.0299) == 0.0
    assert boundary_f(slanted, truth, tolerance=0.0283) == 1.0
    assert boundary_f(slanted, truth, tolerance=0.0282) == 0.0


def test_boundary_tie_on_a_slant_counts() -> None:
    # 400x400: radius 0.0075 * 400 * sqrt(2) = sqrt(18), exactly the distance of (3, 3); no floating point may lose it.
    truth = np.zeros((400, 400), np.bool_)
    guess = truth.copy()
    truth[200, 200] = guess[203, 203] = True
    assert boundary_f(guess, truth) == 1.0


def test_the_radius_that_is_meant_where_none_is_given() -> None:
    # 300x400: diagonal 500, radius 3.75. (2, 3) is 3.61 away, (0, 4) is 4.
    truth = np.zeros((300, 400), np.bool_)
    near, far = truth.copy(), truth.copy()
    truth[100, 100] = near[102, 103] = far[100, 104] = True
    assert boundary_f(near, truth) == 1.0
    assert boundary_f(far, truth) == 0.0


def test_boundary_of_a_square() -> None:
    # A 20x20 outline has 76 pixels. The guess lies 2 to the right; the default radius is 1.06 pixels.
    guess, truth = square(40, 42), square(40, 40)
    near = 18 + 18  # shared parts of the top and bottom rows
    near += 2  # (40, 60) and (59, 60) lie one right of the truth's corners
    near += 2  # (41, 42) and (58, 42), in the guess's left column, lie one off the truth's rows; the rest is 2 off
    assert boundary_f(guess, truth) == pytest.approx(near / 76)  # precision = recall by mirror symmetry


def test_no_boundary_along_the_picture_border() -> None:
    left = np.zeros((40, 60), np.bool_)
    left[:, :30] = True
    shifted = np.zeros((40, 60), np.bool_)
    shifted[:, :40] = True
    # Only the vertical edge is a boundary: 10 pixels apart is nothing shared, though three borders are.
    assert boundary_f(left, shifted, tolerance=0.02) == 0.0


def test_full_and_empty_masks() -> None:
    empty, full = np.zeros((5, 7), np.bool_), np.ones((5, 7), np.bool_)
    dot = empty.copy()
    dot[2, 3] = True
    assert set(astuple(score(empty, empty))) == {1.0}
    assert set(astuple(score(full, full))) == {1.0}
    assert set(astuple(score(empty, full))) == set(astuple(score(full, empty))) == {0.0}
    nothing = Scores(accuracy=34 / 35, iou=0.0, dice=0.0, precision=0.0, recall=0.0, boundary_iou=0.0, boundary_f=0.0)
    assert score(empty, dot) == score(dot, empty) == nothing
    assert boundary_f(full, dot) == boundary_f(dot, full) == 0.0


# Against the independent implementation, and laws.


@settings(max_examples=150, deadline=None)
@given(mask_pairs(), tolerances)
def test_boundary_f_agrees_with_loops(pair: tuple[Mask, Mask], tolerance: float) -> None:
    assert boundary_f(*pair, tolerance) == pytest.approx(slow_boundary_f(*pair, tolerance), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_boundary_f_agrees_with_scipy_at_picture_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    guess, truth = (ndimage.gaussian_filter(rng.random((120, 160)), 4) > 0.5 for _ in range(2))
    cross = ndimage.generate_binary_structure(2, 1)
    ours, theirs = (mask & ~ndimage.binary_erosion(mask, cross, border_value=1) for mask in (guess, truth))
    precision = (ndimage.distance_transform_edt(~theirs)[ours] <= 1.5).mean()  # diagonal 200
    recall = (ndimage.distance_transform_edt(~ours)[theirs] <= 1.5).mean()
    assert boundary_f(guess, truth) == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(mask_pairs())
def test_region_metrics_agree_with_counts(pair: tuple[Mask, Mask]) -> None:
    both, only_guess, only_truth, neither = slow_counts(*pair)
    union = both + only_guess + only_truth
    assert pixel_accuracy(*pair) == pytest.approx((both + neither) / (union + neither))
    assert iou(*pair) == pytest.approx(both / union if union else 1.0)
    assert dice(*pair) == pytest.approx(2 * both / (union + both) if union else 1.0)
    assert precision(*pair) == pytest.approx(both / (both + only_guess) if both + only_guess else float(not union))
    assert recall(*pair) == pytest.approx(both / (both + only_truth) if both + only_truth else float(not union))


@settings(max_examples=60, deadline=None)
@given(mask_pairs())
def test_iou_agrees_with_pycocotools(pair: tuple[Mask, Mask]) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="it comes with pip install 'figureground[train]'")
    guess, truth = (coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in pair)
    wanted = float(coco.iou([guess], [truth], [0])[0, 0])
    assert iou(*pair) == pytest.approx(wanted if pair[0].any() or pair[1].any() else 1.0)


@settings(max_examples=60, deadline=None)
@given(mask_pairs(), st.floats(0.01, 0.4))
def test_boundary_iou_agrees_with_chessboard_distances(pair: tuple[Mask, Mask], share: float) -> None:
    width = max(1, round(share * math.hypot(*pair[0].shape)))
    ours, theirs = (
        mask & (ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1] <= width) for mask in pair
    )
    union = np.count_nonzero(ours | theirs)
    wanted = np.count_nonzero(ours & theirs) / union if union else 1.0
    assert boundary_iou(*pair, share) == pytest.approx(wanted)


@settings(max_examples=100, deadline=None)
@given(mask_pairs())
def test_laws_of_mask_metrics(pair: tuple[Mask, Mask]) -> None:
    guess, truth = pair
    for metric in MASK_METRICS:
        value = metric(guess, truth)
        assert 0.0 <= value <= 1.0
        other = {precision: recall, recall: precision}.get(metric, metric)
        assert value == pytest.approx(other(truth, guess))
        assert value == pytest.approx(metric(guess.T, truth.T))
        assert value == pytest.approx(metric(guess[::-1, ::-1], truth[::-1, ::-1]))  # negative strides work, too
        assert metric(guess, guess) == 1.0
    assert dice(guess, truth) == pytest.approx(
        2 * precision(guess, truth) * recall(guess, truth) / ((precision(guess, truth) + recall(guess, truth)) or 1)
    )
    overlap = iou(guess, truth)
    assert dice(guess, truth) == pytest.approx(2 * overlap / (1 + overlap))
    assert score(guess, truth) == Scores(*(metric(guess, truth) for metric in MASK_METRICS))


@settings(max_examples=50, deadline=None)
@given(mask_pairs(), tolerances, tolerances)
def test_more_tolerance_never_lowers_boundary_f(pair: tuple[Mask, Mask], one: float, other: float) -> None:
    assert boundary_f(*pair, min(one, other)) <= boundary_f(*pair, max(one, other)) + 1e-12


@pytest.mark.parametrize(("down", "right"), [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, 1)])
def test_shift_of_one_pixel_within_tolerance(down: int, right: int) -> None:
    # 100x100: the default radius is 1.06 pixels. A diagonal shift still leaves each outline pixel a neighbour.
    truth, guess = square(40, 40), square(40 + down, 40 + right)
    assert iou(guess, truth) < 1.0
    if down and right:  # only the two far corners, sqrt(2) away, miss
        assert 0.95 < boundary_f(guess, truth) < 1.0
    else:
        assert boundary_f(guess, truth) == 1.0


# What is refused.


@pytest.mark.parametrize("metric", [*MASK_METRICS, score])
def test_mask_metrics_refuse_other_shapes(metric: Callable[[Mask, Mask], object]) -> None:
    with pytest.raises(ArrayError, match=r"^guess must have the truth's shape: \(3, 4\) != \(4, 3\)$"):
        metric(np.zeros((3, 4), np.bool_), np.zeros((4, 3), np.bool_))
    with pytest.raises(ArrayError, match=r"^guess must have shape \(height, width\), got \(1, 4, 3\)$"):
        metric(np.zeros((1, 4, 3), np.bool_), np.zeros((4, 3), np.bool_))
    with pytest.raises(ArrayError, match=r"^guess must have shape \(height, width\), got \(0, 3\)$"):
        metric(np.zeros((0, 3), np.bool_), np.zeros((0, 3), np.bool_))
    with pytest.raises(ArrayError, match=r"^truth must have shape \(height, width\), got \(4, 0\)$"):
        metric(np.zeros((4, 3), np.bool_), np.zeros((4, 0), np.bool_))


@pytest.mark.parametrize("metric", [*MASK_METRICS, score])
def test_mask_metrics_refuse_other_types(metric: Callable[[Mask, NDArray[np.uint8]], object]) -> None:
    with pytest.raises(ArrayError, match=r"^truth must be bool, got uint8; compare with a threshold first$"):
        metric(np.zeros((3, 4), np.bool_), np.zeros((3, 4), np.uint8))
    with pytest.raises(ArrayError, match=r"^guess must be bool, got uint8; compare with a threshold first$"):
        metric(np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.bool_))  # type: ignore[arg-type]


# The bootstrap.


def interval(values: NDArray[np.float64], level: float = 0.95, draws: int = 1000, seed: int = 0) -> Interval:
    (found,) = bootstrap_intervals(values[:, None], level, draws, seed)
    return found


def test_bootstrap_holds_the_mean_and_repeats() -> None:
    values = np.random.default_rng(3).normal(0.8, 0.1, 200)
    low, high = interval(values)
    assert low < values.mean() < high
    assert interval(values) == (low, high)
    assert interval(values, seed=1) != (low, high)
    wide = interval(values, level=0.99)
    assert wide[0] < low
    assert high < wide[1]


def test_bootstrap_width_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(4).normal(0.0, 1.0, 400)
    low, high = interval(values, draws=4000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


def test_bootstrap_covers_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(300):
        low, high = interval(rng.random(60), level=0.9, draws=400, seed=seed)
        covered += low <= 0.5 <= high
    assert 0.84 < covered / 300 < 0.95


def test_bootstrap_of_columns_is_that_of_each() -> None:
    values = np.random.default_rng(6).random((40, 3))
    assert bootstrap_intervals(values) == [interval(column) for column in values.T]


def test_bootstrap_of_one_or_equal_values_has_no_width() -> None:
    assert interval(np.array([0.25])) == (0.25, 0.25)
    assert interval(np.full(9, 0.5)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (np.zeros((0, 2)), r"got \(0, 2\)"),
        (np.zeros(2), r"got \(2,\)"),
        (np.array([[0.0], [math.nan]]), "got 1 that"),
    ],
)
def test_bootstrap_refuses(values: NDArray[np.float64], got: str) -> None:
    with pytest.raises(ArrayError, match=got):
        bootstrap_intervals(values)
