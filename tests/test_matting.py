"""From a camera's frame to its matte: whatever the network says, no matte hides nothing or holds what is no number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from figureground.arrays import Alpha, Frame, check_matte
from figureground.compositor import Compositor
from figureground.errors import FigureGroundError
from figureground.live.governor import LEVELS, Effort
from figureground.live.matting import Matting
from marked import Oracle, leaked, room, shown, true_alpha
from scenes import GREEN, RED, largest_difference, plain

WIDTH, HEIGHT = 320, 180


def one(value: float) -> Callable[[Frame], Any]:
    """The truth, but for one pixel out in the room."""

    def said(picture: Frame) -> Any:
        alpha = true_alpha(picture)
        alpha[3, 3] = value
        return alpha

    return said


SAID: dict[str, Callable[[Frame], Any]] = {
    "no number": lambda picture: np.full(picture.shape[:2], np.nan, np.float32),
    "infinite": lambda picture: np.full(picture.shape[:2], np.inf, np.float32),
    "below 0": lambda picture: np.full(picture.shape[:2], -1, np.float32),
    "above 1": lambda picture: np.full(picture.shape[:2], 1.5, np.float32),
    "everything": lambda picture: np.ones(picture.shape[:2], np.float32),
    "one pixel no number": one(np.nan),
    "one pixel infinite": one(np.inf),
    "too small": lambda picture: np.zeros((4, 4), np.float32),
    "another type": lambda picture: true_alpha(picture).astype(np.float64),
    "nothing": lambda picture: None,
}


@pytest.mark.parametrize("refined", [True, False])
@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("fault", SAID)
def test_a_broken_answer_shows_nothing_of_the_room(fault: str, stable: bool, refined: bool) -> None:
    network, frame = Oracle(), room(WIDTH, HEIGHT, 0.5)
    matting = Matting(network, stabilise=stable, refine=refined)  # type: ignore[arg-type]
    outside = true_alpha(frame) == 0
    want = check_matte(matting(frame, 0.0), like=frame)
    network.fault = SAID[fault]
    try:
        got = check_matte(matting(frame, 0.03), like=frame)
    except (FigureGroundError, TypeError):
        return
    assert not got[outside & (want == 0)].any()


THRIFTY = [level.effort for level in LEVELS if level.effort.reuse]


class Counting(Oracle):
    """How often it was asked is counted."""

    asked = 0

    def run(self, picture: Frame) -> Alpha:
        self.asked += 1
        return super().run(picture)


def watched(effort: Effort, places: list[float], colour: tuple[int, int, int] = RED) -> tuple[int, int, int]:
    """With the figure at `places` before a room of `colour`: times the network ran, pixels leaked, frames shown."""
    network = Counting()
    matting, compositor = Matting(network, stabilise=False), Compositor()  # type: ignore[arg-type]
    matting.effort, leaks, seen = effort, 0, 0
    for number, at in enumerate(places):
        frame = room(1280, 720, at)
        frame[frame[:, :, 0] == 255] = colour
        picture = compositor(frame, matting(frame, number / 30), plain(1280, 720, GREEN))
        leaks, seen = leaks + leaked(picture), seen + shown(picture)
    return network.asked, leaks, seen


@pytest.mark.parametrize("effort", THRIFTY)
def test_an_alpha_serves_again_while_nobody_moves(effort: Effort) -> None:
    assert watched(effort, [0.5] * 12) == (12 // (effort.reuse + 1), 0, 12)


@pytest.mark.parametrize("effort", THRIFTY)
@pytest.mark.parametrize("colour", [RED, (97, 0, 0)], ids=["bright", "as dark as the figure"])
@pytest.mark.parametrize("step", [2, 7, 40])
def test_an_alpha_serves_nobody_who_moves(effort: Effort, colour: tuple[int, int, int], step: int) -> None:
    places = [0.4 + number * step / 1280 for number in range(8)]
    asked, leaks, seen = watched(effort, places, colour)
    assert (leaks, seen) == (0, 8)
    assert asked == 8 or step < 7


@pytest.mark.parametrize("effort", [Effort(), *THRIFTY])
@pytest.mark.parametrize("colour", [RED, (97, 0, 0)], ids=["bright", "as dark as the figure"])
@pytest.mark.parametrize("step", [7, 40, 110])
def test_a_steadied_alpha_leaves_nobody_behind(effort: Effort, colour: tuple[int, int, int], step: int) -> None:
    matting, compositor = Matting(Oracle(), stabilise=True), Compositor()  # type: ignore[arg-type]
    matting.effort = effort
    for number in range(8):
        frame = room(1280, 720, 0.1 + number * step / 1280)
        far = cv2.dilate(frame[:, :, 2], np.ones((51, 51), np.uint8)) == 0
        frame[frame[:, :, 0] == 255] = colour
        picture = compositor(frame, matting(frame, number / 30), plain(1280, 720, GREEN))
        assert shown(picture)
        away = np.where(far[:, :, None], picture, plain(1280, 720, GREEN))
        assert leaked(away) == 0
        assert largest_difference(away, plain(1280, 720, GREEN)) < 32  # what is left of a soft edge


def test_after_a_reset_nobody_is_followed_any_more() -> None:
    """Who was chosen may be gone since, and somebody else stand in that place."""
    matting, passer_by = Matting(Oracle(), "largest"), room(WIDTH, HEIGHT, 0.2, 0.25)  # type: ignore[arg-type]
    assert matting(passer_by, 0.0)[-5, 64] == 255
    both = np.where(passer_by[:, :, 2:] > 200, passer_by, room(WIDTH, HEIGHT, 0.75, 0.5))
    assert (matting(both, 0.03)[-5, [64, 240]] == [255, 0]).all(), "the one who was there first stays chosen"
    matting.reset()
    assert (matting(both, 0.06)[-5, [64, 240]] == [0, 255]).all()


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (640, 480), (333, 187), (90, 160)])
def test_a_matte_has_the_frames_size_whatever_that_is(size: tuple[int, int]) -> None:
    matting = Matting(Oracle())  # type: ignore[arg-type]
    for number, at in enumerate((0.45, 0.5, 0.55)):
        frame = room(*size, at, 0.3 * min(1.0, size[0] / size[1]))
        for effort in (level.effort for level in LEVELS):
            matting.effort = effort
            matte = check_matte(matting(frame, number / 30), like=frame)
            assert matte[-1].max() == 255
            assert not matte[:, : size[0] // 50].any()
