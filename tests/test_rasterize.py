"""Shapes to pixels: against independent implementations, and by properties."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from skimage.draw import ellipse as skimage_ellipse

from annotated.photographs import mask as some_mask
from annotated.rings import centre_rings, corner_rings, keyhole, parts
from figureground.data.rasterize import MAX_BITMAP, rasterize
from figureground.data.records import Bitmap, Ellipse, MaskFile, Polygons, Rle
from figureground.errors import DatasetError
from figureground.images import write_image

HEIGHT, WIDTH = 48, 64
points = st.lists(st.tuples(st.floats(-30, 100), st.floats(-30, 80)), min_size=3, max_size=12)
seeds = st.integers(0, 1000)


def inside(shape: Any, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray[Any, np.dtype[np.bool_]]:
    matte, _ = rasterize(shape, height, width)
    assert matte.dtype == np.uint8
    assert matte.shape == (height, width)
    return matte > 0


@given(seeds)
def test_outlines_of_both_kinds_give_the_mask_back(seed: int) -> None:
    mask = some_mask(seed)
    corners = Polygons([keyhole(*rings) for rings in corner_rings(mask)], fill="coco")
    np.testing.assert_array_equal(inside(corners), mask)
    found = np.zeros_like(mask)
    for part in parts(mask):
        outline, holes = centre_rings(part)
        found |= inside(Polygons([outline], holes))
    np.testing.assert_array_equal(found, mask)


@given(points)
def test_polygons_are_cut_as_if_the_picture_were_larger(ring: list[tuple[float, float]]) -> None:
    """Far outside the picture a ring is cut before it is filled: no pixel inside may notice."""
    far = [(x * 40 - 900, y * 40 - 700) for x, y in ring]
    for fill in ("coco", "opencv", "pillow"):
        try:
            found = inside(Polygons([far], fill=fill))
        except DatasetError:
            continue
        y, x = np.mgrid[:HEIGHT, :WIDTH] + (0.5 if fill == "coco" else 0.0)
        polygon = shapely.Polygon(far)
        if not polygon.is_valid:
            continue
        sure = shapely.contains_xy(polygon.buffer(-2), x, y)
        never = ~shapely.contains_xy(polygon.buffer(2), x, y)
        assert found[sure].all()
        assert not found[never].any()


@given(points)
def test_pillow_and_opencv_fill_as_themselves(ring: list[tuple[float, float]]) -> None:
    near = [(round(min(max(x, 0), WIDTH - 1)), round(min(max(y, 0), HEIGHT - 1))) for x, y in ring]
    if len(set(near)) < 3:
        return
    canvas = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(canvas).polygon(near, fill=1, outline=1)
    np.testing.assert_array_equal(inside(Polygons([near], fill="pillow")), np.array(canvas) > 0)
    filled = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(filled, [np.array(near, np.int32)], 1)
    np.testing.assert_array_equal(inside(Polygons([near])), filled > 0)


def test_ellipse_is_skimages() -> None:
    found = inside(Ellipse(30, 20, 12, 7, angle=30))
    rows, columns = skimage_ellipse(20, 30, 7, 12, rotation=np.radians(-30))
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[rows, columns] = True
    assert (found != wanted).sum() <= 6  # skimage leaves out what lies on the rim
    assert found[20, 30]


@pytest.mark.parametrize(
    ("left", "top", "mended"), [(5, 3, ""), (-10, 0, "clipped"), (60, 40, "clipped"), (0, -45, "clipped")]
)
def test_windows_are_placed_and_clipped(left: int, top: int, mended: str) -> None:
    window = some_mask(3)[:, :40]
    flat = window.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    shape = Rle([0, *counts] if flat[0] else counts, 40, HEIGHT, left, top, "rows")
    wanted = np.zeros((HEIGHT + 200, WIDTH + 200), bool)
    wanted[top + 100 : top + 100 + HEIGHT, left + 100 : left + 140] = window
    wanted = wanted[100 : 100 + HEIGHT, 100 : 100 + WIDTH]
    if not wanted.any():
        with pytest.raises(DatasetError, match="no pixel"):
            rasterize(shape, HEIGHT, WIDTH)
        return
    matte, note = rasterize(shape, HEIGHT, WIDTH)
    np.testing.assert_array_equal(matte > 0, wanted)
    assert mended in note


def png(picture: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", **options)
    return stream.getvalue()


def test_bitmaps_by_alpha_or_by_level() -> None:
    mask = some_mask(4)
    grey = Image.fromarray(mask.astype(np.uint8))
    alpha = Image.fromarray(np.dstack([np.zeros((*mask.shape, 3), np.uint8), mask * np.uint8(128)]))
    plain = Bitmap(base64.b64encode(png(grey)).decode(), 0, 0)
    soft = Bitmap(base64.b64encode(zlib.compress(png(alpha))).decode(), 0, 0, deflated=True)
    np.testing.assert_array_equal(inside(plain), mask)
    np.testing.assert_array_equal(rasterize(soft, HEIGHT, WIDTH)[0], mask * 128)


def test_a_bitmap_larger_than_memory_is_refused() -> None:
    data = base64.b64encode(zlib.compress(bytes(MAX_BITMAP + 1))).decode()
    with pytest.raises(DatasetError, match="more than 64 MiB"):
        rasterize(Bitmap(data, 0, 0, deflated=True), HEIGHT, WIDTH)


def test_mask_files(tmp_path: Path) -> None:
    mask = some_mask(5)
    write_image(tmp_path / "ones.png", mask.astype(np.uint8))
    np.testing.assert_array_equal(inside(MaskFile(tmp_path / "ones.png")), mask)
    assert "level 1 read as the object" in rasterize(MaskFile(tmp_path / "ones.png"), HEIGHT, WIDTH)[1]
    exact = rasterize(MaskFile(tmp_path / "ones.png", is_matte=True), HEIGHT, WIDTH)[0]
    np.testing.assert_array_equal(exact, mask)  # an alpha of 1/255 stays one
    soft = (np.arange(WIDTH * HEIGHT) % 256).reshape(HEIGHT, WIDTH).astype(np.uint8)
    write_image(tmp_path / "soft.png", soft)
    np.testing.assert_array_equal(rasterize(MaskFile(tmp_path / "soft.png"), HEIGHT, WIDTH)[0], soft)
    write_image(tmp_path / "numbers.png", soft % 4)
    with pytest.raises(DatasetError, match=r"levels 0, 1, 2, 3 look like class numbers.*--classes 1"):
        rasterize(MaskFile(tmp_path / "numbers.png"), HEIGHT, WIDTH)
    np.testing.assert_array_equal(inside(MaskFile(tmp_path / "numbers.png", values=[1, 3])), soft % 2 == 1)
    with pytest.raises(DatasetError, match="the mask is 64x48, the picture 64x47"):
        rasterize(MaskFile(tmp_path / "soft.png"), HEIGHT - 1, WIDTH)
    with pytest.raises(DatasetError, match="no such file"):
        rasterize(MaskFile(tmp_path / "none.png"), HEIGHT, WIDTH)
