"""A virtual camera shows what it is sent, and where there is none the message says how to get one."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figureground import virtualcam
from figureground.camera import Camera
from figureground.doctor.linux import AT_BOOT
from figureground.errors import MissingExtraError, OutputError
from figureground.virtualcam import MODPROBE, VirtualCamera, _advice
from scenes import largest_difference, patches, plain

pyvirtualcam = pytest.importorskip("pyvirtualcam", reason="needs pip install 'figureground[virtualcam]'")
LOOPBACK = Path("/sys/module/v4l2loopback").exists()


class Screen:
    """A backend of pyvirtualcam's own kind, that keeps what it is shown."""

    shown: list[np.ndarray[Any, Any]]

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        Screen.shown = []
        self.size = width, height

    def send(self, frame: np.ndarray[Any, Any]) -> None:
        if len(Screen.shown) == 2:
            raise RuntimeError("the screen is full")
        Screen.shown.append(frame.reshape(self.size[1], self.size[0], 3).copy())

    def device(self) -> str:
        return "screen"

    def native_fourcc(self) -> None:
        return None

    def close(self) -> None:
        Screen.shown.append(np.empty(0))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"screen": Screen})


@pytest.mark.usefixtures("screen")
def test_pictures_arrive_as_they_are_sent_and_it_is_closed_at_the_end() -> None:
    picture = patches(64, 48)
    with VirtualCamera(64, 48, 30) as camera:
        assert camera.device == "screen"
        camera.send(picture, Fraction(0))
        camera.send(np.asfortranarray(picture[:, ::-1]), Fraction(1, 30))
        with pytest.raises(OutputError, match=r"screen: .* takes no more pictures \(the screen is full"):
            camera.send(picture, Fraction(2, 30))
    np.testing.assert_array_equal(Screen.shown[0], picture)
    np.testing.assert_array_equal(Screen.shown[1], picture[:, ::-1])
    assert Screen.shown[2].size == 0


@pytest.mark.usefixtures("screen")
def test_a_picture_of_another_size_is_refused() -> None:
    with VirtualCamera(64, 48, 30) as camera, pytest.raises(OutputError, match=r"\(48, 62, 3\) instead of \(48, 64"):
        camera.send(plain(62, 48, (0, 0, 0)), Fraction(0))


@pytest.mark.parametrize("size", [(63, 48), (64, 47)])
def test_odd_sides_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(OutputError, match="even sides"):
        VirtualCamera(*size, 30)


@pytest.mark.skipif(sys.platform != "linux" or LOOPBACK, reason="there may be a virtual camera here")
def test_without_one_the_line_that_makes_one_is_named() -> None:
    with pytest.raises(OutputError) as caught:
        VirtualCamera(64, 48, 30)
    assert str(caught.value) == f"there is no virtual camera: {MODPROBE}"
    assert "exclusive_caps=1" in MODPROBE
    assert "card_label=figureground" in MODPROBE


def test_the_line_is_that_of_the_page() -> None:
    page = (Path(__file__).parents[1] / "docs" / "cameras.md").read_text(encoding="utf-8")
    assert MODPROBE in page
    assert all(line in page for line in AT_BOOT.split(" && "))


@pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux'")
@pytest.mark.parametrize(("device", "reason"), [("/dev/null", "is no virtual camera"), ("/dev/nothing", "no such")])
def test_a_device_that_is_none_is_named(device: str, reason: str) -> None:
    with pytest.raises(OutputError, match=rf"{device}: .*{reason}"):
        VirtualCamera(64, 48, 30, device)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("'v4l2loopback' backend: Could not access /dev/video10 due to missing permissions. Did", "usermod -aG video"),
        ("'v4l2loopback' backend: Device /dev/video0 is not a video output device.", "another program feeds it"),
        ("'v4l2loopback' backend: Virtual camera device x could not be configured: Device or resource busy", "close"),
        ("'obs' backend: virtual camera output could not be started", "stop the virtual camera in OBS"),
        ("'obs' backend: OBS Virtual Camera device not found! Did you install OBS?", "install OBS Studio"),
        ("'new' backend: something\nnobody knew of", "(new"),
    ],
)
def test_every_reason_has_its_advice(said: str, advice: str) -> None:
    line = _advice(said.replace("'new' backend: ", "new "), None)
    assert advice in line
    assert "\n" not in line


def test_where_it_is_not_installed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'figureground\[virtualcam\]'"):
        VirtualCamera(64, 48, 30)


@pytest.mark.usefixtures("screen")
@pytest.mark.skipif(LOOPBACK, reason="v4l2loopback is loaded here")
def test_whether_anybody_watches_is_unknown_without_the_module() -> None:
    with VirtualCamera(64, 48, 30) as camera:
        assert camera.watched() is None


@pytest.mark.usefixtures("screen")
def test_the_modules_open_files_but_our_own_are_watchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtualcam, "_MODULE", tmp_path)
    with VirtualCamera(64, 48, 30) as camera:
        for count, seen in (("0\n", False), ("1\n", True), ("no number", None)):
            (tmp_path / "refcnt").write_text(count, encoding="ascii")
            assert camera.watched() is seen


def test_a_real_virtual_camera_is_watched_and_shows_the_pictures() -> None:
    if not LOOPBACK:
        pytest.skip(f"v4l2loopback is not loaded: {MODPROBE}")
    picture = patches(640, 480)
    with VirtualCamera(640, 480, 30) as output:
        if not os.access(output.device, os.R_OK):
            pytest.skip(f"{output.device} may not be read")
        assert output.watched() is False
        output.send(picture, Fraction(0))
        with Camera(output.device) as camera:
            for number in range(300):
                output.send(picture, Fraction(number, 30))
                taken = camera.newest(0.1)
                if taken is not None:
                    break
            assert taken is not None, camera.fault
            assert largest_difference(taken.frame[100:140, 60:100], picture[100:140, 60:100]) <= 12
            assert output.watched() is False, "our own camera is no watcher"
