"""Where everything of an evaluation's charts stands: places on the axes, as shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from figureground.data.page import Tick
from figureground.evaluation.bootstrap import Interval

_TICKS = 5  # of an axis, about


@dataclass(frozen=True, slots=True)
class Mark:
    """A model's figure in one row: the dot and the ends of its interval; `model` is its number, for its colour."""

    model: int
    at: float
    low: float
    high: float
    says: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a dot chart: its name, a note such as how many pictures, its marks."""

    name: str
    note: str
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class DotChart:
    """Rows of dots with intervals over one axis; `zero` is the place of nought where that means something."""

    title: str
    rows: list[Row]
    ticks: list[Tick]
    zero: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """A model's line: (x, y) points."""

    model: int
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over two axes."""

    title: str
    across: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


Figure = tuple[float, Interval]


def dot_chart(
    title: str,
    rows: Mapping[str, Sequence[Figure]],
    notes: Mapping[str, str],
    names: Sequence[str],
    write: Callable[[float], str],
    signed: bool = False,
) -> DotChart:
    """One dot a model in each row; the axis runs from the lowest to the highest interval.

    With `signed` it runs over nought, and the first model is the one that the others are compared with: it has none.
    """
    ends = [end for marks in rows.values() for _, interval in marks for end in interval]
    ticks = _round_ticks(min([*ends, 0.0] if signed else ends), max([*ends, 0.0] if signed else ends))
    low, high = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return (value - low) / (high - low)

    def mark(model: int, figure: Figure) -> Mark:
        mean, (least, most) = figure
        says = f"{names[model]}: {write(mean)} ({write(least)} to {write(most)})"
        return Mark(model + signed, place(mean), place(least), place(most), says)

    return DotChart(
        title,
        [Row(name, notes.get(name, ""), [mark(*each) for each in enumerate(marks)]) for name, marks in rows.items()],
        [Tick(place(value), f"{value:+g}" if signed and value else f"{value:g}") for value in ticks],
        place(0.0) if signed else None,
    )


def line_chart(
    title: str,
    across: str,
    lines: Sequence[tuple[int, Sequence[float], Sequence[float]]],
    x_range: tuple[float, float] = (0.0, 1.0),
    y_range: tuple[float, float] | None = None,
) -> LineChart:
    """Lines of (model, x, y); the y axis spans what there is unless it is given."""
    values = [value for _, _, y in lines for value in y]
    y_ticks = _round_ticks(*(y_range or (min(values), max(values))))
    x_ticks = _round_ticks(*x_range)

    def place(value: float, ticks: Sequence[float]) -> float:
        return (value - ticks[0]) / (ticks[-1] - ticks[0])

    drawn = [
        Line(model, [(place(a, x_ticks), place(b, y_ticks)) for a, b in zip(x, y, strict=True)])
        for model, x, y in lines
    ]
    return LineChart(
        title,
        across,
        drawn,
        [Tick(place(value, x_ticks), f"{value:g}") for value in x_ticks],
        [Tick(place(value, y_ticks), f"{value:g}") for value in y_ticks],
    )


def _round_ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly spaced, from at most `low` to at least `high`."""
    raw = max((high - low) / _TICKS, 1e-6)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]
