"""Supervisely projects: one JSON a picture, PROJECT/ds1/ann/NAME.png.json beside PROJECT/ds1/img/NAME.png."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from figureground.data.json_stream import read_json
from figureground.data.notations.checks import Finite, Id, Size, explain
from figureground.data.records import Bitmap, Folder, Object, Picture, Polygons, Record, Shape
from figureground.errors import DatasetError
from figureground.images import EXTENSIONS

NAME = "supervisely"
SUFFIXES = (".json",)
_KEYS = re.compile(r'"(classTitle|objects)"\s*:')


class _Points(BaseModel):
    exterior: list[tuple[Finite, Finite]]
    interior: list[list[tuple[Finite, Finite]]] = []


class _Bits(BaseModel):
    data: str
    origin: tuple[int, int]


class _Object(BaseModel):
    id: Id | None = None
    title: str = Field(alias="classTitle")
    geometry: str | None = Field(None, alias="geometryType")
    points: _Points | None = None
    bitmap: _Bits | None = None


class _Sizes(BaseModel):
    height: Size
    width: Size


class _Annotation(BaseModel):
    size: _Sizes
    objects: list[Any]


def claims(path: Path, head: str, root: Path) -> bool:
    """A JSON with objects, in a folder `ann`."""
    return path.suffix.lower() == ".json" and path.parent.name == "ann" and bool(_KEYS.search(head))


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The picture of a file.

    Raises:
        DatasetError: the file is broken or of another notation.
    """
    try:
        annotation = _Annotation.model_validate(read_json(file))
    except ValidationError as error:
        raise DatasetError(f"not a Supervisely annotation ({explain(error)})") from error
    yield Picture(
        file=file,
        place="",
        name=file.stem,
        objects=[_object(number, value) for number, value in enumerate(annotation.objects)],
        width=annotation.size.width,
        height=annotation.size.height,
        image=_image(file),
    )


def _image(file: Path) -> Path | None:
    """The picture, which is called as the file less `.json`, or, in some exports, has a suffix of its own."""
    folder = file.parent.parent / "img"
    names = [file.stem] if file.stem.lower().endswith(EXTENSIONS) else [file.stem + suffix for suffix in EXTENSIONS]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    # If it is missing there, one of its name elsewhere is another dataset's.
    return found or (folder / names[0] if folder.is_dir() else None)


def _object(number: int, value: Any) -> Object:
    place = f"objects[{number}]"
    try:
        found = _Object.model_validate(value)
    except ValidationError as error:
        label = value.get("classTitle") if isinstance(value, dict) else None
        return Object("", place, label if isinstance(label, str) else "", None, explain(error))
    name = "" if found.id is None else str(found.id)
    try:
        return Object(name, place, found.title, _shape(found))
    except DatasetError as error:
        return Object(name, place, found.title, None, str(error))


def _shape(found: _Object) -> Shape:
    # Some exports leave the geometry's type out, and empty points beside a bitmap.
    kind = found.geometry or ("bitmap" if found.bitmap else "polygon")
    if kind in ("bitmap", "alpha_mask") and found.bitmap:
        left, top = found.bitmap.origin
        return Bitmap(found.bitmap.data, left, top, deflated=True, is_soft=kind == "alpha_mask")
    if kind == "polygon" and found.points:
        return Polygons([found.points.exterior], found.points.interior)
    if kind == "rectangle" and found.points and len(found.points.exterior) == 2:
        (x1, y1), (x2, y2) = found.points.exterior
        return Polygons([[(x1, y1), (x2, y1), (x2, y2), (x1, y2)]])
    raise DatasetError(f"a {kind} without its data" if kind in ("bitmap", "polygon") else f"a {kind}: no outline")
