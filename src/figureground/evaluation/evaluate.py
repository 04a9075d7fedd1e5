"""A model against a dataset's masks, source by source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from figureground.arrays import Alpha, Frame
from figureground.data.manifest import Item, read_manifest
from figureground.errors import DatasetError
from figureground.evaluation.metrics import Scores, bootstrap_interval, score
from figureground.images import read_image, read_matte

Segment = Callable[[Frame], Alpha]


@dataclass(frozen=True, slots=True)
class SourceScores:
    """Means over the pictures of one source; `iou_interval` is the bootstrap's 95 % of the mean IoU."""

    pictures: int
    accuracy: float
    iou: float
    iou_interval: tuple[float, float]
    dice: float
    boundary_f: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores by source, and over all pictures as if they were one source."""

    model: str
    dataset: str
    split: str
    sources: dict[str, SourceScores]
    overall: SourceScores


def evaluate(
    segment: Segment,
    dataset: Path,
    split: str = "val",
    name: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure a model on every picture of a split, at the picture's own size, decided at alpha 0.5.

    Args:
        segment: frame to alpha.
        dataset: a folder as `prepare` writes it.
        split: train, val or test.
        name: of the model, for the report.
        progress: called with the pictures done and the pictures in all.

    Raises:
        DatasetError: the dataset cannot be read.
        ImageError: a picture or mask of it cannot be read.
    """
    items = read_manifest(dataset, split)
    scores = []
    for number, item in enumerate(items, 1):
        scores.append(_measure(segment, item))
        if progress is not None:
            progress(number, len(items))
    by_source: dict[str, list[Scores]] = {}
    for item, got in zip(items, scores, strict=True):
        by_source.setdefault(item.source, []).append(got)
    sources = {source: _summary(each) for source, each in by_source.items()}
    return Evaluation(name, str(dataset), split, sources, _summary(scores))


def _measure(segment: Segment, item: Item) -> Scores:
    frame, matte = read_image(item.image), read_matte(item.mask)
    if matte.shape != frame.shape[:2]:
        raise DatasetError(
            f"{item.mask}: mask is {matte.shape[::-1]}, its picture {frame.shape[1::-1]} (width, height)"
        )
    return score(segment(frame) >= 0.5, matte >= 128)


def _summary(scores: Sequence[Scores]) -> SourceScores:
    columns = np.array([astuple(each) for each in scores], np.float64)
    means = {field.name: float(column.mean()) for field, column in zip(fields(Scores), columns.T, strict=True)}
    interval = bootstrap_interval(columns[:, [field.name for field in fields(Scores)].index("iou")])
    return SourceScores(pictures=len(scores), iou_interval=interval, **means)
