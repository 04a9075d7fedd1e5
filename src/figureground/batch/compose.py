"""What is made of a frame and its matte: a composite, a cut-out or the matte itself."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Deep, Frame, Matte
from figureground.backgrounds import Background, Blur
from figureground.compositor import Compositor, deep_on_transparency, on_transparency
from figureground.hdr import deepened
from figureground.pipeline import Compose, Picture
from figureground.sources import VideoSource

KINDS = ("composite", "cutout", "alpha")


def make_compose(kind: str, background: Background | None) -> Compose:
    """What to make of a frame and its matte: RGB, RGBA or grey pictures, for `composite`, `cutout` and `alpha`."""
    if kind == "cutout":
        return lambda frame, matte, _: _cutout(frame, matte)
    if background is None:
        return lambda _, matte, __: matte
    compositor = Compositor()

    def compose(frame: Frame, matte: Matte, at: Fraction) -> Picture:
        return compositor(frame, matte, background(frame, matte, at))

    return compose


def of_deep_frames(compose: Compose, source: VideoSource) -> Compose:
    """The same, made of the source's newest frame in all its bits; its background must be one of `Deepened`."""
    return lambda _, matte, at: compose(source.deep_frame(), matte, at)  # type: ignore[arg-type]


def _cutout(frame: Frame | Deep, matte: Matte) -> Picture:
    if frame.dtype == np.uint8:
        return on_transparency(np.asarray(frame, np.uint8), matte)
    return deep_on_transparency(np.asarray(frame, np.uint16), matte.astype(np.uint16) * np.uint16(257))


@dataclass(slots=True)
class Deepened:
    """A background for frames of 16 bits, of the transfer and primaries of the video in front.

    It has 8 bits itself, but for a blurred one, which is made of the frame.
    """

    behind: Background
    like: VideoSource
    _given: Frame | None = None
    _made: Deep | None = None

    def __call__(self, frame: Any, matte: Matte, time: Fraction) -> Any:
        if isinstance(self.behind, Blur):
            return self.behind(frame, matte, time)
        given = self.behind(frame, matte, time)
        if self._made is None or given is not self._given or given.flags.writeable:
            self._given, self._made = given, deepened(given, self.like.transfer, self.like.primaries)
            self._made.flags.writeable = given.flags.writeable  # by this the compositor knows a still one
        return self._made


def grey_as_rgb(matte: Matte) -> NDArray[np.uint8]:
    """A matte as (H, W, 3), which videos want."""
    return np.repeat(matte[:, :, None], 3, axis=2)
