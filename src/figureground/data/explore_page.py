"""The report of `explore`: one HTML file that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from figureground.atomic import atomic_path
from figureground.data import page
from figureground.data.explore import Exploration, Histogram, Source, Spread
from figureground.data.measure import KINDS
from figureground.data.page import Thumbnail, Tick, data_uri, outline, percent, plain, short, shrink
from figureground.data.pairs import Entry
from figureground.errors import FigureGroundError
from figureground.images import read_image, read_matte

if TYPE_CHECKING:
    from jinja2 import Template

SOURCES = 12  # drawn in charts and samples; the tables hold them all
PICTURES = 12  # of each kind of finding
PAIRS = 12
ROWS = 100  # of a table of findings


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is named, explained and written."""

    title: str
    note: str
    write: Callable[[float], str]
    logarithmic: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A histogram's bar: its place and width on the axis and its height, as shares; what it says when asked."""

    left: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, slots=True)
class Range:
    """A source's spread: places on the axis, as shares."""

    name: str
    p5: float
    p25: float
    median: float
    p75: float
    p95: float
    says: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure, drawn: over all pictures as a histogram, by source as ranges."""

    name: str
    measure: Measure
    overall: Spread
    highest: int
    bars: list[Bar]
    ticks: list[Tick]
    ranges: list[Range]


MEASURES = {
    "coverage": Measure("Coverage", "Share of the picture that is person.", percent),
    "parts": Measure("Parts", "Separate pieces of the mask, specks left out.", plain, whole=True),
    "specks": Measure("Specks", "Pieces of the mask under 0.02 % of the picture.", plain, whole=True),
    "boundary": Measure("Boundary", "Length of the outline, in picture diagonals.", short),
    "longest side": Measure("Longest side", "Of the picture, in pixels.", plain, logarithmic=True),
    "aspect ratio": Measure("Aspect ratio", "Width over height: under 1 is upright.", short, logarithmic=True),
    "brightness": Measure("Brightness", "Mean grey, 0 black to 255 white.", plain),
    "sharpness": Measure(
        "Sharpness", "Variance of the Laplacian at 256 pixels: low is blurred, or plain.", plain, logarithmic=True
    ),
}


def load_template() -> Template:
    """Load the page's template.

    Raises:
        ModuleNotFoundError: jinja2 is not installed.
    """
    return page.load_template("figureground.data", "explore.html.jinja")


def write_page(exploration: Exploration, dataset: Path, output: Path, template: Template) -> None:
    """Write the report as one HTML file; the samples are read from `dataset` once more.

    Raises:
        OutputError: the file cannot be written.
    """
    text = render(exploration, dataset, template)
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(exploration: Exploration, dataset: Path, template: Template) -> str:
    """Give the report's HTML. All text of the dataset is escaped, and no address leads out of the page."""
    drawn = sorted(exploration.sources, key=lambda source: -source.pictures)[:SOURCES]

    @cache
    def thumbnail(entry: Entry) -> Thumbnail | None:
        return draw(dataset / entry.image, dataset / entry.mask)

    return template.render(
        it=exploration,
        drawn=drawn,
        charts=[
            chart(name, exploration.histograms[name], exploration.overall, drawn)
            for name in MEASURES
            if name in exploration.overall.spreads
        ],
        measures=MEASURES,
        kinds=KINDS,
        odd=sum(exploration.found.values()) - exploration.found["unreadable"],
        leaks=[pair for pair in exploration.pairs if pair.leak],
        across=[pair for pair in exploration.pairs if not pair.leak and not pair.same_group],
        within=[pair for pair in exploration.pairs if not pair.leak and pair.same_group],
        most={"pictures": PICTURES, "pairs": PAIRS, "rows": ROWS},
        thumbnail=thumbnail,
        heat=heat,
    )


def chart(name: str, histogram: Histogram, overall: Source, sources: Sequence[Source]) -> Chart:
    """Work out where everything of one measure's chart stands."""
    measure, edges = MEASURES[name], histogram.edges
    places = [_place(edge, edges, measure.logarithmic) for edge in edges]
    highest = max(histogram.counts)
    bars = [
        Bar(left, right - left, count / max(1, highest), f"{_bin(measure, edges, n)}: {count:,} pictures")
        for n, (left, right, count) in enumerate(zip(places, places[1:], histogram.counts, strict=False))
    ]
    spreads = {source.name: source.spreads[name] for source in sources if name in source.spreads}
    ranges = [_range(label, spread, measure, edges) for label, spread in spreads.items()]
    return Chart(name, measure, overall.spreads[name], highest, bars, _ticks(measure, edges, places), ranges)


def _place(value: float, edges: Sequence[float], logarithmic: bool) -> float:
    low, high = edges[0], edges[-1]
    value = min(max(value, low), high)
    if logarithmic:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _bin(measure: Measure, edges: Sequence[float], n: int) -> str:
    if measure.whole:
        return measure.write(edges[n]) + (" or more" if n == len(edges) - 2 else "")
    return f"{measure.write(edges[n])} to {measure.write(edges[n + 1])}"


def _ticks(measure: Measure, edges: Sequence[float], places: Sequence[float]) -> list[Tick]:
    if not measure.whole:
        bins = len(edges) - 1
        step = bins // (4 if bins % 5 else 5)
        return [Tick(places[n], measure.write(edges[n])) for n in range(0, len(edges), step)]
    last = len(edges) - 2
    labels = [measure.write(edge) + ("+" if n == last else "") for n, edge in enumerate(edges[:-1])]
    return [Tick((places[n] + places[n + 1]) / 2, label) for n, label in enumerate(labels)]


def _range(name: str, spread: Spread, measure: Measure, edges: Sequence[float]) -> Range:
    figures = (spread.p5, spread.p25, spread.median, spread.p75, spread.p95)
    shift = 0.5 if measure.whole else 0.0  # to the middle of the bin that holds the whole number
    p5, p25, median, p75, p95 = (_place(figure + shift, edges, measure.logarithmic) for figure in figures)
    low, middle, high = (measure.write(figure) for figure in (spread.p5, spread.median, spread.p95))
    return Range(name, p5, p25, median, p75, p95, f"{name}: median {middle}, 90 % between {low} and {high}")


def heat(position: list[list[float]]) -> str:
    """A position map as a PNG's data URI, dark where nobody is, bright where somebody always is."""
    grid = np.asarray(position, np.float32)
    large = cv2.resize(grid, (256, 256), interpolation=cv2.INTER_CUBIC)
    levels = np.clip(large * 255 + 0.5, 0, 255).astype(np.uint8)
    coloured = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[:, :, ::-1]
    # A palette of 64 levels halves the file, and nobody can tell.
    return data_uri(Image.fromarray(np.ascontiguousarray(coloured)).quantize(64), "PNG")


def draw(image: Path, mask: Path) -> Thumbnail | None:
    """A picture made small, the outline of its mask on it; without outline or None if they cannot be read."""
    try:
        frame = shrink(read_image(image))
    except (FigureGroundError, OSError):
        return None
    height, width = frame.shape[:2]
    try:
        matte = cv2.resize(read_matte(mask), (width, height), interpolation=cv2.INTER_AREA)
        frame = outline(frame, matte >= 128)
    except (FigureGroundError, OSError):
        pass  # the finding beside it says that the mask cannot be read
    return Thumbnail.of(frame)
