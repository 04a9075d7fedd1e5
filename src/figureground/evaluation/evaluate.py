"""A model against a dataset's masks: every picture, source by source, by the person's size and brightness, over all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame
from figureground.data.manifest import Item, read_manifest
from figureground.errors import DatasetError
from figureground.evaluation.bootstrap import Interval, bootstrap_intervals
from figureground.evaluation.curves import Calibration, Tally, ThresholdCurve, calibration, tally, threshold_curve
from figureground.evaluation.latency import Latency
from figureground.evaluation.matting import AlphaScores, score_alpha
from figureground.evaluation.metrics import Scores, score
from figureground.images import read_image, read_matte

Segment = Callable[[Frame], Alpha]
MEASURES = tuple(field.name for kind in (Scores, AlphaScores) for field in fields(kind))
SMALL, LARGE = 0.1, 0.4  # of the picture: people below and from there on
DARK, BRIGHT = 80.0, 150.0  # mean luma of a person's pixels, 0 to 255: people below and from there on
HARD = 0.01  # of the picture: a mask with fewer pixels between 0 and 255 is hard, but for smoothed edges
_THREADS = 2  # that measure while the model works on the next picture
_AHEAD = 4  # pictures waiting for them; a large one takes hundreds of megabytes


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its share of person, their mean luma (None: nobody), whether its mask is hard, and its scores."""

    id: str
    source: str
    group: str
    coverage: float
    brightness: float | None
    hard: bool
    mask: Scores
    alpha: AlphaScores


