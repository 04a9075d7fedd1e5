"""Which files a call of `replace` means, and where each result goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figureground.atomic import check_writable
from figureground.batch.folder import replaceable
from figureground.encodings import OPAQUE_EXTENSIONS, encoding_for, suffix_for
from figureground.errors import InputError, OutputError
from figureground.images import EXTENSIONS
from figureground.sources import VIDEO_EXTENSIONS


@dataclass(frozen=True, slots=True)
class Job:
    """One input and where its result goes."""

    input: Path
    output: Path


def plan(
    inputs: Sequence[Path], output: Path | None, kind: str, codec: str | None = None, matte: bool = False
) -> list[Job]:
    """Find the files behind `inputs` and decide where each result goes.

    Raises:
        InputError: a missing path, or a folder without pictures and videos.
        OutputError: a result that would overwrite an input or another result, or a suffix that cannot hold it.
    """
    found = [(root, path) for root in inputs for path in _files(root)]
    if output is None and (folders := [root for root in inputs if root.is_dir()]):
        raise OutputError(f"{folders[0]}: a folder needs --output, or its results would be its inputs next time")
    single = len(inputs) == 1 and not inputs[0].is_dir()
    jobs = [Job(path, _destination(root, path, output, kind, codec, single)) for root, path in found]
    sources, taken = {job.input.resolve() for job in jobs}, dict[Path, Path]()
    for job in jobs:
        for written in (job.output, *([matte_path(job.output)] if matte and is_video(job.input) else [])):
            target = written.resolve()
            if target in sources or _same_file(target, sources):
                raise OutputError(f"{written}: is an input; choose another --output")
            if target in taken:
                raise OutputError(
                    f"{written}: both {taken[target]} and {job.input} would go there; rename one or run twice"
                )
            taken[target] = job.input
        _check_suffix(job, kind, codec)
    return jobs


def _same_file(target: Path, sources: set[Path]) -> bool:
    """Whether `target` is one of `sources` under another spelling, as A.JPG and a.jpg are on some systems."""
    return os.path.exists(target) and any(
        target.samefile(source) for source in sources if source.parent == target.parent
    )


def check_background(background: Path, jobs: Sequence[Job]) -> None:
    shown = {background.resolve()}
    if os.path.isdir(background):
        shown |= {path.resolve() for path in background.iterdir()}
    for job in jobs:
        if job.output.resolve() in shown:
            raise OutputError(f"{job.output}: is the background; choose another --output")


def check_sheet(sheet: str | None, jobs: Sequence[Job]) -> None:
    if sheet is None:
        return
    if len(jobs) != 1 or not is_video(jobs[0].input):
        raise OutputError(f"{sheet}: a contact sheet is of one video; leave --sheet out or give one")
    if Path(sheet).suffix.lower() not in EXTENSIONS:
        raise OutputError(f"{sheet}: cannot hold a picture; use one of {' '.join(EXTENSIONS)}")
    if Path(sheet).resolve() in {path.resolve() for path in (jobs[0].input, jobs[0].output)}:
        raise OutputError(f"{sheet}: is the video; choose another --sheet")
    check_writable(Path(sheet).parent)


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


def _destination(root: Path, path: Path, output: Path | None, kind: str, codec: str | None, single: bool) -> Path:
    suffix = _suffix(path, kind, codec)
    name = path.stem + suffix
    if output is None:
        return path.with_name(f"{path.stem}-{kind}{suffix}")
    if single and (replaceable(output) if not suffix else output.suffix and not os.path.isdir(output)):
        return output
    return output / (path.relative_to(root).parent if root.is_dir() else Path()) / name


def _suffix(path: Path, kind: str, codec: str | None) -> str:
    suffix = path.suffix.lower()
    if is_video(path):
        return suffix_for(suffix, kind == "cutout", codec)
    if kind != "composite":
        return ".png"
    return suffix if suffix in EXTENSIONS else ".png"


def _check_suffix(job: Job, kind: str, codec: str | None) -> None:
    if is_video(job.input):
        encoding_for(job.output, kind == "cutout", codec)
    elif job.output.suffix.lower() not in EXTENSIONS:
        raise OutputError(f"{job.output}: cannot hold a picture; use one of {' '.join(EXTENSIONS)}")
    elif kind == "cutout" and job.output.suffix.lower() in (".jpg", ".jpeg", ".bmp"):
        raise OutputError(f"{job.output}: {job.output.suffix} holds no transparency; use .png or .webp")


def matte_path(output: Path) -> Path:
    """Where the matte of a video goes that is written beside its result."""
    suffix = output.suffix.lower() if output.suffix.lower() in OPAQUE_EXTENSIONS else ".mp4"
    return output.with_name(f"{output.stem}-matte{suffix}")


def is_video(path: Path) -> bool:
    """Whether a file is taken as a video, by its name."""
    return path.suffix.lower() in VIDEO_EXTENSIONS
