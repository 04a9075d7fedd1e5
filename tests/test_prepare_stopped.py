"""`prepare` stopped by a full disk, by Ctrl-C or by another run; and what stopped runs leave behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from annotated import coco
from annotated.photographs import items, photograph
from figureground.data.manifest import read_manifest
from figureground.data.prepare import prepare
from figureground.data.reading import STATE
from figureground.data.records import Picture
from figureground.data.state import State
from figureground.errors import DatasetError, OutputError
from figureground.images import write_image
from terminals import as_in_a_terminal


@pytest.mark.usefixtures("uncounted")
def test_a_full_disk_stops_it_and_room_lets_it_go_on(tmp_path: Path) -> None:
    """No file may grow beyond some size: what the system says then is what it says of a full disk, by another name."""
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 40, ".jpg", 320, 240), "runs")
    write_image(source / "images/020.jpg", np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8))
    line = [sys.executable, "-m", "figureground", "prepare", str(source), "--output", str(tmp_path / "d")]
    largest = (source / "images/020.jpg").stat().st_size
    for limit in (largest - 1, 10_000):  # in the middle, at the first note taken
        stopped(line, tmp_path / "d", limit)
    assert subprocess.run(line, capture_output=True).returncode == 0
    assert len(read_manifest(tmp_path / "d")) == 40


def stopped(line: list[str], dataset: Path, limit: int) -> None:
    options = {"preexec_fn": lambda: small_files(limit), "env": os.environ.copy()}
    full = subprocess.run(line, capture_output=True, text=True, **options)
    assert full.returncode == 2
    assert "cannot be written" in full.stderr
    assert len(full.stderr.splitlines()) == 1
    assert not (dataset / "manifest.csv").exists()
    assert not list(dataset.rglob("*.part*"))


def small_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_an_unfinished_dataset_is_no_source(tmp_path: Path) -> None:
    """Its pictures and masks would be taken for plain ones: half of them, their splits lost."""
    prepare([coco.write(tmp_path / "c", items(tmp_path / "p", 5), "runs")], tmp_path / "d")
    (tmp_path / "d/manifest.csv").rename(tmp_path / "d/.manifest.old.csv")
    (tmp_path / "d" / STATE).touch()
    with pytest.raises(DatasetError, match="a prepare into it has not finished; run that again"):
        prepare([tmp_path / "d"], tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_two_at_once_into_one_folder(tmp_path: Path) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 3), "runs")
    (tmp_path / "d").mkdir()
    other = State(tmp_path / "d" / STATE, "another")
    other.remember("noted", True)
    with pytest.raises(OutputError, match="another prepare is writing there"):
        prepare([source], tmp_path / "d")
    other.close()
    assert prepare([source], tmp_path / "d").accepted == 3


def test_a_damaged_or_foreign_state_is_begun_anew(tmp_path: Path) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 3), "runs")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / STATE).write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    assert prepare([source], tmp_path / "d").accepted == 3


def test_what_a_stopped_run_of_another_task_wrote_is_removed(tmp_path: Path) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 6), "runs")
    state = State(tmp_path / STATE, "another")
    state.add_picture("c_images-gone", "c", "gone.png", Picture(source, "", "gone.png", []))
    state.close()
    write_image(tmp_path / "d/masks/c_images-gone.png", photograph(0))
    write_image(tmp_path / "d/images/c_images-gone.png", photograph(0))
    (tmp_path / STATE).rename(tmp_path / "d" / STATE)
    prepare([source], tmp_path / "d")
    assert not list((tmp_path / "d").rglob("*gone*"))


@pytest.mark.parametrize("delays", [(0.0,), (1.0,), (1.5, 0.2), (2.0, 0.05)])
def test_interrupted_once_or_twice(tmp_path: Path, delays: tuple[float, ...]) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 400, ".jpg", 640, 480), "runs")
    line = [sys.executable, "-m", "figureground", "prepare", str(source), "--output", str(tmp_path / "d")]
    process = subprocess.Popen(
        line,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_a_terminal,
    )
    while not (tmp_path / "d" / STATE).exists():  # it has not begun
        time.sleep(0.01)
    for delay in delays:
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it was done sooner")
    assert process.returncode == 130, said
    assert said.count("\n") <= 1, said
    assert subprocess.run(line, capture_output=True).returncode == 0
    assert len(read_manifest(tmp_path / "d")) == 400
    assert not workers_left(process.pid)


def workers_left(group: int) -> bool:
    """Whether a process of a group is still there after half a minute, in which the system buries the dead."""
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True
