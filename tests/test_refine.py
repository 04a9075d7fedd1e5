"""Edges at the frame's size: nearer to the frame's, nothing where nobody is, the same with every size."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.arrays import Alpha, Mask, check_alpha, check_matte
from figureground.evaluation.matting import gradient, mad
from figureground.evaluation.metrics import boundary_f, iou
from figureground.preprocess import FAINT, Fit, to_matte
from figureground.refine import GAP, RADIUS, Refiner, _Box, refine
from scenes import Scene, largest_difference, make_scene, noise

HD = (1280, 720)
ROUNDED = 1.01 / 255  # how far a matte may be from its alpha where it was enlarged in 8 bits


def shrunk(alpha: Alpha, width: int, height: int) -> Alpha:
    """As the network says it: small, with an edge softer than the true one."""
    small = cv2.GaussianBlur(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    return np.asarray(small, np.float32)


def scene(width: int, height: int) -> Scene:
    """A dark figure before a bright room."""
    return make_scene(width, height, figure=(60, 50, 40), room=(190, 200, 210))


@pytest.mark.parametrize(("full", "small"), [(HD, (320, 180)), ((640, 480), (288, 216)), ((720, 1280), (180, 320))])
def test_edges_come_nearer_to_the_truth(full: tuple[int, int], small: tuple[int, int]) -> None:
    it = scene(*full)
    alpha = shrunk(it.alpha, *small)
    ours, plain = refine(it.frame, alpha), cv2.resize(alpha, full)
    assert gradient(ours, it.alpha) < 0.7 * gradient(plain, it.alpha)
    assert mad(ours, it.alpha) < 0.7 * mad(plain, it.alpha)
    assert boundary_f(ours >= 0.5, it.alpha >= 0.5, 0.002) > 0.98


def test_an_edge_that_the_network_set_wrong_is_set_right() -> None:
    it = scene(*HD)
    alpha = np.roll(shrunk(it.alpha, 320, 180), 1, axis=1)  # off by 4 pixels of the frame
    ours, plain = (
        boundary_f(each >= 0.5, it.alpha >= 0.5, 0.002) for each in (refine(it.frame, alpha), cv2.resize(alpha, HD))
    )
    assert ours > plain + 0.1


@given(st.integers(20, 300), st.integers(20, 300), st.integers(8, 100), st.integers(8, 100), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_an_alpha_of_the_frames_size_whatever_the_sizes(width: int, height: int, w: int, h: int, seed: int) -> None:
    alpha = np.random.default_rng(seed).random((h, w), np.float32)
    frame = noise(width, height, seed)
    check_alpha(refine(frame, alpha), like=frame)


@given(st.sampled_from([0.0, 1.0]), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_nothing_comes_from_nothing(value: float, seed: int) -> None:
    """Where alpha is 0 or 1 within the reach of the windows, it stays, whatever the frame shows."""
    alpha = np.full((45, 80), value, np.float32)
    alpha[:, :20] = np.random.default_rng(seed).random((45, 20), np.float32)
    ours = refine(noise(320, 180, seed), alpha)
    reach = 4 * (20 + 2 * RADIUS + 1)
    assert (ours[:, reach:] == value).all()


def test_a_frame_without_edges_only_softens_the_alpha() -> None:
    alpha = shrunk(scene(320, 180).alpha, 80, 45)
    ours = refine(np.full((180, 320, 3), 127, np.uint8), alpha)
    assert np.abs(ours - cv2.resize(alpha, (320, 180))).mean() < 0.02
    assert iou(ours >= 0.5, cv2.resize(alpha, (320, 180)) >= 0.5) > 0.97


def test_a_small_frame_is_only_scaled() -> None:
    alpha = shrunk(scene(320, 180).alpha, 160, 90)
    for size in ((160, 90), (80, 45), (200, 60)):
        np.testing.assert_array_equal(refine(noise(*size), alpha), cv2.resize(alpha, size))


@given(st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_stream_never_has_more_than_before_or_now(steps: list[tuple[int, bool]]) -> None:
    refiner, before = Refiner(), None
    for number, (seed, moves) in enumerate(steps):
        frame = noise(80, 46, seed if moves else 0)
        alpha = np.random.default_rng(seed).random((23, 40), np.float32)
        ours, now = check_matte(refiner(frame, alpha, number / 30), frame) / 255, refine(frame, alpha)
        if before is not None:
            assert (ours <= np.maximum(before, now) + ROUNDED).all()
            assert (ours >= np.minimum(before, now) - ROUNDED).all()
        before = ours


def test_where_a_stream_changes_it_has_the_new_alpha() -> None:
    refiner, alpha = Refiner(), shrunk(scene(320, 180).alpha, 80, 45)
    dark, bright = (np.full((180, 320, 3), level, np.uint8) for level in (60, 200))
    refiner(dark, alpha, 0.0)
    turned = alpha[::-1].copy()
    assert largest_difference(refiner(bright, turned, 0.03), to_matte(refine(bright, turned))) <= 1


def test_what_a_figure_uncovers_has_the_new_alpha_though_just_as_dark() -> None:
    red, blue = (97, 0, 0), (0, 0, 255)
    greys = cv2.cvtColor(np.array([[red, blue]], np.uint8), cv2.COLOR_RGB2GRAY)
    assert greys[0, 0] == greys[0, 1]
    refiner = Refiner()
    for left in range(60, 180, 20):
        frame = np.full((180, 320, 3), red, np.uint8)
        frame[40:, left:] = blue
        alpha = shrunk(np.asarray(frame[:, :, 2] > 0, np.float32), 80, 45)
        matte, now = refiner(frame, alpha, left / 600), to_matte(refine(frame, alpha))
        uncovered = slice(60, 180), slice(left - 16, left - 4)
        assert largest_difference(matte[uncovered], now[uncovered]) <= 1


def test_a_still_edge_does_not_follow_noise() -> None:
    it, refiner, rng = scene(320, 180), Refiner(), np.random.default_rng(0)
    alpha = shrunk(it.alpha, 80, 45)
    flips = np.zeros(2)
    before: list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] = []
    for number in range(20):
        frame = np.clip(it.frame + rng.normal(0, 4, it.frame.shape), 0, 255).astype(np.uint8)
        decided = [each > 127 for each in (refiner(frame, alpha, number / 30), to_matte(refine(frame, alpha)))]
        if before:
            flips += [np.count_nonzero(now != then) for now, then in zip(decided, before, strict=True)]
        before = decided
    assert flips[0] < flips[1] / 3


def test_a_still_pixel_whose_alpha_hardly_differs_stays_for_ever() -> None:
    refiner, frame = Refiner(), np.full((180, 320, 3), 90, np.uint8)
    mattes = [refiner(frame, np.full((45, 80), alpha, np.float32), at) for alpha, at in ((0.6, 0), (0.55, 0.1))]
    np.testing.assert_array_equal(*mattes)
    for number in range(20):
        matte = refiner(frame, np.full((45, 80), 0.95, np.float32), 0.2 + number / 10)
    assert matte.min() > 240  # but what is known for sure it comes to


@pytest.mark.parametrize("time", [-1.0, 0.0, GAP + 0.1])
def test_a_stream_begins_anew_after_a_gap(time: float) -> None:
    it, refiner = scene(320, 180), Refiner()
    alpha = shrunk(it.alpha, 80, 45)
    refiner(it.frame, np.zeros_like(alpha), 0.0)
    assert largest_difference(refiner(it.frame, alpha, time), to_matte(refine(it.frame, alpha))) <= 1


def test_what_a_stream_was_given_is_not_overwritten() -> None:
    it, refiner = scene(320, 180), Refiner()
    alpha = shrunk(it.alpha, 80, 45)
    for factor in (1, 4):
        frame = cv2.resize(it.frame, None, fx=factor, fy=factor)
        first = refiner(frame, alpha, 1.0)
        kept = first.copy()
        refiner(frame, np.zeros_like(alpha), 1.03)
        np.testing.assert_array_equal(first, kept)


def test_what_is_left_in_the_room_by_a_stabiliser_is_not_looked_at() -> None:
    """A stream's alphas fall to 0 for ever: the picture is the one without the remains, wherever they lie."""
    it = scene(*HD)
    alpha = shrunk(it.alpha, 320, 180)
    remains = np.where(alpha == 0, np.random.default_rng(0).random(alpha.shape, np.float32) * np.float32(FAINT), alpha)
    assert np.count_nonzero(remains != alpha) > 1000
    np.testing.assert_array_equal(refine(it.frame, remains)[alpha_is_far(alpha)], 0)
    assert _Box.of(it.frame, remains) == _Box.of(it.frame, alpha)


