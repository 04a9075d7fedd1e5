"""One video: a new background, a cut-out or its matte, steady from picture to picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from figureground.arrays import Frame, Matte
from figureground.backgrounds import Background
from figureground.batch.compose import grey_as_rgb, make_compose
from figureground.batch.options import Options
from figureground.batch.plan import Job
from figureground.engine import Model
from figureground.pipeline import Source, run
from figureground.refine import Refiner
from figureground.sinks import video_sink
from figureground.sources import VideoSource
from figureground.temporal import Stabiliser

Progress = Callable[[Path, int, int], None]


def replace_video(
    job: Job, model: Model, options: Options, background: Background | None, progress: Progress | None
) -> int:
    source = VideoSource(job.input)
    sink = video_sink(job.output, like=source, transparent=options.kind == "cutout")
    compose = make_compose(options.kind, background)

    def sent(count: int) -> None:
        if progress is not None:
            progress(job.input, count, source.length)

    return run(source, steady(model, source), compose if options.kind != "alpha" else grey_as_rgb(compose), sink, sent)


def steady(model: Model, source: Source) -> Callable[[Frame], Matte]:
    """What `model` does, for the frames of a video: steady where the picture stands still."""
    stabiliser, refiner = Stabiliser(), Refiner()

    def segment(frame: Frame) -> Matte:
        return refiner(frame, stabiliser(*model.look(frame), source.time), source.time)

    return segment
