"""Cut people out of pictures and video, in real time, on your own machine.

import figureground as fg

alpha = fg.Engine("small")(frame)              # (H, W, 3) uint8 RGB -> (H, W) float32
picture = fg.composite(frame, alpha, background)
fg.replace(["holiday.jpg", "talk.mp4"], background="beach.jpg", output="out")
"""

from __future__ import annotations

from os import environ as _environ
from typing import TYPE_CHECKING, Any

from figureground.version import __version__

if TYPE_CHECKING:
    from figureground.batch import replace
    from figureground.compositor import composite, cutout
    from figureground.engine import Engine
    from figureground.errors import FigureGroundError
    from figureground.images import read_image, write_image

# ONNX Runtime, from 1.29 on, tells its makers what it runs and keeps a number for this computer. Only this, said before
# it is loaded, keeps it from both: its own disable_telemetry_events comes too late for the first message.
_environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOMES = {
    "Engine": "engine",
    "FigureGroundError": "errors",
    "composite": "compositor",
    "cutout": "compositor",
    "read_image": "images",
    "replace": "batch",
    "write_image": "images",
}
__all__ = [
    "Engine",
    "FigureGroundError",
    "__version__",
    "composite",
    "cutout",
    "read_image",
    "replace",
    "write_image",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line's help needs none of OpenCV, FFmpeg and ONNX Runtime.
    if name not in _HOMES:
        raise AttributeError(f"module 'figureground' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"figureground.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
