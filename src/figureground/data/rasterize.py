"""Shapes to pixels, each by the rules of its notation's own reference implementation."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from io import BytesIO
from itertools import chain

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from figureground.data.records import Bitmap, Ellipse, MaskFile, Point, Polygons, Rle, Shape
from figureground.errors import DatasetError, ImageError
from figureground.images import (
    MAX_PIXELS,
    format_suffix,
    is_black_and_white,
    read_alpha,
    read_image,
    read_levels,
    read_matte,
)

Matte = NDArray[np.uint8]  # (H, W): 0 outside the object to 255 inside
MAX_BITMAP = 64 << 20  # bytes of a PNG, unpacked from its zlib stream
_PNG = b"\x89PNG"
_MAX_LENGTH = 2_000_000  # pixels of outline; pycocotools takes some hundred bytes for each
_FAR = 2.0  # a polygon is cut off this many pixels outside the picture


def rasterize(shape: Shape, height: int, width: int) -> tuple[Matte, str]:
    """One object's matte, and what had to be mended to get it ("" if nothing).

    Args:
        shape: the object.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Raises:
        DatasetError: the shape has no pixel in the picture, or cannot be read.
    """
    if isinstance(shape, Polygons):
        matte, mended = _polygons(shape, height, width)
    elif isinstance(shape, Ellipse):
        matte, mended = _ellipse(shape, height, width), ""
    elif isinstance(shape, Rle):
        if shape.order == "columns" and (shape.height, shape.width) != (height, width):
            raise DatasetError(f"run lengths of {shape.width}x{shape.height}, the picture is {width}x{height}")
        matte, mended = _placed(_runs(shape) * np.uint8(255), shape.left, shape.top, height, width)
    elif isinstance(shape, Bitmap):
        matte, mended = _placed(_bitmap(shape), shape.left, shape.top, height, width)
    else:
        return _mask_file(shape, height, width)  # may be empty: it says that nobody is there
    if not matte.any():
        raise DatasetError("covers no pixel of the picture")
    return matte, mended


def _polygons(shape: Polygons, height: int, width: int) -> tuple[Matte, str]:
    scale = (width, height) if shape.relative else (1, 1)
    outlines, mended = _mended(shape.outlines, scale, height, width)
    holes, mended_holes = _mended(shape.holes, scale, height, width)
    if not outlines:
        raise DatasetError(mended or "no outline")
    matte = _filled(shape.fill, outlines, height, width)
    if holes:
        # Each hole by itself: the outline of a hole is not the object's.
        matte[_filled(shape.fill, holes, height, width) > 0] = 0
    return matte, "; ".join(dict.fromkeys(filter(None, (mended, mended_holes))))


def _mended(
    rings: Sequence[Sequence[Point]], scale: tuple[int, int], height: int, width: int
) -> tuple[list[list[Point]], str]:
    """The rings that have an inside, cut at the picture, and what was done to them, each kind of it once."""
    kept, notes = list[list[Point]](), dict[str, str]()
    for given in rings:
        ring = [(x * scale[0], y * scale[1]) for x, y in given]
        useless = _useless(ring, height, width)
        if useless:
            notes.setdefault("useless", f"{useless}: left out")
            continue
        polygon = shapely.Polygon(ring)
        left, top, right, bottom = polygon.bounds
        if left < -0.5 or top < -0.5 or right > width + 0.5 or bottom > height + 0.5:
            notes["clipped"] = "clipped to the picture"
        if not polygon.is_valid:
            where = shapely.is_valid_reason(polygon)
            notes.setdefault("invalid", f"touches or crosses itself ({where}): filled by the even-odd rule")
        if left < -width or top < -height or right > 2 * width or bottom > 2 * height:
            ring = _cut(ring, height, width)
        if len(ring) >= 3:
            kept.append(ring)
        else:  # nothing is left of it
            notes["useless"] = f"a ring outside the picture of {width}x{height}: left out"
    length = sum(shapely.LinearRing(ring).length for ring in kept)
    if length > _MAX_LENGTH:
        raise DatasetError(f"an outline {length:.0f} pixels long: want at most {_MAX_LENGTH}")
    return kept, "; ".join(notes.values())


def _useless(ring: Sequence[Point], height: int, width: int) -> str:
    """Why a ring cannot cover any pixel, if so."""
    points = len(set(ring))
    if points < 3:
        return f"a ring of {points} different points has no inside"
    x, y = zip(*ring, strict=True)
    if max(x) < 0 or max(y) < 0 or min(x) > width or min(y) > height:
        return f"a ring outside the picture of {width}x{height}"
    return ""


def _cut(ring: list[Point], height: int, width: int) -> list[Point]:
    """A ring cut just outside the picture (Sutherland and Hodgman 1974): far points would take far too much memory."""
    for axis, sign, limit in ((0, -1, _FAR), (0, 1, width + _FAR), (1, -1, _FAR), (1, 1, height + _FAR)):
        cut = list[Point]()
        for start, end in zip(ring[-1:] + ring[:-1], ring, strict=True):
            inside, was_inside = sign * end[axis] <= limit, sign * start[axis] <= limit
            if inside != was_inside:
                part = (sign * limit - start[axis]) / (end[axis] - start[axis])
                point = [start[i] + part * (end[i] - start[i]) for i in (0, 1)]
                point[axis] = sign * limit
                cut.append((point[0], point[1]))
            if inside:
                cut.append(end)
        ring = cut
    return ring


def _filled(fill: str, rings: list[list[Point]], height: int, width: int) -> Matte:
    if fill == "coco":
        runs = coco.frPyObjects([list(chain.from_iterable(ring)) for ring in rings], height, width)
        return np.ascontiguousarray(coco.decode(coco.merge(runs))) * np.uint8(255)
    matte = np.zeros((height, width), np.uint8)
    if fill == "pillow":
        canvas = Image.fromarray(matte)
        for ring in rings:
            ImageDraw.Draw(canvas).polygon(ring, fill=255, outline=255)
        return np.array(canvas)
    for ring in rings:
        cv2.fillPoly(matte, [np.rint(ring).astype(np.int32)], 255)
    return matte


def _ellipse(shape: Ellipse, height: int, width: int) -> Matte:
    """The pixels whose centres lie in the ellipse; those of integer coordinates are centres."""
    y, x = np.ogrid[:height, :width]
    cos, sin = np.cos(np.radians(shape.angle)), np.sin(np.radians(shape.angle))
    along = (x - shape.x) * cos + (y - shape.y) * sin
    across = (y - shape.y) * cos - (x - shape.x) * sin
    with np.errstate(all="ignore"):
        inside = (along / shape.radius_x) ** 2 + (across / shape.radius_y) ** 2 <= 1.0
    return inside.astype(np.uint8) * np.uint8(255)


def _runs(shape: Rle) -> NDArray[np.uint8]:
    if min(shape.width, shape.height) < 1 or shape.width * shape.height > MAX_PIXELS:
        raise DatasetError(f"run lengths of a {shape.width}x{shape.height} window: want 1 to {MAX_PIXELS} pixels")
    if not all(0 <= count <= MAX_PIXELS for count in shape.counts):
        raise DatasetError(f"a run length outside 0 to {MAX_PIXELS}")
    total = sum(shape.counts)
    if total != shape.width * shape.height:
        raise DatasetError(f"run lengths add up to {total}, want {shape.width}x{shape.height}")
    values = (np.arange(len(shape.counts)) % 2).astype(np.uint8)
    flat = np.repeat(values, np.array(shape.counts, np.int64))
    if shape.order == "rows":
        return flat.reshape(shape.height, shape.width)
    return flat.reshape(shape.width, shape.height).T


def _bitmap(shape: Bitmap) -> Matte:
    try:
        data = base64.b64decode(shape.data, validate=True)
        if shape.deflated and not data.startswith(_PNG):  # newer servers of Supervisely no longer pack it
            inflater = zlib.decompressobj()
            data = inflater.decompress(data, MAX_BITMAP)
            if inflater.unconsumed_tail:
                raise DatasetError(f"a bitmap of more than {MAX_BITMAP >> 20} MiB")
    except (binascii.Error, ValueError) as error:
        raise DatasetError(f"the bitmap is not base64 ({error})") from error
    except zlib.error as error:
        raise DatasetError(f"the bitmap is no zlib stream ({error})") from error
    try:
        alpha = read_alpha(BytesIO(data))
        if alpha is not None and (shape.deflated or _says_something(alpha)):
            return alpha
        levels = read_levels(BytesIO(data))
        if shape.is_soft and levels.ndim == 2:
            return levels
        inside: NDArray[np.bool_] = np.any(levels, axis=2) if levels.ndim == 3 else levels > 0
        return inside.astype(np.uint8) * np.uint8(255)
    except ImageError as error:
        raise DatasetError(f"the bitmap is no picture ({error})") from error


def _placed(window: Matte, left: int, top: int, height: int, width: int) -> tuple[Matte, str]:
    """A matte of the picture's size with `window` at (left, top)."""
    matte = np.zeros((height, width), np.uint8)
    rows, columns = window.shape
    if left >= width or top >= height or left + columns <= 0 or top + rows <= 0:
        return matte, ""
    part = window[max(0, -top) : height - top, max(0, -left) : width - left]
    matte[max(0, top) : top + rows, max(0, left) : left + columns] = part
    return matte, "" if part.shape == window.shape else "clipped to the picture"


