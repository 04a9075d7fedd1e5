"""A run's best weights as a model file, measured before it is kept, with what the file should say about itself."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from figureground.arrays import Frame
from figureground.atomic import atomic_path, check_writable
from figureground.data.manifest import Item, read_manifest
from figureground.engine import Engine
from figureground.errors import DatasetError, ModelError, TrainingError
from figureground.images import read_image
from figureground.preprocess import to_input
from figureground.runtimes.exported import ExportedModel
from figureground.training.export import to_onnx
from figureground.training.export_files import Write, litert_file, onnx_file, openvino_file, parts, temporary_folder
from figureground.training.export_gate import Comparison, Progress, compare, keras_alpha, refusal
from figureground.training.export_target import Target
from figureground.training.model import load_model

PICTURES = 128  # of the val split, to measure on
CALIBRATION = 100  # of the train split, for int8
_PLACES = {"backgrounds", "dataset", "start"}  # paths on the machine of whoever trained


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, its figures, how many val pictures there are, why it was only kept by force, if so."""

    path: Path
    figures: Comparison
    val: int
    forced: str


def export_run(
    run: Path,
    target: Target,
    output: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    dataset: Path | None = None,
) -> Exported:
    """Write the best weights of a run as a model file, if that file finds people as well as the Keras model.

    The file is run by its own runtime over pictures spread over the val split of the dataset that the run was trained
    on, beside the Keras model and on one thread, if TensorFlow does not run in this process already.

    Args:
        run: a folder as `fit` leaves it.
        target: what to write; LiteRT files have one size, left out it is the recipe's `input_size` squared.
        output: the file; left out: in the run's folder.
        force: keep a file that is not as good, and say so in its metadata.
        progress: called with the pictures done and the pictures in all.
        dataset: where its dataset lies now; left out: where it lay.

    Raises:
        TrainingError: `run` holds no finished run.
        DatasetError: its dataset is not there.
        ModelError: the network cannot be spelt in that format, or the file is not as good; it is not written.
        OutputError: it cannot be written, or there is no room for temporary files.
        MissingExtraError: the format's library is not installed.
    """
    output = target.path(run, output)
    config = _config(run)
    dataset, side = dataset or _dataset(run, config), config["input_size"]
    if target.format == "litert" and target.size is None:
        target = Target(target.format, target.quantize, (side, side))
    check_writable(output.parent)
    _use_one_thread()
    model = load_model(run / "best.keras")
    train, val = read_manifest(dataset, "train"), read_manifest(dataset, "val")
    metadata = _metadata(config, target, train)
    write = _converted(model, target, train, side)
    with temporary_folder() as folder:
        path = folder / f"measured{output.suffix}"
        write(path, metadata)
        try:
            network = Engine(path) if target.format == "onnx" else ExportedModel(path)
            figures = compare(network, keras_alpha(model), _spread(val), progress)
        except ModelError as error:
            raise ModelError(f"{output}: not written, {str(error).removeprefix(f'{path}: ')}") from error
        why = refusal(figures, exact=not target.quantize)
        if why and not force:
            raise ModelError(f"{output}: not written, {why}; --force keeps it")
        metadata |= {"scores": json.dumps(_scores(figures))} | ({"forced": "true"} if why else {})
        _place(write, metadata, folder / f"final{output.suffix}", output)
    return Exported(output, figures, len(val), why)


def _config(run: Path) -> dict[str, Any]:
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        if {"name", "input_size", "dataset"} <= {*config}:
            return dict(config)
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{run}: holds no run; make one with `figureground train`") from error
    raise TrainingError(f"{run / 'config.json'}: holds no run's settings; make a run with `figureground train`")


def _dataset(run: Path, config: dict[str, Any]) -> Path:
    dataset = Path(config["dataset"])
    if not dataset.is_dir():
        raise DatasetError(f"{run / 'config.json'}: its dataset {dataset} is not there; say by --dataset where it is")
    return dataset


def _use_one_thread() -> None:
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it runs already: too late
        tf.config.threading.set_intra_op_parallelism_threads(1)


def _metadata(config: dict[str, Any], target: Target, train: Sequence[Item]) -> dict[str, str]:
    return {
        "name": config["name"],
        "size": str(config["input_size"]),
        "channels": "RGB",
        "quantize": target.quantize or "none",
        "recipe": json.dumps({key: config[key] for key in sorted(config.keys() - _PLACES)}),
        "licence": ", ".join(sorted({item.licence for item in train})),
    }


def _converted(model: keras.Model, target: Target, train: Sequence[Item], side: int) -> Write:
    pictures = _calibration(target, train, side) if target.quantize == "int8" else []
    if target.format == "litert":
        from figureground.training.export_litert import to_litert

        return litert_file(to_litert(model, target.size or (side, side), target.quantize, pictures))
    proto = to_onnx(model, target.size)
    if target.quantize:
        from figureground.training.export_onnx import to_half, to_int8

        if target.quantize == "int8":
            proto = to_int8(proto, pictures)
        elif target.format == "onnx":
            proto = to_half(proto)
    return onnx_file(proto) if target.format == "onnx" else openvino_file(proto, halve=target.quantize == "fp16")


def _calibration(target: Target, train: Sequence[Item], side: int) -> list[Frame]:
    chosen = np.random.default_rng(0).permutation(len(train))[:CALIBRATION]
    frames = (read_image(train[row].image) for row in sorted(chosen))
    return [to_input(frame, target.fit(frame.shape[1], frame.shape[0], side)) for frame in frames]


def _spread(items: Sequence[Item]) -> list[Item]:
    """`PICTURES` of them, evenly chosen; all, if there are fewer."""
    return [items[row] for row in np.linspace(0, len(items) - 1, min(PICTURES, len(items))).astype(int)]


def _scores(figures: Comparison) -> dict[str, Any]:
    return asdict(figures) | {"iou_difference": -figures.drop}


def _place(write: Write, metadata: dict[str, str], draft: Path, output: Path) -> None:
    write(draft, metadata)
    for part, place in zip(parts(draft), parts(output), strict=True):
        with atomic_path(place) as temporary:
            shutil.copyfile(part, temporary)
