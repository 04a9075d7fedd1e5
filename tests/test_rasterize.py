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
from figureground.images import MAX_PIXELS, write_image

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


# ---- each refusal and each note, word for word, at the very border between what passes and what does not


SQUARE = [(4.0, 4.0), (20.0, 4.0), (20.0, 20.0), (4.0, 20.0)]
ACROSS = [(4.0, 4.0), (20.0, 20.0), (20.0, 4.0), (4.0, 20.0)]  # its outline crosses itself at (12, 12)
NOTE_ACROSS = "touches or crosses itself (Self-intersection[12 12]): filled by the even-odd rule"


def refusal(shape: Any, height: int = HEIGHT, width: int = WIDTH) -> str:
    with pytest.raises(DatasetError) as caught:
        rasterize(shape, height, width)
    return str(caught.value)


def note(*outlines: list[tuple[float, float]], **more: Any) -> str:
    return rasterize(Polygons(list(outlines), **more), HEIGHT, WIDTH)[1]


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def test_rings_that_are_left_out_are_named() -> None:
    outside = "a ring outside the picture of 64x48: left out"
    assert note(SQUARE) == ""
    assert note(SQUARE, [(1, 1), (2, 2), (1, 1)]) == "a ring of 2 different points has no inside: left out"
    for ring in (box(-9, 5, -1, 9), box(5, -9, 9, -1), box(64.1, 5, 70, 9), box(5, 48.1, 9, 60)):
        assert note(ring, SQUARE) == outside
        assert refusal(Polygons([ring])) == outside
    assert refusal(Polygons([])) == "no outline"
    # Far away it is cut, and nothing is left of it: its bounds surround the picture's corner, its inside does not.
    corner = [(-300.0, 20.0), (20.0, -300.0), (-300.0, -300.0)]
    assert note(corner, SQUARE) == f"clipped to the picture; {outside}"
    # What only touches the picture's rim is still of it.
    for ring in (box(-9, 5, 0, 9), box(5, -9, 9, 0), box(64, 5, 70, 9), box(5, 48, 9, 60)):
        assert note(ring, SQUARE) == "clipped to the picture"


def test_a_ring_is_clipped_from_half_a_pixel_outside_on() -> None:
    for ring in (box(-0.5, 5, 9, 9), box(5, -0.5, 9, 9), box(5, 5, 64.5, 9), box(5, 5, 9, 48.5)):
        assert note(ring) == ""
    for ring in (box(-0.6, 5, 9, 9), box(5, -0.6, 9, 9), box(5, 5, 64.6, 9), box(5, 5, 9, 48.6)):
        assert note(ring) == "clipped to the picture"


def test_notes_of_outlines_and_holes_are_told_once_each() -> None:
    assert note(ACROSS) == NOTE_ACROSS
    assert note(ACROSS, ACROSS) == NOTE_ACROSS
    assert note(SQUARE, holes=[ACROSS]) == NOTE_ACROSS
    assert note(SQUARE, ACROSS, holes=[ACROSS]) == NOTE_ACROSS
    assert note(ACROSS, holes=[box(30, 5, 40, 60)]) == f"{NOTE_ACROSS}; clipped to the picture"
    first, later = [(1.0, 1.0), (2.0, 2.0)], [(1.0, 1.0)]
    assert note(first, later, SQUARE) == "a ring of 2 different points has no inside: left out"


def test_relative_outlines_and_holes_are_parts_of_width_and_height() -> None:
    outline, hole = box(8, 4, 40, 40), box(16, 12, 24, 20)
    parts_of = [[(x / WIDTH, y / HEIGHT) for x, y in ring] for ring in (outline, hole)]
    found = inside(Polygons(parts_of[:1], parts_of[1:], relative=True))
    np.testing.assert_array_equal(found, inside(Polygons([outline], [hole])))
    assert found[5, 9]
    assert not found[16, 20]


@pytest.mark.parametrize("fill", ["coco", "opencv", "pillow"])
def test_a_hole_is_cut_out_of_all_outlines(fill: Any) -> None:
    left, right, hole = box(2, 2, 30, 30), box(28, 2, 60, 30), box(10, 10, 50, 20)
    matte, _ = rasterize(Polygons([left, right], [hole], fill=fill), HEIGHT, WIDTH)
    assert set(np.unique(matte)) == {0, 255}
    assert (matte[3:9, 4:58] == 255).all()
    assert (matte[12:18, 12:48] == 0).all()
    assert (matte[22:28, 4:58] == 255).all()
    assert not matte[32:].any()


