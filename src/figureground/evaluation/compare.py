"""Several models against one dataset or one stream, in one run and through the same code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from figureground.data.manifest import read_manifest
from figureground.engine import licence_of
from figureground.errors import DatasetError
from figureground.evaluation.bootstrap import Interval, bootstrap_intervals
from figureground.evaluation.evaluate import MEASURES, Evaluation, Segment, evaluate, figures
from figureground.evaluation.latency import PICTURES, latency, latency_of
from figureground.evaluation.streams import StreamEvaluation, evaluate_stream, some_frames
from figureground.runtimes.peers import open_model

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean over a source's pictures of model minus peer in one measure; the interval is the paired bootstrap's 95 %."""

    peer: str
    source: str
    measure: str
    mean: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model's evaluation, its peers' on the same pictures, and how far it is from each."""

    model: Evaluation
    peers: list[Evaluation]
    differences: list[Difference]

    @property
    def all(self) -> list[Evaluation]:
        return [self.model, *self.peers]


@dataclass(frozen=True, slots=True)
class StreamComparison:
    """A model and its peers on one stream."""

    model: StreamEvaluation
    peers: list[StreamEvaluation]

    @property
    def all(self) -> list[StreamEvaluation]:
        return [self.model, *self.peers]


def open_models(names: Sequence[str]) -> dict[str, Segment]:
    """Load models by what `open_model` takes, each on one thread; a name given twice is one model.

    Raises:
        ModelError, MissingExtraError: as `open_model`.
    """
    return {name: open_model(name) for name in names}


def compare(models: dict[str, Segment], dataset: Path, split: str, progress: Progress) -> Comparison:
    """Evaluate the first of `models` and its peers, the others, and time each.

    `progress` is called with the model's name, the pictures done and the pictures in all.

    Raises:
        DatasetError, ImageError: as `evaluate`.
    """
    if dataset.is_file():
        raise DatasetError(f"{dataset}: is a single file; want a dataset's folder, a video or a folder of frames")
    items = read_manifest(dataset, split)
    if any(item.source == "overall" for item in items):
        raise DatasetError(f"{dataset}: a source is called 'overall', as the figures of all are; give it another name")
    images = [item.image for item in items]
    # All timed before anything else runs, so that they meet the same machine.
    times = {name: latency(segment, images) for name, segment in models.items()}
    results = [
        replace(evaluate(segment, dataset, split, name, partial(progress, name)), latency=times[name])
        for name, segment in models.items()
    ]
    ours, *peers = results
    return Comparison(ours, peers, [each for peer in peers for each in _differences(ours, peer)])


def _differences(ours: Evaluation, peer: Evaluation) -> list[Difference]:
    gaps = figures(ours.pictures) - figures(peer.pictures)
    found = []
    for source in [*ours.sources, "overall"]:
        rows = gaps[[source in ("overall", picture.source) for picture in ours.pictures]]
        columns = zip(MEASURES, rows.mean(axis=0).tolist(), bootstrap_intervals(rows), strict=True)
        found += [Difference(peer.model, source, *column) for column in columns]
    return found


def compare_streams(models: dict[str, Segment], path: Path, rate: float, progress: Progress) -> StreamComparison:
    """Evaluate each of `models` on one stream, and time each on its first frames.

    Raises:
        VideoError, ImageError, DatasetError: as `evaluate_stream`.
    """
    times = {name: latency_of(segment, some_frames(path, PICTURES)) for name, segment in models.items()}
    ours, *peers = (
        replace(evaluate_stream(segment, path, rate, name, partial(progress, name)), latency=times[name])
        for name, segment in models.items()
    )
    return StreamComparison(ours, peers)


def as_json(compared: Comparison | StreamComparison) -> dict[str, Any]:
    """Every figure as plain data: the model's own at the top, then `peers` and `differences`; each with its licence."""
    figures_of_all = asdict(compared)
    for each in (figures_of_all["model"], *figures_of_all["peers"]):
        each["licence"] = licence_of(each["model"])
    ours: dict[str, Any] = figures_of_all.pop("model")
    return ours | figures_of_all


def labels(names: Sequence[str]) -> list[str]:
    """Short names of models for tables: a path's last part without suffix, unless two are alike then."""
    short = [Path(name).stem if Path(name).suffix else name for name in names]
    return short if len(set(short)) == len(names) else list(names)
