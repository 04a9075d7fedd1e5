"""Files in, files out: a new background, a cut-out or a matte for pictures and videos."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame, Matte
from figureground.atomic import check_writable
from figureground.backgrounds import Background, make_background
from figureground.compositor import Compositor, on_transparency
from figureground.engine import Engine
from figureground.errors import FigureGroundError, InputError, OutputError
from figureground.images import EXTENSIONS, read_image, write_image
from figureground.pipeline import Compose, run
from figureground.preprocess import crisp, tidy, to_input, to_matte
from figureground.refine import Refiner
from figureground.sinks import OPAQUE_EXTENSIONS, TRANSPARENT_EXTENSIONS, encoding_for, video_sink
from figureground.sources import VIDEO_EXTENSIONS, VideoSource
from figureground.temporal import Stabiliser

KINDS = ("composite", "cutout", "alpha")
Progress = Callable[[Path, int, int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One input and where its result goes."""

    input: Path
    output: Path


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input; `reason` says why where `status` is `failed`."""

    input: str
    output: str
    status: str
    frames: int = 0
    seconds: float = 0.0
    reason: str = ""


def replace(
    inputs: str | Path | Sequence[str | Path],
    background: str = "blur",
    output: str | Path | None = None,
    kind: str = "composite",
    model: str | Path = "small",
    progress: Progress | None = None,
) -> list[Result]:
    """Give the people in pictures and videos another background.

    Args:
        inputs: pictures, videos, or folders of them (searched through; their tree is kept in the output).
        background: `blur`, `blur:STRENGTH`, `#rrggbb`, `transparent`, or the path of a picture, video or folder.
        output: a file for a single input, else a folder; left out, results stand beside their inputs.
        kind: `composite`, `cutout` (transparent background) or `alpha` (the matte, grey).
        model: a shipped name or an .onnx file.
        progress: called with the input, the frames done and the frames in all (0: not known).

    Returns:
        One result an input, in order. One that fails does not stop the others, and leaves no file.

    Raises:
        FigureGroundError: nothing can start: unknown kind or model, unreadable background, no input, an
            output that cannot be written, cannot hold what is asked for or is its own input.
    """
    if kind not in KINDS:
        raise OutputError(f"kind {kind!r}: want one of {', '.join(KINDS)}")
    if background == "transparent":
        kind = "cutout" if kind == "composite" else kind
    names = [inputs] if isinstance(inputs, str | Path) else inputs
    jobs = plan([Path(name) for name in names], None if output is None else Path(output), kind)
    _check_background(Path(background), jobs)
    for folder in {job.output.parent for job in jobs}:
        check_writable(folder)
    made = make_background(background) if kind == "composite" else None
    engine = Engine(model)
    return [_attempt(job, engine, kind, made, background, progress) for job in jobs]


def plan(inputs: Sequence[Path], output: Path | None, kind: str) -> list[Job]:
    """Find the files behind `inputs` and decide where each result goes.

    Raises:
        InputError: a missing path, or a folder without pictures and videos.
        OutputError: a result that would overwrite an input or another result, or a suffix that cannot hold it.
    """
    found = [(root, path) for root in inputs for path in _files(root)]
    if output is None and (folders := [root for root in inputs if root.is_dir()]):
        raise OutputError(f"{folders[0]}: a folder needs --output, or its results would be its inputs next time")
    single = len(inputs) == 1 and not inputs[0].is_dir()
    jobs = [Job(path, _destination(root, path, output, kind, single)) for root, path in found]
    sources, taken = {job.input.resolve() for job in jobs}, dict[Path, Path]()
    for job in jobs:
        target = job.output.resolve()
        if target in sources or _same_file(target, sources):
            raise OutputError(f"{job.output}: is an input; choose another --output")
        if target in taken:
            raise OutputError(
                f"{job.output}: both {taken[target]} and {job.input} would go there; rename one or run twice"
            )
        taken[target] = job.input
        _check_suffix(job, kind)
    return jobs


def _same_file(target: Path, sources: set[Path]) -> bool:
    """Whether `target` is one of `sources` under another spelling, as A.JPG and a.jpg are on some systems."""
    return os.path.exists(target) and any(
        target.samefile(source) for source in sources if source.parent == target.parent
    )


def _check_background(background: Path, jobs: Sequence[Job]) -> None:
    shown = {background.resolve()}
    if os.path.isdir(background):
        shown |= {path.resolve() for path in background.iterdir()}
    for job in jobs:
        if job.output.resolve() in shown:
            raise OutputError(f"{job.output}: is the background; choose another --output")


def _files(root: Path) -> list[Path]:
    if not os.path.exists(root):  # unlike Path.exists, False where a folder on the way may not be entered
        raise InputError(f"{root}: no such file or folder")
    if not root.is_dir():
        return [root]
    suffixes = EXTENSIONS + VIDEO_EXTENSIONS
    # Hidden ones are no pictures: macOS leaves `._name.jpg` on foreign disks, a killed run its unfinished file.
    found = (path for path in root.rglob("*") if path.suffix.lower() in suffixes and os.path.isfile(path))
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))
    if not files:
        raise InputError(f"{root}: no pictures or videos in this folder")
    return files


def _destination(root: Path, path: Path, output: Path | None, kind: str, single: bool) -> Path:
    name = path.stem + _suffix(path, kind)
    if output is None:
        return path.with_name(f"{path.stem}-{kind}{_suffix(path, kind)}")
    if single and output.suffix and not os.path.isdir(output):
        return output
    return output / (path.relative_to(root).parent if root.is_dir() else Path()) / name


def _suffix(path: Path, kind: str) -> str:
    suffix = path.suffix.lower()
    if is_video(path):
        if kind == "cutout":
            return suffix if suffix in TRANSPARENT_EXTENSIONS else ".mov"
        return suffix if suffix in OPAQUE_EXTENSIONS else ".mp4"
    if kind != "composite":
        return ".png"
    return suffix if suffix in EXTENSIONS else ".png"


def _check_suffix(job: Job, kind: str) -> None:
    if is_video(job.input):
        encoding_for(job.output, transparent=kind == "cutout")
    elif job.output.suffix.lower() not in EXTENSIONS:
        raise OutputError(f"{job.output}: cannot hold a picture; use one of {' '.join(EXTENSIONS)}")
    elif kind == "cutout" and job.output.suffix.lower() in (".jpg", ".jpeg", ".bmp"):
        raise OutputError(f"{job.output}: {job.output.suffix} holds no transparency; use .png or .webp")


def is_video(path: Path) -> bool:
    """Whether a file is taken as a video, by its name."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def _attempt(
    job: Job, engine: Engine, kind: str, background: Background | None, spec: str, progress: Progress | None
) -> Result:
    started = time.perf_counter()
    try:
        if is_video(job.input):
            # A background keeps its place from frame to frame, so every video gets its own.
            fresh = make_background(spec) if background is not None else None
            frames = _replace_video(job, engine, kind, fresh, progress)
        else:
            frames = _replace_picture(job, engine, kind, background)
            if progress is not None:
                progress(job.input, 1, 1)
    except FigureGroundError as error:
        return Result(str(job.input), str(job.output), "failed", reason=str(error))
    except Exception as error:  # out of memory, a codec's own error: the other inputs must not suffer
        reason = f"{job.input}: {type(error).__name__}: {error}".strip().splitlines()[0]
        return Result(str(job.input), str(job.output), "failed", reason=reason)
    return Result(str(job.input), str(job.output), "done", frames, round(time.perf_counter() - started, 3))


