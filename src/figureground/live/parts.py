"""What settings stand for, ready to run: made apart from the loop, so that it never waits for a file or a model."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.backgrounds import Background, Slideshow, cover, make_background
from figureground.engine import Engine
from figureground.images import read_rgba
from figureground.live.settings import Settings
from figureground.live.slides import Slides

GREEN = "#00ff00"  # what transparency is where a picture cannot hold any
SMALLER = {"base": "small"}  # what the governor takes instead when there is no time


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a choice of settings needs."""

    settings: Settings
    background: Background
    engines: dict[str, Engine]  # by name: the chosen one, the one to fall back to, and those that were chosen before
    overlay: Overlay | None


def make_parts(settings: Settings, width: int, height: int, now: float, before: Parts | None = None) -> Parts:
    """Read and load what `settings` name, taking over what has not changed; `now`: seconds on the pictures' clock.

    Raises:
        FigureGroundError: a background, model or overlay that cannot be used; one line for the user.
    """
    same = before is not None and before.settings.background == settings.background
    if before is not None and same:
        background = before.background
    else:
        background = _background(settings.background, width, height, now)
    engines = dict(before.engines) if before is not None and before.settings.device == settings.device else {}
    names = dict.fromkeys([settings.model, SMALLER.get(settings.model, settings.model)])
    # Kept once loaded: ONNX Runtime does not give back all that a network took, and there are few.
    engines |= {name: engines.get(name) or _warm(Engine(name, device=settings.device), width, height) for name in names}
    overlay = None
    if settings.overlay:
        kept = before.overlay if before is not None and before.settings.overlay == settings.overlay else None
        overlay = kept or Overlay(read_rgba(Path(settings.overlay)), width, height)
    return Parts(settings, background, engines, overlay)


def _background(spec: str, width: int, height: int, now: float) -> Background:
    made = make_background(GREEN if spec == "transparent" else spec)
    if isinstance(made, Slideshow):
        made = Slides(made, width, height)
    # Once now: the first picture on it is then no slower than the others, and a video begins now.
    made(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8), Fraction(now))
    return made


def _warm(engine: Engine, width: int, height: int) -> Engine:
    engine(np.zeros((height, width, 3), np.uint8))
    return engine


class Overlay:
    """A picture with transparency over everything, as a name tag; scaled so that it covers the whole output."""

    def __init__(self, picture: NDArray[np.uint8], width: int, height: int) -> None:
        fitted = cover(picture, width, height)
        rows, columns = (np.flatnonzero(fitted[:, :, 3].any(axis)) for axis in (1, 0))
        self._box = (slice(0, 0), slice(0, 0))
        if len(rows):
            self._box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        part = fitted[self._box]
        shares = np.repeat(part[:, :, 3:], 3, axis=2)
        self._colours = cv2.multiply(np.ascontiguousarray(part[:, :, :3]), shares, scale=1 / 255) if len(rows) else None
        self._rest = 255 - shares

    def draw(self, picture: Frame) -> None:
        """Lay it over `picture`, in place."""
        if self._colours is not None:
            under = cv2.multiply(np.ascontiguousarray(picture[self._box]), self._rest, scale=1 / 255)
            picture[self._box] = cv2.add(under, self._colours)
