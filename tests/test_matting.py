"""From a camera's frame to its matte: whatever the network says, no matte hides nothing or holds what is no number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from figureground.arrays import Frame, check_matte
from figureground.errors import FigureGroundError
from figureground.live.governor import LEVELS
from figureground.live.matting import Matting
from marked import Oracle, room, true_alpha

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
