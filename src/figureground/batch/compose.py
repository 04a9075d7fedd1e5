"""What is made of a frame and its matte: a composite, a cut-out or the matte itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame, Matte
from figureground.backgrounds import Background
from figureground.compositor import Compositor, on_transparency
from figureground.pipeline import Compose

KINDS = ("composite", "cutout", "alpha")


def make_compose(kind: str, background: Background | None) -> Compose:
    """What to make of a frame and its matte: RGB, RGBA or grey pictures, for `composite`, `cutout` and `alpha`."""
    if kind == "cutout":
        return lambda frame, matte, _: on_transparency(frame, matte)
    if background is None:
        return lambda _, matte, __: matte
    compositor = Compositor()

    def compose(frame: Frame, matte: Matte, at: Fraction) -> NDArray[np.uint8]:
        return compositor(frame, matte, background(frame, matte, at))

    return compose


def grey_as_rgb(matte: Matte) -> NDArray[np.uint8]:
    """A matte as (H, W, 3), which videos want."""
    return np.repeat(matte[:, :, None], 3, axis=2)
