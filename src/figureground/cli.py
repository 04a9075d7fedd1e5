"""The command line: each command parses, calls one function and prints.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done; 1 some inputs failed, each named;
2 the call was wrong; 130 interrupted.
"""

from __future__ import annotations

import io
import json
import logging
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground.errors import FigureGroundError, MissingExtraError, OutputError

if TYPE_CHECKING:
    from rich.progress import Progress

    from figureground.batch import Result
    from figureground.evaluation.compare import Comparison, StreamComparison

app = typer.Typer(
    help="Cut people out of pictures and video, in real time, on your own machine.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
INTERRUPTED = 130
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Model = Annotated[
    str, typer.Argument(help="A shipped model (small, base), an .onnx or .tflite file, or a peer's .toml.")
]
Dataset = Annotated[Path, typer.Argument(help="A dataset folder: images/, masks/, manifest.csv.")]


def main() -> None:
    """Run the command line and exit with its code."""
    # What a library remarks on a file (broken EXIF, say) is no message of ours: stderr holds one line a failure.
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end the work
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        code = app(standalone_mode=False)
    except FigureGroundError as error:
        code = _complain(str(error))
    except OSError as error:
        code = _complain(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        error.show()  # a wrong call: typer's own message
        code = error.exit_code
    if code == INTERRUPTED:  # as which typer gives a Ctrl-C back, too
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not interrupt saying so
        _complain("interrupted; what was finished is kept, nothing half-written is left")
    sys.exit(code or 0)


@app.command()
def replace(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, videos, or folders of them.")],
    background: Annotated[
        str, typer.Option(help="blur, blur:STRENGTH (1 to 100), #rrggbb, transparent, or a picture, video or folder.")
    ] = "blur",
    kind: Annotated[
        str, typer.Option(help="composite, cutout (transparent background) or alpha (the matte).")
    ] = "composite",
    output: Annotated[
        str | None, typer.Option(help="A file for one input, a folder for several; left out: beside each input.")
    ] = None,
    model: Annotated[str, typer.Option(help="A shipped model (small, base) or an .onnx file.")] = "small",
    as_json: Json = False,
) -> int:
    """Give the people in pictures and videos another background."""
    from figureground import batch

    with _progress("frames/s") as bar:
        task = bar.add_task("", total=None)

        def progress(path: Path, done: int, total: int) -> None:
            bar.update(task, description=path.name, completed=done, total=total or None)

        results = batch.replace(inputs, background, output, kind, model, progress)
    if as_json:
        print(json.dumps({"results": [asdict(result) for result in results]}, indent=1))
    else:
        for result in results:
            _say(result)
    return int(any(result.status == "failed" for result in results))


def _say(result: Result) -> None:
    if result.status == "failed":
        _complain(result.reason)
    else:
        rate = f", {result.frames / result.seconds:.0f} frames/s" if result.frames > 1 and result.seconds else ""
        print(f"{result.output}  ({result.frames} {'frame' if result.frames == 1 else 'frames'}{rate})")


@app.command()
def prepare(
    sources: Annotated[list[Path], typer.Argument(help="Folders of annotated pictures, or annotation files.")],
    output: Annotated[Path, typer.Option(help="The dataset folder to write.")],
    notation: Annotated[
        str,
        typer.Option(
            "--format", help="auto, coco, supervisely, labelme, via, cvat, labelbox, yolo, voc, masks, prepared."
        ),
    ] = "auto",
    classes: Annotated[str, typer.Option(help="What to segment: names, numbers or colours of masks.")] = "person",
    split: Annotated[
        str,
        typer.Option(help="Shares of train, val and test; left out: 0.8,0.2,0, and a prepared dataset keeps its own."),
    ] = "",
    group_by: Annotated[
        str, typer.Option(help="Regular expression of the part of a path that pictures of one group share.")
    ] = "",
    only_sources: Annotated[str, typer.Option(help="Take only these sources of prepared datasets.")] = "",
    coverage: Annotated[
        str, typer.Option(help="Least and largest share of a picture that the mask may cover.")
    ] = "0,1",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any annotation was rejected.")] = False,
    as_json: Json = False,
) -> int:
    """Turn annotated pictures of any notation into a dataset; every annotation is accounted for."""
    with _needs("train"):
        from figureground.data.account import account
        from figureground.data.prepare import Settings
        from figureground.data.prepare import prepare as work

    settings = Settings(notation, _listed(classes), split, group_by, _listed(only_sources), _numbers(coverage))
    with _progress("pictures/s") as bar:
        tasks = {step: bar.add_task(step, total=None, visible=False) for step in ("reading", "writing")}

        def progress(step: str, done: int, total: int) -> None:
            bar.update(tasks[step], completed=done, total=total or None, visible=True)

        result = work(sources, output, settings, progress)
    print(json.dumps(asdict(result), indent=1) if as_json else account(result))
    return int(strict and result.rejected > 0)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise FigureGroundError(f"--coverage {text}: want two numbers, as in 0.01,0.9") from error
    return low, high


@app.command()
def augment(
    dataset: Dataset,
    recipe: Annotated[
        str, typer.Option(help="A recipe's name (small, small_finish, base, base_finish, classic) or file.")
    ] = "small",
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("grid.png"),
    count: Annotated[int, typer.Option(min=1, max=100, help="Pictures, a row each.")] = 6,
    variations: Annotated[int, typer.Option(min=1, max=30, help="Augmented samples of each, a column each.")] = 7,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: name=value, as augment.rotate=30. Repeatable."),
    ] = None,
) -> int:
    """Draw what training sees: pictures of a dataset and augmented samples of each, their masks outlined."""
    from figureground.images import write_image
    from figureground.training.config import read_recipe
    from figureground.training.grid import augmented_grid

    write_image(output, augmented_grid(dataset, read_recipe(recipe, settings or []), count, variations))
    print(output)
    return 0


@app.command()
def train(
    dataset: Dataset,
    recipe: Annotated[
        str,
        typer.Option(help="A recipe's name (small, base, classic, ...) or file; left out: small, or what is resumed."),
    ] = "",
    output: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("run"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    start: Annotated[
        str, typer.Option("--from", help="Weights to begin with: a shipped model (small), a .keras file or a run.")
    ] = "",
    epochs: Annotated[int | None, typer.Option(help="Short for --set epochs=N.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: name=value. Repeatable.")
    ] = None,
) -> int:
    """Train a network on a dataset and keep the best weights."""
    from figureground.training.config import read_recipe, read_run
    from figureground.training.live import shown
    from figureground.training.start import find_weights

    changed = list(settings or []) + ([f"epochs={epochs}"] if epochs is not None else [])
    changed += [f"start={start}"] if start else []
    # What is wrong with the call is told before the seconds that TensorFlow takes.
    chosen = read_run(output, changed) if resume and not recipe else read_recipe(recipe or "small", changed)
    if start:
        find_weights(start)
    with _needs("train"):
        from figureground.training.fit import fit

    try:
        with shown(sys.stderr.isatty()) as (report, watch):
            best = fit(chosen, dataset, output, resume, report, watch)
    except KeyboardInterrupt:
        _complain(_go_on(dataset, output))
        raise
    print(f"{best}\n{output / 'report.html'}\nNext:  figureground export {output}")
    return 0


def _go_on(dataset: Path, run: Path) -> str:
    """How to go on after a Ctrl-C."""
    if not (run / "last.npz").exists():
        return f"{run}: no checkpoint yet; begin again"
    return f"go on with:  {shlex.join(['figureground', 'train', str(dataset), '--output', str(run), '--resume'])}"


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder, as `train` makes it.")],
    output: Annotated[Path | None, typer.Option(help="The .onnx file; left out: RUN/model.onnx.")] = None,
) -> int:
    """Write a run's best weights as an ONNX file, checked against the Keras model on real pictures."""
    with _needs("train"):
        from figureground.training.export_run import export_run

    path = output or run / "model.onnx"
    if path.suffix != ".onnx":
        raise OutputError(f"{path}: a model file ends in .onnx")
    difference, number = export_run(run, path)
    print(f"{path}  (differs by at most {difference:.1e} from Keras on {number} pictures)")
    return 0


@app.command()
def evaluate(
    model: Model,
    dataset: Annotated[Path, typer.Argument(help="A dataset folder; or a video, or a folder of consecutive frames.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    peer: Annotated[
        list[str] | None, typer.Option(help="Another model to measure beside it: .tflite, .onnx or .toml. Repeatable.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write a report as one HTML file.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, help="Frames per second of a folder of frames.")] = 25.0,
    as_json: Json = False,
) -> int:
    """Measure a model on a dataset, by source: masks, alphas, calibration, time; or how steady it is on a video."""
    from figureground.atomic import check_writable
    from figureground.evaluation import compare, report, streams, tables

    in_motion = streams.is_stream(dataset)
    with _needs("train"):
        template = report.load_template(in_motion) if output else None  # what is missing is told before the work
    if output:
        check_writable(output.parent)
    models = compare.open_models([model, *(peer or [])])
    with _progress("pictures/s") as bar:
        tasks = {name: bar.add_task(name, total=None) for name in models}

        def progress(name: str, done: int, total: int) -> None:
            bar.update(tasks[name], completed=done, total=total or None)

        compared: Comparison | StreamComparison
        if in_motion:
            compared = compare.compare_streams(models, dataset, fps, progress)
        else:
            compared = compare.compare(models, dataset, split, progress)
    if output and template:
        report.write_report(compared, models, dataset, output, template)
    print(json.dumps(compare.as_json(compared), indent=1) if as_json else tables.table(compared))
    return 0


@app.command()
def bench(
    size: Annotated[str, typer.Option(help="Of the frame, WIDTHxHEIGHT.")] = "1280x720",
    threads: Annotated[int, typer.Option(min=1, help="For the network, OpenCV and the peers.")] = 1,
    peers: Annotated[Path, typer.Option(help="Folder with mp_selfie.tflite; skipped, and said so, if absent.")] = Path(
        "../shared/peers"
    ),
    as_json: Json = False,
) -> int:
    """Time each stage of a frame, beside MediaPipe and the starting point's way where they are installed."""
    from figureground.bench import bench as measure
    from figureground.bench import table

    width, separator, height = size.partition("x")
    if not (separator and width.isdigit() and height.isdigit() and 0 < int(width) <= 8192 and 0 < int(height) <= 8192):
        raise FigureGroundError(f"--size {size}: want WIDTHxHEIGHT up to 8192, as in 1280x720")
    result = measure(int(width), int(height), threads, peers)
    print(json.dumps(asdict(result), indent=1) if as_json else table(result))
    return 0


@app.command()
def explore(
    dataset: Dataset,
    output: Annotated[
        Path | None, typer.Option(help="The page; left out: report.html, or none where --json is given.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Look at a dataset: figures, samples, odd annotations, near-duplicates and leaks, as one HTML page."""
    from figureground.atomic import check_writable
    from figureground.data.explore import explore as look
    from figureground.data.explore import table
    from figureground.data.explore_page import load_template, write_page

    page = output if as_json else output or Path("report.html")
    with _needs("train"):
        template = load_template() if page else None  # what is missing is told before the work, not after it
    if page:
        check_writable(page.parent)
    with _progress("pictures/s") as bar:
        task = bar.add_task("explore", total=None)
        result = look(dataset, progress=lambda n, all_: bar.update(task, completed=n, total=all_))
    if page and template:
        write_page(result, dataset, page, template)
    print(json.dumps(asdict(result), indent=1) if as_json else f"{table(result)}\n{page}")
    return 0


def _complain(message: str) -> int:
    print(f"figureground: {message}", file=sys.stderr)
    return 2


@contextmanager
def _needs(extra: str) -> Iterator[None]:
    """Turn a missing part of an extra into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{error.name}, which this command needs,", extra) from error


def _progress(unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.0f} {unit}")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
