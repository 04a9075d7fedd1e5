"""A real server before a real `Live` that is fed from a video file."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from PIL import Image
from starlette.applications import Starlette

from figureground.arrays import Frame
from figureground.live import Live, Settings
from figureground.web.running import make_server
from scenes import make_scene, noise
from terminals import as_in_a_terminal
from videos import H264, make_video

SIZE = (320, 180)
CAMERA = "room.mp4"
JPEG = {"Content-Type": "image/jpeg"}


def make_camera(folder: Path) -> Path:
    """A film that `Live` takes for its camera: a figure in a room."""
    pictures = [make_scene(*SIZE, figure=(200, 150 - 10 * step, 120)).frame for step in range(8)]
    return make_video(folder / CAMERA, pictures, 15, H264)


@contextmanager
def living(folder: Path, background: str = "blur:20", overlay: str = "") -> Iterator[Live]:
    """A `Live` whose first model is loaded."""
    settings = Settings(camera=str(make_camera(folder)), background=background, overlay=overlay, fps=15)
    with Live(settings, SIZE) as live:
        live.change({})  # returns once the model is there
        yield live


@contextmanager
def serving(app: Starlette, port: int = 0) -> Iterator[str]:
    """The address of a server that runs `app`; it must end when it is told to, whatever streams are open."""
    server = make_server(app)
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server does not end"


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that serves, in a process of its own that keeps its things in `folder`, and its address."""
    line = [sys.executable, "-m", "figureground", *arguments, "--port", "0"]
    surroundings = os.environ | {"XDG_DATA_HOME": str(folder)}
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, text=True, env=surroundings, preexec_fn=as_in_a_terminal
    ) as process:
        try:
            assert process.stderr is not None
            found = None
            while found is None:  # before it may stand what the picture does
                said = process.stderr.readline()
                assert said, "it has ended"
                found = re.search(r"figureground: (http://127\.0\.0\.1:\d+)/", said)
            yield process, found[1]
        finally:
            process.kill()


@contextmanager
def asking(address: str, live: Live, folder: Path) -> Iterator[httpx.Client]:
    """A client that asks as the page does: from its own origin. Afterwards everything is as it was."""
    before = live.state()["settings"]
    assert isinstance(before, dict)
    with httpx.Client(base_url=address, headers={"Origin": address}, timeout=30) as client:
        yield client
    live.change(before)
    live.cover(False)
    live.start()
    shutil.rmtree(folder, ignore_errors=True)


def picture(format: str = "PNG", size: tuple[int, int] = (64, 36), **options: Any) -> bytes:
    """A picture file of noise."""
    return stored(noise(*size), format, **options)


def stored(frame: Frame, format: str, **options: Any) -> bytes:
    """A picture's file."""
    data = BytesIO()
    Image.fromarray(frame).save(data, format, **options)
    return data.getvalue()


def open_picture(file: Path | bytes) -> Image.Image:
    """A picture file, read."""
    with Image.open(BytesIO(file) if isinstance(file, bytes) else file) as opened:
        opened.load()
        return opened


def upload(client: httpx.Client, data: bytes, kind: str = "image/png", name: str = "beach.png") -> httpx.Response:
    """Ask for a background to be kept."""
    return client.post("/api/backgrounds", params={"name": name}, content=data, headers={"Content-Type": kind})


def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    """Return once something of another thread or process has come to be so."""
    for _ in range(round(100 * seconds)):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come to be so")


def error_of(answer: httpx.Response) -> str:
    """What the server says went wrong."""
    error = answer.json()["error"]
    assert "\n" not in error
    assert "Traceback" not in error
    return str(error)
