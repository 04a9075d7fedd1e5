"""labelme: pixel for pixel as labelme's own shape_to_mask, and every oddity of real files."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from annotated import check, synthetic
from annotated import labelme as writer
from figureground.data.notations import labelme
from figureground.data.prepare import prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import _head, open_source, read_source
from figureground.data.records import Folder, Object, Picture
from figureground.errors import DatasetError

KEYS = ("shapes", "label", "points", "shape_type", "group_id", "mask", "imagePath", "imageData", "imageWidth")
SQUARE = [[2, 2], [9, 2], [9, 8], [2, 8]]


def read(document: Any, folder: Path) -> Picture:
    path = folder / "a.json"
    path.write_text(json.dumps(document))
    (picture,) = labelme.read(path, Folder(folder, ("person",)))
    assert isinstance(picture, Picture)
    return picture


def document(*shapes: Any, **others: Any) -> dict[str, Any]:
    return {"version": "5.5.0", "shapes": list(shapes), "imagePath": "a.jpg", "imageData": None} | others


def shape(kind: str, *points: Any, **others: Any) -> dict[str, Any]:
    return {"label": "person", "points": [list(point) for point in points], "shape_type": kind} | others


def expected(given: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    """As labelme.utils.shape_to_mask."""
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    points = [tuple(point) for point in given["points"]]
    if given["shape_type"] == "circle":
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)
    elif given["shape_type"] == "rectangle":
        (x1, x2), (y1, y2) = (sorted(values) for values in zip(*points, strict=True))
        draw.rectangle([x1, y1, x2, y2], outline=1, fill=1)
    else:
        draw.polygon(points, outline=1, fill=1)
    return np.array(canvas) > 0


def pixels(item: Object, height: int, width: int) -> NDArray[np.bool_]:
    assert item.shape is not None, item.problem
    return rasterize(item.shape, height, width)[0] > 0


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("2011_000003.bbox", "person person"),
        ("2011_000003.instance", "person person person bottle __ignore__"),
        ("2011_000003.semantic", "person person person bottle __ignore__"),
        ("2011_000006.instance", "person person person chair person __ignore__ sofa sofa sofa sofa"),
        ("2011_000025.instance", "bus bus car"),
        (
            "apc2016_obj3.withImageData",
            "shelf highland_6539_self_stick_notes mead_index_cards kong_air_dog_squeakair_tennis_ball",
        ),
    ],
)
def test_samples_are_filled_as_labelme_fills_them(shared_data: Path, name: str, labels: str) -> None:
    path = shared_data / "formats" / "labelme" / f"{name}.json"
    (picture,) = labelme.read(path, Folder(path.parent, ("person",)))
    assert isinstance(picture, Picture)
    assert [item.label for item in picture.objects] == labels.split()
    assert picture.embedded == ("withImageData" in name)
    assert picture.height is not None
    assert picture.width is not None
    shapes = json.loads(path.read_text())["shapes"]
    for item, wanted in zip(picture.objects, shapes, strict=True):
        got = pixels(item, picture.height, picture.width)
        np.testing.assert_array_equal(got, expected(wanted, picture.height, picture.width))


def test_polygons_and_rectangles_of_any_corners_equal_labelme(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shapes = [shape("polygon", *random.uniform(0, 40, (5, 2)).tolist()) for _ in range(40)]
    shapes += [shape("rectangle", *random.uniform(0, 40, (2, 2)).tolist()) for _ in range(40)]
    for item, wanted in zip(read(document(*shapes), tmp_path).objects, shapes, strict=True):
        np.testing.assert_array_equal(pixels(item, 40, 40), expected(wanted, 40, 40))


def test_circles_are_those_of_pillow_but_for_a_few_pixels_of_the_rim(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shapes = [shape("circle", *random.uniform(0, 120, (2, 2)).tolist()) for _ in range(100)]
    for item, wanted in zip(read(document(*shapes), tmp_path).objects, shapes, strict=True):
        disc = expected(wanted, 120, 120)
        assert (pixels(item, 120, 120) ^ disc).sum() <= 4 + 0.01 * disc.sum()


def test_masks_lie_where_their_first_corner_is_rounded_to(tmp_path: Path) -> None:
    wanted = synthetic.mask(3)
    written = writer.shape(wanted, 0, "masks")
    (left, top), corner = written["points"]
    written["points"] = [[left + 0.4, top - 0.4], corner]
    lines = written | {"mask": base64.encodebytes(base64.b64decode(written["mask"])).decode()}
    for item in read(document(written, lines), tmp_path).objects:
        np.testing.assert_array_equal(pixels(item, *wanted.shape), wanted)


def test_a_mask_may_be_a_colour_picture(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.array([[[0, 0, 0], [0, 9, 3]]], np.uint8)).save(stream, "PNG")
    (item,) = read(document(shape("mask", (1, 1), mask=base64.b64encode(stream.getvalue()).decode())), tmp_path).objects
    assert pixels(item, 3, 4).nonzero() == (np.array([1]), np.array([2]))


def test_what_older_and_other_writers_write(tmp_path: Path) -> None:
    old = {"label": 7, "points": SQUARE, "line_color": None}
    four = shape("rectangle", *SQUARE)
    turned = shape("rotation", *SQUARE, group_id=3)
    picture = read(document(old, four, turned, imagePath="..\\img\\a.jpg", imageHeight=None), tmp_path)
    assert picture.name == "..\\img\\a.jpg"
    assert (picture.width, picture.height, picture.embedded) == (None, None, False)
    assert [item.label for item in picture.objects] == ["7", "person", "person"]
    assert picture.objects[2].id == "3"
    assert len({str(item.shape) for item in picture.objects}) == 1


def test_a_picture_inside_is_not_looked_for_under_the_name_of_the_json(tmp_path: Path) -> None:
    picture = read(document(imagePath="a.json", imageData="AAAA"), tmp_path)
    assert picture.embedded
    assert picture.name == ""
    assert read(document(imagePath="b.jpg", imageData="AAAA"), tmp_path).name == "b.jpg"
    assert not read(document(imageData=""), tmp_path).embedded


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (shape("point", (1, 1)), "a point: no area"),
        (shape("points", (1, 1)), "a set of points: no area"),
        (shape("line", (1, 1), (2, 2)), "a line: no area"),
        (shape("linestrip", (1, 1), (2, 2)), "a line: no area"),
        (shape("circle", (1, 1)), "a circle of 1 points, want 2"),
        (shape("rectangle", *SQUARE[:3]), "a rectangle of 3 points, want 2"),
        (shape("mask", (1, 1), (2, 2)), "a mask without its data"),
        (shape("mask", mask="AAAA"), "a mask without its corners"),
        (shape("cuboid", *SQUARE), "a cuboid: no known shape"),
        (shape("polygon", (1, 2), (3, float("nan")), (5, 6)), "points.1.1: Input should be a finite number"),
        (shape("polygon", (1, 2), (3, 1e300), (5, 6)), "less than or equal to"),
        (shape("polygon", (1, 2, 3)), "points.0"),
        ({"label": "person"}, "points: Field required"),
        ({"points": SQUARE}, "label"),
        (None, "valid dictionary"),
    ],
)
def test_broken_shapes_have_their_reasons(tmp_path: Path, broken: Any, reason: str) -> None:
    first, whole = read(document(broken, shape("polygon", *SQUARE)), tmp_path).objects
    assert first.shape is None
    assert reason in first.problem
    assert first.place == "shapes[0]"
    assert whole.shape is not None


@pytest.mark.parametrize(
    ("mask", "reason"), [("%%%", "not base64"), ("AAAA", "no picture"), ("iVBORw0KGgo=", "no picture")]
)
def test_broken_masks_are_refused_when_they_are_drawn(tmp_path: Path, mask: str, reason: str) -> None:
    (item,) = read(document(shape("mask", (1, 1), (2, 2), mask=mask)), tmp_path).objects
    with pytest.raises(DatasetError, match=reason):
        pixels(item, 5, 5)


@pytest.mark.parametrize("broken", [[], {}, {"shapes": {}}, {"shapes": [], "imageHeight": 0}, "text"])
def test_other_documents_are_refused(tmp_path: Path, broken: Any) -> None:
    with pytest.raises(DatasetError, match="not a labelme annotation"):
        read(broken, tmp_path)


def test_it_claims_its_own_samples_only(shared_data: Path) -> None:
    for path in (shared_data / "formats").rglob("*.*"):
        own = path.parent.name == "labelme" and path.suffix == ".json"
        assert labelme.claims(path, _head(path), Path("/")) == own, path
    assert open_source(shared_data / "formats" / "labelme" / "2011_000025.bbox.json", ("bus",)).notation == "labelme"


@pytest.mark.parametrize("way", ["polygons", "masks", "embedded"])
def test_round_trip(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "noise", 20)
    source = open_source(writer.write(tmp_path / "source", items, way), ("person",))
    assert source.notation == "labelme"
    assert check.worst_overlap(check.drawn(read_source(source)), items) == 1.0


def test_to_dataset(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "noise", 4)
    assert prepare([writer.write(tmp_path / "source", items, "embedded")], tmp_path / "dataset").rejected == 0
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) == 1.0


@given(synthetic.documents(KEYS, ["polygon", "circle", "rectangle", "mask", [[1, 2], [3, 4]]]))
@settings(max_examples=100)
def test_any_json_gives_records_or_an_error(tmp_path_factory: pytest.TempPathFactory, anything: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    for value in (anything, document(anything), document(shape("circle") | {"points": anything})):
        path.write_text(json.dumps(value))
        try:
            synthetic.assert_sound(labelme.read(path, Folder(path.parent, ("person",))))
        except DatasetError:
            continue
