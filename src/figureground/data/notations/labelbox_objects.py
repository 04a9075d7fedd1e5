"""The annotations of Labelbox, which exports and imports write much alike."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from figureground.data.notations.checks import Finite, Id, explain, storable
from figureground.data.records import Bitmap, Object, Polygons, Shape
from figureground.errors import DatasetError

_ON_SERVER = "its mask is on a server, and nothing is downloaded: export polygons"
# What tells an annotation without polygon, most telling first: a box may have a mask on the server too.
_USELESS = {
    **dict.fromkeys(("bbox", "bounding_box"), "a box: no outline"),
    **{"line": "a line: no area", "point": "a point: no area"},
    **dict.fromkeys(("mask", "composite_mask", "instanceURI"), _ON_SERVER),
    **dict.fromkeys(("answer", "answers"), "a classification: no outline"),
}


class _Point(BaseModel):
    x: Finite
    y: Finite


class _Mask(BaseModel):
    png: str | None = None


class _Object(BaseModel):
    id: Id | None = Field(None, validation_alias=AliasChoices("featureId", "feature_id", "uuid"))
    name: str | None = Field(None, validation_alias=AliasChoices("name", "title", "value"))
    schema_id: str | None = Field(None, validation_alias=AliasChoices("schemaId", "feature_schema_id"))
    polygon: list[_Point] | None = None
    mask: _Mask | None = None


def object_of(place: str, value: Any) -> Object:
    """An annotation, which is called by its class's name or else its schema id."""
    try:
        found = _Object.model_validate(value)
    except ValidationError as error:
        return Object("", place, _label(value), None, explain(error))
    name, label = "" if found.id is None else str(found.id), found.name or found.schema_id or ""
    try:
        return Object(name, place, label, _shape(found, value))
    except DatasetError as error:
        return Object(name, place, label, None, str(error))


def _label(value: Any) -> str:
    names = (value.get(key) for key in ("name", "title", "value", "schemaId")) if isinstance(value, dict) else ()
    return next((storable(name) for name in names if isinstance(name, str)), "")


def _shape(found: _Object, value: dict[str, Any]) -> Shape:
    if found.polygon is not None:
        return Polygons([[(point.x, point.y) for point in found.polygon]])
    if found.mask and found.mask.png:
        return Bitmap(found.mask.png, 0, 0)
    raise DatasetError(next((reason for key, reason in _USELESS.items() if value.get(key)), "no polygon and no mask"))


def png_size(data: str) -> tuple[int, int] | None:
    """Width and height of a PNG in base64, as its header states them: its mask must be as large as the picture."""
    try:
        header = base64.b64decode(data[:32])
    except (ValueError, binascii.Error):
        return None
    if len(header) < 24 or header[12:16] != b"IHDR":
        return None
    width, height = int.from_bytes(header[16:20]), int.from_bytes(header[20:24])
    return (width, height) if width and height else None
