"""A virtual camera as a sink: what meeting programs and browsers then show. The only import of pyvirtualcam.

pyvirtualcam is GPL-2.0, so it is an extra of its own and imported only where a virtual camera is asked for. On Linux it
writes to a v4l2loopback device, on Windows and macOS to the virtual camera that OBS Studio brings.
"""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from figureground.errors import MissingExtraError, OutputError

MODPROBE = "sudo modprobe v4l2loopback devices=1 video_nr=10 card_label=figureground exclusive_caps=1"
_MODULE = Path("/sys/module/v4l2loopback")
_OBS = "install OBS Studio (28 or newer; on macOS 30), start its virtual camera once, stop it and close OBS"
# What pyvirtualcam says (part of it), what that means and what to do about it.
_REASONS = (
    ("no v4l2 loopback device", "there is no virtual camera", MODPROBE),
    ("missing permissions", "the virtual camera may not be opened", "sudo usermod -aG video $USER  and log in anew"),
    ("does not exist", "there is no such virtual camera", MODPROBE),
    (
        "not a video output",
        "it is a camera, or another program feeds it already",
        "fuser -v /dev/video*  names that program",
    ),
    ("not a v4l2 device", "it is no virtual camera", MODPROBE),
    ("could not be queried", "it is no virtual camera", MODPROBE),
    (
        "could not be configured",
        "the virtual camera is in use with pictures of another size",
        "close the programs that show it (fuser -v /dev/video* names them) and try again",
    ),
    (
        "could not be started",
        "OBS is not installed, or its virtual camera is in use",
        f"stop the virtual camera in OBS; else {_OBS}",
    ),
    ("obs", "OBS Studio's virtual camera is not there", _OBS),
)


class VirtualCamera:
    """Shows every picture it is sent to the programs that read the virtual camera. A context manager; open at once.

    Args:
        width, height: of every picture, in pixels, both even.
        fps: about how often one is sent.
        device: /dev/video10, or the name of a virtual camera of OBS; None: the first that is free.

    Attributes:
        device: the one that is used.

    Raises:
        MissingExtraError: pyvirtualcam is not installed.
        OutputError: there is no virtual camera, it is in use, or it may not be opened; the message says how to mend it.
    """

    def __init__(self, width: int, height: int, fps: float, device: str | None = None) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise MissingExtraError("pyvirtualcam, which the virtual camera needs,", "virtualcam") from error
        if width % 2 or height % 2:
            raise OutputError(f"a virtual camera wants even sides, got {width}x{height}")
        try:
            self._camera = pyvirtualcam.Camera(width, height, fps, device=device)
        except (RuntimeError, OSError, ValueError) as error:
            raise OutputError(_advice(str(error), device)) from error
        self._shape = (height, width, 3)
        self.device: str = self._camera.device

    def send(self, picture: NDArray[np.uint8], time: Fraction) -> None:
        """Show one (H, W, 3) uint8 RGB picture, now; `time` is for sinks that record.

        Raises:
            OutputError: a picture of another size, or the virtual camera is gone.
        """
        if picture.shape != self._shape:
            raise OutputError(f"{self.device}: a picture of shape {picture.shape} instead of {self._shape}")
        try:
            self._camera.send(picture)
        except (RuntimeError, OSError, ValueError) as error:
            raise OutputError(f"{self.device}: the virtual camera takes no more pictures ({error})") from error

    def watched(self) -> bool | None:
        """Whether any program has the virtual camera open; None where the system does not tell, as outside Linux.

        Linux counts the open files of the v4l2loopback module, whosever they are. Those of all its devices, so that
        a program at another of them is taken for a watcher.
        """
        try:
            opened = int((_MODULE / "refcnt").read_text(encoding="ascii"))
            return opened > sum(_is_virtual(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd"))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        self._camera.close()

    def __enter__(self) -> VirtualCamera:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _is_virtual(descriptor: str) -> bool:
    """Whether an open file of this process is a video device without hardware."""
    try:
        device = Path(os.readlink(descriptor))
    except OSError:  # closed by now
        return False
    if device.parent != Path("/dev") or not device.name.startswith("video"):
        return False
    return os.path.realpath(f"/sys/class/video4linux/{device.name}").startswith("/sys/devices/virtual/")


def _advice(said: str, device: str | None) -> str:
    """One line for the user from what pyvirtualcam said."""
    where = f"{device}: " if device else ""
    for part, meaning, remedy in _REASONS:
        if part in said.lower():
            if remedy == MODPROBE and _MODULE.exists() and device is None:
                return "every virtual camera is in use, or fed by another program: fuser -v /dev/video*  names it"
            return f"{where}{meaning}: {remedy}"
    remedy = MODPROBE if sys.platform == "linux" else _OBS
    return f"{where}the virtual camera cannot be used ({' '.join(said.split())}): {remedy}"
