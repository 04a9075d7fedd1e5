"""What to say, and what to advise, when a camera gives no pictures."""

from __future__ import annotations

import errno
import os
import sys

import av

from figureground.camera.devices import Place
from figureground.errors import CameraError, NoCameraError, reason

_ABSENT = (errno.ENODEV, errno.ENOENT, errno.ENXIO)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_UNREACHED = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNRESET)
_SILENT = {
    "device": "unplug it and plug it in again; if it stays so, another program may hold it",
    "pipe": "start the program that writes into it",
    "stream": "see whether it plays elsewhere; it is tried again",
    "file": "copy it to a local disk",
}


def explain(error: Exception, place: Place, size: tuple[int, int] | None = None) -> CameraError:
    """Why `place` cannot be opened or read, from the error FFmpeg or the system gave.

    Args:
        error: as caught.
        place: what was opened.
        size: the width and height asked for.
    """
    number = getattr(error, "errno", None)
    if isinstance(error, (av.error.ExitError, TimeoutError)):  # FFmpeg was interrupted when its time was over
        return silent(place)
    if number in _FORBIDDEN:
        return CameraError(f"{place.name} may not be opened", _permission(place))
    if number in _ABSENT:
        return NoCameraError(f"{place.name} is gone", "plug it in again; it is taken up by itself")
    if number == errno.EBUSY:
        names_it = f"; this names it:  fuser -v {place.address}" if sys.platform == "linux" else ""
        return CameraError(f"{place.name} is in use by another program", f"close that program{names_it}")
    if number == errno.ENOTTY:
        return CameraError(f"{place.name} is no camera", "figureground doctor  lists the cameras")
    if number == errno.EINVAL and size and place.kind == "device":
        return CameraError(f"{place.name} cannot give {size[0]}x{size[1]} pixels", "ask for another size, or for none")
    if number in _UNREACHED:
        return CameraError(f"{place.name} cannot be reached ({reason(error)})", "see whether its server runs")
    if isinstance(error, av.error.InvalidDataError):
        return CameraError(f"{place.name} gives nothing that can be read as a video", "see whether it plays elsewhere")
    return CameraError(f"{place.name} cannot be read ({reason(error)})", "figureground doctor  tries every camera")


def silent(place: Place) -> CameraError:
    """It is open, or being opened, but no picture comes."""
    if place.kind == "pipe":
        return CameraError(f"nothing comes through the pipe {place.name}", _SILENT["pipe"])
    return CameraError(f"{place.name} gives no pictures", _SILENT[place.kind])


def _permission(place: Place) -> str:
    if place.kind != "device":
        return f"chmod u+r '{place.address}'  lets its owner read it"
    if sys.platform == "darwin":
        return "allow it for the terminal in System Settings > Privacy & Security > Camera"
    if sys.platform == "win32":
        return "switch on Settings > Privacy & security > Camera > Let desktop apps access your camera"
    snap = os.environ.get("SNAP_NAME")
    if snap:
        return f"sudo snap connect {snap}:camera"
    return "sudo usermod -aG video $USER  and log in anew"
