"""Photographs a second and peak memory of `figureground replace`, beside a plain loop around MediaPipe's model.

python benchmarks/photographs.py [FOLDER] [--count 1000] [--rounds 3] [--jobs 1,2] [--processes 2] [--peer FILE]

FOLDER holds JPEG photographs of mixed size; as many are drawn, always the same. Each way is a process of its own with
the whole of the work: read, find the person, refine (ours), put on a colour, write JPEG of the same quality. The ways
take turns, and the best round of each counts; processor time tells more than seconds where others use the machine.
`--processes N` runs N processes of one thread, each with its share, beside the threads of one. The peer is run by
LiteRT with one thread, through the same reading and writing. rembg is not run: its own models are no files of this
machine, and ours has another input and output than it gives to other people's.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

FOLDER, PEER = Path("../shared/data/people/images"), Path("../shared/peers/mp_selfie.tflite")
COLOUR = "#00ff00"
# A process of its own between this one and the measured ones: the peak of all of them together would be a sum of peaks.
LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(code)
"""
LOOP = """
import sys
from pathlib import Path
import cv2
from figureground.backgrounds import colour, cover
from figureground.compositor import composite
from figureground.runtimes.peers import TfliteModel
from figureground.images import read_image, write_image
cv2.setNumThreads(1)
model, source, out = TfliteModel(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
for path in sorted(source.rglob("*.jpg")):
    frame = read_image(path)
    behind = cover(colour(sys.argv[4]), frame.shape[1], frame.shape[0])
    write_image(out / path.name, composite(frame, model(frame), behind))
"""


@dataclass(frozen=True)
class Run:
    """Seconds until all processes have ended, their start included; seconds of processor time; megabytes (10^6)."""

    seconds: float
    processor: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", default="1,2")
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--peer", type=Path, default=PEER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shares = max(1, options.processes)
        draw(options.folder, options.count, work / "in", shares)
        ways = ways_of(options, work, shares)
        print(
            f"{options.count} photographs of {options.folder}, {os.cpu_count()} cores, best of {options.rounds} rounds"
        )
        measure(ways, options.count, options.rounds, work)
    print("  rembg: not run, no model file of its own is here")


def draw(folder: Path, count: int, into: Path, shares: int) -> None:
    paths = sorted(folder.rglob("*.jpg"))
    for number, path in enumerate(random.Random(0).sample(paths, min(count, len(paths)))):
        (into / str(number % shares)).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, into / str(number % shares) / path.name)


def ways_of(options: argparse.Namespace, work: Path, shares: int) -> dict[str, list[list[str]]]:
    """Each way's processes."""
    ours = [sys.executable, "-m", "figureground", "replace"]
    tail = ["--background", COLOUR, "--output", str(work / "out")]
    ways = {
        f"figureground, {jobs} thread(s)": [[*ours, str(work / "in"), *tail, "--jobs", jobs]]
        for jobs in options.jobs.split(",")
    }
    if options.processes:
        ways[f"figureground, {options.processes} processes"] = [
            [*ours, str(work / "in" / str(n)), *tail[:-1], str(work / f"out{n}"), "--jobs", "1"] for n in range(shares)
        ]
    if options.peer.exists() and find_spec("ai_edge_litert") is not None:
        ways["plain loop, mp_selfie.tflite"] = [
            [sys.executable, "-c", LOOP, str(options.peer), str(work / "in"), str(work / "out"), COLOUR]
        ]
    else:
        print(f"mp_selfie: not run, {options.peer} or ai-edge-litert is absent")
    return ways


def measure(ways: dict[str, list[list[str]]], count: int, rounds: int, work: Path) -> None:
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, commands in ways.items():
            for old in work.glob("out*"):
                shutil.rmtree(old)
            runs[name].append(timed(commands))
    for name, each in runs.items():
        seconds, processor = min(run.seconds for run in each), min(run.processor for run in each)
        rate, spent, peak = count / seconds, 1000 * processor / count, max(run.peak for run in each)
        print(f"  {name:30} {rate:6.1f} photographs/s, {spent:5.1f} ms of processor time each, peak {peak:4.0f} MB")


def launch(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, text=True)


def timed(commands: list[list[str]]) -> Run:
    began = time.monotonic()
    running = [launch(command) for command in commands]
    told = [process.communicate()[0].split() for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"one ended with {[process.returncode for process in running]}")
    peak = sum(int(peak) for peak, _ in told) * 1024 / 1e6
    return Run(time.monotonic() - began, sum(float(used) for _, used in told), peak)


if __name__ == "__main__":
    main()
