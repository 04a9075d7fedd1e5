"""labelme: one JSON a picture, beside it or with the picture inside (https://github.com/wkentaro/labelme)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from figureground.data.folders import is_picture
from figureground.data.json_stream import read_json
from figureground.data.notations.checks import Finite, Id, Size, explain, storable
from figureground.data.records import Bitmap, Ellipse, Folder, Object, Picture, Point, Polygons, Record, Shape
from figureground.errors import DatasetError

NAME = "labelme"
SUFFIXES = (".json",)
_SHAPES = re.compile(r'"shapes"\s*:\s*\[')
_KEYS = re.compile(r'"(imagePath|imageData|imageHeight|imageWidth|shape_type|line_?[cC]olor|points)"\s*:')
_OUTLINES = ("polygon", "rotation", "oriented_rectangle")
_LINES = {"point": "point", "points": "set of points", "line": "line", "linestrip": "line"}
_DISC = 0.42  # Pillow fills a disc as large as one whose radius is longer by this


class _Shape(BaseModel):
    label: Id
    points: list[tuple[Finite, Finite]]
    kind: str | None = Field(None, alias="shape_type")
    group: Id | None = Field(None, alias="group_id")
    mask: str | None = None


class _Annotation(BaseModel):
    shapes: list[Any]
    path: str | None = Field(None, alias="imagePath")
    data: Any = Field(None, alias="imageData")
    height: Size | None = Field(None, alias="imageHeight")
    width: Size | None = Field(None, alias="imageWidth")


def claims(path: Path, head: str, root: Path) -> bool:
    """A JSON object with shapes and what labelme says of its picture."""
    is_object = path.suffix.lower() == ".json" and head.lstrip().startswith("{")
    return is_object and bool(_SHAPES.search(head)) and bool(_KEYS.search(head))


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The picture of a file. Shapes of one group are parts of one object, which their union is in any case.

    Raises:
        DatasetError: the file is broken or of another notation.
    """
    try:
        annotation = _Annotation.model_validate(read_json(file))
    except ValidationError as error:
        raise DatasetError(f"not a labelme annotation ({explain(error)})") from error
    embedded = isinstance(annotation.data, str) and bool(annotation.data)
    name = annotation.path or ""
    if embedded and not is_picture(Path(name)):
        name = ""  # labelme has been seen to name the JSON itself
    yield Picture(
        file=file,
        place="",
        name=name,
        objects=[_object(number, value) for number, value in enumerate(annotation.shapes)],
        width=annotation.width,
        height=annotation.height,
        image=None if embedded else _image(file, name),
        embedded=embedded,
    )


def _image(file: Path, name: str) -> Path | None:
    """The picture beside the file, if it is named without a folder and any picture is there.

    If it is missing there, one of its name elsewhere is another folder's: cameras count from the beginning again.
    """
    if not name or "/" in name or "\\" in name:
        return None
    beside = file.parent / name
    return beside if os.path.isfile(beside) or _holds_pictures(file.parent, file.parent.stat().st_mtime_ns) else None


@lru_cache(maxsize=64)
def _holds_pictures(folder: Path, changed: int) -> bool:
    """Whether any picture is in a folder; every file in it may ask, so it is not listed anew each time."""
    return any(map(is_picture, folder.iterdir()))


def _object(number: int, value: Any) -> Object:
    place = f"shapes[{number}]"
    try:
        found = _Shape.model_validate(value)
    except ValidationError as error:
        label = value.get("label") if isinstance(value, dict) else None
        return Object("", place, storable(label) if isinstance(label, str) else "", None, explain(error))
    name = "" if found.group is None else str(found.group)
    try:
        return Object(name, place, str(found.label), _shape(found))
    except DatasetError as error:
        return Object(name, place, str(found.label), None, str(error))


def _shape(found: _Shape) -> Shape:
    """As labelme.utils.shape_to_mask draws it."""
    kind = found.kind or "polygon"  # the first versions knew no other
    if kind in _LINES:
        raise DatasetError(f"a {_LINES[kind]}: no area")
    if kind == "mask":
        return _bitmap(found)
    if kind == "rectangle" and len(found.points) == 2:
        (x1, y1), (x2, y2) = found.points
        return Polygons([[(x1, y1), (x2, y1), (x2, y2), (x1, y2)]], fill="pillow")
    if kind == "circle" and len(found.points) == 2:
        return _circle(*found.points)
    if kind in _OUTLINES or (kind == "rectangle" and len(found.points) == 4):
        return Polygons([found.points], fill="pillow")
    known = kind in ("rectangle", "circle")
    raise DatasetError(f"a {kind} of {len(found.points)} points, want 2" if known else f"a {kind[:40]}: no known shape")


def _circle(centre: Point, rim: Point) -> Ellipse:
    radius = math.dist(centre, rim)
    left, right = math.trunc(centre[0] - radius), math.trunc(centre[0] + radius)
    top, bottom = math.trunc(centre[1] - radius), math.trunc(centre[1] + radius)
    return Ellipse((left + right) / 2, (top + bottom) / 2, (right - left) / 2 + _DISC, (bottom - top) / 2 + _DISC)


def _bitmap(found: _Shape) -> Bitmap:
    if not found.mask or not found.points:
        raise DatasetError("a mask without its data" if found.points else "a mask without its corners")
    left, top = found.points[0]
    return Bitmap("".join(found.mask.split()), round(left), round(top))  # some writers break the base64 into lines
