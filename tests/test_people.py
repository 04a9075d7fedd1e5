"""Who is kept of several people, and that the choice does not jump."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.arrays import Alpha
from figureground.errors import InputError
from figureground.people import LOST, Choice

WIDTH, HEIGHT = 160, 90


def people(*circles: tuple[int, int, int]) -> Alpha:
    """People as discs of (x, y, radius) with soft edges."""
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    for x, y, radius in circles:
        cv2.circle(alpha, (x, y), radius, 1, -1)
    return cv2.GaussianBlur(alpha, (5, 5), 0)


def kept(alpha: Alpha, x: int, y: int) -> bool:
    return bool(alpha[y, x] > 0.9)


SMALL, LARGE, FAR = (80, 45, 12), (35, 45, 22), (140, 30, 10)
discs = st.lists(st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT), st.integers(2, 25)), max_size=4)


@given(st.lists(discs, min_size=1, max_size=4), st.sampled_from(["everyone", "largest", "centre"]))
@settings(max_examples=60, deadline=None)
def test_a_choice_only_takes_away(frames: list[list[tuple[int, int, int]]], which: str) -> None:
    choice = Choice(which)
    for each in frames:
        alpha = people(*each)
        left = choice(alpha)
        assert ((left == alpha) | (left == 0)).all()
        assert left.dtype == np.float32
        count = cv2.connectedComponents((left >= 0.5).view(np.uint8))[0] - 1
        assert which == "everyone" or count <= 1 or min(radius for *_, radius in each) < 8  # small parts may go along


def test_who_is_chosen() -> None:
    alpha = people(SMALL, LARGE, FAR)
    largest, centre = Choice("largest")(alpha), Choice("centre")(alpha)
    assert [kept(largest, *each[:2]) for each in (SMALL, LARGE, FAR)] == [False, True, False]
    assert [kept(centre, *each[:2]) for each in (SMALL, LARGE, FAR)] == [True, False, False]
    assert Choice("everyone")(alpha) is alpha


def test_the_soft_edge_stays() -> None:
    alone, together = people(LARGE), people(LARGE, FAR)
    np.testing.assert_array_equal(Choice("largest")(together), alone)


def test_one_person_passes_as_they_are() -> None:
    alpha = people(SMALL)
    assert Choice("largest")(alpha) is alpha


def test_the_chosen_one_stays_though_another_grows() -> None:
    choice = Choice("largest")
    choice(people(LARGE, FAR))
    for radius in range(10, 30, 4):
        alpha = choice(people((35, 45, 14), (125, 45, radius)))
        assert kept(alpha, 35, 45)
        assert not kept(alpha, 125, 45)


def test_the_chosen_one_may_walk_past_the_centre() -> None:
    choice = Choice("centre")
    choice(people((80, 45, 12), (20, 45, 12)))
    for x in range(80, 140, 6):
        alpha = choice(people((x, 45, 12), (40, 45, 12)))
        assert kept(alpha, x, 45)
        assert not kept(alpha, 40, 45)


def test_nobody_else_is_shown_while_the_chosen_one_is_missing_for_a_moment() -> None:
    choice = Choice("largest")
    choice(people(LARGE, FAR))
    for _ in range(LOST):
        assert not choice(people(FAR)).any()
    assert kept(choice(people(LARGE, FAR)), *LARGE[:2])


def test_after_that_another_is_chosen() -> None:
    choice = Choice("largest")
    choice(people(LARGE, FAR))
    for _ in range(LOST):
        choice(people(FAR))
    assert kept(choice(people(FAR)), *FAR[:2])


def test_a_lock_of_hair_stays_with_its_head() -> None:
    alpha = choice = Choice("largest")(people((60, 45, 20), (83, 45, 2)))
    assert choice[45, 83] > 0.5
    assert kept(alpha, 60, 45)


def test_forgotten_after_a_reset_or_another_size() -> None:
    choice = Choice("largest")
    choice(people(LARGE, FAR))
    choice.reset()
    assert kept(choice(people((35, 45, 10), (125, 45, 20))), 125, 45)
    wide = np.zeros((HEIGHT, 2 * WIDTH), np.float32)
    wide[:40, 200:260] = 1
    assert choice(wide)[20, 230] == 1


def test_nobody() -> None:
    for which in ("everyone", "largest", "centre"):
        assert not Choice(which)(np.zeros((HEIGHT, WIDTH), np.float32)).any()


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(InputError, match="everyone, largest, centre"):
        Choice("nearest")
