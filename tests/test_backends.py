"""The same recipe on every Keras backend: losses that agree, and the whole of `train`, resumed bit for bit.

A backend is chosen when Keras is imported, so each has a process of its own, which reports in JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from processes import in_process
from training_data import write_dataset

pytest.importorskip("keras", reason="training needs pip install 'figureground[train]'")

LOSSES = """
import json
from dataclasses import replace
from figureground.training.devices import Asked, open_devices
devices = open_devices(Asked.parse("cpu"))
from steps import SMALL, losses
classic = replace(SMALL, network="classic", width=1 / 16)
print(json.dumps({"light": losses(SMALL, devices, 3), "classic": losses(classic, devices, 3)}))
"""

TRAIN = """
import json, os, sys
from pathlib import Path
# The three runs share what JAX compiles.
os.environ |= {"JAX_COMPILATION_CACHE_DIR": sys.argv[1] + "/jax", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
from figureground.cli import app
from training_data import progress, weights, write_dataset

folder = Path(sys.argv[1])
write_dataset(folder / "data", train=8, val=4)
settings = ["start=", "network=classic", "width=0.015625", "size=32", "batch=4", "learning_rate=0.003"]
settings += ["warmup_epochs=0"]
settings += ["dropout=0.2", "schedule=constant", "average=0.9"]
settings += ["freeze_encoder=1", "sample_every=1", "validate_every=1"]

def train(run, epochs, *more):
    line = ["train", str(folder / "data"), "--output", str(folder / run), "--devices", "cpu", "--epochs", str(epochs)]
    app([*line, *(part for setting in settings for part in ("--set", setting)), *more], standalone_mode=False)

train("whole", 2)
train("parts", 1)
train("parts", 2, "--resume")
environment = json.loads((folder / "whole" / "environment.json").read_text())
files = sorted(path.relative_to(folder / "whole").as_posix() for path in (folder / "whole").rglob("*.*"))
same = weights(folder / "whole") == weights(folder / "parts")
rows = [progress(folder / run)["rows"] for run in ("whole", "parts")]
print(json.dumps({"environment": environment, "files": files, "same": same, "rows": rows}))
"""


@cache
def losses(backend: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = in_process(backend, LOSSES)
    return found


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("network", ["light", "classic"])
def test_losses_agree(backend: str, network: str) -> None:
    """Forward, then forward after one and after two optimizer steps, then the gradients' average.

    Measured: equal before the first step; at most 1.3e-6 apart after two, and the gradients' average 7e-4. Adam's first
    steps, which go by the gradient's sign alone, magnify what rounding there is where a gradient is nearly 0.
    """
    got, wanted = losses(backend)[network], losses("tensorflow")[network]
    assert wanted[2] < wanted[1] < wanted[0]
    assert got[0] == pytest.approx(wanted[0], rel=1e-6)
    assert got[1:3] == pytest.approx(wanted[1:3], rel=2e-5)
    assert got[3] == pytest.approx(wanted[3], rel=5e-3)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_whole_command(backend: str, tmp_path: Path) -> None:
    """Train, validate, stop, go on, report; the encoder frozen for the first of two epochs."""
    found = in_process(backend, TRAIN, tmp_path)
    assert found["environment"]["backend"] == backend
    assert {"best.keras", "last.npz", "metrics.csv", "curves.png", "report.html"} <= set(found["files"])
    assert {"samples/epoch-0001.png", "samples/best.png"} <= set(found["files"])
    assert found["same"], "resumed, it has the weights and the optimizer's state of the run that was not interrupted"
    whole, parts = ([row["val_loss"] for row in rows] for rows in found["rows"])
    assert whole == parts
    assert len(whole) == 2


def test_a_backend_that_is_none(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=2, val=1)
    done = subprocess.run(
        [sys.executable, "-m", "figureground", "train", str(tmp_path), "--set", "batch=2"],
        env=os.environ | {"KERAS_BACKEND": "numpi"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("figureground: KERAS_BACKEND=numpi: want tensorflow, jax, torch")
