"""Which cameras there are, and which one a name means."""

from __future__ import annotations

import os
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from figureground.errors import CameraError, NoCameraError

PROTOCOLS = ("http://", "https://", "rtsp://", "rtsps://")
_VIDEO4LINUX = Path("/sys/class/video4linux")
# From the kernel's videodev2.h: the request, the size of what it fills in, and where in it the flags stand.
_QUERYCAP, _CAPABILITY_BYTES, _DEVICE_CAPS_AT = 0x80685600, 104, 88
_GIVES_PICTURES = 0x1 | 0x1000  # V4L2_CAP_VIDEO_CAPTURE, with one plane or several


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that is there: its name for people, and what it is opened by."""

    name: str
    device: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where pictures come from; `name` is for people and holds no password, `address` is what is opened."""

    kind: Literal["device", "file", "pipe", "stream"]
    name: str
    address: str


def cameras() -> list[CameraInfo]:
    """The cameras of this machine; one that may not be opened is among them."""
    if sys.platform != "linux":
        return _enumerated()
    numbers = sorted(int(each.name[5:]) for each in _VIDEO4LINUX.glob("video*") if each.name[5:].isdecimal())
    found = [CameraInfo(_name(number), f"/dev/video{number}") for number in numbers]
    return [camera for camera in found if _gives_pictures(camera.device)]


def _name(number: int) -> str:
    try:
        return (_VIDEO4LINUX / f"video{number}" / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"video{number}"


def _gives_pictures(device: str) -> bool:
    """Whether a device is a camera and not, say, its second node for metadata, or a virtual camera nobody feeds."""
    import fcntl  # which Windows lacks

    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return not isinstance(error, FileNotFoundError)  # opening it will say what stands in the way
    try:
        capability = fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY_BYTES))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack_from("=I", capability, _DEVICE_CAPS_AT)[0] & _GIVES_PICTURES)


def _enumerated() -> list[CameraInfo]:
    """The cameras as FFmpeg lists them on macOS and Windows."""
    import av.device

    mac = sys.platform == "darwin"
    devices = av.device.enumerate_input_devices("avfoundation" if mac else "dshow")
    # AVFoundation counts its devices, with the screens after the cameras; DirectShow gives them lasting names.
    return [
        CameraInfo(device.description or device.name, device.name)
        for device in devices
        if "video" in device.media_types and not device.description.startswith("Capture screen")
    ]


def locate(spec: str) -> Place:
    """What a camera's name stands for.

    Args:
        spec: a number, the path of a device, a video file or a named pipe, an address that begins with one of
            `PROTOCOLS`, or part of a camera's name.

    Raises:
        NoCameraError: nothing goes by that name; the message names the cameras there are.
        CameraError: a path that leads to a folder or a socket.
    """
    if spec.lower().startswith(PROTOCOLS):
        return Place("stream", _without_secrets(spec), spec)
    if not spec.isdecimal() and os.path.exists(spec):
        return _at_path(spec)
    there = cameras()
    camera = _numbered(int(spec), there) if spec.isdecimal() else _named(spec, there)
    if camera is None:
        raise _none_such(spec, there)
    return Place("device", camera.name, camera.device)


def _without_secrets(address: str) -> str:
    try:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.hostname}{parts.path}"
    except ValueError as error:
        raise CameraError(f"that is no address ({error})", "write it like http://192.168.0.7:8080/video") from error


def _at_path(path: str) -> Place:
    mode = os.stat(path).st_mode
    name = os.path.basename(path)
    if stat.S_ISCHR(mode):
        real = os.path.realpath(path)
        return Place("device", next((each.name for each in cameras() if each.device == real), path), real)
    if stat.S_ISFIFO(mode):
        return Place("pipe", name, path)
    if stat.S_ISREG(mode):
        return Place("file", name, path)
    raise CameraError(f"{path}: neither a camera nor a video", "give a camera, a video file or a named pipe")


def _numbered(number: int, there: list[CameraInfo]) -> CameraInfo | None:
    """The one the system gives this number, as in /dev/video2; if there is none, the one at that place in the list."""
    same = (each for each in there if each.device in (f"/dev/video{number}", str(number)))
    return next(same, there[number] if number < len(there) else None)


def _named(spec: str, there: list[CameraInfo]) -> CameraInfo | None:
    wanted = spec.casefold()
    exact = (each for each in there if wanted in (each.name.casefold(), each.device.casefold()))
    return next(exact, next((each for each in there if wanted in each.name.casefold()), None))


def _none_such(spec: str, there: list[CameraInfo]) -> NoCameraError:
    if there:
        listed = ", ".join(f"{each.name!r} ({each.device})" for each in there)
        return NoCameraError(f"no camera or video file {spec!r}", f"these cameras are there: {listed}")
    return NoCameraError(f"no camera or video file {spec!r}", "no camera is there at all: plug one in")
