"""Colours and what cameras do to them: only the picture changes, and nothing wraps around at black or white."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from augmenting import OFF, SEEDS, blob, telltale
from figureground.training.augment import augment
from figureground.training.colour import degrade, match_light

EVERYWHERE = np.ones((64, 64), np.bool_)


@pytest.mark.parametrize("name", ["colour", "grey", "blur", "motion", "noise", "jpeg", "dark"])
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


@pytest.mark.parametrize("name", ["blur", "motion", "noise", "jpeg"])
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_do_not_wrap_around(name: str, level: int) -> None:
    flat = np.full((64, 64, 3), level, np.uint8)
    for seed in SEEDS:
        out = degrade(flat, replace(OFF, **{name: 1.0}), np.random.default_rng(seed))
        assert np.abs(out.astype(int) - level).max() <= (60 if name == "noise" else 2)


def test_motion_blurs_along_one_line() -> None:
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    angles = []
    for seed in SEEDS:
        out = degrade(point, replace(OFF, motion=1.0), np.random.default_rng(seed))[..., 0].astype(float)
        assert out.sum() == pytest.approx(255, abs=20), "as bright as before"
        rows, columns = np.nonzero(out > 4)
        assert max(np.abs(rows - 20).max(), np.abs(columns - 20).max()) <= 5
        spread = np.cov(np.vstack([columns, rows]), aweights=out[rows, columns])
        values, vectors = np.linalg.eigh(spread)
        assert values[0] < 0.5
        if values[1] > 2:
            angles.append(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180)
    assert np.ptp(angles) > 90, "in all directions"


def test_light_of_another_room() -> None:
    frame = np.full((64, 64, 3), (120, 110, 100), np.uint8)
    for like in ((90, 90, 80), (150, 140, 150), (110, 118, 125)):
        room = np.full((30, 40, 3), like, np.uint8)
        lit = match_light(frame, EVERYWHERE, room, 1.0)
        assert np.abs(lit[0, 0].astype(int) - like).max() <= 8
        half = match_light(frame, EVERYWHERE, room, 0.5)
        assert np.abs(half[0, 0] - (lit[0, 0].astype(float) + frame[0, 0]) / 2).max() <= 4
        assert np.array_equal(match_light(frame, EVERYWHERE, room, 0.0), frame)


@pytest.mark.parametrize("level", [0, 255])
def test_light_has_its_limits(level: int) -> None:
    """A black or white room makes nobody black or white, and cuts off no highlights."""
    frame = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    lit = match_light(frame, np.ones((1, 256), np.bool_), np.full((8, 8, 3), level, np.uint8), 1.0)[0, :, 0]
    assert lit[0] == 0
    assert lit[255] == 255
    assert np.all(np.diff(lit.astype(int)) >= 0)
    assert 60 < lit[128] < 180


def test_too_little_of_a_room_says_nothing_of_its_light() -> None:
    frame = np.full((64, 64, 3), (120, 110, 100), np.uint8)
    room = np.zeros((64, 64), np.bool_)
    room[:5] = True
    assert np.array_equal(match_light(frame, room, np.zeros((8, 8, 3), np.uint8), 1.0), frame)