def _mask_file(shape: MaskFile, height: int, width: int) -> tuple[Matte, str]:
    try:
        matte, mended = _selected(shape)
    except ImageError as error:
        raise DatasetError(str(error)) from error
    if matte.shape != (height, width):
        got = f"{matte.shape[1]}x{matte.shape[0]}"
        raise DatasetError(f"the mask is {got}, the picture {width}x{height}")
    return matte, mended


def _selected(shape: MaskFile) -> tuple[Matte, str]:
    if (shape.values or shape.colours) and format_suffix(shape.path) == ".jpg":
        raise DatasetError("is a JPEG, whose levels and colours are only nearly those that were saved: make it a PNG")
    if shape.values:
        levels = read_levels(shape.path)
        if levels.ndim == 3:
            raise DatasetError("is in colours, not class numbers: name the object's, as in --classes '#c08080'")
        inside = np.isin(levels, shape.values)
        return inside.astype(np.uint8) * np.uint8(255), ""
    if shape.colours:
        pixels = read_image(shape.path)
        inside = np.any([np.all(pixels == colour, axis=2) for colour in shape.colours], axis=0)
        return inside.astype(np.uint8) * np.uint8(255), ""
    alpha = None if shape.is_matte else read_alpha(shape.path)
    return (alpha, "") if alpha is not None and _says_something(alpha) else _as_matte(shape)


