"""The commands from a dataset to a model and its figures."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground.cli_data import Dataset
from figureground.terminal import Json, complain, ctrl_c_waits, needs, progress_bar

if TYPE_CHECKING:
    from figureground.evaluation.compare import Comparison, StreamComparison
    from figureground.training.export_run import Exported

SAVING = "saving after this step; press Ctrl-C again to leave it at the last checkpoint"
Model = Annotated[
    str, typer.Argument(help="A shipped model (small, base), a run, an .onnx, .tflite or .xml file, or a peer's .toml.")
]


def augment(
    dataset: Dataset,
    recipe: Annotated[
        str, typer.Option(help="A recipe's name (small, base, light, light_finish, classic) or file.")
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
    from figureground.atomic import check_file
    from figureground.errors import OutputError
    from figureground.images import check_suffix, write_image
    from figureground.training.config import read_recipe
    from figureground.training.grid import augmented_grid

    check_file(output, "grid.png")
    check_suffix(output)
    chosen = read_recipe(recipe, settings or [])
    for folder in (dataset / "images", dataset / "masks", *([Path(chosen.backgrounds)] if chosen.backgrounds else [])):
        if output.resolve().is_relative_to(folder.resolve()):
            raise OutputError(f"{output}: lies in {folder}, among what is read; choose another --output")
    write_image(output, augmented_grid(dataset, chosen, count, variations))
    print(output)
    return 0


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
    devices: Annotated[
        str, typer.Option(help="cpu, gpu, or several that share each batch: gpu:4; left out: one, as Keras chooses.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: name=value. Repeatable.")
    ] = None,
) -> int:
    """Train a network on a dataset and keep the best weights."""
    from figureground.training.config import read_recipe, read_run
    from figureground.training.dataset import read_splits
    from figureground.training.devices import Asked, open_devices
    from figureground.training.live import shown
    from figureground.training.start import find_weights, network_of

    changed = list(settings or []) + ([f"epochs={epochs}"] if epochs is not None else [])
    changed += [f"start={start}"] if start else []
    if start and not recipe and not resume:
        changed = network_of(start) + changed
    # What is wrong with the call is told before the seconds that TensorFlow takes.
    asked = Asked.parse(devices)
    chosen = read_run(output, changed) if resume and not recipe else read_recipe(recipe or "small", changed)
    if start:
        find_weights(start)
    if not resume:
        read_splits(dataset, chosen.batch)
    with needs("train"), _importing_tensorflow():
        used = open_devices(asked)
        from figureground.training.fit import fit

    try:
        with shown(used.is_chief and sys.stderr.isatty()) as (report, watch), ctrl_c_waits(SAVING) as stop:
            told = report if used.is_chief else None
            best = fit(chosen, dataset, output, resume, told, watch, devices=used, stop=stop)
    except KeyboardInterrupt:
        complain(_go_on(dataset, output, devices))
        raise
    if used.is_chief:
        print(f"{best}\n{output / 'report.html'}\nNext:  figureground export {shlex.quote(str(output))}")
    return 0


@contextmanager
def _importing_tensorflow() -> Iterator[None]:
    """Where it is imported: with oneDNN, and without what it says of itself, which helps nobody.

    By itself it uses oneDNN only on processors with AVX-512; with AVX2 alone steps take two thirds of the time with it.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    heard = os.dup(2)  # it writes there whatever its level, before it has read that
    try:
        with open(os.devnull, "wb") as unheard:
            os.dup2(unheard.fileno(), 2)
        yield
    finally:
        os.dup2(heard, 2)
        os.close(heard)


def _go_on(dataset: Path, run: Path, devices: str) -> str:
    """How to go on after a Ctrl-C."""
    from figureground.training.config import has_checkpoint

    if not has_checkpoint(run):
        return f"{run}: no checkpoint yet; begin again"
    call = ["figureground", "train", str(dataset), "--output", str(run), "--resume"]
    return f"go on with:  {shlex.join([*call, '--devices', devices] if devices else call)}"


def export(
    run: Annotated[Path, typer.Argument(help="A run folder, as `train` makes it.")],
    to: Annotated[str, typer.Option(help="onnx, openvino or litert.")] = "onnx",
    quantize: Annotated[str, typer.Option(help="int8 or fp16; left out: float32.")] = "",
    size: Annotated[
        str, typer.Option(help="One size, as 256x160 (LiteRT has always one); left out: any, of any aspect ratio.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="The file; left out: in RUN, as model.onnx or model-int8-64x96.xml.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="The dataset to measure on; left out: where it lay when the run was trained.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Keep a file that is not as good as the Keras model.")] = False,
) -> int:
    """Write a run's best weights as a model file, measured beside the Keras model on real pictures."""
    from figureground.training.export_target import Target

    # What is wrong with the call is told before the seconds that TensorFlow takes.
    target = Target.parse(to, quantize, size)
    target.path(run, output)
    with needs("train"), _importing_tensorflow():
        from figureground.training.export_run import export_run

    with progress_bar("pictures/s") as bar:
        task = bar.add_task("measuring", total=None)
        done = export_run(
            run, target, output, force, lambda n, total: bar.update(task, completed=n, total=total), dataset
        )
    print(_export_table(done))
    if done.forced:
        complain(f"{done.path}: kept by --force: {done.forced}")
    return 0


def _export_table(done: Exported) -> str:
    got = done.figures
    lines = [f"{f'{got.pictures} of {done.val} val pictures':<36}accuracy     IoU      ms"]
    for name, figures in (("Keras", got.keras), (done.path.name, got.exported)):
        lines.append(f"{name:<36}{figures.accuracy:>8.4f}{figures.iou:>8.4f}{figures.milliseconds:>8.2f}")
    lines += [f"IoU difference {-got.drop:+.4f}; alphas differ by at most {got.worst:.1e}", str(done.path)]
    return "\n".join(lines)


def evaluate(
    model: Model,
    dataset: Annotated[Path, typer.Argument(help="A dataset folder; or a video, or a folder of consecutive frames.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    peer: Annotated[
        list[str] | None, typer.Option(help="Another model to measure beside it, likewise. Repeatable.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write a report as one HTML file.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, max=100_000, help="Frames per second of a folder of frames.")] = 25.0,
    as_json: Json = False,
) -> int:
    """Measure a model on a dataset, by source: masks, alphas, calibration, time; or how steady it is on a video."""
    from figureground.atomic import PAGES, check_file
    from figureground.evaluation import compare, report, streams, tables

    in_motion = streams.is_stream(dataset)
    with needs("train"):
        template = report.load_template(in_motion) if output else None  # what is missing is told before the work
    if output:
        check_file(output, "report.html", PAGES)
    models = compare.open_models([model, *(peer or [])])
    with progress_bar("pictures/s") as bar:
        tasks = {name: bar.add_task(name, total=None) for name in models}

        def progress(name: str, done: int, total: int) -> None:
            bar.update(tasks[name], completed=done, total=total or None)

        compared: Comparison | StreamComparison
        if in_motion:
            compared = compare.compare_streams(models, dataset, fps, progress)
        else:
            compared = compare.compare(models, dataset, split, progress)
    # At once: whatever the report may fail at costs no figure.
    print(json.dumps(compare.as_json(compared), indent=1, allow_nan=False) if as_json else tables.table(compared))
    if output and template:
        report.write_report(compared, models, dataset, output, template)
    return 0
