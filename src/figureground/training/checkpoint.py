"""The last state of a run, in one file: weights, optimizer, moving average, place in the run."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from figureground.atomic import atomic_path
from figureground.errors import TrainingError
from figureground.training.config import start_again

Weights = list[NDArray[Any]]


@dataclass(slots=True)
class Progress:
    """How far a run has come; `epoch` counts finished epochs.

    `batches` holds loss and accuracy of those done in the epoch that is not finished. `seconds` counts time spent
    training, `data_seconds` what of it was spent waiting for batches; `noted` is both when the last row was.
    """

    epoch: int = 0
    batches: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    data_seconds: float = 0.0
    noted: tuple[float, float] = (0.0, 0.0)
    sampled: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    waited: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)


def save_checkpoint(path: Path, model: keras.Model, average: Weights, progress: Progress) -> None:
    """Write everything needed to go on; the file before survives if this one cannot be completed."""
    arrays: dict[str, Any] = {f"model/{i:04d}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer/{i:04d}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"average/{i:04d}": v for i, v in enumerate(average)}
    state = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, progress=state, **arrays)


def load_checkpoint(path: Path, model: keras.Model) -> tuple[Weights, Progress]:
    """Put a saved state into a compiled `model` of the same recipe; give its average and progress.

    Raises:
        TrainingError: a checkpoint that is broken or gone, or one of another network or optimizer.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            saved = {name: file[name] for name in file.files}
        progress = Progress(**json.loads(bytes(saved.pop("progress"))))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path}: a broken checkpoint ({error}); {start_again(path.parent)}") from error
    model.optimizer.build(model.trainable_variables)
    for prefix, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        values = [saved[name] for name in sorted(saved) if name.startswith(f"{prefix}/")]
        if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
            raise TrainingError(
                f"{path}: its {prefix} has other shapes than the recipe's; use the recipe it was made with"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return [saved[name] for name in sorted(saved) if name.startswith("average/")], progress
