"""A run's best weights as a model file, with what the file should say about itself."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from figureground.arrays import Alpha, Frame
from figureground.data.manifest import read_manifest
from figureground.engine import Engine
from figureground.errors import TrainingError
from figureground.images import read_image
from figureground.preprocess import Fit, to_input
from figureground.training.export import export
from figureground.training.model import load_model

PICTURES = 24
_PLACES = {"backgrounds", "dataset", "start"}  # paths on the machine of whoever trained


def export_run(run: Path, output: Path) -> tuple[float, int]:
    """Write the best weights of a run as an ONNX file, if it gives Keras' alphas on real pictures.

    The pictures are spread over the val split of the dataset that the run was trained on.

    Args:
        run: a folder as `fit` leaves it.
        output: the .onnx file.

    Returns:
        The worst difference of any pixel's alpha, and the number of pictures.

    Raises:
        TrainingError: `run` holds no finished run.
        DatasetError: its dataset is gone.
        ModelError: the file would differ from the Keras model; it is not written.
    """
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{run}: holds no run; make one with `figureground train`") from error
    model = load_model(run / "best.keras")
    size = config["input_size"]
    items = read_manifest(Path(config["dataset"]), "val")
    pictures = [_as_input(read_image(item.image), size) for item in items[:: max(1, len(items) // PICTURES)]]
    metadata = {
        "name": config["name"],
        "size": str(size),
        "channels": "RGB",
        "recipe": json.dumps({key: config[key] for key in sorted(config.keys() - _PLACES)}),
        "licence": ", ".join(sorted({item.licence for item in read_manifest(Path(config["dataset"]), "train")})),
    }
    with tempfile.TemporaryDirectory() as folder:
        difference = export(model, output, metadata, pictures, _Runner(Path(folder)))
    return difference, len(pictures)


class _Runner:
    """Runs serialised models with the engine that users will run them with."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "model.onnx"
        self._engine: Engine | None = None

    def __call__(self, content: bytes, picture: Frame) -> Alpha:
        if self._engine is None:
            self._path.write_bytes(content)
            self._engine = Engine(self._path)
        return self._engine.run(picture)


def _as_input(frame: Frame, size: int) -> Frame:
    fit = Fit.of(frame.shape[1], frame.shape[0], size)
    return to_input(frame, fit, np.empty((fit.input_height, fit.input_width, 3), np.uint8))
