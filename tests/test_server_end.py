"""The end of the server, in a process of its own: at the first signal, at the second one, whoever dawdles."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from figureground.images import write_image
from scenes import noise
from serving import make_camera, picture, started, wait_until

UPLOAD = "POST /api/backgrounds?name=x HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n"
PICTURE = "POST /v1/alpha HTTP/1.1\r\nHost: {0}\r\n"
BEGUN = "Content-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc"  # 3 of 1000 bytes


@contextmanager
def playing(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`figureground live` with its page, and the host and port of that."""
    with started(folder, "live", "--camera", str(make_camera(folder)), *options) as (process, address):
        yield process, address.removeprefix("http://")


def dial(place: str, said: str, room: int = 65_536) -> socket.socket:
    """A client that has sent something and then does nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    client.connect((place.split(":")[0], int(place.split(":")[1])))
    client.sendall(said.format(place).encode())
    return client


def wait_for_begin(place: str, folder: Path) -> None:
    """Until the server has begun with what `dial` began with."""
    kept, metrics = folder / "figureground" / "backgrounds", f"http://{place}/metrics"
    wait_until(lambda: any(kept.glob(".upload-*")) or "requests_in_hand 1\n" in httpx.get(metrics).text)


def holds(process: subprocess.Popen[str], file: str) -> bool:
    """Whether a process has a file of this name open."""
    files = Path(f"/proc/{process.pid}/fd")
    return any(os.readlink(each).endswith(file) for each in files.iterdir() if each.is_symlink())


def said_at_the_end(process: subprocess.Popen[str]) -> str:
    """What a process that has to end within ten seconds, well, says until then."""
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in said
    return said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("begin", [UPLOAD, PICTURE])
def test_the_camera_is_let_go_at_once_and_who_dawdles_is_left(tmp_path: Path, begin: str, name: str) -> None:
    with playing(tmp_path) as (process, place), dial(place, begin + BEGUN):
        wait_for_begin(place, tmp_path)
        wait_until(lambda: holds(process, "room.mp4"))
        process.send_signal(getattr(signal, name))
        time.sleep(1.5)
        assert process.poll() is None, "a client has some seconds to bring the rest"
        assert not holds(process, "room.mp4")
        said_at_the_end(process)


def test_a_preview_that_is_not_taken_is_left(tmp_path: Path) -> None:
    write_image(tmp_path / "noise.png", noise(960, 540))
    background = ("--background", str(tmp_path / "noise.png"), "--size", "960x540")
    with (
        playing(tmp_path, *background) as (process, place),
        dial(place, "GET /api/preview HTTP/1.1\r\nHost: {0}\r\n\r\n", room=4096),
    ):
        time.sleep(8)  # until no buffer has room
        process.send_signal(signal.SIGTERM)
        said_at_the_end(process)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_nobody(tmp_path: Path, second: signal.Signals) -> None:
    with playing(tmp_path) as (process, place), dial(place, UPLOAD + BEGUN):
        wait_for_begin(place, tmp_path)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(second)
        process.wait(3)
        said_at_the_end(process)
        assert not [*(tmp_path / "figureground" / "backgrounds").iterdir()], "nothing half-written is left"


def test_streams_that_always_have_another_frame_are_closed(tmp_path: Path) -> None:
    frame = picture(size=(640, 360))

    def send(stream: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                stream.send(frame)

    with playing(tmp_path) as (process, place), ExitStack() as streams:
        clients = [streams.enter_context(connect(f"ws://{place}/v1/frames")) for _ in range(3)]
        for client in clients:
            client.send("{}")
            client.recv(30)
            Thread(target=send, args=[client], daemon=True).start()
        for client in clients:
            client.recv(30)
        process.send_signal(signal.SIGTERM)
        said_at_the_end(process)


def test_nobody_starts_the_camera_again(tmp_path: Path) -> None:
    with playing(tmp_path) as (process, place), dial(place, PICTURE + BEGUN):
        wait_for_begin(place, tmp_path)
        with httpx.Client(base_url=f"http://{place}", headers={"Origin": f"http://{place}"}) as client:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            answer = client.post("/api/start", json={})
            assert (answer.status_code, client.get("/api/state").json()["light"]) == (503, "stopped")
        said_at_the_end(process)
