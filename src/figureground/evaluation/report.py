"""The report of `evaluate`: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from figureground.atomic import atomic_path
from figureground.data import page
from figureground.data.manifest import Item, read_manifest
from figureground.evaluation import cases
from figureground.evaluation.cases import Case, Cases
from figureground.evaluation.charts import DotChart, Figure, LineChart, dot_chart, line_chart
from figureground.evaluation.compare import Comparison, StreamComparison, labels
from figureground.evaluation.evaluate import BRIGHT, DARK, LARGE, SMALL, Picture, Segment, SourceScores
from figureground.evaluation.stream_report import render_stream
from figureground.images import read_image

if TYPE_CHECKING:
    from jinja2 import Template

# How a measure is named, explained and written, and whether more is better.
MEASURES: dict[str, tuple[str, str, str, bool]] = {
    "accuracy": ("Pixel accuracy", "Share of pixels decided rightly.", "{:.4f}", True),
    "iou": ("IoU", "Intersection over union of the person.", "{:.3f}", True),
    "dice": ("Dice", "Twice the intersection over the sum of areas; F1.", "{:.3f}", True),
    "precision": ("Precision", "Share of the guess that is person.", "{:.3f}", True),
    "recall": ("Recall", "Share of the person that is found.", "{:.3f}", True),
    "boundary_iou": ("Boundary IoU", "IoU within 2 % of the diagonal inside the outlines.", "{:.3f}", True),
    "boundary_f": ("Boundary F", "Outlines within 0.75 % of the diagonal of each other.", "{:.3f}", True),
    "mad": ("MAD", "Mean absolute difference of alphas.", "{:.4f}", False),
    "mse": ("MSE", "Mean squared difference of alphas.", "{:.4f}", False),
    "gradient": ("Grad", "Squared difference of gradients, in thousands.", "{:.2f}", False),
    "connectivity": ("Conn", "Difference in connectedness, in thousands.", "{:.2f}", False),
}
SIZES = {
    "nobody": "no person",
    "small": f"under {SMALL * 100:.0f} % of the picture",
    "medium": f"{SMALL * 100:.0f} to {LARGE * 100:.0f} %",
    "large": f"{LARGE * 100:.0f} % or more",
}
BRIGHTNESSES = {
    "dark": f"under {DARK:.0f} of 255",
    "middling": f"{DARK:.0f} to {BRIGHT:.0f}",
    "bright": f"{BRIGHT:.0f} or more",
}


def load_template(stream: bool = False) -> Template:
    """Load the report's template, for a dataset or for a stream.

    Raises:
        ModuleNotFoundError: jinja2 is not installed.
    """
    return page.load_template("figureground.evaluation", "stream.html.jinja" if stream else "report.html.jinja")


def write_report(
    compared: Comparison | StreamComparison, models: dict[str, Segment], dataset: Path, output: Path, template: Template
) -> None:
    """Write the report as one HTML file; the pictures it shows are read, and the models run on them, once more.

    Raises:
        OutputError: the file cannot be written.
        ImageError, VideoError: a picture or frame can no longer be read.
    """
    if isinstance(compared, StreamComparison):
        text = render_stream(compared, models, dataset, template)
    else:
        text = render(compared, models, dataset, template)
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files need not be text


def render(comparison: Comparison, models: dict[str, Segment], dataset: Path, template: Template) -> str:
    """Give the report's HTML. All text of the dataset is escaped, and no address leads out of the page."""
    names = labels([each.model for each in comparison.all])
    return template.render(
        it=comparison.model,
        peers=comparison.peers,
        all=list(zip(names, comparison.all, strict=True)),
        names=names,
        dataset=dataset.resolve().name,
        measures=MEASURES,
        sizes=SIZES,
        source_charts=[_by_source(comparison, names, measure) for measure in ("iou", "boundary_f")],
        brightnesses=BRIGHTNESSES,
        size_charts=[_by_group(comparison, "sizes", names, measure) for measure in ("iou", "boundary_f")],
        brightness_charts=[
            _by_group(comparison, "brightnesses", names, measure)
            for measure in ("iou", "boundary_f")
            if comparison.model.brightnesses  # empty where nobody is in any picture
        ],
        gap_charts=[_gaps(comparison, names, measure) for measure in ("iou", "boundary_f") if comparison.peers],
        gaps={(gap.peer, gap.measure): gap for gap in comparison.differences if gap.source == "overall"},
        thresholds=_thresholds(comparison),
        reliability=_reliability(comparison),
        cases=_cases(comparison, names, models, read_manifest(dataset, comparison.model.split)),
        best=_best(comparison),
    )


def _figure(scores: SourceScores, measure: str) -> Figure:
    return getattr(scores, measure), scores.intervals[measure]


