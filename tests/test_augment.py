"""Augmentation: picture and mask stay a pair, and the seed decides everything."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from augmenting import ALWAYS, MOVED, OFF, SEEDS, blob, far_inside, telltale
from figureground.training.augment import augment
from figureground.training.config import Augment
from figureground.training.geometry import Sample, warp


@pytest.mark.parametrize("seed", SEEDS)
def test_second_person_joins_picture_and_mask(seed: int) -> None:
    first, second = telltale(blob(seed)), telltale(blob(seed + 1000, 50, 120))
    often = replace(MOVED, second_person=1.0)
    frame, matte = augment(first, 64, often, np.random.default_rng(seed), other=lambda _: second)
    again = np.random.default_rng(seed)
    behind = warp(first, 64, often, again)[1]
    again.random()  # whether there is a second person
    before = warp(second, 64, often, again)[1]
    assert np.array_equal(matte, np.maximum(behind, before))
    for place, red in ((before == 255, before), (before == 0, behind)):  # between, the two are blended
        assert np.abs(frame[..., 0].astype(int) - red)[place].max(initial=0) <= 1


def test_second_person_adds_one() -> None:
    nobody = telltale(np.zeros((64, 64), np.uint8))
    somebody = telltale(np.full((64, 64), 255, np.uint8))
    often = replace(OFF, second_person=1.0)
    frame, matte = augment(nobody, 64, often, np.random.default_rng(0), other=lambda _: somebody)
    assert matte.min() == 255
    assert np.abs(frame.astype(int) - somebody[0]).max() <= 1


def test_several_people_join() -> None:
    drawn: list[int] = []
    for seed in SEEDS:
        joining: list[Sample] = []

        def other(rng: np.random.Generator, joining: list[Sample] = joining) -> Sample:
            joining.append(draw_other(rng))
            return joining[-1]

        crowd = replace(MOVED, second_person=1.0, others=3)
        frame, matte = augment(telltale(blob(seed)), 64, crowd, np.random.default_rng(seed), other=other)
        assert frame[..., 0][matte == 0].max(initial=0) <= 1
        assert frame[..., 0][far_inside(matte, 3)].min(initial=255) >= 64, "people, and their soft edges in between"
        drawn.append(len(joining))
    assert set(drawn) == {1, 2, 3}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_an_occluder_covers_is_no_person(seed: int) -> None:
    before = telltale(blob(seed))
    plain, whole = augment(before, 64, MOVED, np.random.default_rng(seed))
    frame, matte = augment(before, 64, replace(MOVED, occluder=1.0), np.random.default_rng(seed))
    assert np.all(matte <= whole)
    seen = (matte == whole) & (whole > 0)
    assert np.array_equal(frame[seen], plain[seen])
    # Blue is 77 all over the picture, so any other blue is the occluder's.
    covered = cv2.erode((frame[..., 2] != 77).astype(np.uint8), np.ones((5, 5)), borderValue=(0,)) == 1
    assert not matte[covered].any()


@pytest.mark.parametrize("seed", SEEDS)
def test_painted_clothes_stay_the_person(seed: int) -> None:
    before = telltale(blob(seed))
    plain, whole = augment(before, 64, MOVED, np.random.default_rng(seed))
    frame, matte = augment(before, 64, replace(MOVED, clothes=1.0), np.random.default_rng(seed))
    assert np.array_equal(matte, whole)
    assert np.array_equal(frame[whole == 0], plain[whole == 0])
    assert (frame != plain).any() == (whole > 128).any()


def test_occluders_do_cover() -> None:
    everybody = telltale(np.full((64, 64), 255, np.uint8))
    often = replace(OFF, occluder=1.0)
    covered = [np.mean(augment(everybody, 64, often, np.random.default_rng(seed))[1] == 0) for seed in SEEDS]
    assert 0.01 < np.mean(covered) < 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_background_swap_keeps_the_person(seed: int) -> None:
    matte = blob(seed)
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (*matte.shape, 3), np.uint8)
    frame[matte > 0] = frame[matte > 0] // 2 + 100
    flat = np.full((40, 60, 3), (10, 200, 120), np.uint8)
    settings_ = replace(MOVED, swap_background=1.0)
    swapped, after = augment((frame, matte), 64, settings_, np.random.default_rng(seed), background=lambda _: flat)
    kept, expected = warp((frame, matte), 64, settings_, np.random.default_rng(seed))
    assert np.array_equal(after, expected), "the mask does not depend on the background"
    person, room = far_inside(expected, 6), far_inside(255 - expected, 6)
    assert person.any() or room.any()
    assert np.abs(swapped.astype(int) - kept)[person].max(initial=0) <= 1
    if room.any():  # flat, so nothing of the noisy old room is left there
        assert np.ptp(swapped[room].astype(int), axis=0).max() <= 1


def test_a_person_is_lit_as_the_new_background_is() -> None:
    """In a dark room it gets darker, in a bright one brighter; the mask stays."""
    matte = np.zeros((64, 64), np.uint8)
    cv2.circle(matte, (32, 36), 18, 255, -1)
    grey = np.where(matte[..., None] > 0, 140, 120).astype(np.uint8).repeat(3, axis=2)
    person = far_inside(matte, 5)
    means: dict[tuple[int, float], float] = {}
    for level in (30, 220):
        for match in (0.0, 1.0):
            swap, room = replace(OFF, swap_background=1.0, match_person=match), np.full((40, 60, 3), level, np.uint8)
            made = [
                augment((grey, matte), 64, swap, np.random.default_rng(seed), background=lambda _, room=room: room)
                for seed in SEEDS
            ]
            assert all(np.array_equal(after, made[0][1]) for _, after in made)
            means[level, match] = float(np.mean([frame[person].mean() for frame, _ in made]))
    assert means[30, 0.0] == means[220, 0.0] == pytest.approx(140, abs=1)
    assert means[30, 1.0] < 130
    assert means[220, 1.0] > 150


def test_the_light_is_the_old_rooms_not_the_persons() -> None:
    """White clothes stay white in a room as bright as the one they come from."""
    matte = np.zeros((64, 64), np.uint8)
    cv2.circle(matte, (32, 32), 18, 255, -1)
    frame = np.where(matte[..., None] > 0, 235, 110).astype(np.uint8).repeat(3, axis=2)
    room, swap = np.full((40, 60, 3), 110, np.uint8), replace(OFF, swap_background=1.0, match_person=1.0)
    for seed in SEEDS:
        made, _ = augment((frame, matte), 64, swap, np.random.default_rng(seed), background=lambda _: room)
        assert made[far_inside(matte, 5)].min() > 225


def test_negatives_are_rooms_without_anybody() -> None:
    room = telltale(np.zeros((50, 70), np.uint8))[0]
    everybody = telltale(np.full((64, 64), 255, np.uint8))
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        frame, matte = augment(everybody, 32, replace(OFF, negative=1.0), rng, negative=lambda _: room)
        assert not matte.any()
        assert np.array_equal(frame, np.broadcast_to(room[0, 0], frame.shape))


def test_without_backgrounds_there_are_no_negatives() -> None:
    everybody = telltale(np.full((64, 64), 255, np.uint8))
    eager = replace(OFF, negative=1.0, swap_background=1.0, second_person=1.0)
    frame, matte = augment(everybody, 32, eager, np.random.default_rng(0))
    assert matte.min() == 255
    assert np.array_equal(frame, np.broadcast_to(everybody[0][0, 0], frame.shape))


def draw_background(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (int(rng.integers(1, 90)), int(rng.integers(1, 90)), 3), np.uint8)


def draw_other(rng: np.random.Generator) -> Sample:
    return telltale(blob(int(rng.integers(100)), int(rng.integers(1, 90)), int(rng.integers(1, 90))))


def test_seed_decides_everything() -> None:
    before = telltale(blob(5))
    likely = replace(Augment(), **dict.fromkeys([*ALWAYS, "negative"], 0.5), perspective=0.1, others=3)
    for seed in SEEDS:
        one, two, other = (
            augment(before, 48, likely, np.random.default_rng(s), draw_background, draw_other, draw_background)
            for s in (seed, seed, seed + 1000)
        )
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[1], two[1])
        assert not np.array_equal(one[0], other[0])


def test_sample_is_not_written_to() -> None:
    """It comes from the cache, and is needed again in the next epoch."""
    before = telltale(blob(6))
    frame, matte = before[0].copy(), before[1].copy()
    likely = replace(Augment(), **dict.fromkeys(ALWAYS, 1.0), perspective=0.1, others=2)
    for seed in SEEDS:
        augment(before, 64, likely, np.random.default_rng(seed), draw_background, draw_other)
    assert np.array_equal(before[0], frame)
    assert np.array_equal(before[1], matte)


sides = st.integers(1, 90)


@settings(max_examples=150, deadline=None)
@given(sides, sides, st.integers(8, 96), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]))
def test_any_size_gives_a_square_pair(width: int, height: int, size: int, seed: int, likely: float) -> None:
    every = replace(Augment(), **dict.fromkeys([*ALWAYS, "negative"], likely), perspective=likely / 5, others=2)
    frame, matte = augment(
        telltale(blob(seed % 1000, width, height)),
        size,
        every,
        np.random.default_rng(seed),
        draw_background,
        draw_other,
        draw_background,
    )
    assert frame.shape == (size, size, 3)
    assert matte.shape == (size, size)
    assert frame.dtype == matte.dtype == np.uint8


def test_hard_masks_stay_hard_but_at_edges() -> None:
    """A mask of 0 and 255 must not come out in a smaller range, or as grey all over."""
    matte = np.zeros((120, 120), np.uint8)
    cv2.circle(matte, (60, 60), 35, 255, -1)
    for seed in SEEDS:
        after = augment(telltale(matte), 96, Augment(second_person=0.0), np.random.default_rng(seed))[1]
        assert after.max() == 255
        assert np.mean((after > 0) & (after < 255)) < 0.1


def test_all_probabilities_are_tested() -> None:
    amounts = {"rotate", "zoom", "crop", "shift", "stretch", "perspective", "mirror", "others"}
    assert {f.name for f in fields(Augment)} - amounts - {"negative"} == set(ALWAYS)