@pytest.mark.parametrize("fill", ["coco", "opencv", "pillow"])
def test_a_hole_is_filled_by_the_rules_of_its_outline(fill: Any) -> None:
    outline, hole = box(2, 2, 60, 40), [(10.3, 9.6), (40.7, 12.2), (21.1, 33.8)]
    found = inside(Polygons([outline], [hole], fill=fill))
    alone = [inside(Polygons([ring], fill=fill)) for ring in (outline, hole)]
    np.testing.assert_array_equal(found, alone[0] & ~alone[1])


def test_three_points_are_enough() -> None:
    assert inside(Polygons([[(5, 5), (25, 5), (5, 25)]]))[[5, 5, 25, 10], [5, 25, 5, 10]].all()


def test_an_outline_longer_than_memory_is_refused() -> None:
    zigzag = [(float(x % 2 * 60), 10 + x / 40_000) for x in range(40_000)]
    assert refusal(Polygons([zigzag])) == "an outline 2400000 pixels long: want at most 2000000"


@pytest.mark.parametrize("fill", ["coco", "opencv", "pillow"])
def test_a_picture_surrounded_by_a_far_ring_is_full(fill: Any) -> None:
    far = box(-1e6, -1e6, 1e6, 1e6)
    matte, mended = rasterize(Polygons([far], fill=fill), HEIGHT, WIDTH)
    assert (matte == 255).all()
    assert mended == "clipped to the picture"


