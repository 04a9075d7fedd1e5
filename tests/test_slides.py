"""A slideshow behind the live picture: at the right times, and never a wait for a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from figureground.arrays import Frame
from figureground.backgrounds import Background, Slideshow
from figureground.errors import BackgroundError
from figureground.images import write_image
from figureground.live import Settings, parts
from figureground.live.parts import make_parts
from marked import Oracle
from scenes import BLUE, GREEN, RED, noise, plain

SIZE = (40, 30)
BLACK = plain(*SIZE, (0, 0, 0))


class Door:
    """Where whoever reads a picture must pass; it counts them."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.read: list[int] = []

    def guards(self, read: Callable[[Slideshow, int], Frame]) -> Callable[[Slideshow, int], Frame]:
        def guarded(show: Slideshow, number: int) -> Frame:
            self.read.append(number)
            if number > 0:
                assert self.open.wait(20)
            return read(show, number)

        return guarded


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    door = Door()
    monkeypatch.setattr(Slideshow, "read", door.guards(Slideshow.read))
    monkeypatch.setattr(parts, "Engine", lambda *args, **names: Oracle())
    yield door
    door.open.set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        write_image(tmp_path / f"{name}.png", plain(80, 60, colour))
    return tmp_path


def live_background(folder: Path) -> Background:
    return make_parts(Settings(background=str(folder)), *SIZE, 0.0).background


def shown(background: Background, seconds: float) -> tuple[int, ...]:
    picture = background(BLACK, np.zeros(BLACK.shape[:2], np.uint8), Fraction(seconds))
    assert picture.shape == BLACK.shape
    return tuple(picture[15, 20].tolist())


def wait_for_colour(background: Background, seconds: float, colour: tuple[int, ...]) -> None:
    for _ in range(1000):
        if shown(background, seconds) == colour:
            return
        time.sleep(0.01)
    raise AssertionError(f"{colour} does not come")


def test_the_picture_before_stays_until_the_next_is_read(folder: Path, door: Door) -> None:
    background = live_background(folder)
    for seconds in (0, 5, 10, 15, 19.9):
        assert shown(background, seconds) == RED
    door.open.set()
    wait_for_colour(background, 19.9, GREEN)


def test_the_next_picture_is_read_before_its_time(folder: Path, door: Door) -> None:
    background = live_background(folder)
    door.open.set()
    for round in range(2):
        for number, colour in enumerate((RED, GREEN, BLUE)):
            begin = 10 * (3 * round + number)
            wait_for_colour(background, begin, colour)
            assert shown(background, begin + 9.9) == colour
    # Only what comes next: a folder may hold more pictures than the memory.
    assert door.read in ([0, 1, 2, 0, 1, 2, 0], [0, 1, 2, 0, 1, 2])


def test_one_whose_time_passed_while_it_was_read_is_left_out(folder: Path, door: Door) -> None:
    background = live_background(folder)
    assert shown(background, 25) == RED
    door.open.set()
    wait_for_colour(background, 25, BLUE)


def test_a_single_picture_is_read_once(tmp_path: Path, door: Door) -> None:
    write_image(tmp_path / "a.png", plain(80, 60, RED))
    background = live_background(tmp_path)
    assert [shown(background, seconds) for seconds in (0, 10, 20)] == [RED] * 3
    assert door.read == [0]


def test_a_picture_that_cannot_be_read_is_named_at_its_time_and_only_then(folder: Path, door: Door) -> None:
    cut = folder / "b.png"
    write_image(cut, noise(80, 60))
    cut.write_bytes(cut.read_bytes()[:-3000])
    background = live_background(folder)
    door.open.set()
    assert shown(background, 9) == RED
    with pytest.raises(BackgroundError, match=r"^background .*b\.png: cannot be read"):
        wait_for_colour(background, 10, GREEN)
    with pytest.raises(BackgroundError):
        shown(background, 19)
    for _ in range(1000):
        try:
            wait_for_colour(background, 20, BLUE)
            return
        except BackgroundError:  # until the next one is ready, as before
            time.sleep(0.01)
    raise AssertionError("the show does not go on")
