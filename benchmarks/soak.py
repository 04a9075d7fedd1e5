"""The live loop for an hour's worth of frames and more, without waiting, while everything changes and breaks.

python benchmarks/soak.py [--frames 100000]

A marked room goes in (tests/marked.py), every picture that comes out is searched for it, and the network runs on every
frame though its answer is replaced by the truth. Backgrounds, models and cameras are switched, cameras vanish, the
model fails, and clients of the page come and go. Memory and open files are read every thousandth of the way.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import urllib.request
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from figureground.engine import Engine
from figureground.images import write_image
from figureground.live import Live, Settings, parts
from figureground.live.figures import resident_bytes
from figureground.web.running import make_server
from figureground.web.server import LOOPBACK, make_app
from marked import Oracle
from scenes import GREEN, plain
from watching import FAULTS, SIZE, Eye, write_room


class Network(Oracle):
    """Runs the real network on every picture, and gives the truth."""

    def __init__(self, model: str = "small") -> None:
        super().__init__()
        self.engine = Engine(model)

    def run(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.engine.run(picture)
        return super().run(picture)


class Watcher(Eye):
    """Keeps no times: 100,000 of them would be taken for growth of the loop."""

    def send(self, picture: NDArray[np.uint8], at: Fraction) -> None:
        super().send(picture, at)
        self.times.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    frames = parser.parse_args().frames
    made: list[Network] = []

    def make(model: str, device: str) -> Network:
        made[:] = [*made[-2:], Network(model)]
        return made[-1]

    setattr(parts, "Engine", make)  # noqa: B010  # what the loop is to run in place of the network alone
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        camera = str(write_room(folder / "room.mkv"))
        eye, done = Watcher(), Event()
        begun = time.monotonic()
        with Live(Settings(camera=camera, background="#00ff00"), SIZE, [eye], paced=False) as live:
            server = make_server(make_app(live, folder / "uploads", None, LOOPBACK))
            helpers = [Thread(target=server.run, daemon=True), Thread(target=clients, args=(server, done), daemon=True)]
            for helper in helpers:
                helper.start()
            readings = drive(live, eye, made, folder, camera, frames)
            done.set()
            server.should_exit = True
            for helper in helpers:
                helper.join(10)
    report(readings, eye, time.monotonic() - begun)


def drive(
    live: Live, eye: Eye, made: list[Network], folder: Path, camera: str, frames: int
) -> list[tuple[int, float, int]]:
    """Changes and faults in a random order until `frames` pictures are out; now and then pictures, megabytes, files."""
    write_image(folder / "green.png", plain(64, 64, GREEN))
    other = str(write_room(folder / "other.mkv", size=(200, 150)))
    rng, readings = random.Random(1), [(0, 0.0, 0)]
    changes: list[dict[str, object]] = [
        {"background": "#00ff00"},
        {"background": str(folder / "green.png")},
        {"model": "base"},
        {"model": "small"},
        {"camera": other},
        {"camera": str(folder / "gone.mkv")},
        {"mirror": True},
        {"mirror": False},
        {"look_ahead": True},
        {"look_ahead": False},
    ]
    while eye.pictures < frames and not live.ended.is_set():
        fault = FAULTS.get(rng.choice([*FAULTS, "", "", "", "", ""]))
        for network in made:
            network.fault = fault
        live.change(rng.choice(changes))
        live.cover(rng.random() < 0.1)
        time.sleep(0.2)
        for network in made:
            network.fault = None
        live.change({"camera": camera})
        live.cover(False)
        time.sleep(1.0)
        if eye.pictures > readings[-1][0] + frames / 100:
            readings.append((eye.pictures, resident_bytes() / 1e6, len(os.listdir("/proc/self/fd"))))
    return readings[1:]


def clients(server: object, done: Event) -> None:
    """Somebody opens the page's preview and leaves again, over and over."""
    while not done.wait(0.5):
        sockets = [each for one in getattr(server, "servers", []) for each in one.sockets]
        if sockets:
            address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            for path in ("/api/preview", "/api/events", "/api/state", "/metrics"):
                try:
                    with urllib.request.urlopen(address + path, timeout=10) as answer:
                        answer.read(5000)
                except OSError:
                    if not done.is_set():  # the server has gone before its time
                        raise


def report(readings: list[tuple[int, float, int]], eye: Eye, seconds: float) -> None:
    late = readings[len(readings) // 4 :]  # what is loaded once is loaded by then
    slope = np.polyfit([each[0] for each in late], [each[1] for each in late], 1)[0] * 10_000
    print(f"{eye.pictures} pictures in {seconds:.0f} s, {eye.people} with the person on them")
    print(f"pixels of the room: {eye.leaks}")
    print(f"memory: {late[0][1]:.0f} MB, at the end {late[-1][1]:.0f} MB: {slope:+.2f} MB per 10,000 pictures")
    print(f"open files: {min(each[2] for each in late)} to {max(each[2] for each in late)}")


if __name__ == "__main__":
    main()
