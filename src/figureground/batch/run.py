"""`replace`: one result an input, whatever becomes of the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from fractions import Fraction
from itertools import islice
from pathlib import Path

from figureground.atomic import check_writable, remove_unfinished
from figureground.batch.manifest import Find, manifest_of
from figureground.batch.options import Options
from figureground.batch.places import is_url
from figureground.batch.plan import Item, check_not_empty, check_sheet, is_single, plan
from figureground.batch.pool import in_threads
from figureground.batch.video import Progress
from figureground.batch.watch import watch
from figureground.batch.worker import Done, Result, Task, Worker
from figureground.data.workers import cores
from figureground.errors import OutputError, SettingError


def replace(
    inputs: str | Path | Sequence[str | Path],
    background: str | Path = "blur",
    output: str | Path | None = None,
    kind: str = "composite",
    model: str | Path = "small",
    progress: Progress | None = None,
    jobs: int = 0,
    cluster: str = "",
    *,
    crop: bool = False,
    margin: float = 0.0,
    strip_metadata: bool = False,
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
        inputs: pictures, videos, or folders of them (searched through; their tree is kept in the output); paths, or
            URLs that fsspec knows.
        background: `blur`, `blur:STRENGTH`, `#rrggbb`, `transparent`, or the path of a picture, video or folder.
        output: a file for a single input, else a folder; left out, results stand beside their inputs. In a folder a
            manifest tells what was done; what has not changed since is `kept` the next time.
        kind: `composite`, `cutout` (transparent background) or `alpha` (the matte, grey).
        model: a shipped name, an .onnx, .tflite or .xml file, or a TOML that describes one (docs/evaluation.md).
        progress: called with the input, the frames done and the frames in all (0: not known), by one thread at a time.
        jobs: inputs at once; 0: one a core.
        cluster: a Ray cluster to work on: `local`, `auto`, or its address; empty: this process.
        crop: cut pictures down to the person, for cut-outs and alphas; a picture of nobody fails.
        margin: what is left around the person then, in hundredths of their longer side, 0 to 100.
        strip_metadata: keep nothing of what pictures say about themselves but their colour profile, and of videos
            nothing but languages and titles of tracks and their chapters.
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
    names = [inputs] if isinstance(inputs, str | Path) else inputs
    options = Options(
        kind,
        str(background),
        str(model),
        crop=crop,
        margin=margin,
        strip_metadata=strip_metadata,
        codec=codec,
        matte=matte,
        start=_seconds("start", start),
        end=None if end is None else _seconds("end", end),
        frames=frames,
        sheet=None if sheet is None else str(sheet),
        resume=resume,
    )
    return [*results(names, output, options, progress, jobs, cluster)]


def _seconds(name: str, value: float | Fraction) -> Fraction:
    try:
        return Fraction(str(value))  # 0.1 means a tenth
    except ValueError:
        raise SettingError(f"{name}: got {value!r}; want seconds from a video's beginning") from None


def results(
    inputs: Sequence[str | Path],
    output: str | Path | None,
    options: Options,
    progress: Progress | None = None,
    jobs: int = 0,
    cluster: str = "",
    watching: bool = False,
) -> Generator[Result, None, None]:
    """`replace`, result by result, of any number of inputs; `watching`, it goes on until it is closed.

    Raises:
        FigureGroundError: as `replace`; before the first result.
    """
    if jobs < 0:
        raise OutputError(f"jobs {jobs}: want how many at once, or 0 for one a core")
    if output == "":  # as a variable of a shell that was never set
        raise OutputError("--output '': want a file or folder; leave it out for results beside their inputs")
    if watching and (cluster or output is None or is_single(inputs, output, options)):
        raise OutputError("--watch: wants folders, with --output for another folder, and no --cluster")
    if not watching:
        check_not_empty(inputs)
    planned = plan(inputs, output, options)
    if options.sheet is not None:
        planned = iter(first := [*islice(planned, 2)])
        check_sheet(options.sheet, first, options)
    folder = None if output is None or is_single(inputs, output, options) else str(output)
    for home in [folder] if folder is not None else {str(Path(item.output).parent) for item in planned}:
        if not is_url(home):
            check_writable(Path(home))
    worker = Worker(options, progress)

    def items(find: Find) -> Iterator[Item]:
        return plan(inputs, output, options, lambda name: entry.output if (entry := find(name)) else "")

    return _run(items, worker, folder, jobs, cluster, watching)


def _run(
    items: Callable[[Find], Iterator[Item]], worker: Worker, folder: str | None, jobs: int, cluster: str, watching: bool
) -> Generator[Result, None, None]:
    with manifest_of(folder) if folder is not None else nullcontext() as manifest:
        find: Find = (lambda _: None) if manifest is None else manifest.find
        found = watch(lambda: items(find), find, worker.fingerprint) if watching else items(find)
        tasks = _numbered(_swept(found) if manifest is not None and manifest.alone else found, find)

        def noted(done: Done) -> Result:
            if manifest is not None and done.entry is not None:
                manifest.add(done.entry)
            return done.result

        if cluster:
            from figureground.batch.cluster import in_cluster

            finished = ((task, noted(done)) for task, done in in_cluster(cluster, worker.options, tasks, jobs))
        else:
            finished = in_threads(lambda task: noted(worker(task)), tasks, jobs or cores(), worker.stop)
        with closing(finished):
            yield from _in_order((task.number, result) for task, result in finished)


def _numbered(items: Iterable[Item | None], find: Find) -> Iterator[Task | None]:
    number = 0
    for item in items:
        yield None if item is None else Task(number, item, find(item.name) if item.result else None)
        number += item is not None


def _swept(items: Iterable[Item | None]) -> Iterator[Item | None]:
    """The items; before the first of each folder of results, what killed runs left there is removed."""
    swept = set[str]()
    for item in items:
        if item is not None and not is_url(item.output) and (home := os.path.dirname(item.output)) not in swept:
            swept.add(home)
            remove_unfinished(Path(home))
        yield item


def _in_order(finished: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """The results by their numbers, each as soon as none before it is missing."""
    waiting, number = dict[int, Result](), 0
    for place, result in finished:
        waiting[place] = result
        while number in waiting:
            yield waiting.pop(number)
            number += 1
