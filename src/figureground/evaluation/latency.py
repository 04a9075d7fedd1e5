"""How long a model takes for a picture, by itself on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from figureground.arrays import Alpha, Frame
from figureground.images import read_image
from figureground.threads import opencv_threads

PICTURES = 50


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from frame to alpha of the frame's size: median and 90th percentile over `pictures`."""

    pictures: int
    median: float
    p90: float


def latency(segment: Callable[[Frame], Alpha], images: Sequence[Path]) -> Latency:
    """Time `segment` on up to `PICTURES` of the pictures, evenly chosen.

    Reading the file is not counted. Each picture is given twice and the second call is timed: the first may prepare
    the network for a new size. OpenCV is held to one thread meanwhile; the model's own threads are its maker's to
    set. Only figures of one run compare: whatever else the machine does is in them.

    Raises:
        ImageError: a picture cannot be read.
    """
    chosen = np.linspace(0, len(images) - 1, min(PICTURES, len(images))).astype(int)
    return latency_of(segment, (read_image(images[row]) for row in chosen))


def latency_of(segment: Callable[[Frame], Alpha], frames: Iterable[Frame]) -> Latency:
    """Time `segment` on each of some frames, as `latency` does."""
    with opencv_threads(1):
        times = [_second_call(segment, frame) for frame in frames]
    return Latency(len(times), *(float(figure) for figure in np.percentile(times, [50, 90])))


def _second_call(segment: Callable[[Frame], Alpha], frame: Frame) -> float:
    segment(frame)
    begin = time.perf_counter()
    segment(frame)
    return (time.perf_counter() - begin) * 1000
