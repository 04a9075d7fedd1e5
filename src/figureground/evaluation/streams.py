"""A model against a video or a folder of consecutive frames, with masks where there are any."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise, zip_longest
from pathlib import Path

import numpy as np

from figureground.arrays import Alpha, Frame
from figureground.errors import DatasetError
from figureground.evaluation.evaluate import Segment
from figureground.evaluation.latency import Latency
from figureground.evaluation.temporal import StreamMeter, StreamScores
from figureground.images import EXTENSIONS, read_image, read_matte
from figureground.sources import VIDEO_EXTENSIONS, VideoSource

RATE = 25.0  # frames a second of a folder, which says none


@dataclass(frozen=True, slots=True)
class StreamEvaluation:
    """A model's scores on one stream; `latency` is None unless it was asked for."""

    model: str
    stream: str
    scores: StreamScores
    latency: Latency | None


@dataclass(frozen=True, slots=True)
class Stream:
    """Frames with their true alphas, None where there is no mask; how many, 0 if not known; how many a second."""

    frames: Generator[tuple[Frame, Alpha | None]]
    length: int
    rate: float


def is_stream(path: Path) -> bool:
    """Whether a path is a video file, or a folder of frames: pictures in it, and no manifest.csv."""
    if path.is_dir():
        return not (path / "manifest.csv").exists() and bool(_pictures(path))
    return path.is_file() and path.suffix.lower() in VIDEO_EXTENSIONS


def evaluate_stream(
    segment: Segment,
    path: Path,
    rate: float = RATE,
    name: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> StreamEvaluation:
    """Measure how steady a model is, and how near the truth where masks are given.

    A folder's frames are taken in the order of their names, numbers by value. Their masks have their names and stand
    in `masks` in the folder, or beside it in `masks/NAME` or `masks`; some may be missing. Those of NAME.mp4 stand
    beside it in `masks/NAME` or `masks`, one for every frame, in order.

    Args:
        segment: frame to alpha.
        path: a video file or a folder of frames.
        rate: frames a second of a folder; a video has its own.
        name: of the model, for the report.
        progress: called with the frames done and, where known, in all (else 0).

    Raises:
        VideoError: the video cannot be read.
        ImageError: a frame or a mask cannot be read.
        DatasetError: frames or masks of different sizes, or not one mask for every frame of a video.
    """
    meter, stream = StreamMeter(), open_stream(path, rate)
    for number, (frame, truth) in enumerate(stream.frames, 1):
        meter.add(frame, segment(frame), truth)
        if progress is not None:
            progress(number, stream.length)
    return StreamEvaluation(name, str(path), meter.result(stream.rate), None)


def some_frames(path: Path, count: int) -> Iterator[Frame]:
    """The first `count` frames of a stream, or all if it has fewer, one at a time.

    Raises:
        VideoError, ImageError, DatasetError: as `evaluate_stream`.
    """
    with closing(open_stream(path).frames) as frames:
        yield from (frame for frame, _ in islice(frames, count))


def open_stream(path: Path, rate: float = RATE) -> Stream:
    """A video, or a folder of frames at `rate` a second, with its masks; nothing is decoded yet.

    Raises:
        VideoError: the video cannot be read.
    """
    if path.is_dir():
        pictures = _pictures(path)
        return Stream(_of_folder(path, pictures), len(pictures), rate)
    with VideoSource(path) as source:
        return Stream(_of_video(path), source.length, float(source.rate))


def _of_folder(path: Path, pictures: list[Path]) -> Generator[tuple[Frame, Alpha | None]]:
    for one, other in pairwise(pictures):
        if one.stem == other.stem:
            raise DatasetError(f"{other}: has the name of {one.name}; masks stand in a folder of their own, `masks`")
    masks = _masks_of(path, {picture.stem for picture in pictures})
    size: tuple[int, ...] = ()
    for picture in pictures:
        frame = read_image(picture)
        if size and frame.shape != size:
            raise DatasetError(f"{picture}: {frame.shape[1::-1]}, the frames before are {size[1::-1]} (width, height)")
        size = frame.shape
        yield frame, _truth(masks.get(picture.stem), frame)


def _masks_of(path: Path, stems: set[str]) -> dict[str, Path]:
    resolved = path.resolve()
    for folder in (resolved / "masks", resolved.parent / "masks" / resolved.name, resolved.parent / "masks"):
        found = {mask.stem: mask for mask in _pictures(folder) if mask.stem in stems}
        if found:
            return found
    return {}


def _of_video(path: Path) -> Generator[tuple[Frame, Alpha | None]]:
    beside = path.resolve().parent / "masks"
    masks = _pictures(beside / path.stem) or _pictures(beside)
    with VideoSource(path) as source:
        for number, (frame, mask) in enumerate(zip_longest(source, masks)):
            if masks and (frame is None or mask is None):
                which = "is a mask without a frame" if frame is None else f"there are only {len(masks)} masks"
                raise DatasetError(f"{masks[-1]}: at frame {number} {which}; give every frame one, in order of name")
            yield frame, _truth(mask, frame)


def _truth(mask: Path | None, frame: Frame) -> Alpha | None:
    if mask is None:
        return None
    matte = read_matte(mask)
    if matte.shape != frame.shape[:2]:
        raise DatasetError(f"{mask}: mask is {matte.shape[::-1]}, its frame {frame.shape[1::-1]} (width, height)")
    if matte.max() == 1:
        raise DatasetError(f"{mask}: its levels are 0 and 1; want 0 and 255, the person, and grey between them")
    return matte.astype(np.float32) / np.float32(255)


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder by name, numbers in them by value; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.name[0] != ".")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[int | str]:
    return [int(part) if n % 2 else part for n, part in enumerate(re.split(r"([0-9]+)", path.stem))]
