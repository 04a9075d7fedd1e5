"""Augmentation: picture and mask stay a pair, and the seed decides everything."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from figureground.training.augment import Matte, Sample, augment, degrade, warp
from figureground.training.config import Augment

ALWAYS = (
    "flip",
    "colour",
    "grey",
    "blur",
    "noise",
    "jpeg",
    "dark",
    "swap_background",
    "second_person",
    "occluder",
    "clothes",
)
OFF = replace(
    Augment(), rotate=0.0, zoom=(1.0, 1.0), shift=0.0, stretch=0.0, negative=0.0, **dict.fromkeys(ALWAYS, 0.0)
)
MOVED = replace(Augment(), **dict.fromkeys(ALWAYS, 0.0), negative=0.0)  # only the geometry varies
SEEDS = range(40)


def blob(seed: int, width: int = 90, height: int = 70) -> Matte:
    """A mask of soft patches, some of which run out of the picture."""
    noise = np.random.default_rng(seed).random((height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), 7)
    scaled = (smooth - np.quantile(smooth, 0.5)) / (np.ptp(smooth) + 1e-9)
    return np.clip(scaled * 2000 + 128, 0, 255).astype(np.uint8)


def telltale(matte: Matte) -> Sample:
    """A picture whose every pixel says what its mask is: red is the mask, green its opposite."""
    return np.dstack([matte, 255 - matte, np.full_like(matte, 77)]), matte


def far_inside(matte: Matte, pixels: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return cv2.erode((matte == 255).astype(np.uint8), kernel, borderValue=(1,)) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_geometry_moves_picture_and_mask_alike(seed: int) -> None:
    before = telltale(blob(seed))
    frame, matte = augment(before, 64, MOVED, np.random.default_rng(seed))
    # Both are interpolated in fixed point: they may round a grey level apart.
    assert np.abs(frame[..., 0].astype(int) - matte).max() <= 1
    assert np.abs(frame[..., 1].astype(int) + matte - 255).max() <= 1
    assert np.all(frame[..., 2] == 77), "nothing is filled with another colour at the border"


def test_geometry_does_move() -> None:
    before = telltale(blob(0))
    made = [augment(before, 64, MOVED, np.random.default_rng(seed))[1] for seed in range(6)]
    assert all((a != b).mean() > 0.1 for number, a in enumerate(made) for b in made[:number])


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"flip": 1.0}, lambda matte: np.roll(matte[:, ::-1], 1, axis=1)),  # about the middle column
        ({"zoom": (0.5, 0.5)}, None),
        ({"rotate": 40.0}, None),
        ({"stretch": 0.5}, None),
        ({"shift": 0.3}, None),
    ],
)
def test_each_setting_does_its_part(change: dict[str, float], moved: object) -> None:
    before = telltale(cv2.resize(blob(1), (64, 64)))
    plain = warp(before, 64, OFF, np.random.default_rng(0))[1]
    assert np.abs(plain.astype(int) - before[1]).max() <= 1, "with all off, a square picture is left as it is"
    changed = warp(before, 64, replace(OFF, **change), np.random.default_rng(0))[1]
    assert (changed != plain).mean() > 0.1
    if callable(moved):
        assert np.abs(changed.astype(int) - moved(plain))[:, 1:].max() <= 1


def test_flip_is_as_likely_as_asked() -> None:
    matte = np.zeros((32, 32), np.uint8)
    matte[:, :16] = 255
    each = [warp(telltale(matte), 32, replace(OFF, flip=0.5), np.random.default_rng(seed))[1] for seed in range(200)]
    assert 70 <= sum(int(made[:, 20:].mean() > 128) for made in each) <= 130


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


@pytest.mark.parametrize("name", ["colour", "grey", "blur", "noise", "jpeg", "dark"])
def test_degradation_changes_the_picture_only(name: str) -> None:
    before = telltale(cv2.resize(blob(3), (64, 64)))
    one = replace(OFF, **{name: 1.0})
    frame, matte = augment(before, 64, one, np.random.default_rng(1))
    plain, same = augment(before, 64, OFF, np.random.default_rng(1))
    assert np.array_equal(matte, same)
    assert np.mean(np.abs(frame.astype(int) - plain)) > 0.2
    if name == "grey":
        assert np.ptp(frame, axis=2).max() == 0
    if name == "dark":
        assert frame.mean() < 0.6 * plain.mean()


def test_degradation_keeps_red_red() -> None:
    """JPEG and grey go through OpenCV, which calls the first channel blue."""
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    out = degrade(red, replace(OFF, jpeg=1.0), np.random.default_rng(0))
    assert out[..., 0].min() > 180
    assert out[..., 1:].max() < 60
    grey = degrade(red, replace(OFF, grey=1.0), np.random.default_rng(0))
    assert abs(int(grey[0, 0, 0]) - 0.299 * 220) <= 1


def draw_background(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (int(rng.integers(1, 90)), int(rng.integers(1, 90)), 3), np.uint8)


def draw_other(rng: np.random.Generator) -> Sample:
    return telltale(blob(int(rng.integers(100)), int(rng.integers(1, 90)), int(rng.integers(1, 90))))


def test_seed_decides_everything() -> None:
    before = telltale(blob(5))
    likely = replace(Augment(), **dict.fromkeys([*ALWAYS, "negative"], 0.5))
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
    likely = replace(Augment(), **dict.fromkeys(ALWAYS, 1.0))
    for seed in SEEDS:
        augment(before, 64, likely, np.random.default_rng(seed), draw_background, draw_other)
    assert np.array_equal(before[0], frame)
    assert np.array_equal(before[1], matte)


sides = st.integers(1, 90)


@settings(max_examples=150, deadline=None)
@given(sides, sides, st.integers(8, 96), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 1.0]))
def test_any_size_gives_a_square_pair(width: int, height: int, size: int, seed: int, likely: float) -> None:
    every = replace(Augment(), **dict.fromkeys([*ALWAYS, "negative"], likely))
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
    probabilities = {f.name for f in fields(Augment)} - {"rotate", "zoom", "shift", "stretch", "negative"}
    assert probabilities == set(ALWAYS)
