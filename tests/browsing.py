"""A real Chromium, with a camera if the test makes one, and what is done with its pages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, ViewportSize, expect, sync_playwright

from figureground.arrays import Frame
from figureground.web.server import STATIC
from scenes import noise

CHROMIUM = "/usr/bin/chromium"
# No sandbox, for tests run as root in containers; the rest keeps it from talking to anybody else.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
expect.set_options(timeout=30_000)  # a busy machine is slow; no test of ours is about time
NARROW, WIDE = ViewportSize(width=360, height=740), ViewportSize(width=1280, height=800)


@contextmanager
def chromium(camera: Path | None = None, flags: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser; with `camera`, a .y4m, it has one that shows this film over and over."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is absent: apt-get install chromium")
    if not (STATIC / "index.html").exists():
        pytest.skip("the page is not built: make web")
    film = (
        [] if camera is None else ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"]
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *film, *flags])
        yield browser
        browser.close()


def make_camera(path: Path, frames: Sequence[Frame], rate: int = 30) -> Path:
    """A film as a fake camera reads it: .y4m, 4:2:0."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420mpeg2\n".encode())
        for frame in frames:
            planes = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p").to_ndarray()
            file.write(b"FRAME\n" + planes.tobytes())
    return path


class _Plain(SimpleHTTPRequestHandler):
    """A web server that knows the types of files and sets no header of its own."""

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        types = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        return types.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def static_host(folder: Path) -> Iterator[str]:
    """The address, without a slash, of a plain web server for a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Plain, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def watch(page: Page) -> tuple[list[str], list[str]]:
    """What the page will ask for, and whatever it will complain of."""
    asked: list[str] = []
    complaints: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return asked, complaints


def tile(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name, exact=True)


def make_picture(folder: Path, name: str = "beach.png") -> Path:
    Image.fromarray(noise(64, 36)).save(folder / name)
    return folder / name
