"""Drives a `Camera` on the device of fake_camera.c through what happens to webcams; prints what came of it as JSON.

Run in a process of its own, with that library before libc.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figureground.camera import Camera, Fault, cameras, capture, reading

DEVICE, MODE = os.environ["FAKE_CAMERA"], Path(os.environ["FAKE_MODE"])
PATIENCE = 20.0
reading.HANG = capture.HANG = 0.6
reading.OPENING = 2.0
capture._PAUSES = (0.1, 0.3)


def until(what: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


def turn(mode: str) -> None:
    """Have the driver behave so, from one moment to the next."""
    new = MODE.with_suffix(".new")
    new.write_text(mode, encoding="ascii")
    new.replace(MODE)


def driver(name: str) -> int:
    """A count the fake driver keeps."""
    return ctypes.c_int.in_dll(ctypes.CDLL(None), f"fake_{name}").value


def look(size: tuple[int, int]) -> dict[str, Any]:
    """What a size asked for gives."""
    turn("r")
    with Camera(DEVICE, size, 30.0) as camera:
        shots = [camera.newest(PATIENCE) for _ in range(5)]
        assert all(shots), camera.fault
        frame = shots[-1].frame
        return {"size": [camera.width, camera.height], "colour": frame[50, 50].tolist(), "rate": camera.rate}


def suffer(modes: dict[str, str]) -> list[dict[str, Any]]:
    """The fault that each mode ends in, by a word of its reason, and whether the camera comes back from it."""
    results = []
    with Camera(DEVICE, (1280, 720), 30.0) as camera:
        for mode, word in modes.items():
            assert camera.newest(PATIENCE) is not None
            faults: list[Fault] = []
            if mode in "bf":  # which are seen only when it is opened anew
                turn("g")
                until(lambda: camera.fault and "unplugged" in camera.fault.reason)
            turn(mode)
            until(
                lambda word=word, faults=faults: (
                    faults.append(camera.fault) or (faults[-1] and word in faults[-1].reason)
                )
            )
            begin = driver("calls")
            time.sleep(0.5)
            asked = driver("calls") - begin
            turn("r")
            back = until(lambda: camera.newest(0.05) is not None and camera.fault is None)
            results.append({"mode": mode, **asdict(faults[-1]), "back": back, "asked": asked})
    return results


def damaged() -> int:
    """How many pictures in between were counted as damaged and skipped."""
    turn("r")
    with Camera(DEVICE, (1280, 720)) as camera:

        def some_came_damaged() -> bool:
            turn("d")
            time.sleep(0.2)
            turn("r")
            camera.newest(1.0)
            return camera.damaged > 0

        until(some_came_damaged)
        return camera.damaged


def close_while_opening() -> bool:
    """Whether closing ends the thread of a device that gives no first picture."""
    turn("s")
    camera = Camera(DEVICE)
    until(lambda: os.environ["FAKE_CAMERA"] in map(link, os.listdir("/proc/self/fd")))
    camera.close()
    return until(lambda: not camera._thread.is_alive())


def link(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def left_open() -> int:
    return [link(each) for each in os.listdir("/proc/self/fd")].count(DEVICE)


if __name__ == "__main__":
    result = {
        "looks": [look(size) for size in ((640, 480), (1280, 720), (1920, 1080))],
        "faults": suffer(
            {"s": "no pictures", "g": "unplugged", "b": "in use", "f": "not be opened", "d": "no pictures"}
        ),
        "damaged": damaged(),
        "closed": close_while_opening(),
        "left_open": left_open(),
        "held": driver("held"),
        "listed": [each.name for each in cameras()],
    }
    json.dump(result, sys.stdout)