@dataclass(frozen=True, slots=True)
class SourceScores:
    """Means over the pictures of one source, or of one size; `intervals` are the bootstrap's 95 % of each mean.

    accuracy to boundary F: in [0, 1], 1 is best (`metrics`); the last four: errors, 0 is best (`matting`).
    """

    pictures: int
    accuracy: float
    iou: float
    dice: float
    precision: float
    recall: float
    boundary_iou: float
    boundary_f: float
    mad: float
    mse: float
    gradient: float
    connectivity: float
    intervals: dict[str, Interval]

    @property
    def iou_interval(self) -> Interval:
        return self.intervals["iou"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores by source, by the person's size and brightness, and over all pictures as one source.

    `sizes`: nobody, small, medium, large; `brightnesses`: dark, middling, bright, whether by skin, clothes or light.
    `calibration` is None where no mask is hard; `latency` is None unless it was asked for.
    """

    model: str
    dataset: str
    split: str
    sources: dict[str, SourceScores]
    overall: SourceScores
    sizes: dict[str, SourceScores]
    brightnesses: dict[str, SourceScores]
    thresholds: ThresholdCurve
    calibration: Calibration | None
    latency: Latency | None
    pictures: list[Picture]


def evaluate(
    segment: Segment,
    dataset: Path,
    split: str = "val",
    name: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure a model on every picture of a split, at the picture's own size, decided at alpha 0.5.

    The model is called in order and by this thread only; other threads measure what it gave. The truth is person
    where its mask is 128 or more of 255; the alpha errors take the mask as it is, over 255.

    Args:
        segment: frame to alpha.
        dataset: a folder as `prepare` writes it.
        split: train, val or test.
        name: of the model, for the report.
        progress: called with the pictures done and the pictures in all.

    Raises:
        DatasetError: the dataset cannot be read.
        ImageError: a picture or mask of it cannot be read.
        ArrayError: `segment` gave no alpha of the picture's size.
    """
    items = read_manifest(dataset, split)
    pictures, tallies = list[Picture](), list[Tally]()
    for number, (picture, counts) in enumerate(_measured(segment, items), 1):
        pictures.append(picture)
        tallies.append(counts)
        if progress is not None:
            progress(number, len(items))
    return Evaluation(
        model=name,
        dataset=str(dataset),
        split=split,
        sources=_grouped(pictures, [picture.source for picture in pictures]),
        overall=summary(pictures),
        sizes=_by(size_of, pictures, ("nobody", "small", "medium", "large")),
        brightnesses=_by(brightness_of, pictures, ("dark", "middling", "bright")),
        thresholds=threshold_curve(tallies),
        calibration=calibration([each for each, of in zip(tallies, pictures, strict=True) if of.hard]),
        latency=None,
        pictures=pictures,
    )


def _measured(segment: Segment, items: Sequence[Item]) -> Iterator[tuple[Picture, Tally]]:
    waiting = deque[Future[tuple[Picture, Tally]]]()
    with ThreadPoolExecutor(_THREADS) as pool:
        for item in items:
            frame = read_image(item.image)
            waiting.append(pool.submit(measure, frame, segment(frame), item))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def measure(frame: Frame, alpha: Alpha, item: Item) -> tuple[Picture, Tally]:
    """Measure a picture's (H, W) float32 alpha in [0, 1] against its mask file.

    Raises:
        DatasetError: the mask is of another size.
        ImageError: the mask cannot be read.
        ArrayError: `alpha` is no alpha.
    """
    matte = read_truth(item, frame)
    truth = matte >= 128
    errors = score_alpha(alpha, matte.astype(np.float32) / np.float32(255))
    hard = bool(np.count_nonzero((matte > 0) & (matte < 255)) < HARD * matte.size)
    coverage = np.count_nonzero(truth) / truth.size
    brightness = float(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[truth].mean()) if truth.any() else None
    scores = score(alpha >= 0.5, truth)
    picture = Picture(item.id, item.source, item.group, coverage, brightness, hard, scores, errors)
    return picture, tally(alpha, truth)


def read_truth(item: Item, frame: Frame) -> NDArray[np.uint8]:
    """A picture's mask, (H, W), 0 to 255.

    Raises:
        DatasetError: it is of another size than the picture.
        ImageError: it cannot be read.
    """
    matte = read_matte(item.mask)
    if matte.shape != frame.shape[:2]:
        sizes = f"mask is {matte.shape[::-1]}, its picture {frame.shape[1::-1]} (width, height)"
        raise DatasetError(f"{item.mask}: {sizes}")
    return matte


def size_of(picture: Picture) -> str:
    """The group of a picture by the share of it that its person covers."""
    if picture.coverage == 0:
        return "nobody"
    return "small" if picture.coverage < SMALL else "medium" if picture.coverage < LARGE else "large"


def brightness_of(picture: Picture) -> str:
    """The group of a picture by the mean luma of its person's pixels."""
    if picture.brightness is None:
        return "nobody"
    return "dark" if picture.brightness < DARK else "middling" if picture.brightness < BRIGHT else "bright"


def _by(
    group_of: Callable[[Picture], str], pictures: Sequence[Picture], order: Sequence[str]
) -> dict[str, SourceScores]:
    found = _grouped(pictures, [group_of(picture) for picture in pictures])
    return {name: found[name] for name in order if name in found}


def _grouped(pictures: Sequence[Picture], names: Sequence[str]) -> dict[str, SourceScores]:
    groups: dict[str, list[Picture]] = {}
    for name, picture in zip(names, pictures, strict=True):
        groups.setdefault(name, []).append(picture)
    return {name: summary(each) for name, each in groups.items()}


def summary(pictures: Sequence[Picture]) -> SourceScores:
    """Mean scores of at least one picture, each with its interval."""
    rows = figures(pictures)
    means = dict(zip(MEASURES, rows.mean(axis=0).tolist(), strict=True))
    intervals = dict(zip(MEASURES, bootstrap_intervals(rows), strict=True))
    return SourceScores(pictures=len(pictures), intervals=intervals, **means)


def figures(pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """The scores of each picture, (N, M) float64 in the order of `MEASURES`."""
    return np.array([(*astuple(each.mask), *astuple(each.alpha)) for each in pictures], np.float64)