def _replace_picture(job: Job, engine: Engine, kind: str, background: Background | None) -> int:
    frame = read_image(job.input)
    write_image(job.output, make_compose(kind, background)(frame, to_matte(engine(frame)), Fraction(0)))
    return 1


def _replace_video(
    job: Job, engine: Engine, kind: str, background: Background | None, progress: Progress | None
) -> int:
    source = VideoSource(job.input)
    sink = video_sink(job.output, like=source, transparent=kind == "cutout")
    compose = make_compose(kind, background)

    def sent(count: int) -> None:
        if progress is not None:
            progress(job.input, count, source.length)

    return run(source, _steady(engine, source), compose if kind != "alpha" else _grey_as_rgb(compose), sink, sent)


def _steady(engine: Engine, source: VideoSource) -> Callable[[Frame], Matte]:
    """What `engine` does, for the frames of a video: steady where the picture stands still."""
    stabiliser, refiner = Stabiliser(), Refiner()

    def segment(frame: Frame) -> Matte:
        fit = engine.fit(frame.shape[1], frame.shape[0])
        picture = to_input(frame, fit)
        alpha = tidy(crisp(engine.run(picture), fit))
        alpha = stabiliser(picture[: fit.height, : fit.width], alpha, source.time)
        return refiner(frame, alpha, source.time)

    return segment


def make_compose(kind: str, background: Background | None) -> Compose:
    """What to make of a frame and its matte: RGB, RGBA or grey pictures, for `composite`, `cutout` and `alpha`."""
    if kind == "cutout":
        return lambda frame, matte, _: on_transparency(frame, matte)
    if background is None:
        return lambda _, matte, __: matte
    compositor = Compositor()

    def compose(frame: Frame, matte: Matte, at: Fraction) -> NDArray[np.uint8]:
        return compositor(frame, matte, background(frame, matte, at))

    return compose


def _grey_as_rgb(compose: Compose) -> Compose:
    return lambda frame, matte, at: np.repeat(compose(frame, matte, at)[:, :, None], 3, axis=2)
