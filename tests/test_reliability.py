"""docs/reliability.md: every test that it names is there, and what no other file tests is tested here."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import figureground
from annotated import coco
from annotated.photographs import items
from figureground.data.manifest import read_manifest
from figureground.data.reading import STATE
from scenes import GREEN, plain
from training_data import write_dataset
from videos import H264, make_video, read_film

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
COMMAND = [sys.executable, "-m", "figureground"]


def named_tests(text: str) -> set[str]:
    return {f"{file}::{name}" for file, name in re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)}


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([], [])
    return {f"{file.name}::{node.name}" for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_is_there() -> None:
    named = named_tests(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 30
    there = {test for name in named for test in functions_of(ROOT / "tests" / name.partition("::")[0])}
    assert named - there == set()


def test_every_promise_names_a_test() -> None:
    promises = PAGE.read_text(encoding="utf-8").partition("## Not promised")[0]
    rows = [row for row in re.findall(r"^\| .+ \|$", promises, re.MULTILINE) if " --- " not in row]
    assert [row for row in rows if not row.startswith("| | promise | test |") and not named_tests(row)] == []


def eventually(holds: Callable[[], object], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_replace_killed_in_a_video_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [plain(64, 48, GREEN)] * 3, look=H264)
    make_video(tmp_path / "b.mp4", [plain(64, 48, GREEN)] * 900, look=H264)
    line, out = [*COMMAND, "replace", "a.mp4", "b.mp4", "--output", "out"], tmp_path / "out"
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: (out / "a.mp4").exists() and any(out.glob(".b.mp4.*.spans/*")), process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    shown = {name for name in os.listdir(out) if not name.startswith(".")}
    assert shown == {"a.mp4", "figureground-manifest.jsonl"}
    assert len(read_film(out / "a.mp4").pictures) == 3


def children(process: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    own = [int(part) for part in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [each for child in own for each in (child, *children(child))]


def is_worker(process: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells a process's children under /proc")
def test_a_worker_killed_for_its_memory_is_told_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """The kernel kills a process that takes too much with SIGKILL, as this does."""
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 100, ".jpg", 320, 240), "runs")
    line = [*COMMAND, "prepare", str(source), "--output", str(tmp_path / "d")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(list((tmp_path / "d").glob("masks/*.png"))) > 5, process)
        workers = [child for child in children(process.pid) if is_worker(child)]
        if len(workers) < 2:
            pytest.skip("one core: no workers to kill")
        os.kill(workers[0], signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("figureground: a worker process was killed, perhaps for its memory")
    assert "Traceback" not in said
    assert (tmp_path / "d" / STATE).exists()
    assert subprocess.run(line, capture_output=True).returncode == 0
    assert len(read_manifest(tmp_path / "d")) == 100


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells a process's children under /proc")
def test_workers_end_with_a_prepare_that_is_killed(tmp_path: Path) -> None:
    """By itself, as by the kernel: not with its group, as by a terminal."""
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 100, ".jpg", 320, 240), "runs")
    line = [*COMMAND, "prepare", str(source), "--output", str(tmp_path / "d")]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(list((tmp_path / "d").glob("masks/*.png"))) > 5, process)
        if not any(is_worker(child) for child in children(process.pid)):
            pytest.skip("one core: no workers")
        process.kill()
        process.communicate(timeout=60)  # ends when nobody holds its stderr any more: the workers do while they live


READ_ONLY = 'mount --bind d d && mount -o remount,bind,ro d && ! touch d/x 2>/dev/null && exec "$@"'


def in_a_read_only_folder(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command while `d` in `folder` may only be read: not even root can write to a file system mounted so."""
    line = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", *command]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True)


@pytest.mark.usefixtures("uncounted")
def test_a_dataset_that_may_only_be_read_will_do(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", 3, 2)
    if shutil.which("unshare") is None or in_a_read_only_folder(tmp_path, "true").returncode:
        pytest.skip("no folder can be mounted read-only here")
    for command in (["explore", "d", "--output", "look.html"], ["evaluate", "small", "d", "--json"]):
        done = in_a_read_only_folder(tmp_path, *COMMAND, *command)
        assert done.returncode == 0, done.stderr
    failed = in_a_read_only_folder(tmp_path, *COMMAND, "explore", "d", "--output", "d/look.html")
    assert failed.returncode == 2
    assert failed.stderr.startswith("figureground: d: cannot be written (Read-only file system)")


WALL_CLOCK = re.compile(
    r"\btime\.time(?:_ns)?\(|\bdatetime\.(?:now|today|utcnow)\(|\bdate\.today\(|\btime\.(?:strftime|localtime|gmtime)\("
)


def test_nothing_is_decided_by_the_wall_clock() -> None:
    """It is printed, with what `live` and its governor say, and noted in TensorBoard's events, which nothing reads.

    The one exception: what a killed upload left is an hour old when it is removed.
    """
    root = Path(figureground.__file__).parent
    readers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if WALL_CLOCK.search(path.read_text(encoding="utf-8"))
    }
    assert readers == {"cli_live.py", "live/loop.py", "training/events.py", "web/uploads.py"}
