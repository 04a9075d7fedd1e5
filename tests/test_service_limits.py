"""The service's limits: how many pictures at once, for how long, and what becomes of whoever leaves or dawdles."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import httpx
import pytest

from figureground.arrays import Frame
from figureground.web import safety, service, work
from figureground.web.service import Service
from figureground.web.wanted import Wanted
from scenes import noise
from serving import JPEG, error_of, stored, wait_until

CAMERALESS = True  # for conftest.live


@pytest.fixture(scope="module")
def photo(astronaut: Frame) -> bytes:
    return stored(astronaut, "JPEG", quality=92)


@contextmanager
def held(own: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Pictures that are not made before the block ends; the list has those that are begun."""
    go, begun = Event(), list[str]()

    def make(wanted: Wanted) -> tuple[bytes, str]:
        begun.append(wanted.model)
        go.wait(30)
        return b"made", "png"

    with monkeypatch.context() as patch:
        patch.setattr(own, "make", make)
        try:
            yield begun
        finally:
            go.set()
            wait_until(lambda: not own.busy())


def asked(address: str, photo: bytes, count: int) -> list[threading.Thread]:
    """Clients that wait for their answers."""
    threads = [
        threading.Thread(target=lambda: httpx.post(f"{address}/v1/alpha", content=photo, headers=JPEG, timeout=60))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize(("limit", "status"), [("MOST", 503), ("EACH", 429)])
def test_places_run_out(
    address: str, own: Service, photo: bytes, monkeypatch: pytest.MonkeyPatch, limit: str, status: int
) -> None:
    monkeypatch.setattr(work, limit, 3)
    with held(own, monkeypatch):
        threads = asked(address, photo, 3)
        wait_until(lambda: own.work.in_hand == 3)
        answer = httpx.post(f"{address}/v1/alpha", content=photo, headers=JPEG)
        assert answer.status_code == status
        assert "3 pictures at once are the limit" in error_of(answer)
        assert int(answer.headers["retry-after"]) > 0
    for thread in threads:
        thread.join(30)
    assert httpx.post(f"{address}/v1/alpha", content=photo, headers=JPEG).status_code == 200


def test_only_so_many_are_made_at_once(
    address: str, own: Service, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(own, monkeypatch) as begun:
        threads = asked(address, photo, own.work.threads + 4)
        wait_until(lambda: own.work.in_hand == len(threads))
        time.sleep(0.1)
        assert len(begun) == own.work.threads
    for thread in threads:
        thread.join(30)


def test_large_pictures_are_made_one_at_a_time(
    address: str, own: Service, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LARGE", 1000)
    small = stored(noise(20, 20), "JPEG")
    with held(own, monkeypatch) as begun:
        threads = asked(address, photo, 3)
        wait_until(lambda: own.work.in_hand == 3 and len(begun) == 1)
        threads += asked(address, small, 1)  # which does not wait for them
        wait_until(lambda: len(begun) == 2)
        time.sleep(0.1)
        assert len(begun) == 2
    for thread in threads:
        thread.join(30)


def test_what_takes_too_long_is_given_up(
    address: str, own: Service, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "SECONDS", 0.2)
    with held(own, monkeypatch):
        answer = httpx.post(f"{address}/v1/alpha", content=photo, headers=JPEG, timeout=60)
        assert answer.status_code == 503
        assert "not done within" in error_of(answer)


def test_who_leaves_is_not_worked_for(
    address: str, own: Service, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(own, monkeypatch) as begun:
        threads = asked(address, photo, own.work.threads)
        wait_until(lambda: len(begun) == own.work.threads)
        with pytest.raises(httpx.ReadTimeout):  # its picture waits for a thread
            httpx.post(f"{address}/v1/alpha?model=base", content=photo, headers=JPEG, timeout=0.3)
        wait_until(lambda: own.work.in_hand == own.work.threads)
    for thread in threads:
        thread.join(30)
    assert "base" not in begun


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=x"])
def test_a_slow_upload_is_left(address: str, monkeypatch: pytest.MonkeyPatch, own: Service, kind: str) -> None:
    monkeypatch.setattr(safety, "BODY_SECONDS", 0.2)

    def slow() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        time.sleep(0.6)
        yield b"\xff"

    answer = httpx.post(f"{address}/v1/alpha", content=slow(), headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == 408
    wait_until(lambda: own.work.in_hand == 0)


def test_files_of_a_refused_form_are_closed(address: str) -> None:
    large = bytes(1_500_000)  # so that they lie on the disk
    answer = httpx.post(f"{address}/v1/replace", files=[("other", ("a", large)), ("image", ("b", large))], timeout=60)
    assert answer.status_code == 422
    gc.collect()  # else: a ResourceWarning, which is an error here
