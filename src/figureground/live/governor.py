"""Keeps the frame rate, or a share of the processor, by spending less on each picture; and says why.

Every decision rests on times measured over the last second. It goes down as soon as pictures take too long, and up
again when the better level is expected to fit with room to spare; after an upgrade that had to be taken back it waits
twice as long before the next try. So it does not hunt.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import islice

WINDOW = 1.0  # seconds that are looked at, and the least time between two decisions
SETTLED = 0.5  # seconds in which all must be well before more is tried
FAILED = 5.0  # seconds: an upgrade taken back within them has failed
LONGEST = 30.0  # seconds at most until a failed upgrade is tried again
FITS = 0.75  # of the budget: a better level must be expected to stay below


@dataclass(frozen=True, slots=True)
class Effort:
    """What is spent on a picture: the input's sides, of the model's own; an inference for at most `reuse` + 1 pictures.

    `refine`: full-resolution edges.
    """

    scale: float = 1.0
    refine: bool = True
    reuse: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """What it is called, how the model is run, and what that takes in a second, as a part of what the first takes."""

    name: str
    effort: Effort
    guess: float = 1.0
    model: str | None = None  # None: the chosen one
    rate: float = 1.0  # of the pictures asked for


# From the best to the cheapest. Times: processor time of `small` from a 1280x720 frame to its picture, one thread, a
# moving person. Full size without refinement took .88, for edges that wide cost the compositor what they saved.
LEVELS = (
    Level("full", Effort()),
    Level("smaller input", Effort(0.75, reuse=2), guess=0.79),
    Level("smallest input, no refinement", Effort(0.6, refine=False, reuse=5), guess=0.54),
)
# The last resort where a share of the processor is asked for: who asks for that wants it more than smooth motion.
HALF_RATE = replace(LEVELS[-1], name="half the rate", guess=LEVELS[-1].guess / 2, rate=0.5)
SMALL_OF_BASE = 0.61  # of the time of a picture with `base`, measured likewise


def levels_for(model: str, cpu: float | None = None) -> tuple[Level, ...]:
    """The levels for a model, and a share of a core to keep; `base` has `small` to fall back to."""
    levels = LEVELS if cpu is None else (*LEVELS, HALF_RATE)
    if model != "base":
        return levels
    share = SMALL_OF_BASE
    below = (
        replace(level, name=f"small model, {level.name}", guess=level.guess * share, model="small") for level in levels
    )
    return (levels[0], *below)


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of level: when (monotonic seconds), to what, and why."""

    at: float
    level: str
    reason: str


@dataclass(slots=True)
class Governor:
    """Chooses among `levels` so that `fps` pictures a second, and the share `cpu` of a core, are kept.

    Call `note` after every picture; it gives a Decision when the level changes.
    """

    fps: float
    cpu: float | None = None
    levels: tuple[Level, ...] = LEVELS
    at: int = 0  # the index of the level in force
    _pictures: deque[tuple[float, float, float]] = field(default_factory=deque)  # when, seconds busy, processor seconds
    _changed: float | None = None  # when it last did, or began
    _raised: float = float("-inf")  # when it last went up
    _well_since: float | None = None
    _patience: float = SETTLED

    @property
    def level(self) -> Level:
        return self.levels[self.at]

    def note(self, now: float, busy: float, processor: float) -> Decision | None:
        """One picture is out.

        Args:
            now: monotonic seconds.
            busy: seconds from having the frame to having sent the picture.
            processor: seconds of processor time the whole process took since the last picture.
        """
        if self._pictures and now - self._pictures[-1][0] > max(WINDOW, 2 * busy):
            self._pictures.clear()  # a pause: its first picture is slow, and nothing to judge by
        self._pictures.append((now, busy, processor))
        while len(self._pictures) > 2 and self._pictures[0][0] < now - WINDOW:  # a slow machine has no more than two
            self._pictures.popleft()
        self._changed = now if self._changed is None else self._changed
        span = now - self._pictures[0][0]
        if now - self._changed < WINDOW or span < WINDOW / 2:
            return None
        # 1: a picture takes as long as there is until the next.
        there = 1 / (self.fps * self.level.rate)
        load = sum(each[1] for each in self._pictures) / len(self._pictures) / there
        share = sum(each[2] for each in islice(self._pictures, 1, None)) / span
        if load > 1:
            reason = f"a picture takes {1000 * load * there:.0f} ms, {1000 * there:.0f} are there"
            return self._down(now, load, reason)
        if self.cpu is not None and share > self.cpu:
            reason = f"{share:.0%} of a core are used, {self.cpu:.0%} are allowed"
            return self._down(now, share / self.cpu, reason)
        return self._up(now, load, 0.0 if self.cpu is None else share / self.cpu)

    def _down(self, now: float, over: float, reason: str) -> Decision | None:
        """To the first level that is expected to be `over` times cheaper."""
        self._well_since = None
        if self.at == len(self.levels) - 1:
            return None
        if now - self._raised < FAILED:
            self._patience = min(LONGEST, 2 * self._patience)
        cheaper = range(self.at + 1, len(self.levels))
        index = next((i for i in cheaper if over * self._growth(i) <= 1), len(self.levels) - 1)
        return self._to(now, index, reason)

    def _up(self, now: float, load: float, share: float) -> Decision | None:
        if self._well_since is None:
            self._well_since = now
        if self.at == 0 or now - self._well_since < self._patience:
            return None
        if now - self._raised > 2 * LONGEST:
            self._patience = SETTLED  # the trouble is long over
        used = max(load, share)
        index = next((i for i in range(self.at) if used * self._growth(i) <= FITS), None)
        if index is None:
            return None
        self._raised = now
        return self._to(now, index, f"{used:.0%} of what may be spent is used")

    def _growth(self, index: int) -> float:
        """How many times as much is expected to be spent at another level."""
        return self.levels[index].guess / self.level.guess

    def _to(self, now: float, index: int, reason: str) -> Decision:
        self.at, self._changed, self._well_since = index, now, None
        self._pictures.clear()
        return Decision(now, self.level.name, reason)
