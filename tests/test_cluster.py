"""A real cluster of this machine: two worker processes, one of them killed for good in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figureground.arrays import Frame
from figureground.batch import Options
from figureground.batch.cluster import _everywhere
from figureground.batch.manifest import NAME
from figureground.images import write_image
from trees import tree
from videos import Look, make_video

pytest.importorskip("ray", reason="the cluster needs pip install 'figureground[cluster]'")
pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the processes in /proc")

# The cluster, alive as long as its standard input; its processes die of any picture called poison.
HELD = """
import sys
from figureground.batch.cluster import _connected
with _connected("local", 2) as ray:
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""
POISON = """
import os, signal, sys
def deadly(event, arguments):
    if event == "open" and "poison.png" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(deadly)
"""
COMMAND = [sys.executable, "-m", "figureground", "replace", "in", "--background", "#00ff00", "--output"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    poison = tmp_path_factory.mktemp("poison")
    (poison / "sitecustomize.py").write_text(POISON)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(poison), os.environ.get("PYTHONPATH", "")])}
    line = [sys.executable, "-c", HELD]
    os.environ["RAY_AUTH_MODE"] = "token"  # as a cluster that `replace` starts has it
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as held:
        assert held.stdout is not None
        yield next(line.strip() for line in held.stdout if line.startswith("127.0.0.1:"))
        held.communicate(timeout=60)
    del os.environ["RAY_AUTH_MODE"]


def files(folder: Path) -> dict[str, bytes]:
    return {path: content for path, content in tree(folder).items() if ".part" not in path}


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest without what depends on the machine's speed."""
    lines = [json.loads(line) for line in (folder / NAME).read_text(encoding="utf-8").splitlines()]
    assert len({line["input"] for line in lines}) == len(lines), "one line an input"
    return {line["input"]: line | {"ms": 0} for line in lines}


def workers(name: str) -> list[int]:
    """The processes of the cluster that are at a call of this name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(name.encode()):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@contextmanager
def begun(line: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()  # so that a test that fails ends


def kill_one(name: str, process: subprocess.Popen[str], ready: Path, pattern: str, least: int) -> None:
    """Kill one at work, once there are so many files."""
    until = time.monotonic() + 120
    while len([*ready.rglob(pattern)]) < least or not workers(name):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(workers(name)[0], signal.SIGKILL)


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_killed_worker_loses_nothing_and_doubles_nothing(tmp_path: Path, astronaut: Frame, address: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        (tmp_path / "in" / f"{number % 4}").mkdir(parents=True, exist_ok=True)
        height, width = rng.integers(120, 256, 2)
        write_image(tmp_path / "in" / f"{number % 4}" / f"{number}.png", astronaut[:height, :width])
    (tmp_path / "in" / "bad.jpg").write_bytes(b"")
    assert subprocess.run([*COMMAND, "whole"], cwd=tmp_path, capture_output=True).returncode == 1
    line = [*COMMAND, "out", "--cluster", address, "--json"]
    with begun(line, tmp_path) as process:
        kill_one("ray::_shard", process, tmp_path / "out", "*.png", 3)
        out, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (1, "")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert told(tmp_path / "out") == told(tmp_path / "whole")
    statuses = [result["status"] for result in json.loads(out)["results"]]
    assert statuses.count("done") == 60

    # What kills its process every time is named, and stops nothing else.
    write_image(tmp_path / "in" / "0" / "poison.png", astronaut)
    ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert ran.returncode == 1
    results = {result["input"]: result for result in json.loads(ran.stdout)["results"]}
    assert results["in/0/poison.png"]["reason"].startswith("in/0/poison.png: the process that did it died")
    assert [result["status"] for result in results.values()].count("kept") == 60
    assert len(told(tmp_path / "out")) == 62


@pytest.mark.filterwarnings("default")
def test_a_long_video_is_made_in_spans_and_a_killed_one_is_made_again(tmp_path: Path, address: str) -> None:
    """Two minutes of few and small pictures: four spans."""
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 48, 3), np.uint8) for _ in range(600)]
    make_video(tmp_path / "in" / "long.mp4", pictures, 5, Look(pixels="yuv420p", gop=25), sound="aac")
    assert subprocess.run([*COMMAND, "whole"], cwd=tmp_path, capture_output=True).returncode == 0
    line = [*COMMAND, "out", "--cluster", address]
    with begun(line, tmp_path) as process:
        kill_one("ray::_span", process, tmp_path / "out", ".long.mp4.*.spans/.*.part.mp4", 1)
        out, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("out/long.mp4  (600 frames, ")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert told(tmp_path / "out") == told(tmp_path / "whole")


def test_a_cluster_that_is_not_there(tmp_path: Path, astronaut: Frame) -> None:
    write_image(tmp_path / "in" / "a.png", astronaut)
    ran = subprocess.run(
        [*COMMAND, "out", "--cluster", "127.0.0.1:1"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].startswith("figureground: --cluster 127.0.0.1:1: ")


STRAGGLER = """
import os, sys, time
from figureground.batch import cluster
cluster.LEAST = cluster.SLOW = 1.0
def late(place):
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "the second"
    time.sleep(600)
with cluster._connected(sys.argv[1], 2) as ray:
    calls, found = cluster._Calls(ray, 2), {}
    with calls:
        calls.begin("quick", ray.remote(lambda: "at once").remote, once=False)
        calls.begin("late", lambda: ray.remote(late).remote(sys.argv[2]), once=False)
        while len(calls):
            found |= dict(calls.finished())
    print(sorted(found.items()))
"""


def test_what_takes_far_too_long_is_begun_again_and_the_first_result_counts(tmp_path: Path, address: str) -> None:
    line = [sys.executable, "-c", STRAGGLER, address, str(tmp_path / "begun")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=400)
    assert done.stdout.splitlines()[-1:] == ["[('late', 'the second'), ('quick', 'at once')]"], done.stderr


DEADLY = """
import os, signal, sys, time
from figureground.batch import cluster
cluster.LEAST = cluster.SLOW = 0.0
def deadly(place):
    with open(place, "a") as file:
        file.write("begun ")
    time.sleep(3)
    os.kill(os.getpid(), signal.SIGKILL)
with cluster._connected(sys.argv[1], 2) as ray:
    calls, found = cluster._Calls(ray, 2), {}
    with calls:
        for name, function in (("quick", lambda place: "at once"), ("deadly", deadly)):
            calls.begin(name, lambda: ray.remote(max_retries=0)(function).remote(sys.argv[2]), once=False)
            while len(calls):
                found |= dict(calls.finished())
    print(found["quick"], type(found["deadly"]).__name__)
"""


@pytest.mark.filterwarnings("default")
def test_what_kills_its_process_slowly_is_not_begun_again_for_ever(tmp_path: Path, address: str) -> None:
    """A second time beside itself, for it takes too long; and then no more, whichever of the two dies first."""
    line = [sys.executable, "-c", DEADLY, address, str(tmp_path / "begun")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["at once WorkerCrashedError"], done.stderr
    assert (tmp_path / "begun").read_text() == "begun begun "


def test_words_are_no_paths_and_paths_hold_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("small", "blur", "wall"):
        (tmp_path / name).mkdir()
    sent = _everywhere(Options(background="blur", model="small", sheet="sheet.png"))
    assert (sent.background, sent.model, sent.sheet) == ("blur", "small", str(tmp_path / "sheet.png"))
    sent = _everywhere(Options(background="wall", model="own.onnx"))
    assert (sent.background, sent.model) == (str(tmp_path / "wall"), str(tmp_path / "own.onnx"))
