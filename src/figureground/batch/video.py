"""One video: a new background, a cut-out or its matte, steady from picture to picture."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from figureground.batch.folder import check_replaceable
from figureground.batch.join import Joined, join
from figureground.batch.options import Options
from figureground.batch.places import unchanged
from figureground.batch.plan import Job
from figureground.batch.sheet import write_sheet
from figureground.batch.spans import Span, replace_span, split, work_folder, work_folders
from figureground.engine import Model
from figureground.errors import ChangedError, VideoError

Progress = Callable[[Path, int, int], None]
Spread = Callable[[Job, Options, Sequence[Span]], None]


def replace_video(
    job: Job, model: Model, options: Options, progress: Progress | None, spread: Spread | None = None
) -> Joined:
    """Write what `options` want of the video at `job.input` to `job.output`, span by span.

    Spans that are finished survive a kill, a Ctrl-C and a full disk, for a call with `options.resume`.

    Args:
        job: the video and its result.
        model: `options.model`, opened.
        options: what is asked for.
        progress: called with the input, the frames done and the frames in all.
        spread: makes the spans where there are several, all over a cluster; None: one after the other.

    Raises:
        VideoError: it cannot be read.
        ChangedError: it is being written.
        OutputError: the result cannot be written.
    """
    if not job.output.suffix:
        check_replaceable(job.output)
    with unchanged(job.input):
        spans = split(job.input, options)
    folder = work_folder(job, options)
    _clear(job, options)
    total, done = sum(span.frames for span in spans), 0

    def sent(count: int) -> None:
        if progress is not None:
            progress(job.input, done + count, total)

    try:
        with unchanged(job.input):
            if spread is not None and len(spans) > 1:
                spread(job, options, spans)
            else:
                for span in spans:
                    replace_span(job, options, span, model, sent)
                    done += span.frames
        made = join(job, options, spans)
    except BaseException as error:
        _leave(folder, of_use=not isinstance(error, VideoError | ChangedError))
        raise
    if options.sheet is not None:
        write_sheet(Path(options.sheet), job.output)
    return made


def _clear(job: Job, options: Options) -> None:
    """Remove the spans of other calls for this result, and without `resume` this one's."""
    own = work_folder(job, options)
    for folder in work_folders(job.output):
        if folder != own or not options.resume:
            shutil.rmtree(folder, ignore_errors=True)


def _leave(folder: Path, of_use: bool) -> None:
    """Keep the spans that are finished, if there are any."""
    if not of_use or not any(not child.name.startswith(".") for child in folder.glob("*")):
        shutil.rmtree(folder, ignore_errors=True)
