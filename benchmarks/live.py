"""The live loop on one core: frames a second, share of the core at 30 frames a second, latency, memory.

python benchmarks/live.py [CLIP]

CLIP is a video with a person, brought to 1280x720; left out, one of ../shared/data/video/webcam. Every part runs in a
process of its own that is bound to one core, and takes turns with the others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.live import Live, Settings
from figureground.live.figures import resident_bytes
from figureground.sources import VideoSource

SIZE = (1280, 720)
CLIP = Path("../shared/data/video/webcam/book.mkv")
ROUNDS = 3


class Count:
    """A sink that counts."""

    def __init__(self) -> None:
        self.pictures, self._awaited = 0, 0
        self._there = Event()

    def send(self, picture: NDArray[np.uint8], at: Fraction) -> None:
        self.pictures += 1
        if self.pictures >= self._awaited:
            self._there.set()

    def wait(self, pictures: int, ended: Event) -> None:
        """Until as many have come; asking again and again would be counted as the loop's own work."""
        self._awaited = pictures
        self._there.clear()
        while self.pictures < pictures and not ended.is_set():
            self._there.wait(1)

    def __enter__(self) -> Count:
        return self

    def __exit__(self, *args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--part", choices=PARTS)
    arguments = parser.parse_args()
    if arguments.part:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
        cv2.setNumThreads(1)
        print(json.dumps(PARTS[arguments.part](arguments.clip)))
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "720p.mp4"
        make_clip(arguments.clip, clip)
        table(clip)


def make_clip(source: Path, path: Path, seconds: int = 5) -> None:
    """The clip as a webcam would give it: 1280x720, 30 frames a second, H.264."""
    with VideoSource(source) as frames, av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, frame in enumerate(frames):
            if number == seconds * 30:
                break
            rows = frame.shape[1] * 9 // 16
            top = (frame.shape[0] - rows) // 2
            picture = cv2.resize(frame[top : top + rows], SIZE, interpolation=cv2.INTER_CUBIC)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def part(name: str, clip: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, str(clip), "--part", name], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(clip: Path) -> None:
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name in PARTS:
            for key, value in part(name, clip).items():
                found.setdefault(key, []).append(value)
    print(f"1280x720, decoded H.264, small, refined and stabilised, one core; medians of {ROUNDS} rounds (least, most)")
    for key, values in found.items():
        print(f"  {key:<52} {median(values):>8.2f}  ({min(values):.2f}, {max(values):.2f})")
    ratio = median(found["frames/s without a limit"]) / median(found["frames/s of the starting point's loop"])
    print(f"  {'times as fast as the starting point':<52} {ratio:>8.0f}")


def throughput(clip: Path) -> dict[str, float]:
    """Frames as fast as they can be shown, each of them."""
    count = Count()
    with Live(settings(clip), SIZE, [count], paced=False) as live:
        wait(live, count, 60)
        begun, used, before, faults = time.perf_counter(), time.process_time(), count.pictures, page_faults()
        wait(live, count, count.pictures + 900)
        seconds, used, pictures = time.perf_counter() - begun, time.process_time() - used, count.pictures - before
        state: dict[str, Any] = live.state()
    for name, value in state["stages_ms"].items():
        print(f"    {name:<12} {value:.2f} ms", file=sys.stderr)
    return {
        "frames/s without a limit": pictures / seconds,
        "processor time per frame (ms)": 1000 * used / pictures,
        "page faults per frame": (page_faults() - faults) / pictures,
    }


def paced(clip: Path) -> dict[str, float]:
    """30 frames a second for a while: what share of the core that takes."""
    count = Count()
    with Live(settings(clip), SIZE, [count]) as live:
        wait(live, count, 60)
        begun, used, before = time.perf_counter(), time.process_time(), count.pictures
        wait(live, count, count.pictures + 300)
        seconds = time.perf_counter() - begun
        state: dict[str, Any] = live.state()
        return {
            "share of the core at 30 frames/s (%)": 100 * (time.process_time() - used) / seconds,
            "frames/s held, of 30": (count.pictures - before) / seconds,
            "latency p50 (ms)": state["latency_ms"]["p50"],
            "latency p95 (ms)": state["latency_ms"]["p95"],
            "memory (MB)": resident_bytes() / 1e6,
        }


def quarter(clip: Path) -> dict[str, float]:
    """Asked for no more than a quarter of the core, once it has found out how."""
    count = Count()
    with Live(replace(settings(clip), cpu=0.25), SIZE, [count]) as live:
        wait(live, count, 150)
        begun, used, before = time.perf_counter(), time.process_time(), count.pictures
        wait(live, count, count.pictures + 150)
        seconds = time.perf_counter() - begun
        print(f"    --cpu 25%: {level(live)}", file=sys.stderr)
        return {
            "share of the core with --cpu 25% (%)": 100 * (time.process_time() - used) / seconds,
            "frames/s then": (count.pictures - before) / seconds,
        }


def starting_point(clip: Path) -> dict[str, float]:
    from figureground.training.starting_point import starting_point as make

    with VideoSource(clip) as frames:
        call = make(next(iter(frames)), 1)
    call()
    begun = time.perf_counter()
    for _ in range(4):
        call()
    return {"frames/s of the starting point's loop": 4 / (time.perf_counter() - begun)}


def load(clip: Path) -> dict[str, float]:
    """Two busy processes on the very core, for ten seconds: the rate held, and how soon quality is back."""
    count = Count()
    with Live(settings(clip), SIZE, [count]) as live:
        wait(live, count, 90)
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            time.sleep(3)
            begun, before = time.perf_counter(), count.pictures
            time.sleep(7)
            rate = (count.pictures - before) / (time.perf_counter() - begun)
            under: Any = live.state()
        finally:
            for each in busy:
                each.kill()
                each.wait()
        ended = time.perf_counter()
        while level(live) != "full" and time.perf_counter() < ended + 30:
            time.sleep(0.05)
        back = time.perf_counter() - ended
    for decision in under["governor"]["decisions"]:
        print(f"    {decision['at']} {decision['level']}: {decision['reason']}", file=sys.stderr)
    return {"frames/s with two busy processes on the core": rate, "seconds until quality is back": back}


def level(live: Live) -> str:
    state: dict[str, Any] = live.state()
    return str(state["governor"]["level"])


def settings(clip: Path) -> Settings:
    return Settings(camera=str(clip), background="#00aa44")


def wait(live: Live, count: Count, pictures: int) -> None:
    count.wait(pictures, live.ended)
    if live.error is not None:
        raise live.error


def page_faults() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


PARTS = {
    "throughput": throughput,
    "starting_point": starting_point,
    "paced": paced,
    "quarter": quarter,
    "load": load,
}

if __name__ == "__main__":
    main()