def _says_something(alpha: Matte) -> bool:
    """Whether an alpha channel is not opaque all over, as programs add one to black and white masks too."""
    return bool((alpha < 255).any())


def _as_matte(shape: MaskFile) -> tuple[Matte, str]:
    """A mask file that nothing is said about: grey levels or two colours."""
    if shape.is_matte or is_black_and_white(shape.path):  # programs that shrink files number the two as they like
        return read_matte(shape.path), ""
    levels = read_levels(shape.path)
    if levels.ndim == 3:
        return _two_colours(read_image(shape.path)), "its colour read as the object, black as the rest"
    found = np.unique(levels)
    if found[-1] == 0:
        return levels, ""
    if len(found) == 2 and found[0] == 0 and found[-1] < 255:
        return (levels > 0).astype(np.uint8) * np.uint8(255), f"level {found[-1]} read as the object, 0 as the rest"
    # 255 marks what is neither object nor background, in masks of class numbers.
    if len(found) <= 64 and found[found < 255].max(initial=0) in range(1, 64):
        raise DatasetError(f"levels {_listed(found)} look like class numbers: name the object's, as in --classes 1")
    return levels, ""


def _two_colours(pixels: NDArray[np.uint8]) -> Matte:
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    found = np.unique(codes)
    if len(found) > 2 or found[0] != 0:
        colours = _listed([f"#{code:06x}" for code in found])
        raise DatasetError(f"colours {colours}: name the object's, as in --classes '#c08080'")
    return (codes > 0).astype(np.uint8) * np.uint8(255)


def _listed(values: Sequence[object] | NDArray[np.uint8]) -> str:
    shown = ", ".join(str(value) for value in values[:6])
    return shown if len(values) <= 6 else f"{shown} and {len(values) - 6} more"
