"""From a frame to the network's input and back: nothing squashed, nothing moved."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.transform import resize

from figureground.arrays import Alpha, Frame
from figureground.preprocess import HIGH, LOW, SPECK, STRIDE, Fit, crisp, drop_doubtful, enlarge, tidy, to_input
from scenes import RED, noise, plain

SAID = [0.0, 0.05, 0.3, 0.6, 0.9, 1.0]
SIDES = st.integers(1, 8000)
SIZES = st.integers(1, 16).map(lambda n: n * STRIDE)


def to_alpha(output: Alpha, fit: Fit) -> Alpha:
    return enlarge(tidy(crisp(output, fit)), fit)


@given(SIDES, SIDES, SIZES)
def test_a_picture_keeps_its_shape(width: int, height: int, size: int) -> None:
    fit = Fit.of(width, height, size)
    scale = Fraction(max(fit.width, fit.height), max(width, height))
    assert abs(fit.width - width * scale) <= max(Fraction(1, 2), 1 - width * scale)
    assert abs(fit.height - height * scale) <= max(Fraction(1, 2), 1 - height * scale)


@given(SIDES, SIDES, SIZES)
def test_a_picture_is_seen_with_the_pixels_of_a_square(width: int, height: int, size: int) -> None:
    """Its longest side is the largest multiple of the stride with which it has no more, up to four times `size`."""
    longest = max(Fit.of(width, height, size).width, Fit.of(width, height, size).height)
    aspect = Fraction(max(width, height), min(width, height))
    assert longest % STRIDE == 0
    assert longest**2 <= size**2 * aspect
    assert (longest + STRIDE) ** 2 > size**2 * aspect or longest == 4 * size


@pytest.mark.parametrize(
    ("frame", "picture", "whole"),
    [
        ((1280, 720), (320, 180), (320, 192)),
        ((240, 320), (216, 288), (224, 288)),
        ((500, 500), (256, 256), (256, 256)),
        ((4000, 10), (1024, 3), (1024, 32)),
    ],
)
def test_what_the_shipped_models_see(frame: tuple[int, int], picture: tuple[int, int], whole: tuple[int, int]) -> None:
    fit = Fit.of(*frame, 256)
    assert (fit.width, fit.height) == picture
    assert (fit.input_width, fit.input_height) == whole


@given(SIDES, SIDES, SIZES)
def test_the_input_is_the_smallest_multiple_of_the_stride_that_holds_the_picture(
    width: int, height: int, size: int
) -> None:
    fit = Fit.of(width, height, size)
    for inside, whole in ((fit.width, fit.input_width), (fit.height, fit.input_height)):
        assert whole % STRIDE == 0
        assert inside <= whole < inside + STRIDE


@given(SIDES, SIDES, SIZES, SIZES)
def test_a_picture_in_one_size_is_as_large_as_it_can_be(width: int, height: int, wide: int, high: int) -> None:
    fit = Fit.into(width, height, wide, high)
    scale = min(Fraction(wide, width), Fraction(high, height))
    assert (fit.input_width, fit.input_height) == (wide, high)
    assert fit.width == wide or fit.height == high
    assert abs(fit.width - width * scale) <= max(Fraction(1, 2), 1 - width * scale)
    assert abs(fit.height - height * scale) <= max(Fraction(1, 2), 1 - height * scale)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([64, 96, 256]), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_the_border_repeats_the_last_row_and_column(width: int, height: int, size: int, seed: int) -> None:
    fit = Fit.of(width, height, size)
    got = to_input(noise(width, height, seed), fit)
    inside = got[: fit.height, : fit.width]
    border = ((0, fit.input_height - fit.height), (0, fit.input_width - fit.width), (0, 0))
    np.testing.assert_array_equal(got, np.pad(inside, border, mode="edge"))


@pytest.mark.parametrize(("width", "height"), [(100, 70), (64, 64), (200, 333), (31, 17), (700, 300)])
def test_the_picture_inside_is_a_bilinear_resize(width: int, height: int) -> None:
    frame, fit = noise(width, height), Fit.of(width, height, 128)
    got = to_input(frame, fit)[: fit.height, : fit.width]
    want = resize(
        frame.astype(np.float64), (fit.height, fit.width), order=1, mode="edge", anti_aliasing=False, clip=False
    )
    assert np.abs(got - want).max() <= 1.0


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (512, 2048)])
def test_a_picture_shrunk_much_is_the_mean_of_all_its_pixels(width: int, height: int) -> None:
    frame, fit = noise(width, height), Fit.of(width, height, 128)
    got = to_input(frame, fit)[: fit.height, : fit.width]
    blocks = frame.reshape(height // 8, 8, width // 8, 8, 3)
    assert np.abs(got - blocks.mean((1, 3))).max() <= 0.51


def identity_network(frame: Frame, size: int) -> Alpha:
    """Through a network that says the red channel."""
    fit = Fit.of(frame.shape[1], frame.shape[0], size)
    picture = to_input(frame, fit)
    return to_alpha(picture[:, :, 0].astype(np.float32) / 255, fit)


def span(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], axis: int) -> tuple[int, int]:
    """The first index and the one after the last where a mask is true, along the other axis."""
    (where,) = np.nonzero(mask.any(axis))
    return int(where[0]), int(where[-1]) + 1


@given(st.integers(20, 400), st.integers(20, 400), st.data())
@settings(deadline=None, max_examples=80)
def test_a_rectangle_comes_back_to_its_place(width: int, height: int, data: st.DataObject) -> None:
    size, shrink = 256, max(width, height) / 256
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    assume(min(right - left, bottom - top) > 3 * max(1, shrink))
    assume((right - left) * (bottom - top) > 2 * SPECK * width * height)
    frame = plain(width, height, (0, 0, 0))
    frame[top:bottom, left:right] = RED
    person = identity_network(frame, size) > 0.5
    assert person.shape == (height, width)
    assert np.abs(np.subtract(span(person, 0), (left, right))).max() <= max(1, shrink)
    assert np.abs(np.subtract(span(person, 1), (top, bottom))).max() <= max(1, shrink)


@given(st.floats(0, 1, width=32))
def test_levels_are_stretched_about_the_half(value: float) -> None:
    fit = Fit.of(64, 64, 64)
    output = np.ones((64, 64), np.float32)
    output[:, :32] = value  # beside a sure person: by itself, what is nowhere half person would be dropped
    got = to_alpha(output, fit)[:, :32]
    want = min(max((value - LOW) / (HIGH - LOW), 0.0), 1.0)
    assert np.ptp(got) == 0
    assert got[0, 0] == pytest.approx(want, abs=1e-6)
    assert got.dtype == np.float32


def test_a_half_stays_a_half_and_what_is_nearly_sure_becomes_sure() -> None:
    fit = Fit.of(64, 64, 64)
    levels = np.array([0.0, 0.05, 0.08, 0.5, 0.92, 0.95, 1.0], np.float32)
    got = [float(to_alpha(np.full((64, 64), level, np.float32), fit)[0, 0]) for level in levels]
    assert got == pytest.approx([0, 0, 0, 0.5, 1, 1, 1], abs=1e-6)
    assert got[0] == got[1] == 0.0
    assert got[5] == got[6] == 1.0


def test_the_border_is_cut_off_before_the_alpha_is_scaled() -> None:
    fit = Fit.of(640, 360, 256)
    assert (fit.height, fit.input_height) == (180, 192)
    output = np.zeros((fit.input_height, fit.input_width), np.float32)
    output[fit.height :] = 1
    assert to_alpha(output, fit).max() == 0


def scene_with(holes: list[tuple[slice, slice]], specks: list[tuple[slice, slice]]) -> Alpha:
    """A person that fills the middle of 100x100, less the holes, and specks beside it."""
    alpha = np.zeros((100, 100), np.float32)
    alpha[10:100, 30:70] = 1
    for hole in holes:
        alpha[hole] = 0.3
    for speck in specks:
        alpha[speck] = 0.8
    return alpha


def test_a_small_hole_is_filled_and_a_small_speck_dropped() -> None:
    small, speck = np.s_[40:44, 40:44], np.s_[20:24, 5:9]
    assert np.array_equal(tidy(scene_with([small], [speck])), scene_with([], []))


def test_a_shadow_that_is_nowhere_half_person_is_dropped() -> None:
    before = scene_with([], [])
    before[20:60, 5:20] = 0.4
    assert np.array_equal(tidy(before), scene_with([], []))


def test_a_large_hole_and_a_second_person_stay() -> None:
    gap, person = np.s_[40:46, 40:46], np.s_[20:26, 5:11]
    before = scene_with([gap], [person])
    assert np.array_equal(tidy(before.copy()), before)


def test_a_notch_at_the_edge_of_the_picture_is_no_hole() -> None:
    before = scene_with([np.s_[96:100, 50:54]], [])
    assert np.array_equal(tidy(before.copy()), before)


def test_a_notch_in_the_outline_is_no_hole() -> None:
    before = scene_with([np.s_[50:53, 30:34]], [])
    assert np.array_equal(tidy(before.copy()), before)


def test_what_the_network_is_hardly_sure_of_is_dropped_and_the_person_stays() -> None:
    output = np.zeros((60, 90), np.float32)
    output[10:60, 10:40] = 0.95
    output[8:60, 8:10] = 0.4  # a soft rim is no ground for doubt
    coat = np.s_[20:60, 50:70]
    output[coat] = 0.6
    output[20:31, 50:70] = 0.95  # 11 of its 40 rows: 0.275 of it
    wanted = output.copy()
    wanted[coat] = 0
    assert np.array_equal(drop_doubtful(output.copy(), 0.3), wanted)
    assert np.array_equal(drop_doubtful(output.copy(), 0.25), output)


def test_doubt_empties_the_whole_picture_where_nobody_is_sure() -> None:
    output = np.full((40, 50), 0.6, np.float32)
    assert not drop_doubtful(output, 0.3).any()


@given(arrays(np.float32, (12, 15), elements=st.sampled_from(SAID)), st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_doubt_is_about_each_part_by_itself(output: Alpha, share: float) -> None:
    """An independent one: scipy's labels, each part by hand."""
    labels, count = ndimage.label(output > 0.1, np.ones((3, 3)))
    wanted = output.copy()
    for label in range(1, count + 1):
        part = output[labels == label]
        if (part > 0.88).sum() <= share * (part >= 0.5).sum():
            wanted[labels == label] = 0
    assert np.array_equal(drop_doubtful(output.copy(), share), wanted)


@given(arrays(np.float32, (40, 50), elements=st.floats(0, 1, width=32)))
def test_tidying_sets_pixels_to_0_or_1_or_leaves_them(alpha: Alpha) -> None:
    once = tidy(alpha.copy())
    assert ((once == alpha) | (once == 0) | (once == 1)).all()