def _write(measure: str, value: float) -> str:
    return MEASURES[measure][2].format(value)


def _by_source(comparison: Comparison, names: Sequence[str], measure: str) -> DotChart:
    rows = {
        source: [_figure(each.sources[source], measure) for each in comparison.all]
        for source in comparison.model.sources
    }
    rows["overall"] = [_figure(each.overall, measure) for each in comparison.all]
    notes = {source: f"{scores.pictures:,}" for source, scores in comparison.model.sources.items()}
    notes["overall"] = f"{comparison.model.overall.pictures:,}"
    return dot_chart(MEASURES[measure][0], rows, notes, names, lambda value: _write(measure, value))


def _by_group(comparison: Comparison, groups: str, names: Sequence[str], measure: str) -> DotChart:
    """By `sizes` or `brightnesses`."""
    own: dict[str, SourceScores] = getattr(comparison.model, groups)
    rows = {name: [_figure(getattr(each, groups)[name], measure) for each in comparison.all] for name in own}
    notes = {name: f"{scores.pictures:,}" for name, scores in own.items()}
    return dot_chart(MEASURES[measure][0], rows, notes, names, lambda value: _write(measure, value))


def _gaps(comparison: Comparison, names: Sequence[str], measure: str) -> DotChart:
    """The differences to each peer, which keeps the colour it has elsewhere."""
    rows: dict[str, list[Figure]] = {source: [] for source in [*comparison.model.sources, "overall"]}
    for gap in comparison.differences:
        if gap.measure == measure:
            rows[gap.source].append((gap.mean, gap.interval))
    says = [f"{names[0]} minus {name}" for name in names[1:]]
    return dot_chart(MEASURES[measure][0], rows, {}, says, lambda value: f"{value:+.3f}", signed=True)


def _thresholds(comparison: Comparison) -> list[LineChart]:
    charts = []
    for title, name in (("IoU", "iou"), ("Dice (F1)", "dice")):
        curves = [each.thresholds for each in comparison.all]
        lines = [(model, curve.thresholds, getattr(curve, name)) for model, curve in enumerate(curves)]
        charts.append(line_chart(title, "alpha from which a pixel is person", lines))
    return charts


def _reliability(comparison: Comparison) -> LineChart | None:
    known = [(model, each.calibration) for model, each in enumerate(comparison.all) if each.calibration]
    lines = [(model, each.alpha, each.person) for model, each in known]
    if not lines:
        return None
    return line_chart("Reliability", "mean alpha", lines, y_range=(0.0, 1.0))


def _best(comparison: Comparison) -> dict[str, set[str]]:
    """For each measure the models that are best over all; empty without peers."""
    found: dict[str, set[str]] = {}
    for measure, (_, _, _, more) in MEASURES.items():
        figures = {each.model: float(getattr(each.overall, measure)) for each in comparison.all}
        top = max(figures.values()) if more else min(figures.values())
        found[measure] = {name for name, figure in figures.items() if figure == top} if comparison.peers else set()
    return found


def _cases(
    comparison: Comparison, names: Sequence[str], models: dict[str, Segment], items: Sequence[Item]
) -> list[Cases]:
    ours = comparison.model
    found = [
        ("Worst", "The lowest IoU, one picture of each group.", cases.worst(ours), _drawn),
        ("Median", "Of each source the picture of median IoU.", cases.median(ours), _drawn),
    ]
    if comparison.peers:
        peer, note = comparison.peers[0], f"The most IoU apart, one of each group: left {names[0]}, right {names[1]}."
        found.append((f"{names[1]} is better", note, cases.furthest_apart(peer, ours), _drawn_pairs))
        found.append((f"{names[0]} is better", note, cases.furthest_apart(ours, peer), _drawn_pairs))
    return [Cases(title, note, draw(comparison, models, items, rows)) for title, note, rows, draw in found]


def _drawn(
    comparison: Comparison, models: dict[str, Segment], items: Sequence[Item], rows: Sequence[int]
) -> list[Case]:
    segment = models[comparison.model.model]
    return [
        Case(*_pictures(comparison, row), *cases.draw_outlines(items[row], segment(read_image(items[row].image))))
        for row in rows
    ]


def _drawn_pairs(
    comparison: Comparison, models: dict[str, Segment], items: Sequence[Item], rows: Sequence[int]
) -> list[Case]:
    found = []
    for row in rows:
        frame = read_image(items[row].image)
        alphas = [models[each.model](frame) for each in comparison.all[:2]]
        found.append(Case(*_pictures(comparison, row), *cases.draw_pair(items[row], *alphas)))
    return found


def _pictures(comparison: Comparison, row: int) -> tuple[Picture, Picture | None]:
    peer = comparison.peers[0].pictures[row] if comparison.peers else None
    return comparison.model.pictures[row], peer
