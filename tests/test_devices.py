"""`train --devices`: what it understands, what it refuses, and several devices that learn as one does."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from processes import in_process, surroundings
from training_data import weights, write_dataset

pytest.importorskip("tensorflow", reason="training needs pip install 'figureground[train]'")

from figureground.errors import RecipeError, TrainingError
from figureground.training import devices
from figureground.training.config import Recipe, read_run
from figureground.training.devices import Asked, open_devices
from figureground.training.fit import fit
from figureground.training.replicas import Devices

COMMAND = [sys.executable, "-m", "figureground", "train"]
SMALL = ["start=", "network=classic", "width=0.015625", "size=32", "batch=4", "average=0.9", "boundary_weight=2"]
SETTINGS = [part for setting in SMALL for part in ("--set", setting)]

# Several first: they are made before any is used. A narrow light network, for its compiler's sake.
STEPS = """
import json
import numpy as np
from figureground.training.devices import Asked, open_devices
from figureground.training.fit import fit
several = open_devices(Asked.parse("cpu:2"))
from figureground.training import model
from figureground.training.replicas import Devices
from figureground.training.unet import light_unet
from steps import SMALL, losses
model.build_network = lambda recipe: light_unet((8, 8, 8, 8, 16), (0, 0, 0, 0, 1), (8, 8, 8, 8))
print(json.dumps([several.count, *(losses(SMALL, devices, 4) for devices in (several, Devices()))]))
"""


@pytest.mark.parametrize(
    ("text", "wanted"), [("", Asked()), ("cpu", Asked("cpu")), ("gpu", Asked("gpu")), ("gpu:4", Asked("gpu", 4))]
)
def test_what_it_understands(text: str, wanted: Asked) -> None:
    assert Asked.parse(text) == wanted


@pytest.mark.parametrize(
    "text", ["tpu:x", "tpu", "cpu:0", "cpu:", "gpu:-1", "cpu:2:2", "gpu:1.5", "GPU", "4", "gpu:9999"]
)
def test_nonsense(text: str) -> None:
    with pytest.raises(TrainingError, match=rf"--devices {text}: want cpu, gpu, or a number of them") as error:
        Asked.parse(text)
    assert "\n" not in str(error.value)


def test_a_batch_that_cannot_be_shared_out() -> None:
    with pytest.raises(RecipeError, match=r"batch=32: .* evenly among 3 devices; --set batch=30"):
        Devices(3).check(Recipe("x", batch=32))
    with pytest.raises(RecipeError, match=r"--set batch=3"):
        Devices(3).check(Recipe("x", batch=2))
    Devices(4).check(Recipe("x", batch=32))


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_gpu_that_is_not_there(backend: str, tmp_path: Path) -> None:
    write_dataset(tmp_path, train=4, val=1)
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
    line = [*COMMAND, str(tmp_path), "--output", str(tmp_path / "run"), "--devices", "gpu", *SETTINGS]
    done = subprocess.run(line, env=surroundings(backend) | hidden, capture_output=True, text=True)
    assert done.returncode == 2
    wanted = f"figureground: --devices gpu: Keras' {backend} backend sees no GPU, only the CPU; use --devices cpu, "
    assert [text.startswith(wanted) for text in done.stderr.splitlines() if "figureground" in text] == [True]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'],
)
def test_a_tf_config_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(TrainingError, match="TF_CONFIG: cannot be understood"):
        open_devices(Asked())


def test_one_machine_of_tf_config_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for role, index, machine in (("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": role, "index": index}}))
        assert devices._tf_config() == (3, machine)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_as_one(backend: str) -> None:
    """The whole batch's loss, gradients and statistics: each half of the batch by itself has others.

    Measured: at most 3e-7 apart, which is the rounding of float32. With statistics of each half they would be 4e-4
    apart, with the boundary's weights summed in each half 1e-5, and more after each step.
    """
    count, two, one = in_process(backend, STEPS)
    assert count == 2
    assert one[3] < 0.98 * one[0]
    assert two == pytest.approx(one, rel=5e-6)


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_machines_learn_as_one(tmp_path: Path) -> None:
    """Two processes of the whole command that share a run's folder; what they did is gone on with on one device."""
    write_dataset(tmp_path / "data", train=8, val=4)
    line = [*COMMAND, str(tmp_path / "data"), *SETTINGS, "--set", "schedule=constant", "--set", "validate_every=1"]
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    started = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = surroundings("tensorflow") | {"TF_CONFIG": json.dumps(config)}
        run = [*line, "--output", str(tmp_path / "two"), "--epochs", "1", "--devices", "cpu"]
        started.append(
            subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert "best.keras" in said[0][0]
    assert said[1][0] == "", "one machine alone writes and tells"
    environment = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert (environment["devices"], environment["machines"]) == (2, 2)
    recipe = replace(read_run(tmp_path / "two"), epochs=2)
    fit(recipe, tmp_path / "data", tmp_path / "two", resume=True)
    fit(recipe, tmp_path / "data", tmp_path / "one")
    for two, one in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_iou"):
            assert two[name] == pytest.approx(one[name], rel=1e-4), name
    assert weights(tmp_path / "two").keys() == weights(tmp_path / "one").keys()


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
