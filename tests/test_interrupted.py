"""Runs that are killed, interrupted or out of disk: what they had is kept, and they go on as if nothing had been."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from terminals import as_in_a_terminal
from training_data import CLASSIC, progress, weights, write_dataset

pytest.importorskip("tensorflow", reason="training is tested on Keras' tensorflow backend")

from figureground.training.fit import fit

SMALL = [
    f"{name}={value}"
    for name, value in (("start", ""), ("network", "classic"), ("width", 1 / 64), ("size", 32), ("batch", 4))
]
COMMAND = [sys.executable, "-m", "figureground", "train"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "uninterrupted"
    fit(CLASSIC, dataset, run)
    return run


# Killed for good at a step, before its batch is learnt from; or while a checkpoint is given its name.
KILLED = """
import os, signal, sys
from pathlib import Path
from training_data import CLASSIC
from figureground import atomic
from figureground.training import fit

dataset, run, resume, save_every, epoch, step = sys.argv[1:]
place = (int(epoch), int(step))
real, rename = fit.training_batches, os.replace

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def batches(samples, backgrounds, recipe, epoch, start, part):
    for step, batch in enumerate(real(samples, backgrounds, recipe, epoch, start, part=part), start):
        if (epoch, step) == place:
            kill()
        yield batch

saved = 0

def replace(old, new):
    global saved
    saved += new.name == "last.npz"
    if saved and new.name == "last.npz" and place == (-1, saved):
        kill()
    rename(old, new)

fit.training_batches, atomic.os.replace = batches, replace
fit.fit(CLASSIC, Path(dataset), Path(run), bool(resume), save_every=float(save_every))
"""


def killed_at(dataset: Path, run: Path, epoch: int, step: int, resume: bool = False, save_every: float = 600) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), environment.get("PYTHONPATH", "")])
    arguments = [str(dataset), str(run), "yes" if resume else "", str(save_every), str(epoch), str(step)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def rows(run: Path) -> list[dict[str, str]]:
    """metrics.csv without what depends on the machine's speed."""
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return [row | {"seconds": "", "images_per_s": "", "data_wait": ""} for row in csv.DictReader(file)]


def assert_the_same(run: Path, uninterrupted: Path) -> None:
    assert weights(run) == weights(uninterrupted)
    for name in ("best", "best_epoch", "epoch", "waited"):
        assert progress(run)[name] == progress(uninterrupted)[name]
    assert rows(run) == rows(uninterrupted)
    assert {path.name for path in run.iterdir()} == {path.name for path in uninterrupted.iterdir()}, "no half file"


def test_killed_and_resumed_is_bit_for_bit_the_same(dataset: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """Another process, killed for good in the middle of the second epoch; resumed here.

    TensorFlow's CPU kernels give the same bits whenever they run on as many threads (measured with 1, 2 and 8),
    and other bits on another number of them: both processes leave it at the number of cores.
    """
    run = tmp_path / "run"
    killed_at(dataset, run, 1, 2)
    assert progress(run)["epoch"] == 1
    assert progress(run)["batches"] == []
    assert weights(run) != weights(uninterrupted)
    told: list[dict[str, float]] = []
    fit(CLASSIC, dataset, run, resume=True, report=told.append)
    assert [row["epoch"] for row in told] == [2, 3]
    assert_the_same(run, uninterrupted)


def test_killed_within_an_epoch_it_goes_on_from_there(dataset: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """A checkpoint after every step; killed at three of them, and while the name of a checkpoint was changed."""
    run = tmp_path / "run"
    killed_at(dataset, run, 0, 3, save_every=0)
    assert (progress(run)["epoch"], len(progress(run)["batches"])) == (0, 3)
    killed_at(dataset, run, 1, 0, resume=True, save_every=0)
    assert (progress(run)["epoch"], len(progress(run)["batches"])) == (1, 0)
    killed_at(dataset, run, -1, 3, resume=True, save_every=0)
    assert (progress(run)["epoch"], len(progress(run)["batches"])) == (1, 2), "of the third, nothing but a half file"
    assert list(run.glob(".last.*.part.npz"))
    fit(CLASSIC, dataset, run, resume=True)
    assert_the_same(run, uninterrupted)


def test_stopped_at_a_step_it_goes_on_from_there(dataset: Path, uninterrupted: Path, tmp_path: Path) -> None:
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps == 2

    with pytest.raises(KeyboardInterrupt):
        fit(CLASSIC, dataset, tmp_path / "run", stop=stop)
    assert (progress(tmp_path / "run")["epoch"], len(progress(tmp_path / "run")["batches"])) == (0, 2)
    fit(CLASSIC, dataset, tmp_path / "run", resume=True)
    assert_the_same(tmp_path / "run", uninterrupted)


def run_command(*arguments: object, limit: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    line = [*COMMAND, *map(str, arguments)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(line, capture_output=True, text=True, env=environment, preexec_fn=limit)


def complaints(stderr: str) -> list[str]:
    """What is left of stderr without TensorFlow's own remarks and the lines of validations."""
    return [line for line in stderr.splitlines() if line.startswith(("figureground:", "Traceback"))]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
def test_ctrl_c_says_how_to_go_on(dataset: Path, tmp_path: Path) -> None:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    with subprocess.Popen(
        [*COMMAND, str(dataset), "--output", "my run", "--epochs", "100000", "--devices", "cpu", *settings],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        preexec_fn=as_in_a_terminal,
    ) as process:
        until = time.monotonic() + 120
        while not (tmp_path / "my run" / "last.npz").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    command = f"figureground train {shlex.quote(str(dataset))} --output 'my run' --resume --devices cpu"
    saving, go_on, end = complaints(err)
    assert saving.startswith("figureground: saving after this step; ")
    assert go_on == f"figureground: go on with:  {command}"
    assert end.startswith("figureground: interrupted; ")
    assert not list((tmp_path / "my run").rglob("*.part*"))
    kept = progress(tmp_path / "my run")["epoch"]
    arguments = [*shlex.split(command)[2:], "--epochs", str(kept + 1)]
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Next:  figureground export 'my run'"
    assert progress(tmp_path / "my run")["epoch"] == kept + 1, "and it knew the settings"


@pytest.mark.usefixtures("uncounted")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_full_disk_leaves_the_last_checkpoint(dataset: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk; what is written for it is smaller than last.npz."""
    import resource

    run = tmp_path / "run"
    fit(CLASSIC, dataset, run)
    before = (run / "last.npz").read_bytes()

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    done = run_command(dataset, "--output", run, "--resume", "--epochs", 4, limit=limit)
    assert done.returncode == 2
    assert len(complaints(done.stderr)) == 1, done.stderr
    assert complaints(done.stderr)[0].startswith(f"figureground: {run}/")
    assert "cannot be written" in complaints(done.stderr)[0]
    assert (run / "last.npz").read_bytes() == before
    assert not list(run.rglob("*.part*"))
    fit(CLASSIC, dataset, run, resume=True)
