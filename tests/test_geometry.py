"""Geometry: picture and mask stay a pair, and every setting moves as far as it says."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from augmenting import MOVED, OFF, SEEDS, blob, coordinates, telltale
from figureground.training.augment import augment
from figureground.training.config import read_recipe
from figureground.training.geometry import happens, warp

MOVES = {
    "as shipped": MOVED,
    "tilted": replace(MOVED, perspective=0.2, flip_vertical=0.5),
    "cut": replace(MOVED, cut=1.0),
}


@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("seed", SEEDS)
def test_geometry_moves_picture_and_mask_alike(moves: str, seed: int) -> None:
    before = telltale(blob(seed))
    frame, matte = augment(before, 64, MOVES[moves], np.random.default_rng(seed))
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
        ({"flip_vertical": 1.0}, lambda matte: np.roll(matte[::-1], 1, axis=0)),
        ({"zoom": (0.5, 0.5)}, None),
        ({"rotate": 40.0}, None),
        ({"stretch": 0.5}, None),
        ({"shift": 0.15}, None),
        ({"perspective": 0.2}, None),
        ({"cut": 1.0}, None),
    ],
)
def test_each_setting_does_its_part(change: dict[str, float], moved: object) -> None:
    before = telltale(cv2.resize(blob(1), (64, 64)))
    plain = warp(before, 64, OFF, np.random.default_rng(0))[1]
    assert np.abs(plain.astype(int) - before[1]).max() <= 1, "with all off, a square picture is left as it is"
    changed = warp(before, 64, replace(OFF, **change), np.random.default_rng(0))[1]
    assert (changed != plain).mean() > 0.1
    if callable(moved):
        assert np.abs(changed.astype(int) - moved(plain))[1:, 1:].max() <= 1


def test_flip_is_as_likely_as_asked() -> None:
    matte = np.zeros((32, 32), np.uint8)
    matte[:, :16] = 255
    each = [warp(telltale(matte), 32, replace(OFF, flip=0.5), np.random.default_rng(seed))[1] for seed in range(200)]
    assert 70 <= sum(int(made[:, 20:].mean() > 128) for made in each) <= 130


def place(frame: NDArray[np.uint8], row: int, column: int) -> NDArray[np.float64]:
    """Where in a picture of `coordinates` a pixel came from: column, row."""
    return frame[row, column, :2].astype(np.float64)


def test_classic_moves_as_far_as_the_starting_point_did() -> None:
    """Rotation 20 degrees, shifts and zoom 10 %, flip; nothing else changes the picture."""
    before, settings = coordinates(256, 256), read_recipe("classic").augment
    angles, zooms, shifts, flips = [], [], [], []
    for seed in range(400):
        frame, _ = augment(before, 256, settings, np.random.default_rng(seed))
        assert not frame[..., 2].any()
        across, down = (place(frame, 128, 158) - place(frame, 128, 98)), place(frame, 158, 128) - place(frame, 98, 128)
        flips.append(across[0] < 0)
        angles.append(np.degrees(np.arctan2(down[0], down[1])))
        zooms.append(np.hypot(*down) / 60)
        assert np.hypot(*across) / 60 == pytest.approx(zooms[-1], abs=0.04), "no stretching"
        shifts.append((place(frame, 128, 128) - 128) / 256)
    for values, low, high, slack in ((angles, -20, 20, 2), (zooms, 0.9, 1.1, 0.03), (shifts, -0.1, 0.1, 0.02)):
        assert low - slack <= np.min(values) <= low + slack
        assert high - slack <= np.max(values) <= high + slack
    assert 0.4 < np.mean(flips) < 0.6


def test_a_crop_lies_anywhere_in_the_picture_or_in_its_middle() -> None:
    before, close = coordinates(200, 120), replace(OFF, zoom=(0.3, 0.3))  # 60 pixels wide and high
    for crop, widest in ((0.0, (0, 0)), (0.5, (35, 15)), (1.0, (70, 30))):
        settings = replace(close, crop=crop)
        centres = [place(warp(before, 60, settings, np.random.default_rng(seed))[0], 30, 30) for seed in range(200)]
        off = np.abs(np.array(centres) - (100, 60)).max(axis=0)
        assert np.all(np.abs(off - widest) <= (3, 2))


def test_corners_move_as_far_as_perspective_says() -> None:
    before = coordinates(200, 200)
    tilted = replace(OFF, perspective=0.15, zoom=(0.5, 0.5), crop=0.0)  # the crop's corners are at 50 and 150
    off = []
    for seed in range(200):
        frame, _ = warp(before, 100, tilted, np.random.default_rng(seed))
        corners = [place(frame, row, column) for row in (0, 99) for column in (0, 99)]
        off.append(np.abs(np.array(corners) - [(50, 50), (149, 50), (50, 149), (149, 149)]).max())
    assert 13 <= max(off) <= 17


def test_perspective_keeps_straight_lines_straight() -> None:
    """Where rows meet columns moves, but three points of a line stay in line."""
    before, tilted = coordinates(200, 200), replace(OFF, perspective=0.2, zoom=(0.5, 0.5), crop=0.0)
    for seed in SEEDS:
        frame, _ = warp(before, 100, tilted, np.random.default_rng(seed))
        first, middle, last = (place(frame, 10, column) for column in (5, 50, 95))
        (ax, ay), (bx, by) = middle - first, last - first
        assert abs(ax * by - ay * bx) / np.hypot(bx, by) <= 1.5


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_outside_the_picture(mirror: float) -> None:
    """A picture in the middle of a crop twice its size."""
    frame, _ = warp(coordinates(64, 64), 64, replace(OFF, zoom=(2.0, 2.0), mirror=mirror), np.random.default_rng(0))
    assert place(frame, 32, 4)[0] == (pytest.approx(24, abs=1) if mirror else 0)
    assert place(frame, 32, 60)[0] == (pytest.approx(38, abs=1) if mirror else 63)


@pytest.mark.parametrize("centre", [(30, 40), (90, 40), (60, 80)])
def test_the_frame_cuts_the_person(centre: tuple[int, int]) -> None:
    matte = np.zeros((120, 120), np.uint8)
    cv2.circle(matte, centre, 20, 255, -1)
    for seed in SEEDS:
        near = replace(OFF, cut=1.0, zoom=(0.6, 1.0), stretch=0.2, mirror=0.0)
        after = warp(telltale(matte), 120, near, np.random.default_rng(seed))[1] > 127
        assert any(edge.any() for edge in (after[0], after[-1], after[:, 0], after[:, -1]))
        assert after.any()


def test_there_is_nobody_to_cut() -> None:
    before = telltale(np.zeros((40, 60), np.uint8))
    assert not warp(before, 32, replace(MOVED, cut=1.0), np.random.default_rng(0))[1].any()


def test_what_never_happens_draws_nothing() -> None:
    """Or a setting that is off would change what every older seed gives."""
    rng = np.random.default_rng(0)
    assert not any(happens(0.0, rng) for _ in range(10))
    assert rng.random() == np.random.default_rng(0).random()
    assert all(happens(1.0, rng) for _ in range(10))
