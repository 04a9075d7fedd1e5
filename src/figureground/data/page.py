"""What the HTML reports share: their templates' loader, figures as text, pictures inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from figureground.arrays import Frame, Mask

if TYPE_CHECKING:
    from jinja2 import Template

SIDE = 288  # pixels of a sample's longest side: sharp at half that size on a phone
QUALITY = 66  # of WebP
YELLOW = (255, 214, 0)
_HALO = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture inside the page: a data URI and its width and height in pixels."""

    uri: str
    width: int
    height: int

    @classmethod
    def of(cls, frame: Frame) -> Thumbnail:
        return cls(data_uri(Image.fromarray(frame), "WEBP"), frame.shape[1], frame.shape[0])


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, as a share, and what is written there."""

    at: float
    label: str


def plain(value: float) -> str:
    return f"{value:,.0f}"


def percent(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.1%}"


def short(value: float) -> str:
    return f"{value:.3g}"


def load_template(package: str, name: str) -> Template:
    """Load a page's template, a file of `package`; it may include others of it, and those of this package.

    Raises:
        ModuleNotFoundError: jinja2 is not installed.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda included: _found(package, included) or _found("figureground.data", included)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": plain, "percent": percent, "short": short}
    return environment.get_template(name)


def _found(package: str, name: str) -> str | None:
    file = resources.files(package).joinpath(name)
    return file.read_text(encoding="utf-8") if file.is_file() else None


def shrink(frame: Frame, side: int = SIDE) -> Frame:
    """A picture of at most `side` pixels a side, in its own aspect ratio."""
    height, width = frame.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def outline(frame: Frame, mask: Mask, colour: tuple[int, int, int] = YELLOW) -> Frame:
    """The picture with a bright line, cased in black, around an (H, W) bool mask of its size."""
    drawn = np.ascontiguousarray(frame)
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, lines, -1, _HALO, 4, cv2.LINE_AA)
    cv2.drawContours(drawn, lines, -1, colour, 2, cv2.LINE_AA)
    return drawn


def data_uri(picture: Image.Image, form: str) -> str:
    """A picture as a data URI, compressed as `form`, PNG or WEBP."""
    file = BytesIO()
    picture.save(file, form, quality=QUALITY, method=6, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
