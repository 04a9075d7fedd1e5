"""The shapes of the VGG Image Annotator, whose coordinates are centres of pixels."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, Field

from figureground.data.notations.checks import Finite
from figureground.data.records import Ellipse, Polygons, Shape
from figureground.errors import DatasetError

_Radius = Annotated[Finite, Field(gt=0)]


class _Polygon(BaseModel):
    all_points_x: list[Finite]
    all_points_y: list[Finite]


class _Rect(BaseModel):
    x: Finite
    y: Finite
    width: Finite
    height: Finite


class _Ellipse(BaseModel):
    cx: Finite
    cy: Finite
    rx: _Radius
    ry: _Radius
    theta: Finite = 0.0  # radians


class _Circle(BaseModel):
    cx: Finite
    cy: Finite
    r: _Radius


def shape_of(attributes: dict[str, Any]) -> Shape:
    """A region's shape.

    Raises:
        DatasetError, ValidationError: it has no area, or is broken.
    """
    kind = attributes.get("name")
    if kind == "polygon":
        polygon = _Polygon.model_validate(attributes)
        if len(polygon.all_points_x) != len(polygon.all_points_y):
            raise DatasetError(f"{len(polygon.all_points_x)} points in x, {len(polygon.all_points_y)} in y")
        return Polygons([list(zip(polygon.all_points_x, polygon.all_points_y, strict=True))])
    if kind == "rect":
        rect = _Rect.model_validate(attributes)
        right, bottom = rect.x + rect.width, rect.y + rect.height
        return Polygons([[(rect.x, rect.y), (right, rect.y), (right, bottom), (rect.x, bottom)]])
    if kind == "ellipse":
        ellipse = _Ellipse.model_validate(attributes)
        return Ellipse(ellipse.cx, ellipse.cy, ellipse.rx, ellipse.ry, math.degrees(ellipse.theta))
    if kind == "circle":
        circle = _Circle.model_validate(attributes)
        return Ellipse(circle.cx, circle.cy, circle.r, circle.r)
    raise DatasetError(f"a {kind}: no area" if kind in ("point", "polyline") else "no polygon, rect, circle or ellipse")
