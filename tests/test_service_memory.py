"""The service keeps no picture of those whose request failed or who left, also while Python's collector sleeps."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from websockets.sync.client import connect

from figureground.web.frames import Stream
from figureground.web.service import Service
from serving import picture, serving, wait_until


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(Starlette(routes=Service(threads=1).routes())) as address:
        yield address


@contextmanager
def collector_asleep() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(kind: type) -> int:
    return sum(issubclass(type(each), kind) for each in gc.get_objects())  # an instance may be a dead proxy


def test_a_picture_that_cannot_be_read_is_let_go_of(address: str) -> None:
    broken = picture("JPEG", (640, 360))[:5000]
    with httpx.Client(base_url=address) as client, collector_asleep():
        before = alive(Image.Image)
        for _ in range(3):
            assert client.post("/v1/alpha", files={"image": broken}).status_code == 422
        wait_until(lambda: alive(Image.Image) <= before)


def test_a_stream_that_failed_and_was_left_is_let_go_of(address: str) -> None:
    with collector_asleep():
        for _ in range(3):
            with connect(f"ws{address[4:]}/v1/frames") as client:
                client.send("{}")
                client.recv(30)
                client.send(picture("JPEG"))
                assert isinstance(client.recv(30), bytes)
                client.send(b"nonsense")
                assert isinstance(client.recv(30), str)
        wait_until(lambda: alive(Stream) == 0)
