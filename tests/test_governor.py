"""The governor on a clock of the test's own: what it does when pictures take long, and when they no longer do."""

from __future__ import annotations

import pytest

from figureground.live.governor import HALF_RATE, LEVELS, Decision, Governor, levels_for


class Machine:
    """A computer on which a picture at full quality takes `cost` seconds, shared with others when `slowdown` > 1."""

    def __init__(self, governor: Governor, cost: float) -> None:
        self.governor, self.cost, self.slowdown, self.now = governor, cost, 1.0, 0.0
        self.decisions: list[Decision] = []
        self.pictures: list[float] = []

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            level = self.governor.level
            busy = self.cost * level.guess / level.rate * self.slowdown
            self.now += max(busy, 1 / (self.governor.fps * level.rate))
            self.pictures.append(self.now)
            decision = self.governor.note(self.now, busy, busy / self.slowdown)
            if decision is not None:
                self.decisions.append(decision)

    def rate(self, seconds: float) -> float:
        return sum(1 for at in self.pictures if at > self.now - seconds) / seconds


def test_a_fast_machine_is_left_alone() -> None:
    machine = Machine(Governor(30), cost=0.010)
    machine.run(60)
    assert machine.decisions == []
    assert machine.governor.level is LEVELS[0]


def test_under_load_the_rate_is_held_and_quality_comes_back_within_five_seconds() -> None:
    machine = Machine(Governor(30), cost=0.020)
    machine.run(5)
    machine.slowdown = 2.2
    machine.run(3)
    assert machine.governor.at > 0
    machine.run(10)
    assert machine.rate(5) >= 25
    machine.slowdown = 1.0
    machine.run(5)
    assert machine.governor.level is LEVELS[0]
    assert all(decision.reason for decision in machine.decisions)


def test_it_goes_down_as_far_as_needed_in_one_step() -> None:
    machine = Machine(Governor(30), cost=0.060)
    machine.run(2.5)
    assert [decision.level for decision in machine.decisions] == [LEVELS[-1].name]


@pytest.mark.parametrize("cost", [0.7, 3.0])
def test_however_slow_the_machine_it_goes_down(cost: float) -> None:
    machine = Machine(Governor(30), cost)
    machine.run(8)
    assert machine.governor.level is LEVELS[-1]


def test_a_slow_first_picture_after_a_pause_is_nothing_to_judge_by() -> None:
    machine = Machine(Governor(30), cost=0.010)
    machine.run(5)
    machine.now += 20
    machine.slowdown = 20.0
    machine.run(0.04)
    machine.slowdown = 1.0
    machine.run(5)
    assert machine.decisions == []


def test_it_does_not_hunt() -> None:
    """At a cost that the best level cannot hold but the next ones can, upgrades grow rare."""
    machine = Machine(Governor(30), cost=0.0345)
    machine.run(300)
    assert len(machine.decisions) <= 2 * 300 / 15
    assert machine.rate(200) >= 28


@pytest.mark.parametrize("cpu", [0.2, 0.4])
def test_a_share_of_the_processor_is_kept(cpu: float) -> None:
    machine = Machine(Governor(30, cpu=cpu), cost=cpu / 30 * 1.3)
    machine.run(30)
    used = machine.cost * machine.governor.level.guess * 30
    assert used <= cpu
    assert "of a core" in machine.decisions[0].reason


@pytest.mark.parametrize("fps", [5, 30])
def test_a_share_that_no_level_keeps_is_kept_at_half_the_rate(fps: float) -> None:
    machine = Machine(Governor(fps, cpu=0.2, levels=levels_for("small", 0.2)), cost=0.2 / fps * 2.5)
    machine.run(20)
    assert [decision.level for decision in machine.decisions] == [HALF_RATE.name]
    assert machine.rate(10) == pytest.approx(fps / 2, abs=0.2)
    machine.cost /= 4
    machine.run(10)
    assert machine.governor.level is LEVELS[0]


def test_levels_cost_less_and_less() -> None:
    for levels in (levels_for("small"), levels_for("base"), levels_for("small", 0.3)):
        guesses = [level.guess for level in levels]
        assert guesses == sorted(guesses, reverse=True)
        assert len({level.name for level in levels}) == len(levels)
    assert {level.model for level in levels_for("base")} == {None, "small"}
