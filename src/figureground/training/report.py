"""The report of a training run: one HTML file that needs nothing but itself."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from figureground.atomic import atomic_path
from figureground.data import page
from figureground.data.page import Thumbnail, Tick, data_uri
from figureground.training.checkpoint import Progress
from figureground.training.config import Recipe
from figureground.training.curves import PANELS, column, panel_limits
from figureground.training.run import flat
from figureground.training.samples import Prediction

if TYPE_CHECKING:
    from jinja2 import Template

ROWS = 400  # of the table of validations
TICKS = 4
GAP, GREY = 4, 128  # between a sample's pictures: seen on light paper and on dark


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its name, its CSS class, its points as an SVG path of 1 by 1, its last value."""

    name: str
    kind: str
    path: str
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A panel of curves with its axes; `best` is the best epoch's place on the horizontal one, a share."""

    title: str
    lines: list[Line]
    across: list[Tick]
    up: list[Tick]
    best: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A validation picture with its truth and prediction side by side."""

    id: str
    iou: float
    picture: Thumbnail


def load_report() -> Template:
    """Load the report's template.

    Raises:
        ModuleNotFoundError: jinja2 is not installed.
    """
    return page.load_template(__package__, "report.html.jinja")


def write_report(
    run: Path,
    progress: Progress,
    predictions: Sequence[Prediction],
    kept: Mapping[str, tuple[int, int]],
    template: Template,
) -> None:
    """Write RUN/report.html.

    Args:
        run: the run's folder with its config.json and environment.json.
        progress: the run, with a row for every validation.
        predictions: what the best weights give.
        kept: for each split, how many of how many pictures were held in memory.
        template: as `load_report` gives it.

    Raises:
        OutputError: it cannot be written.
    """
    text = render(run, progress, predictions, kept, template)
    with atomic_path(run / "report.html") as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files need not be text


def render(
    run: Path,
    progress: Progress,
    predictions: Sequence[Prediction],
    kept: Mapping[str, tuple[int, int]],
    template: Template,
) -> str:
    """Give the report's HTML. All text from outside is escaped, and no address leads out of the page."""
    config, environment = (json.loads((run / name).read_text()) for name in ("config.json", "environment.json"))
    settings = flat(config)
    default = flat(json.loads(json.dumps(asdict(Recipe("")))))
    return template.render(
        name=config["name"],
        config=config,
        settings=settings,
        changed={name: value for name, value in settings.items() if value != default.get(name) and name != "name"},
        environment=environment,
        progress=progress,
        best=next(row for row in progress.rows if row["epoch"] == progress.best_epoch),
        charts=[_chart(title, lines, progress) for title, lines in PANELS],
        rows=progress.rows[-ROWS:],
        samples=[_sample(prediction) for prediction in predictions],
        kept=kept,
        wait=progress.data_seconds / progress.seconds if progress.seconds else 0.0,
        run=shlex.quote(str(run)),
        dataset=shlex.quote(config["dataset"]),
        duration=duration,
        is_early=0 < config["patience"] <= progress.waited,
    )


def duration(seconds: float) -> str:
    """Seconds in words: 3 h 12 min, 4 min 10 s, 12 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _chart(title: str, lines: Sequence[tuple[str, str, str]], progress: Progress) -> Chart:
    epochs = column(progress.rows, "epoch")
    columns = {name: column(progress.rows, name) for name, *_ in lines}
    low, high = panel_limits(title, [value for values in columns.values() for value in values])
    across = [_share(epoch, epochs[0], epochs[-1]) for epoch in epochs]
    drawn = []
    for place, (name, label, _) in enumerate(lines):
        up = [_share(value, low, high) for value in columns[name]]
        drawn.append(Line(label, ("first", "second")[place], _path(across, up), f"{columns[name][-1]:.3f}"))
    return Chart(
        title,
        drawn,
        [Tick(_share(epoch, epochs[0], epochs[-1]), f"{epoch:.0f}") for epoch in _some(epochs)],
        [Tick(_share(value, low, high), f"{value:.10g}") for value in round_values(low, high)],
        _share(progress.best_epoch, epochs[0], epochs[-1]),
    )


def round_values(low: float, high: float) -> list[float]:
    """Some `TICKS` round numbers between `low` and `high`, which are not equal."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= 0.99 * rough)
    return [round(n * step, 12) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _some(epochs: Sequence[float]) -> list[float]:
    chosen = np.linspace(0, len(epochs) - 1, min(len(epochs), TICKS + 2)).round().astype(int)
    return [epochs[place] for place in chosen.tolist()]


def _path(across: Sequence[float], up: Sequence[float]) -> str:
    """An SVG path through the points, in a square of 1000 by 1000 with its origin at the top, and gaps in it."""
    parts, gap = [], True
    for x, y in zip(across, up, strict=True):
        if math.isfinite(y):
            parts.append(f"{'M' if gap else 'L'}{1000 * x:.0f} {1000 * (1 - y):.0f}")
        gap = not math.isfinite(y)
    return "".join(parts)


def _sample(prediction: Prediction) -> Sample:
    gap = np.full((prediction.cells[0].shape[0], GAP, 3), GREY, np.uint8)
    first, *others = prediction.cells
    strip = Image.fromarray(np.hstack([first, *(part for cell in others for part in (gap, cell))]))
    return Sample(prediction.id, prediction.iou, Thumbnail(data_uri(strip, "WEBP"), strip.width, strip.height))
