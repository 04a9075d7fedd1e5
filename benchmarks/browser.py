"""The page's own camera beside MediaPipe's browser package: the same clip, the same Chromium, taking turns.

    python benchmarks/browser.py [--clip FILE] [--seconds 5] [--rounds 3] [--soak MINUTES]

Frames per second and medians of milliseconds, over all rounds; `cpu` is the processor's time for a frame in all of
Chromium's processes (Linux), the only figure that means something on a machine that is busy otherwise. MediaPipe's
package (@mediapipe/tasks-vision) comes from npm with `make dev` and is no part of the product; its model is read from
../shared/peers. Both put the person on a plain colour at 1280x720; ours also stabilises the alpha and refines its
edges. MediaPipe runs on the page's own thread, as in its guide, handed the frame as it is, or scaled to 256x256 first
and the mask enlarged by the canvas.
`--soak` runs ours with a new background every few seconds instead, and prints memory as it goes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "src" / "figureground" / "web" / "static"
MEDIAPIPE = ROOT / "web" / "node_modules" / "@mediapipe" / "tasks-vision"
MODEL = ROOT.parent / "shared" / "peers" / "mp_selfie.tflite"
CHROMIUM = "/usr/bin/chromium"
WAYS: dict[str, str] = {
    "figureground, 1 thread": "ours(SECONDS, { threads: 1 })",
    "figureground, 2 threads": "ours(SECONDS, { threads: 2 })",
    "MediaPipe, the frame as it is": "mediapipe(SECONDS, null)",
    "MediaPipe, scaled to 256x256 first": "mediapipe(SECONDS, 256)",
}
STAGES = ("cpu", "read", "infer", "steady", "composite", "whole")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=ROOT / ".cache" / "sample.webm")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=float, default=0.0)
    options = parser.parse_args()
    for needed in (STATIC / "index.html", MEDIAPIPE / "vision_bundle.mjs", MODEL, Path(CHROMIUM), options.clip):
        if not needed.exists():
            sys.exit(f"{needed} is absent: run  make dev , and see this file's head")
    with tempfile.TemporaryDirectory() as folder, page_of(Path(folder), options.clip) as page:
        if options.soak:
            soak(page, options.soak)
        else:
            compare(page, options.seconds, options.rounds)


@contextmanager
def page_of(folder: Path, clip: Path) -> Iterator[Page]:
    """The benchmark's page in a Chromium whose camera is `clip`."""
    for name, target in (("page", STATIC), ("mediapipe", MEDIAPIPE), ("mp_selfie.tflite", MODEL)):
        (folder / name).symlink_to(target)
    shutil.copy(Path(__file__).with_suffix(".html"), folder / "index.html")
    write_y4m(clip, folder / "camera.y4m")
    flags = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-gpu"]
    flags += [f"--use-file-for-fake-video-capture={folder / 'camera.y4m'}"]
    with serving(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.expose_function("used", used)
        page.goto(address)
        page.wait_for_function("document.title === 'ready'")
        yield page
        browser.close()


def write_y4m(clip: Path, path: Path, most: int = 90) -> None:
    """The first frames of a clip at 1280x720 as a fake camera reads them, forwards and back."""
    with av.open(str(clip)) as container:
        frames = [
            frame.reformat(1280, 720, "yuv420p").to_ndarray().tobytes()
            for frame, _ in zip(container.decode(video=0), range(most), strict=False)
        ]
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W1280 H720 F30:1 Ip A1:1 C420mpeg2\n")
        for frame in frames + frames[::-1]:
            file.write(b"FRAME\n" + frame)


class _Handler(SimpleHTTPRequestHandler):
    def guess_type(self, path: str | os.PathLike[str]) -> str:
        types = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        return types.get(Path(path).suffix) or super().guess_type(path)

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A plain web server with the headers that threads need."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def compare(page: Page, seconds: int, rounds: int) -> None:
    """Every way in turn, several times."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way, call in WAYS.items():
            print(f"\rround {number + 1} of {rounds}: {way:<40}", end="", file=sys.stderr, flush=True)
            found[way].append(page.evaluate(call.replace("SECONDS", str(seconds))))
    print("\r" + " " * 70, end="\r", file=sys.stderr)
    print(f"| {'1280x720':<36} | frames/s | {' | '.join(f'{stage:>9}' for stage in STAGES)} |")
    print("| --- |" + " --- |" * (len(STAGES) + 1))
    for way, results in found.items():
        cells = [f"{statistics.median(one['fps'] for one in results):8.1f}"]
        for stage in STAGES:
            times = [one[stage] for one in results if stage in one]
            cells.append(f"{statistics.median(times):9.1f}" if times else f"{'':>9}")
        words = f" ({results[0]['compute']}; {results[0]['renderer']})" if "compute" in results[0] else ""
        print(f"| {way:<36} | {' | '.join(cells)} |{words}")


def soak(page: Page, minutes: float) -> None:
    """Ours for some minutes, a new background every five seconds: what is held must not grow."""
    page.evaluate(SOAK)
    print("minutes  frames  switches  JavaScript of page and worker MB  largest renderer's memory MB")
    begun = time.monotonic()
    while time.monotonic() - begun < 60 * minutes:
        page.wait_for_timeout(min(60_000, 15_000 * minutes))
        found = page.evaluate("measure()")
        print(
            f"{(time.monotonic() - begun) / 60:7.1f} {found['frames']:7d} {found['switches']:9d} "
            f"{found['all'] / 1e6:33.1f} {renderer_bytes() / 1e6:29.1f}",
            flush=True,
        )


def processes() -> Iterator[tuple[Path, list[str]]]:
    """Of Chromium's processes that this one has begun, the folder and the fields of `stat` after the name; Linux."""
    found: dict[str, tuple[Path, list[str]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found[folder.name] = folder, (folder / "stat").read_text().rsplit(")", 1)[1].split()
    for name, (folder, fields) in found.items():
        parent = name
        while parent in found and parent != str(os.getpid()):
            parent = found[parent][1][1]
        with suppress(OSError):
            if parent == str(os.getpid()) and b"chromium" in (folder / "cmdline").read_bytes():
                yield folder, fields


def used() -> float:
    """Milliseconds of the processor's time that Chromium has had."""
    ticks = sum(int(fields[11]) + int(fields[12]) for _, fields in processes())
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def renderer_bytes() -> int:
    """Resident memory of the page's process, WebAssembly's included."""
    sizes = [0]
    for folder, fields in processes():
        with suppress(OSError):
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                sizes.append(int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return max(sizes)


SOAK = """
async () => {
  const { createBackgroundStream } = await import("./page/module.js");
  const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 } });
  const track = camera.getVideoTracks()[0];
  const canvas = document.createElement("canvas");
  document.body.replaceChildren(canvas);
  let frames = 0;
  let switches = 0;
  const stream = createBackgroundStream(track, { canvas, onHealth: (health) => (frames = health.frames) });
  const picture = new OffscreenCanvas(1280, 720);
  picture.getContext("2d").fillRect(100, 100, 500, 300);
  const image = await picture.convertToBlob();
  const ways = [{ kind: "image", image }, { kind: "blur", strength: 5 }, { kind: "colour", colour: "#00ff00" },
    { kind: "blur", strength: 40 }, { kind: "transparent" }];
  setInterval(() => stream.setBackground(ways[switches++ % ways.length]), 5000);
  window.measure = async () => ({
    frames, switches,
    all: (await performance.measureUserAgentSpecificMemory()).bytes,
  });
}
"""


if __name__ == "__main__":
    main()