def alpha_is_far(alpha: Alpha) -> Mask:
    near = cv2.dilate(alpha, np.ones((4 * RADIUS + 3, 4 * RADIUS + 3), np.uint8)) > 0
    return cv2.resize(near.view(np.uint8), HD, interpolation=cv2.INTER_NEAREST) == 0


@pytest.mark.parametrize("size", [HD, (640, 480), (1000, 563), (400, 225), (385, 217), (90, 160)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, 0.3), (0.8, 0.7)])
@pytest.mark.parametrize("model_size", [256, 288])
def test_a_part_of_the_picture_is_as_the_whole(
    size: tuple[int, int], place: tuple[float, float], model_size: int
) -> None:
    """Only the person's box is looked at: nothing changes by that, in any place and at any size."""
    fit = Fit.of(*size, model_size)
    alpha = np.zeros((fit.height, fit.width), np.float32)
    left, top = round(place[0] * fit.width), round(place[1] * fit.height)
    alpha[top : top + fit.height // 5, left : left + fit.width // 5] = 1
    alpha = np.asarray(cv2.GaussianBlur(alpha, (9, 9), 2), np.float32)
    frame = noise(*size, 3)
    if size == HD:
        full = _Box.of(frame, alpha).full
        assert math.prod(part.stop - part.start for part in full) < 0.3 * math.prod(size)
    alone = refine(frame, alpha)
    wide = alpha.copy()
    wide[0, 0], wide[-1, -1] = max(alpha[0, 0], 2 * FAINT), max(alpha[-1, -1], 2 * FAINT)  # the box is everything
    assert np.abs(alone - refine(frame, wide)).max() < 1e-3
