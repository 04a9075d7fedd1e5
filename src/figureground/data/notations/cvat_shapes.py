"""The shapes of CVAT's XML, from their attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from figureground.data.records import Ellipse, Point, Polygons, Rle, Shape
from figureground.errors import DatasetError

_NUMBERS = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shape as CVAT keeps it, by numbers that can be moved towards those of another."""

    kind: str
    numbers: list[float]  # a box's corners, an ellipse's centre and radii, a polygon's x and y in turn
    rotation: float = 0.0  # degrees, clockwise on the screen
    rle: Rle | None = None


def parse(kind: str, attributes: dict[str, str]) -> Drawn:
    """The shape of an element called `kind`.

    Raises:
        DatasetError: it has no area, or lacks an attribute.
    """
    if kind in _NUMBERS:
        numbers = [_number(attributes, name) for name in _NUMBERS[kind]]
        return Drawn(kind, numbers, _number({"rotation": "0"} | attributes, "rotation"))
    if kind == "polygon":
        return Drawn(kind, _points(_text(attributes, "points")))
    if kind == "mask":
        left, top, width, height = (int(_number(attributes, name)) for name in ("left", "top", "width", "height"))
        return Drawn(kind, [], rle=Rle(_counts(_text(attributes, "rle")), width, height, left, top, order="rows"))
    raise DatasetError(f"{'' if kind == 'points' else 'a '}{kind[:40]}: no outline")


def moved(start: Drawn, end: Drawn, part: float) -> Drawn | None:
    """The shape `part` of the way from one to another; None if they do not match point by point."""
    if start.kind != end.kind or len(start.numbers) != len(end.numbers) or start.rle:
        return None
    numbers = [a + part * (b - a) for a, b in zip(start.numbers, end.numbers, strict=True)]
    turn = (end.rotation - start.rotation + 180) % 360 - 180  # the shorter way round
    return replace(start, numbers=numbers, rotation=start.rotation + part * turn)


def shape(drawn: Drawn) -> Shape:
    """What `rasterize` takes."""
    if drawn.rle:
        return drawn.rle
    if drawn.kind == "ellipse":
        x, y, radius_x, radius_y = drawn.numbers
        return Ellipse(x, y, radius_x, radius_y, drawn.rotation)
    if drawn.kind == "box":
        return Polygons([_corners(drawn)], fill="coco")
    return Polygons([list(zip(drawn.numbers[::2], drawn.numbers[1::2], strict=True))], fill="coco")


def _corners(box: Drawn) -> list[Point]:
    """The four corners of a box, which is turned around its centre."""
    left, top, right, bottom = box.numbers
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    if not box.rotation:
        return corners
    x, y = (left + right) / 2, (top + bottom) / 2
    cos, sin = math.cos(math.radians(box.rotation)), math.sin(math.radians(box.rotation))
    return [(x + (a - x) * cos - (b - y) * sin, y + (a - x) * sin + (b - y) * cos) for a, b in corners]


def _text(attributes: dict[str, str], name: str) -> str:
    if name not in attributes:
        raise DatasetError(f"without its attribute {name}")
    return attributes[name]


def _number(attributes: dict[str, str], name: str) -> float:
    return _finite(_text(attributes, name), name)


def _finite(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise DatasetError(f"{name}: want a number, got {text[:40]!r}") from error
    if not abs(value) <= _LARGEST:
        raise DatasetError(f"{name}: {text[:40]} is no coordinate")
    return value


def _points(text: str) -> list[float]:
    pairs = [pair.split(",") for pair in text.split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise DatasetError(f"points: want x,y;x,y;..., got {text[:40]!r}")
    return [_finite(value, "points") for pair in pairs for value in pair]


def _counts(text: str) -> list[int]:
    try:
        return [int(count) for count in text.split(",")]
    except ValueError as error:
        raise DatasetError(f"rle: want whole numbers between commas, got {text[:40]!r}") from error
