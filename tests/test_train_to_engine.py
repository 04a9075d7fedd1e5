"""The whole way through the real command line: train, export, run, evaluate; each in its own process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from figureground.data.manifest import read_manifest
from figureground.engine import Engine
from figureground.errors import DatasetError, TrainingError
from figureground.evaluation.evaluate import evaluate
from figureground.images import read_image
from training_data import write_dataset

pytest.importorskip("tensorflow", reason="training needs pip install 'figureground[train]'")
pytest.importorskip("onnx", reason="export needs pip install 'figureground[train]'")

TINY = ("--set", "size=64", "--set", "input_size=64", "--set", "batch=4", "--set", "warmup_epochs=0.5")

AS_A_USER = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "figureground", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=AS_A_USER)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), sizes=((64, 64), (72, 48)))


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of the shipped recipe, on tiny pictures."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = command("train", dataset, "--output", folder, "--epochs", 2, "--set", "validate_every=1", *TINY)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'best.keras'}\n{folder / 'report.html'}\nNext:  figureground export {folder}\n"
    rows = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert [row.split()[1] for row in rows] == ["1", "2"]
    assert "Traceback" not in done.stderr
    assert "oneDNN" not in done.stderr, "what TensorFlow says of itself"
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    done = command("export", run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 of 8 val pictures ")
    assert done.stdout.splitlines()[-1] == str(run / "model.onnx")
    return run / "model.onnx"


def test_engine_runs_the_export(model: Path, run: Path, dataset: Path) -> None:
    engine = Engine(model)
    assert engine.size == 64
    assert engine.metadata["name"] == "small"
    assert engine.metadata["channels"] == "RGB"
    assert engine.metadata["licence"] == "CC0-1.0"
    recipe = json.loads(engine.metadata["recipe"])
    assert (recipe["epochs"], recipe["size"]) == (2, 64)
    for item in read_manifest(dataset, "val")[:2]:
        frame = read_image(item.image)
        alpha = engine(frame)
        assert alpha.shape == frame.shape[:2]
        assert alpha.dtype == np.float32
        assert 0 <= alpha.min() <= alpha.max() <= 1


def test_export_is_evaluated(model: Path, dataset: Path) -> None:
    done = command("evaluate", model, dataset, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"] == str(model)
    assert result["overall"]["pictures"] == 8
    assert result["overall"]["iou"] == pytest.approx(evaluate(Engine(model), dataset).overall.iou)


def test_wrong_setting_from_the_command_line(dataset: Path, tmp_path: Path) -> None:
    done = command("train", dataset, "--output", tmp_path / "run", "--set", "learning_rat=1")
    assert done.returncode == 2
    assert done.stderr.endswith("did you mean learning_rate?\n")
    assert done.stderr.count("\n") == 1, "and TensorFlow has not been loaded for it"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("config", [None, "", "{}", "[]", '{"input_size": 64, "dataset": "gone", "name": "x"}'])
def test_export_of_what_is_no_run(tmp_path: Path, config: str | None) -> None:
    from figureground.training.export_run import export_run
    from figureground.training.export_target import Target

    if config is not None:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(TrainingError, match=r"holds no run|best\.keras: not a Keras model"):
        export_run(tmp_path, Target(), dataset=tmp_path)
    assert not (tmp_path / "model.onnx").exists()


def test_export_without_its_dataset(run: Path, tmp_path: Path) -> None:
    from figureground.training.export_run import export_run
    from figureground.training.export_target import Target

    shutil.copytree(run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text(encoding="utf-8")) | {"dataset": str(tmp_path / "gone")}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"config\.json: its dataset .*gone is not there; say by --dataset where"):
        export_run(tmp_path / "run", Target())
