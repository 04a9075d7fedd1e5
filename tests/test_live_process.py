"""The live loop as a process: stopped and continued, ended, killed; how late its pictures are by a clock in them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from figureground.live import Live, Settings, parts
from marked import Oracle, leaked, room, shown
from watching import SIZE, wait_for, write_room

BYTES = SIZE[0] * SIZE[1] * 3


@contextmanager
def process(camera: str) -> Iterator[subprocess.Popen[bytes]]:
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    line = [sys.executable, f"{here}/live_process.py", camera, *map(str, SIZE)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}) as running:
        try:
            yield running
        finally:
            running.kill()


def read(out: IO[bytes], pictures: int) -> list[NDArray[np.uint8]]:
    """As many whole pictures, fewer at the end."""
    raw = out.read(pictures * BYTES)
    whole = len(raw) // BYTES
    return list(np.frombuffer(raw[: whole * BYTES], np.uint8).reshape(whole, SIZE[1], SIZE[0], 3))


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_room(tmp_path_factory.mktemp("camera") / "room.mkv"))


def test_stopped_for_a_while_and_continued_it_leaks_nothing(camera: str) -> None:
    with process(camera) as running:
        assert running.stdout is not None
        pictures = read(running.stdout, 60)
        assert any(map(shown, pictures))
        for seconds in (0.3, 1.5):
            running.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            running.send_signal(signal.SIGCONT)
            later = read(running.stdout, 90)
            assert any(map(shown, later[-60:]))
            pictures += later
    assert sum(map(leaked, pictures)) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_shows_the_background_last(camera: str, how: signal.Signals) -> None:
    with process(camera) as running:
        assert running.stdout is not None
        pictures = read(running.stdout, 60)
        running.send_signal(how)
        pictures += read(running.stdout, 10_000)
        assert running.wait(20) == 0
    assert sum(map(leaked, pictures)) == 0
    assert any(map(shown, pictures))
    assert not shown(pictures[-1])


def test_killed_it_leaks_nothing(camera: str) -> None:
    with process(camera) as running:
        assert running.stdout is not None
        pictures = read(running.stdout, 60)
        running.kill()
        raw = running.stdout.read()
    rest = np.frombuffer(raw[: len(raw) // 3 * 3], np.uint8).reshape(-1, 1, 3)
    assert sum(map(leaked, pictures)) + leaked(rest) == 0


def test_it_says_in_json_what_happens(camera: str) -> None:
    line = [sys.executable, "-m", "figureground", "live", "--camera", camera, "--to", "pipe", "--json"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        said = []
        while not said or said[-1].get("light") != "live":
            said.append(json.loads(running.stderr.readline()))
        running.terminate()
    assert next(line["reason"] for line in said if line.get("light") == "covered") == "the model is loading"
    (model,) = (line for line in said if line["event"] == "model")
    assert (model["model"], model["licence"]) == ("small", "LicenseRef-figureground-weights")


def test_a_program_that_reads_the_pipe_as_the_manual_does_has_the_right_times(camera: str) -> None:
    manual = Path(__file__).parents[1] / "docs" / "live.md"
    found = re.search(r"--to pipe .*\| ffmpeg -f rawvideo (.*?) -i - ", manual.read_text(encoding="utf-8"))
    assert found
    told = dict(pair.split() for pair in re.findall(r"-(\S+ \S+)", found[1]))
    assert told == {"pix_fmt": "rgb24", "s": "1280x720", "use_wallclock_as_timestamps": "1"}
    reading = {"pixel_format": "rgb24", "video_size": "160x96", "use_wallclock_as_timestamps": "1"}
    line = [sys.executable, "-m", "figureground", "live", "--camera", camera, "--to", "pipe", "--size", "160x96"]
    with subprocess.Popen([*line, "--fps", "8"], stdout=subprocess.PIPE, bufsize=0) as running:
        assert running.stdout is not None
        with av.open(running.stdout, "r", format="rawvideo", options=reading) as container:
            times, came = [], []
            for frame in islice(container.decode(video=0), 40):
                times.append(frame.time)
                came.append(time.monotonic())
        running.terminate()
    took = came[-1] - came[0]
    assert times[-1] - times[0] == pytest.approx(took, rel=0.3)


BITS, BLOCK = 16, 6  # of a clock of milliseconds in the green of the figure's pixels


def stamp(frame: NDArray[np.uint8], milliseconds: int) -> None:
    height, width = frame.shape[:2]
    for bit in range(BITS):
        left = width // 2 - BITS * BLOCK // 2 + bit * BLOCK
        frame[height - BLOCK :, left : left + BLOCK, 1] = 255 * (milliseconds >> bit & 1)


def stamped(picture: NDArray[np.uint8]) -> int:
    height, width = picture.shape[:2]
    middles = [width // 2 - BITS * BLOCK // 2 + bit * BLOCK + BLOCK // 2 for bit in range(BITS)]
    return sum((int(picture[height - 2, middle, 1]) > 127) << bit for bit, middle in enumerate(middles))


def milliseconds() -> int:
    return int(time.monotonic() * 1000) % (1 << BITS)


class Late:
    """A sink that reads the clock in each picture with the figure on it."""

    def __init__(self) -> None:
        self.by: list[int] = []

    def send(self, picture: NDArray[np.uint8], at: Fraction) -> None:
        if shown(picture):
            self.by.append((milliseconds() - stamped(picture)) % (1 << BITS))

    def __enter__(self) -> Late:
        return self

    def __exit__(self, *args: object) -> None:
        pass


def feed(path: Path, done: Event) -> None:
    """A camera on a named pipe whose pictures carry the time they were taken."""
    try:
        # By Python, which waits for the reader without holding all other threads up.
        with (
            path.open("wb", buffering=0) as pipe,
            av.open(pipe, "w", format="nut", options={"flush_packets": "1"}) as container,
        ):
            stream: Any = container.add_stream("ffv1", rate=30)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
            while not done.wait(1 / 30):
                picture = room(*SIZE, at=0.5, size=0.7)
                stamp(picture, milliseconds())
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
                container.mux(stream.encode(frame))
    except OSError:
        pass  # the reader has gone


def test_the_latency_told_is_the_one_a_clock_in_the_pictures_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its median, from the picture's making to the sink, is what the page is told, and what lies before the loop."""
    monkeypatch.setattr(parts, "Engine", lambda model, device: Oracle())
    path = tmp_path / "clock.nut"
    os.mkfifo(path)
    done, late = Event(), Late()
    feeder = Thread(target=feed, args=(path, done), daemon=True)
    feeder.start()
    with Live(Settings(camera=str(path), background="#00ff00"), SIZE, [late]) as live:
        wait_for(lambda: len(late.by) > 60, seconds=60)
        told: Any = live.state()["latency_ms"]
    done.set()
    feeder.join()
    measured = sorted(late.by[20:])
    assert told["p50"] <= measured[len(measured) // 2] + 2
    assert measured[len(measured) // 2] < told["p50"] + 100  # a picture or two inside of FFmpeg


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_a_terminal_is_not_flooded_with_raw_pictures(camera: str) -> None:
    ours, theirs = os.openpty()
    line = [sys.executable, "-m", "figureground", "live", "--camera", camera, "--to", "pipe"]
    try:
        done = subprocess.run(line, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 2
    assert done.stderr.endswith("standard output is a terminal; send it into a file or another program\n")
