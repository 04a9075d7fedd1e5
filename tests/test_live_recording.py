"""What becomes of a recording, and of the end, when things go wrong: real processes, real signals, a real full disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from figureground.arrays import Alpha
from figureground.errors import OutputError
from figureground.live import Live, Settings, parts
from figureground.live.outputs import recording
from marked import Oracle, true_alpha
from scenes import noise
from terminals import as_in_a_terminal
from videos import make_video
from watching import SIZE, wait_for, write_room


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_room(tmp_path_factory.mktemp("camera") / "room.mkv"))


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    one = Oracle()
    monkeypatch.setattr(parts, "Engine", lambda *args, **names: one)
    return one


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A background that no encoder makes small."""
    path = tmp_path_factory.mktemp("background") / "noise.mkv"
    return str(make_video(path, [noise(*SIZE, seed) for seed in range(30)], rate=30))


def line(camera: str, to: str, *more: str) -> list[str]:
    command = [sys.executable, "-m", "figureground", "live", "--camera", camera, "--background", "#00ff00"]
    return [*command, "--size", f"{SIZE[0]}x{SIZE[1]}", "--to", to, *more]


@contextmanager
def started(camera: str, to: str, *more: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, once it says that it is live."""
    environ = os.environ | environment
    with subprocess.Popen(
        line(camera, to, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        preexec_fn=as_in_a_terminal,
    ) as it:
        try:
            told = it.stdout if "--json" in more else it.stderr
            assert told is not None
            while b"live" not in (said := told.readline()) or b"loading" in said:
                assert said, "it ended"
            yield it
        finally:
            it.kill()


def playable(path: Path) -> int:
    """How many pictures it holds; what comes after the last whole one is not looked at."""
    count = 0
    with av.open(str(path)) as container:
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.error.InvalidDataError:
            pass
    return count


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("signals", [["SIGINT", "SIGINT"], ["SIGTERM", "SIGINT", "SIGTERM"], ["SIGHUP"]], ids="-".join)
def test_whoever_ends_it_and_however_often_the_file_is_whole(camera: str, tmp_path: Path, signals: list[str]) -> None:
    path = tmp_path / "out.mp4"
    with started(camera, f"file:{path}") as running:
        time.sleep(1)
        for name in signals:
            running.send_signal(getattr(signal, name))
            time.sleep(0.02)
        assert running.wait(30) == 0
    assert playable(path) > 5
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_under_nohup_it_goes_on_when_the_terminal_is_closed(camera: str, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with subprocess.Popen(["nohup", *line(camera, f"file:{path}")], stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        while b"live" not in (said := running.stderr.readline()) or b"loading" in said:
            assert said, "it ended"
        running.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(2)
        running.terminate()
        assert running.wait(30) == 0
    assert playable(path) > 5


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--background", "nope.jpg"], "no such file"),
        (["--model", "nope"], "no such model"),
        (["--device", "cuda"], "cuda"),
    ],
)
def test_a_start_that_fails_leaves_what_was_there(
    camera: str, tmp_path: Path, more: Sequence[str], reason: str
) -> None:
    path = tmp_path / "kept.mp4"
    path.write_text("precious")
    done = subprocess.run(line(camera, f"file:{path}", *more), capture_output=True, text=True, timeout=60)
    assert (done.returncode, path.read_text(), os.listdir(tmp_path)) == (2, "precious", ["kept.mp4"])
    assert reason in done.stderr


def test_a_folder_is_refused_before_anything_is_recorded(camera: str, tmp_path: Path) -> None:
    (tmp_path / "dir.mp4").mkdir()
    done = subprocess.run(line(camera, f"file:{tmp_path}/dir.mp4"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "is a folder" in done.stderr
    assert "live" not in done.stderr.split()


@pytest.mark.parametrize("option", ["--camera", "--background", "--overlay"])
def test_what_is_shown_is_not_recorded_over(camera: str, tmp_path: Path, option: str) -> None:
    shown = tmp_path / "mine.mkv"
    shown.write_text("precious")
    (tmp_path / "link.mkv").symlink_to(shown)
    done = subprocess.run(
        line(camera, f"file:{shown}", option, str(tmp_path / "link.mkv")), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, shown.read_text()) == (2, "precious")
    assert f"{shown}: is the {option[2:]}; choose another name" in done.stderr


def test_home_is_home(camera: str, tmp_path: Path) -> None:
    with started(camera, "file:~/talk.mkv", HOME=str(tmp_path), USERPROFILE=str(tmp_path)) as running:
        running.terminate()
        running.wait(30)
    assert os.listdir(tmp_path) == ["talk.mkv"]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_a_full_disk_keeps_what_was_recorded(
    camera: str, restless: str, tmp_path: Path, uncounted: None, suffix: str
) -> None:
    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    path = tmp_path / f"out.{suffix}"
    command = line(camera, f"file:{path}", "--background", restless)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, preexec_fn=small_disk, env=os.environ.copy()
    )
    assert done.returncode == 2
    assert "what was recorded before is kept" in done.stderr
    assert playable(path) > 20
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_killed_its_unfinished_file_can_be_played(camera: str, restless: str, tmp_path: Path, suffix: str) -> None:
    with started(camera, f"file:{tmp_path}/out.{suffix}", "--background", restless) as running:
        time.sleep(4)
        running.kill()
        running.wait()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    assert playable(left) > 20


def test_where_the_model_hangs_the_recording_is_finished(camera: str, oracle: Oracle, tmp_path: Path) -> None:
    path, go_on = tmp_path / "out.mkv", Event()

    def hang(picture: NDArray[np.uint8]) -> Alpha:
        go_on.wait(60)
        return true_alpha(picture)

    with Live(Settings(camera=camera, background="#00ff00"), SIZE, [recording(path, *SIZE, fps=30)]) as live:
        wait_for(lambda: live.state()["frames"] > 30)  # type: ignore[operator]
        oracle.fault = hang
        wait_for(lambda: "too long" in str(live.state()["reason"]))
    assert playable(path) > 30
    go_on.set()
    assert live.ended.wait(20)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_whoever_reads_no_further_does_not_keep_it(camera: str) -> None:
    with subprocess.Popen(line(camera, "pipe"), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.read(1)
        time.sleep(3)  # the pipe is full
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(30) == 0
        finally:
            running.kill()


@pytest.mark.parametrize("more", [["--json"], []], ids=["json", "lines"])
def test_without_anybody_to_tell_it_goes_on(tmp_path: Path, more: list[str]) -> None:
    camera, path = write_room(tmp_path / "room.mkv"), tmp_path / "out.mkv"
    with started(str(camera), f"file:{path}", *more) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        (running.stdout if more else running.stderr).close()
        camera.unlink()
        time.sleep(6)  # the camera ends, and nobody can be told; four covers a second follow, however busy the machine
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    assert playable(path) > 20


def test_an_output_that_cannot_be_opened_closes_those_before_it(camera: str, oracle: Oracle, tmp_path: Path) -> None:
    good, wrong = recording(tmp_path / "a.mkv", *SIZE, fps=30), recording(tmp_path / "b.gif", *SIZE, fps=30)
    with Live(Settings(camera=camera, background="#00ff00"), SIZE, [good, wrong]) as live:
        assert live.ended.wait(20)
    assert isinstance(live.error, OutputError)
    assert os.listdir(tmp_path) == []
