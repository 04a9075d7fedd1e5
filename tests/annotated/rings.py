"""Outlines of masks, in the two ways that notations count pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

Ring = list[tuple[float, float]]
Mask = NDArray[np.bool_]


def parts(mask: Mask) -> list[Mask]:
    """The connected parts of a mask (8 neighbours)."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [labels == number for number in range(1, count)]


def centre_rings(part: Mask) -> tuple[Ring, list[Ring]]:
    """Outline and holes of one part, through the centres of pixels that belong to the object, or to the hole."""
    outline = _contours(part)[0]
    filled = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(filled, [np.array(outline, np.int32)], 1)
    return outline, _contours((filled > 0) & ~part)


def _contours(mask: Mask) -> list[Ring]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [closed([(float(x), float(y)) for x, y in contour[:, 0]]) for contour in found]


def closed(ring: Ring) -> Ring:
    """A ring of three different points around the same pixels: one of fewer is none for most readers."""
    if len(set(ring)) >= 3:
        return ring
    x, y = ring[0]
    return [*dict.fromkeys(ring), (x + 0.25, y), (x, y + 0.25)]


def corner_rings(mask: Mask) -> list[tuple[Ring, list[Ring]]]:
    """Outline and holes of every part (4 neighbours), along the edges of pixels: pixel (x, y) covers x to x + 1."""
    boxes = list[Any]()
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
        boxes += [shapely.box(x1, y, x2, y + 1) for x1, x2 in zip(edges[::2], edges[1::2], strict=True)]
    union = shapely.unary_union(boxes)
    polygons = union.geoms if hasattr(union, "geoms") else [union]
    return [
        (list(polygon.exterior.coords)[:-1], [list(hole.coords)[:-1] for hole in polygon.interiors])
        for polygon in polygons
    ]


def keyhole(outline: Ring, holes: list[Ring]) -> Ring:
    """One ring that runs into every hole and back, for notations without holes."""
    ring = [*outline, outline[0]]
    for hole in holes:
        ring += [*hole, hole[0], outline[0]]
    return ring


def without_holes(mask: Mask) -> list[Mask]:
    """A mask in pieces that have no holes, for notations that know none: cut along the first row of every hole."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    tops = {int(top) - 1 for top in boxes[1:, cv2.CC_STAT_TOP] if top > 0}
    cuts = [0, *sorted(tops), mask.shape[0]]
    rows = np.arange(mask.shape[0])[:, None]
    bands = [mask & (rows >= start) & (rows < end) for start, end in pairwise(cuts)]
    return [part for band in bands for part in parts(band)]


def centre_ring(piece: Mask) -> Ring:
    """The outline of a piece without holes."""
    return _contours(piece)[0]
