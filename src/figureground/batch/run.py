"""`replace`: one result an input, whatever becomes of the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from figureground.atomic import check_writable
from figureground.backgrounds import make_background
from figureground.batch.join import Joined
from figureground.batch.options import Options
from figureground.batch.picture import replace_picture
from figureground.batch.plan import Job, check_background, check_sheet, is_video, plan
from figureground.batch.video import Progress, replace_video
from figureground.engine import Engine
from figureground.errors import FigureGroundError


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input; `reason` says why where `status` is `failed`, `note` what could not be kept of it."""

    input: str
    output: str
    status: str
    frames: int = 0
    seconds: float = 0.0
    reason: str = ""
    note: str = ""


def replace(
    inputs: str | Path | Sequence[str | Path],
    background: str = "blur",
    output: str | Path | None = None,
    kind: str = "composite",
    model: str | Path = "small",
    progress: Progress | None = None,
    codec: str | None = None,
    matte: bool = False,
    start: Fraction | float = 0,
    end: Fraction | float | None = None,
    frames: int | None = None,
    sheet: str | Path | None = None,
    resume: bool = False,
) -> list[Result]:
    """Give the people in pictures and videos another background.

    Args:
        inputs: pictures, videos, or folders of them (searched through; their tree is kept in the output).
        background: `blur`, `blur:STRENGTH`, `#rrggbb`, `transparent`, or the path of a picture, video or folder.
        output: a file for a single input, else a folder; left out, results stand beside their inputs.
        kind: `composite`, `cutout` (transparent background) or `alpha` (the matte, grey).
        model: a shipped name or an .onnx file.
        progress: called with the input, the frames done and the frames in all (0: not known).
        codec: of videos: h264, hevc, vp9, av1, prores, ffv1, qtrle or png (a folder); None: what suits the file's name.
        matte: whether a video's matte is written beside its result, as NAME-matte.
        start, end: the part of a video that is wanted, in seconds from its beginning.
        frames: of a video at most.
        sheet: a picture file for a contact sheet of the result; for a single video.
        resume: whether to go on where a killed call for the same video was.

    Returns:
        One result an input, in order. One that fails does not stop the others, and leaves no file.

    Raises:
        FigureGroundError: nothing can start: unknown kind or model, unreadable background, no input, an
            output that cannot be written, cannot hold what is asked for or is its own input.
    """
    if background == "transparent":
        kind = "cutout" if kind == "composite" else kind
    options = Options(
        kind,
        background,
        str(model),
        codec=codec,
        matte=matte,
        start=Fraction(str(start)),  # 0.1 means a tenth
        end=None if end is None else Fraction(str(end)),
        frames=frames,
        sheet=None if sheet is None else str(sheet),
        resume=resume,
    )
    names = [inputs] if isinstance(inputs, str | Path) else inputs
    jobs = plan([Path(name) for name in names], None if output is None else Path(output), kind, codec, matte)
    check_sheet(options.sheet, jobs)
    check_background(Path(background), jobs)
    for folder in {job.output.parent for job in jobs}:
        check_writable(folder)
    return [*map(Worker(options, progress), jobs)]


class Worker:
    """Does the jobs of a call, one after the other, with one engine."""

    def __init__(self, options: Options, progress: Progress | None = None) -> None:
        self._options = options
        self._progress = progress
        self._background = make_background(options.background) if options.kind == "composite" else None
        self._engine = Engine(options.model)

    def __call__(self, job: Job) -> Result:
        """Do one job; whatever goes wrong with it is told in its result."""
        started = time.perf_counter()
        try:
            made = self._video(job) if is_video(job.input) else self._picture(job)
        except FigureGroundError as error:
            return Result(str(job.input), str(job.output), "failed", reason=str(error))
        except Exception as error:  # out of memory, a codec's own error: the other inputs must not suffer
            reason = f"{job.input}: {type(error).__name__}: {error}".strip().splitlines()[0]
            return Result(str(job.input), str(job.output), "failed", reason=reason)
        seconds = round(time.perf_counter() - started, 3)
        return Result(str(job.input), str(job.output), "done", made.frames, seconds, note="; ".join(made.notes))

    def _picture(self, job: Job) -> Joined:
        replace_picture(job, self._engine, self._options, self._background)
        if self._progress is not None:
            self._progress(job.input, 1, 1)
        return Joined(1, ())

    def _video(self, job: Job) -> Joined:
        return replace_video(job, self._engine, self._options, self._progress)
