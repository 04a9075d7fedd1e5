"""What a terminal shows of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from figureground.evaluation.compare import Comparison, StreamComparison, labels
from figureground.evaluation.evaluate import Evaluation
from figureground.evaluation.latency import Latency
from figureground.evaluation.streams import StreamEvaluation

_HEAD = f"{'pictures':>8} {'accuracy':>8} {'IoU':>6} {'95 % of IoU':>13} {'Dice':>6} {'boundary F':>10}"


def table(compared: Comparison | StreamComparison) -> str:
    """The lines for a dataset, or for a stream."""
    return _stream_table(compared.all) if isinstance(compared, StreamComparison) else _still_table(compared)


def _still_table(comparison: Comparison) -> str:
    """The scores by source, of several models one below the other, and a line on time and calibration of each."""
    several = bool(comparison.peers)
    names = labels([each.model for each in comparison.all])
    width = max(5, *map(len, names)) + 1 if several else 0
    wide = max(12, *map(len, comparison.model.sources))
    lines = [f"{'model' if several else '':<{width}}{'source':<{wide}} {_HEAD}"]
    for source in [*comparison.model.sources, "overall"]:
        for name, each in zip(names, comparison.all, strict=True):
            lines.append(f"{name if several else '':<{width}}{source:<{wide}} {_row(each, source)}")
    closing = [f"{name}: {_closing(each)}" for name, each in zip(names, comparison.all, strict=True)]
    return "\n".join([*lines, "", *closing])


def _row(evaluation: Evaluation, source: str) -> str:
    got = evaluation.overall if source == "overall" else evaluation.sources[source]
    low, high = got.iou_interval
    return (
        f"{got.pictures:>8} {got.accuracy:>8.4f} {got.iou:>6.3f} {low:>6.3f}-{high:.3f} "
        f"{got.dice:>6.3f} {got.boundary_f:>10.3f}"
    )


def _closing(evaluation: Evaluation) -> str:
    known = evaluation.calibration
    error = f"calibration error {known.error:.3f}" if known else "no hard masks to calibrate by"
    return f"{_time(evaluation.latency)}, {error}"


def _time(latency: Latency | None) -> str:
    if latency is None:
        return "not timed"
    return f"{latency.median:.1f} ms a picture on one thread (90 % within {latency.p90:.1f})"


def _stream_table(results: Sequence[StreamEvaluation]) -> str:
    """The scores of models on a stream, a row each."""
    names = labels([each.model for each in results])
    width = max(5, *map(len, names))
    head = ["frames", "frames/s", "still", "flicker/s", "IoU", "boundary F", "dtSSD", "lag", "ms"]
    lines = [" ".join([f"{'model':<{width}}", *(f"{title:>10}" for title in head)])]
    for name, each in zip(names, results, strict=True):
        got = each.scores
        cells = [
            str(got.frames),
            f"{got.rate:g}",
            _figure(got.still, "{:.1%}"),
            _figure(got.flicker, "{:.3%}"),
            _figure(got.iou, "{:.3f}"),
            _figure(got.boundary_f, "{:.3f}"),
            _figure(got.dtssd, "{:.2f}"),
            _figure(got.lag, "{:d}"),
            _figure(each.latency.median if each.latency else None, "{:.1f}"),
        ]
        lines.append(" ".join([f"{name:<{width}}", *(f"{cell:>10}" for cell in cells)]))
    return "\n".join(lines)


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
