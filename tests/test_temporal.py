"""A steady alpha: still pixels keep theirs, changed ones get the new one at once, and nothing is invented."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.arrays import Alpha, Frame, check_alpha
from figureground.engine import Engine
from figureground.evaluation.metrics import iou
from figureground.evaluation.temporal import StreamMeter
from figureground.preprocess import crisp, enlarge, tidy, to_input
from figureground.sources import VideoSource
from figureground.temporal import GAP, TIMES, Stabiliser
from scenes import figure_alpha, noise, plain

CLIP = Path(__file__).parents[2] / "shared/data/video/webcam/yes.mkv"
WIDTH, HEIGHT, STEP = 96, 64, 1 / 30


def room(seed: int = 0) -> Frame:
    """Smooth patches, no two of one colour."""
    small = np.random.default_rng(seed).integers(30, 226, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)


def random_alpha(seed: int) -> Alpha:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH), np.float32)


def moved(frame: Frame, left: int, top: int) -> Frame:
    """`frame` with a square of 24 pixels in the negative."""
    other = frame.copy()
    other[top : top + 24, left : left + 24] += 128
    return other


def calm(stabiliser: Stabiliser, picture: Frame, alpha: Alpha) -> None:
    """Two seconds in which nothing happens, up to time 0."""
    for number in range(-60, 1):
        stabiliser(picture, alpha, number * STEP)


seeds = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(seeds, st.booleans()), min_size=2, max_size=6), seeds)
@settings(max_examples=40, deadline=None)
def test_never_more_of_the_person_than_before_or_now(steps: list[tuple[int, bool]], seed: int) -> None:
    stabiliser, before = Stabiliser(), None
    for number, (each, moves) in enumerate(steps):
        picture = moved(room(seed), 8 * number, 16) if moves else room(seed)
        alpha = random_alpha(each)
        given = check_alpha(stabiliser(picture, alpha, number * STEP).copy())
        if before is not None:
            assert (given <= np.maximum(before, alpha) + 1e-6).all()
            assert (given >= np.minimum(before, alpha) - 1e-6).all()
        before = given


@given(seeds, seeds, st.integers(0, 72), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_never_more_than_now_where_the_picture_changed(first: int, second: int, left: int, top: int) -> None:
    stabiliser, still = Stabiliser(), room()
    for number in range(4):
        stabiliser(still, random_alpha(first), number * STEP)
    alpha = random_alpha(second)
    given = stabiliser(moved(still, left, top), alpha, 4 * STEP)
    inside = np.s_[top + 2 : top + 22, left + 2 : left + 22]  # what is not blended with its surroundings
    assert (given[inside] <= alpha[inside] + 1e-6).all()
    assert np.isclose(given[inside], alpha[inside], atol=1e-6).mean() > 0.95  # it may rise a little later


def test_a_still_pixel_keeps_its_side_through_doubt() -> None:
    stabiliser, picture = Stabiliser(), room()
    sure = figure_alpha(WIDTH, HEIGHT)
    calm(stabiliser, picture, sure)
    rng = np.random.default_rng(0)
    for number in range(1, 60):
        unsure = np.clip(sure + rng.normal(0, 0.4, sure.shape), 0, 1).astype(np.float32)
        given = stabiliser(picture, unsure, number * STEP)
        assert np.mean((unsure >= 0.5) != (sure >= 0.5)) > 0.05
        assert ((given >= 0.5) == (sure >= 0.5))[(sure < 0.1) | (sure > 0.9)].all()


def test_a_small_hole_is_believed_in_the_end() -> None:
    stabiliser, picture = Stabiliser(), room()
    alpha = figure_alpha(WIDTH, HEIGHT)
    calm(stabiliser, picture, alpha)
    missing = alpha.copy()
    missing[48:53, 43:48] = 0
    given = [stabiliser(picture, missing, number * STEP)[50, 45] for number in range(1, 150)]
    assert given[15] > 0.6
    assert given[75] < 0.5
    assert given[-1] < 0.2
    assert all(np.diff(given) <= 1e-6)


def test_its_pace_is_by_time_not_by_frames() -> None:
    """Half the frames a second: as much has been believed after as long."""
    ends = []
    for rate in (30, 15):
        stabiliser, picture = Stabiliser(), room()
        calm(stabiliser, picture, np.full((HEIGHT, WIDTH), 0.9, np.float32))
        for number in range(1, rate + 1):
            given = stabiliser(picture, np.full((HEIGHT, WIDTH), 0.6, np.float32), Fraction(number, rate))
        ends.append(float(given.mean()))
    assert ends[0] == pytest.approx(ends[1], abs=0.005)


@pytest.mark.parametrize("what", ["first", "cut", "size", "gap", "back", "reset"])
def test_an_alpha_passes_where_there_is_nothing_to_lean_on(what: str) -> None:
    stabiliser = Stabiliser()
    old, new = figure_alpha(WIDTH, HEIGHT), figure_alpha(WIDTH, HEIGHT)[:, ::-1].copy()
    new[10:40, :30] = 0.7
    picture, time = room(), 10.0 + STEP
    if what != "first":
        for number in range(3):
            stabiliser(picture, old, 10 + (number - 2) * STEP)
    if what == "cut":
        picture = room(9)
    elif what == "size":
        picture, new = noise(80, 50), figure_alpha(80, 50, 2)
    elif what == "gap":
        time = 10.01 + GAP
    elif what == "back":
        time = 9.5
    elif what == "reset":
        stabiliser.reset()
    np.testing.assert_array_equal(stabiliser(picture, new, time), new)


def test_a_person_after_an_empty_first_frame() -> None:
    stabiliser, picture, alpha = Stabiliser(), room(), figure_alpha(WIDTH, HEIGHT)
    stabiliser(picture, np.zeros_like(alpha), 0.0)
    given = [stabiliser(picture, alpha, number * STEP).copy() for number in range(1, 4)]
    assert (given[TIMES - 1] == alpha).all()


def test_a_person_who_comes_in_is_there_at_once() -> None:
    stabiliser, alpha = Stabiliser(), figure_alpha(WIDTH, HEIGHT)
    for number in range(10):
        stabiliser(room(), np.zeros_like(alpha), number * STEP)
    there = np.where((alpha > 0)[:, :, None], plain(WIDTH, HEIGHT, (255, 0, 0)), room()).astype(np.uint8)
    given = stabiliser(there, alpha, 10 * STEP)
    assert iou(given >= 0.5, alpha >= 0.5) > 0.9


def test_no_trail_behind_what_moves() -> None:
    stabiliser, still = Stabiliser(), plain(WIDTH, HEIGHT, (90, 90, 90))
    for number in range(30):
        alpha = np.zeros((HEIGHT, WIDTH), np.float32)
        alpha[20:40, 2 * number : 2 * number + 16] = 1
        picture = still.copy()
        picture[alpha > 0] = (220, 180, 150)
        given = stabiliser(picture, alpha, number * STEP)
        behind = given[:, : max(0, 2 * number - 3)]
        assert not behind.size or behind.max() < 0.05


def test_whoever_gets_it_may_write_into_it() -> None:
    stabiliser, picture, alpha = Stabiliser(), room(), figure_alpha(WIDTH, HEIGHT)
    stabiliser(picture, alpha, 0.0)[:] = 0
    np.testing.assert_allclose(stabiliser(picture, alpha, STEP), alpha, atol=1e-6)


def test_noise_is_told_from_motion() -> None:
    """A noisy picture is not taken for one that changes everywhere, once its noise is known."""
    rng, stabiliser, sure = np.random.default_rng(1), Stabiliser(), figure_alpha(WIDTH, HEIGHT)
    wrong = []
    for number in range(60):
        picture = np.clip(room() + rng.normal(0, 6, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        alpha = np.clip(sure + rng.normal(0, 0.3, sure.shape), 0, 1).astype(np.float32)
        given = stabiliser(picture, alpha, number * STEP)
        wrong.append([np.mean((each >= 0.5) != (sure >= 0.5)) for each in (given, alpha)])
    ours, theirs = np.mean(wrong[30:], axis=0)
    assert ours < theirs / 5


@pytest.mark.skipif(not CLIP.exists(), reason=f"no webcam clip at {CLIP}")
def test_a_webcam_clip_flickers_a_third_as_much() -> None:
    engine, stabiliser = Engine("small"), Stabiliser()
    plain, steady = StreamMeter(), StreamMeter()
    agreement = []
    with VideoSource(CLIP) as source:
        for number, frame in enumerate(source):
            if number == 30:
                break
            fit = engine.fit(frame.shape[1], frame.shape[0])
            picture = to_input(frame, fit)
            alpha = tidy(crisp(engine.run(picture), fit))
            given = stabiliser(picture[: fit.height, : fit.width], alpha, source.time)
            steady.add(frame, enlarge(given, fit))
            plain.add(frame, enlarge(alpha, fit))
            agreement.append(iou(given >= 0.5, alpha >= 0.5))
    before, after = (meter.result(30).flicker for meter in (plain, steady))
    assert before is not None
    assert after is not None
    assert after < before / 3
    assert min(agreement) > 0.8
