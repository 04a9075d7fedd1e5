"""The report of `evaluate` on a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from figureground.arrays import Alpha, Frame, Mask
from figureground.data.page import Thumbnail, outline, shrink
from figureground.evaluation.cases import BLUE, CYAN
from figureground.evaluation.charts import LineChart, line_chart
from figureground.evaluation.compare import StreamComparison, labels
from figureground.evaluation.evaluate import Segment
from figureground.evaluation.streams import open_stream
from figureground.evaluation.temporal import FrameScores, still_pixels

if TYPE_CHECKING:
    from jinja2 import Template

POINTS = 300  # of a line; a longer stream is averaged down to so many
SHOWN = 6  # frames that flicker most
SERIES = {
    "flipped": ("Flips", "Share of the still pixels whose decision changed since the frame before, in percent.", 100.0),
    "coverage": ("Coverage", "Share of the frame decided as person, in percent.", 100.0),
    "iou": ("IoU", "With the frame's mask.", 1.0),
}


@dataclass(frozen=True, slots=True)
class Flicker:
    """A frame, by its number from 0, with the decision's outline and the still pixels that flipped in blue."""

    number: int
    share: float
    drawing: Thumbnail


def render_stream(comparison: StreamComparison, models: dict[str, Segment], stream: Path, template: Template) -> str:
    """Give the report's HTML; the first model is run once more over the stream, up to the last frame shown."""
    names = labels([each.model for each in comparison.all])
    charts = [(name, *SERIES[name][:2], _chart(comparison, name)) for name in SERIES]
    return template.render(
        it=comparison.model,
        names=names,
        all=list(zip(names, comparison.all, strict=True)),
        stream=stream.resolve().name,
        charts=[chart for chart in charts if chart[-1] is not None],
        flickers=_flickers(comparison.model.scores.by_frame, models[comparison.model.model], stream),
    )


def _chart(comparison: StreamComparison, name: str) -> LineChart | None:
    title, _, scale = SERIES[name]
    rate = comparison.model.scores.rate
    lines = []
    for model, each in enumerate(comparison.all):
        values = [getattr(frame, name) for frame in each.scores.by_frame]
        known = np.array([(number / rate, value * scale) for number, value in enumerate(values) if value is not None])
        if len(known):
            lines.append((model, *_thinned(known)))
    if not lines:
        return None
    end = max(1 / rate, comparison.model.scores.frames / rate)
    highest = max(value for _, _, values in lines for value in values)
    return line_chart(title, "seconds", lines, (0.0, end), (0.0, max(highest, 1e-3)))


def _thinned(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[list[float], list[float]]:
    """(N, 2) points as x and y, averaged over runs of neighbours so that at most `POINTS` are left."""
    parts = np.array_split(points, min(POINTS, len(points)))
    means = np.array([part.mean(axis=0) for part in parts])
    return means[:, 0].tolist(), means[:, 1].tolist()


def _flickers(by_frame: Sequence[FrameScores], segment: Segment, stream: Path) -> list[Flicker]:
    shares = {number: each.flipped for number, each in enumerate(by_frame) if each.flipped}
    chosen = sorted(sorted(shares, key=lambda number: -(shares[number] or 0))[:SHOWN])
    found = []
    before: tuple[Frame, Alpha, Alpha | None] | None = None
    for number, (frame, truth) in enumerate(open_stream(stream).frames):
        if not chosen or number > chosen[-1]:
            break
        if number + 1 in chosen or number in chosen:
            alpha = segment(frame)
            if number in chosen and before is not None:
                still = still_pixels(frame, before[0], truth, before[2])
                flipped = still & ((alpha >= 0.5) != (before[1] >= 0.5))
                found.append(Flicker(number, shares[number] or 0.0, _drawn(frame, alpha, flipped)))
            before = (frame, alpha, truth)
    return found


def _drawn(frame: Frame, alpha: Alpha, flipped: Mask) -> Thumbnail:
    shown = shrink(frame, 480)
    size = shown.shape[1::-1]
    masks = [
        cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) for mask in (alpha >= 0.5, flipped)
    ]
    shown = outline(shown, masks[0] >= 0.5, CYAN)
    shown[masks[1] > 0.1] = BLUE
    return Thumbnail.of(shown)
