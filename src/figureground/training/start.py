"""Which weights a run begins with: a shipped model's, a file's or another run's."""

from __future__ import annotations

import json
from pathlib import Path

from figureground.errors import TrainingError


def find_weights(name: str) -> Path:
    """The .keras file that `Recipe.start` names: a shipped model by its name, a file, or a run's best weights.

    Raises:
        TrainingError: there is none, or it is a file that cannot be trained.
    """
    shipped, path = _shipped(), Path(name)
    if name in shipped:  # before a folder of this name, as an Engine takes it
        return shipped[name]
    if path.is_dir():
        return _best_of(path)
    if path.suffix == ".keras" and path.is_file():
        return path
    if path.suffix == ".onnx":
        raise TrainingError(f"{name}: an .onnx file cannot be trained; give the run or .keras file it was made from")
    known = ", ".join(sorted(shipped))
    raise TrainingError(f"{name}: no weights to begin with; give a name ({known}), a .keras file or a run")


def network_of(start: str) -> list[str]:
    """The settings, as `--set` has them, of the network whose weights `start` names; none where nothing tells."""
    if start in _shipped():
        return [f"network={start}"]
    try:
        config = json.loads((Path(start) / "config.json").read_text(encoding="utf-8"))
        network, width = config["network"], config["width"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [f"network={network}", *([f"width={width}"] if network == "classic" else [])]


def _best_of(run: Path) -> Path:
    if not (run / "best.keras").is_file():
        raise TrainingError(f"{run}: holds no best.keras to begin with; give a folder that `train` has made")
    return run / "best.keras"


def _shipped() -> dict[str, Path]:
    package = Path(__file__).parents[1]
    folders = (package.parents[1] / "checkpoints", package / "checkpoints")  # in a checkout; in a wheel
    return {path.stem: path for folder in folders for path in folder.glob("*.keras")}
