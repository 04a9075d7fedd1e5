"""A webcam's driver that fails in each way: Video4Linux is answered by a library before libc (fake_camera.c)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scenes import plain

HERE = Path(__file__).parent
DEVICE = "/dev/full"  # any character device: the library answers in its place


@pytest.fixture(scope="module")
def came_of_it(tmp_path_factory: pytest.TempPathFactory) -> Any:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs Linux, a C compiler and the kernel's headers: apt install gcc linux-libc-dev")
    from PIL import Image

    folder = tmp_path_factory.mktemp("fake")
    library = folder / "fake_camera.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "fake_camera.c", "-lpthread", "-ldl"], check=True
    )
    Image.fromarray(plain(1280, 720, (200, 40, 90))).save(folder / "picture.jpg")
    where = {"FAKE_CAMERA": DEVICE, "FAKE_MODE": str(folder / "mode"), "FAKE_JPEG": str(folder / "picture.jpg")}
    done = subprocess.run(
        [sys.executable, str(HERE / "fake_camera.py")],
        env=os.environ | where | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_small_pictures_are_taken_raw_and_large_ones_as_jpeg(came_of_it: Any) -> None:
    raw, jpeg, _ = came_of_it["looks"]
    assert raw["size"] == [640, 480]
    assert all(abs(got - wanted) <= 6 for got, wanted in zip(raw["colour"], (255, 0, 0), strict=True))  # BT.601
    assert jpeg["size"] == [1280, 720]
    assert all(abs(got - wanted) <= 6 for got, wanted in zip(jpeg["colour"], (200, 40, 90), strict=True))


def test_a_size_it_cannot_do_gives_one_it_can(came_of_it: Any) -> None:
    assert came_of_it["looks"][2]["size"] == [1280, 720]


@pytest.mark.parametrize(
    ("mode", "reason", "remedy"),
    [
        ("s", "gives no pictures", "plug it in again"),
        ("g", "was unplugged", "plug it in again"),
        ("b", "is in use by another program", f"fuser -v {DEVICE}"),
        ("f", "may not be opened", "usermod -aG video"),
        ("d", "gives no pictures", "plug it in again"),
    ],
)
def test_what_happens_to_a_webcam_is_named_and_gone_when_it_is_over(
    came_of_it: Any, mode: str, reason: str, remedy: str
) -> None:
    fault = next(each for each in came_of_it["faults"] if each["mode"] == mode)
    assert fault["reason"] == f"{DEVICE} {reason}"
    assert remedy in fault["remedy"]
    assert fault["back"], "it was not taken up again"
    assert fault["asked"] < 3000, "it was asked without a pause for that half a second"


def test_a_damaged_picture_is_counted(came_of_it: Any) -> None:
    assert came_of_it["damaged"] > 0


def test_nothing_is_left_of_a_device_that_hangs(came_of_it: Any) -> None:
    assert came_of_it["closed"]
    assert came_of_it["left_open"] == 0


def test_no_picture_is_held_in_the_drivers_memory_when_that_is_given_back(came_of_it: Any) -> None:
    assert came_of_it["held"] == 0