@pytest.mark.parametrize(("across", "down"), [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_a_slanted_far_ring_is_cut_where_its_line_is(across: int, down: int) -> None:
    """A diagonal through the picture's middle, from far outside to far outside: one side of it is covered."""
    far, middle = 1e5, (WIDTH // 2, HEIGHT // 2)
    ring = [(middle[0] + x * across, middle[1] + y * down) for x, y in [(-far, far), (far, -far), (far, far)]]
    found = inside(Polygons([ring]))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    over = (x - middle[0]) * across + (y - middle[1]) * down
    assert found[over >= 1].all()
    assert not found[over <= -1].any()


def test_an_ellipse_holds_its_rim() -> None:
    """Centre and ends of both axes are on pixels; one more is outside."""
    found = inside(Ellipse(30, 20, 10, 5))
    assert rasterize(Ellipse(30, 20, 10, 5), HEIGHT, WIDTH)[1] == ""
    assert found[20, [20, 40]].all()
    assert found[[15, 25], 30].all()
    assert not found[20, [19, 41]].any()
    assert not found[[14, 26], 30].any()


@pytest.mark.parametrize("radius", [0.0, 1e-200])
def test_an_ellipse_without_width_covers_nothing_and_warns_of_nothing(radius: float) -> None:
    assert refusal(Ellipse(30.5, 20.5, radius, radius)) == "covers no pixel of the picture"


def test_run_lengths_that_cannot_be() -> None:
    want = f"window: want 1 to {MAX_PIXELS} pixels"
    for width, height in [(0, 5), (5, 0), (-3, -3)]:
        assert refusal(Rle([], width, height, order="rows")) == f"run lengths of a {width}x{height} {want}"
    wide = MAX_PIXELS // 1000 + 1
    assert refusal(Rle([wide * 1000], wide, 1000, order="rows")) == f"run lengths of a {wide}x1000 {want}"
    outside = f"a run length outside 0 to {MAX_PIXELS}"
    for counts in ([5, -1], [-5, 9], [MAX_PIXELS + 1]):
        assert refusal(Rle(counts, 2, 2, order="rows")) == outside
    assert refusal(Rle([1, 2], 2, 2, order="rows")) == "run lengths add up to 3, want 2x2"
    assert refusal(Rle([1, 3], 2, 2)) == "run lengths of 2x2, the picture is 64x48"


def test_run_lengths_in_rows_and_in_columns() -> None:
    """Windows of one pixel's width and height, and runs of none, are allowed."""
    assert rasterize(Rle([1, 2, 3], 3, 2), 2, 3)[0].tolist() == [[0, 255, 0], [255, 0, 0]]
    assert rasterize(Rle([1, 2, 3], 3, 2, order="rows"), 2, 3)[0].tolist() == [[0, 255, 255], [0, 0, 0]]
    assert rasterize(Rle([0, 1], 1, 1, order="rows"), 1, 2)[0].tolist() == [[255, 0]]
    assert rasterize(Rle([0, 1, 0, 1], 2, 1, order="rows"), 1, 2)[0].tolist() == [[255, 255]]


@pytest.mark.parametrize(("left", "top"), [(8, 0), (0, 6), (-3, 0), (0, -2), (9, 0), (0, 7), (-4, 0), (0, -3), (8, 6)])
def test_a_window_beside_the_picture_covers_nothing(left: int, top: int) -> None:
    full = Rle([0, 6], 3, 2, left, top, "rows")
    assert refusal(full, 6, 8) == "covers no pixel of the picture"


@pytest.mark.parametrize(
    ("left", "top", "where"), [(7, 0, (0, 7)), (0, 5, (5, 0)), (-2, 0, (0, 0)), (0, -1, (0, 0)), (-2, 5, (5, 0))]
)
def test_a_window_whose_last_pixels_are_in_the_picture(left: int, top: int, where: tuple[int, int]) -> None:
    full = Rle([0, 6], 3, 2, left, top, "rows")
    matte, mended = rasterize(full, 6, 8)
    rows, columns = min(6, top + 2) - max(0, top), min(8, left + 3) - max(0, left)
    assert np.count_nonzero(matte) == rows * columns
    assert matte[where] == 255
    assert mended == "clipped to the picture"
    assert rasterize(Rle([0, 6], 3, 2, 5, 4, "rows"), 6, 8)[1] == ""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_bitmaps_that_are_none() -> None:
    assert refusal(Bitmap("QUJ!", 0, 0)).startswith("the bitmap is not base64 (")
    assert refusal(Bitmap("QUI", 0, 0)).startswith("the bitmap is not base64 (")
    assert refusal(Bitmap(encoded(b"nothing packed"), 0, 0, deflated=True)).startswith("the bitmap is no zlib stream (")
    assert refusal(Bitmap(encoded(b"no picture"), 0, 0)).startswith("the bitmap is no picture (")
    # Characters that base64 has not are not passed over.
    good = encoded(png(Image.new("L", (2, 2), 255)))
    assert refusal(Bitmap(f"{good[:8]}\n{good[8:]}", 0, 0)).startswith("the bitmap is not base64 (")


def test_a_bitmap_in_colours_is_the_object_where_it_is_not_black() -> None:
    picture = Image.fromarray(np.array([[[0, 0, 0], [0, 9, 0]], [[9, 0, 0], [0, 0, 9]]], np.uint8))
    matte, _ = rasterize(Bitmap(encoded(png(picture)), 0, 0), 2, 2)
    assert matte.tolist() == [[0, 255], [255, 255]]
    assert matte.dtype == np.uint8


def test_a_bitmap_of_the_largest_size_is_read() -> None:
    """MAX_BITMAP bytes to the last are no reason to refuse; what they hold is another question."""
    data = encoded(zlib.compress(bytes(MAX_BITMAP)))
    assert refusal(Bitmap(data, 0, 0, deflated=True)).startswith("the bitmap is no picture (")


def saved(path: Path, pixels: list[list[Any]]) -> MaskFile:
    Image.fromarray(np.array(pixels, np.uint8)).save(path)
    return MaskFile(path)


def read(shape: MaskFile) -> tuple[list[list[int]], str]:
    with Image.open(shape.path) as picture:
        size = picture.size
    matte, mended = rasterize(shape, size[1], size[0])
    assert matte.dtype == np.uint8
    return matte.tolist(), mended


def test_what_grey_levels_mean(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    assert read(saved(file, [[0, 0], [0, 0]])) == ([[0, 0], [0, 0]], "")  # nobody is there: that is no failure
    assert read(saved(file, [[0, 255]])) == ([[0, 255]], "")
    assert read(saved(file, [[0, 254]])) == ([[0, 255]], "level 254 read as the object, 0 as the rest")
    assert read(saved(file, [[64, 255]])) == ([[64, 255]], "")  # no class number is so large
    assert read(saved(file, [[255, 255]])) == ([[255, 255]], "")
    assert read(saved(file, [[0, 64, 255]])) == ([[0, 64, 255]], "")
    for levels in ([0, 63, 255], [0, 1, 255], [1, 2, 255], [7, 7, 7]):
        stated = ", ".join(map(str, sorted(set(levels))))
        message = f"levels {stated} look like class numbers: name the object's, as in --classes 1"
        assert refusal(saved(file, [levels]), 1, 3) == message
    # Up to 64 different levels may be class numbers; an alpha has more.
    assert "and 58 more" in refusal(saved(file, [list(range(64))]), 1, 64)
    assert read(saved(file, [list(range(65))])) == ([list(range(65))], "")
    assert read(saved(file, [[*range(63), 80, 81]])) == ([[*range(63), 80, 81]], "")
    assert "levels 0, 1, 2, 3, 4, 5 look" in refusal(saved(file, [list(range(6))]), 1, 6)
    assert "levels 0, 1, 2, 3, 4, 5 and 1 more look" in refusal(saved(file, [list(range(7))]), 1, 7)


def test_what_colours_mean(tmp_path: Path) -> None:
    file, note = tmp_path / "a.png", "its colour read as the object, black as the rest"
    assert read(saved(file, [[[0, 0, 0], [9, 0, 0]]])) == ([[0, 255]], note)
    assert read(saved(file, [[[0, 0, 0], [0, 9, 0]]])) == ([[0, 255]], note)
    assert read(saved(file, [[[0, 0, 0], [0, 0, 9]]])) == ([[0, 255]], note)
    want = "name the object's, as in --classes '#c08080'"
    assert refusal(saved(file, [[[192, 128, 128], [1, 2, 3]]]), 1, 2) == f"colours #010203, #c08080: {want}"
    three = [[[0, 0, 0], [0, 0, 1], [0, 1, 0]]]
    assert refusal(saved(file, three), 1, 3) == f"colours #000000, #000001, #000100: {want}"
    chosen = MaskFile(file, colours=[(0, 0, 1), (0, 1, 0)])
    assert read(chosen) == ([[0, 255, 255]], "")
    assert read(MaskFile(file, colours=[(0, 1, 0)])) == ([[0, 0, 255]], "")
    asked = "is in colours, not class numbers: name the object's, as in --classes '#c08080'"
    assert refusal(MaskFile(file, values=[1]), 1, 3) == asked


def test_an_alpha_channel_is_the_matte_unless_the_levels_are(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    pixels = [[[9, 9, 9, 0], [9, 9, 9, 77], [9, 9, 9, 255]]]
    assert read(saved(file, pixels)) == ([[0, 77, 255]], "")
    assert read(MaskFile(file, values=[9])) == ([[255, 255, 255]], "")
    assert read(MaskFile(file, is_matte=True)) == ([[9, 9, 9]], "")


def test_an_opaque_alpha_channel_is_no_matte(tmp_path: Path) -> None:
    pixels = [[[0, 0, 0, 255], [255, 255, 255, 255]]]
    assert read(saved(tmp_path / "a.png", pixels)) == ([[0, 255]], "")
    data = png(Image.fromarray(np.array(pixels, np.uint8)))
    assert rasterize(Bitmap(encoded(data), 0, 0), 1, 2)[0].tolist() == [[0, 255]]
    # Supervisely's bitmaps are cut to the object, which may fill all of it.
    packed = Bitmap(encoded(zlib.compress(data)), 0, 0, deflated=True)
    assert rasterize(packed, 1, 2)[0].tolist() == [[255, 255]]


def palette(file: Path, colours: list[int]) -> MaskFile:
    picture = Image.new("P", (2, 1))
    picture.putpalette(colours)
    picture.putdata([0, 1])
    picture.save(file)
    return MaskFile(file)


def test_a_palette_of_black_and_white_numbers_them_as_it_likes(tmp_path: Path) -> None:
    file, black, white = tmp_path / "a.png", [0, 0, 0], [255, 255, 255]
    assert read(palette(file, white + black)) == ([[255, 0]], "")
    assert read(palette(file, black + white)) == ([[0, 255]], "")
    assert read(palette(file, white + white)) == ([[255, 255]], "")
    note = "level 1 read as the object, 0 as the rest"
    assert read(palette(file, [*white, 128, 0, 0])) == ([[0, 255]], note)
    assert read(MaskFile(palette(file, white + black).path, values=[1])) == ([[0, 255]], "")


@pytest.mark.parametrize("chosen", [{"values": [255]}, {"colours": [(255, 0, 0)]}])
def test_levels_of_a_jpeg_are_not_exact(tmp_path: Path, chosen: dict[str, Any]) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.jpg")
    assert "make it a PNG" in refusal(MaskFile(tmp_path / "a.jpg", **chosen), 8, 8)


def test_a_mask_file_of_another_size(tmp_path: Path) -> None:
    shape = saved(tmp_path / "a.png", [[0, 255, 255]])
    assert refusal(shape, 3, 1) == "the mask is 3x1, the picture 1x3"
    assert refusal(shape, 1, 4) == "the mask is 3x1, the picture 4x1"
