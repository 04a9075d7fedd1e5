"""VGG Image Annotator: both versions, projects and CSV, whatever the annotator called the class."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from skimage import draw

from annotated import check, synthetic
from annotated import via as writer
from figureground.data.notations import via
from figureground.data.prepare import prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import _head, open_source, read_source
from figureground.data.records import Folder, Object, Picture, Problem
from figureground.errors import DatasetError

SQUARE = {"name": "polygon", "all_points_x": [2, 9, 9, 2], "all_points_y": [2, 2, 8, 8]}
KEYS = (
    *("filename", "regions", "shape_attributes", "region_attributes", "name", "all_points_x", "all_points_y"),
    *("_via_img_metadata", "_via_attributes", "region", "options", "class", "cx", "cy", "r", "a.jpg12"),
)


def read(content: Any, folder: Path, *classes: str) -> tuple[list[Picture], list[Problem]]:
    path = folder / ("a.csv" if isinstance(content, str) else "a.json")
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    found = list(via.read(path, Folder(folder, classes or ("person",))))
    return [r for r in found if isinstance(r, Picture)], [r for r in found if isinstance(r, Problem)]


def document(*regions: Any) -> dict[str, Any]:
    return {"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": list(regions), "file_attributes": {}}}


def region(shape: Any = SQUARE, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def labels(content: Any, folder: Path, *classes: str) -> list[str]:
    return [item.label for picture in read(content, folder, *classes)[0] for item in picture.objects]


def pixels(item: Object, height: int = 60, width: int = 80) -> NDArray[np.bool_]:
    assert item.shape is not None, item.problem
    return rasterize(item.shape, height, width)[0] > 0


def test_sample_of_version_1(shared_data: Path) -> None:
    path = shared_data / "formats" / "via" / "via1_unit_test.json"
    pictures = [r for r in via.read(path, Folder(path.parent, ("person",))) if isinstance(r, Picture)]
    assert [len(picture.objects) for picture in pictures] == [8, 1, 3]
    assert pictures[1].objects[0].label == 'a "white" swan, good fortune'
    problems = [item.problem for picture in pictures for item in picture.objects if item.problem]
    assert problems.count("a point: no area") == 5
    assert problems.count("none of its attributes says what it is, though those of other regions do") == 2
    assert pictures[0].objects[1].place == "test_pattern_qbist.jpg129855.regions[1]"


def test_sample_of_version_2(shared_data: Path) -> None:
    path = shared_data / "formats" / "via" / "via2_demo_annotations.json"
    swan, socrates = via.read(path, Folder(path.parent, ("human",)))
    assert isinstance(swan, Picture)
    assert isinstance(socrates, Picture)
    assert [item.label for item in (*swan.objects, *socrates.objects)] == ["Swan", "human", "human", "Hemlock"]
    shape = json.loads(path.read_text())["adutta_swan.jpg-1"]["regions"][0]["shape_attributes"]
    wanted = np.zeros((500, 500), np.uint8)
    cv2.fillPoly(wanted, [np.array([shape["all_points_x"], shape["all_points_y"]]).T.astype(np.int32)], 1)
    np.testing.assert_array_equal(pixels(swan.objects[0], 500, 500), wanted > 0)


def test_rectangles_are_those_of_opencv(tmp_path: Path) -> None:
    rect = {"name": "rect", "x": 3, "y": 4, "width": 10, "height": 5}
    (picture,), _ = read(document(region(rect)), tmp_path)
    wanted = np.zeros((60, 80), np.uint8)
    cv2.rectangle(wanted, (3, 4), (13, 9), 1, -1)
    np.testing.assert_array_equal(pixels(picture.objects[0]), wanted > 0)


@pytest.mark.parametrize(
    "shape",
    [
        {"name": "circle", "cx": 30, "cy": 20, "r": 10.5},
        {"name": "ellipse", "cx": 40.25, "cy": 30, "rx": 22.3, "ry": 8.2},
        {"name": "ellipse", "cx": 40, "cy": 30, "rx": 22.3, "ry": 8.2, "theta": 0.7},
        {"name": "ellipse", "cx": 70, "cy": 50, "rx": 22.3, "ry": 8.2, "theta": -2},
    ],
)
def test_ellipses_are_those_of_skimage(tmp_path: Path, shape: dict[str, Any]) -> None:
    (picture,), _ = read(document(region(shape)), tmp_path)
    radii = (shape.get("ry", shape.get("r")), shape.get("rx", shape.get("r")))
    wanted = np.zeros((60, 80), bool)
    # skimage turns against the clock
    wanted[draw.ellipse(shape["cy"], shape["cx"], *radii, shape=wanted.shape, rotation=-shape.get("theta", 0.0))] = True
    np.testing.assert_array_equal(pixels(picture.objects[0]), wanted)


def test_theta_turns_clockwise_on_the_screen(tmp_path: Path) -> None:
    shape = {"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 4, "theta": math.pi / 4}
    (picture,), _ = read(document(region(shape)), tmp_path)
    inside = pixels(picture.objects[0])
    assert inside[40, 50]
    assert not inside[20, 50]


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({"class": "person"}, "person"),
        ({"name": "Plato", "kind": "Person"}, "Person"),
        ({"what": {"person": True, "dog": False}}, "person"),
        ({"what": {"person": False, "dog": True}}, "dog"),
        ({"colour": "red", "Label": "dog"}, "dog"),
        ({"colour": "red", "form": "round"}, "red"),
        ({"person": ""}, "person"),
        ({"class": 3}, "3"),
    ],
)
def test_the_class_is_found_whatever_its_attribute_is_called(
    tmp_path: Path, attributes: dict[str, Any], label: str
) -> None:
    assert labels(document(region(**attributes)), tmp_path) == [label]


def test_regions_without_attributes(tmp_path: Path) -> None:
    """The one thing annotated is what was asked for; beside labelled regions nobody knows."""
    assert labels(document(region(), region(name="")), tmp_path, "rider") == ["rider", "rider"]
    (picture,), _ = read(document(region(), region(name="dog"), region(name=" ")), tmp_path)
    assert [item.label for item in picture.objects] == ["", "dog", ""]
    assert [item.shape is None for item in picture.objects] == [True, False, True]
    assert "none of its attributes says what it is" in picture.objects[0].problem


def test_options_of_a_project_are_read_as_what_they_stand_for(tmp_path: Path) -> None:
    project = {
        "_via_settings": {"ui": {}},
        "_via_img_metadata": document(region(kind="1"), region(kind={"2": True}), region(kind="5")),
        "_via_attributes": {"region": {"kind": {"type": "radio", "options": {"1": "person", "2": "dog"}}}, "file": {}},
        "_via_image_id_list": ["a.jpg12"],
    }
    assert labels(project, tmp_path) == ["person", "dog", "5"]
    (picture,), problems = read(project, tmp_path)
    assert picture.objects[0].place == "_via_img_metadata.a.jpg12.regions[0]"
    assert not problems


@pytest.mark.parametrize("header", [writer.HEADER, "#" + writer.HEADER])
def test_rows_of_a_picture_may_stand_apart(tmp_path: Path, header: str) -> None:
    shape, label = '"{""name"":""circle"",""cx"":5,""cy"":5,""r"":2}"', '"{""name"":""person""}"'
    lines = [
        header,
        f'a.jpg,12,"{{}}",2,0,{shape},{label}',
        f'02-01-2020 Hoogezand, b.jpg,12,"{{}}",1,0,{shape},"{{}}"',
        "nobody.jpg,12,{},0,0,{},{}",
        f'a.jpg,12,"{{}}",2,1,"not JSON",{label}',
        "",
        "a,b",
    ]
    pictures, problems = read("\r\n".join(lines), tmp_path)
    assert [picture.name for picture in pictures] == ["a.jpg", "02-01-2020 Hoogezand, b.jpg", "nobody.jpg"]
    assert [len(picture.objects) for picture in pictures] == [2, 1, 0]
    assert [(item.id, item.place) for item in pictures[0].objects] == [("0", "line 2"), ("1", "line 5")]
    assert "valid dictionary" in pictures[0].objects[1].problem
    assert [(problem.place, problem.reason) for problem in problems] == [("line 7", "2 columns, want 7")]
    assert via.claims(Path("x.csv"), lines[0] + "\n", Path())


def test_rows_that_were_cut_off_are_told_by_their_number(tmp_path: Path) -> None:
    row = 'a.jpg,1,"{}",2,%s,"{""name"":""circle"",""cx"":9,""cy"":9,""r"":4}","{}"'
    for numbers, partial in (("01", False), ("0", True)):
        (picture,), _ = read("\n".join([writer.HEADER, *(row % number for number in numbers)]), tmp_path)
        assert (len(picture.objects), picture.partial) == (len(numbers), partial)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (region({"name": "point", "cx": 1, "cy": 2}), "a point: no area"),
        (region({"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}), "a polyline: no area"),
        (region({"name": "cube"}), "no polygon, rect, circle or ellipse"),
        (region({}), "no polygon, rect, circle or ellipse"),
        (region(SQUARE | {"all_points_x": [1, 2]}), "2 points in x, 4 in y"),
        (region(SQUARE | {"all_points_x": [1, 2, 3, math.nan]}), "all_points_x.3: Input should be a finite number"),
        (region({"name": "circle", "cx": 1, "cy": 2, "r": 0}), "greater than 0"),
        (region({"name": "rect", "x": 1, "y": 2}), "width: Field required"),
        ({"region_attributes": {}}, "shape_attributes: Field required"),
        (None, "valid dictionary"),
    ],
)
def test_broken_regions_have_their_reasons(tmp_path: Path, broken: Any, reason: str) -> None:
    (picture,), _ = read(document(broken, region()), tmp_path)
    first, whole = picture.objects
    assert first.shape is None
    assert reason in first.problem
    assert first.place == "a.jpg12.regions[0]"
    assert whole.shape is not None


def test_a_broken_entry_does_not_lose_the_others(tmp_path: Path) -> None:
    pictures, problems = read({"x": {"regions": []}, "y": 3} | document(region()), tmp_path)
    assert [picture.name for picture in pictures] == ["a.jpg"]
    assert [(problem.place, "filename: Field required" in problem.reason) for problem in problems] == [
        ("x", True),
        ("y", False),
    ]


def test_broken_files(tmp_path: Path) -> None:
    for empty in (dict[str, Any](), list[Any](), "", writer.HEADER):
        with pytest.raises(DatasetError, match=r"no pictures|empty"):
            read(empty, tmp_path)
    (tmp_path / "b.csv").write_bytes(writer.HEADER.encode() + b"\n\xff.jpg,1,{},0,0,{},{}\n")
    with pytest.raises(DatasetError, match="not UTF-8"):
        list(via.read(tmp_path / "b.csv", Folder(tmp_path, ("person",))))
    with pytest.raises(DatasetError, match="cannot be read"):
        list(via.read(tmp_path / "none.csv", Folder(tmp_path, ("person",))))
    text = json.dumps({f"{name}.jpg12": document(region())["a.jpg12"] for name in "abc"})
    (tmp_path / "cut.json").write_text(text[:-90])
    found = []
    with pytest.raises(DatasetError, match="ends in the middle"):  # noqa: PT012
        for record in via.read(tmp_path / "cut.json", Folder(tmp_path, ("person",))):
            found.append(record)
    assert len(found) == 2


def test_outlines_longer_than_csv_allows_by_itself(tmp_path: Path) -> None:
    shape = {"name": "polygon", "all_points_x": [2, 9, 9] * 20000, "all_points_y": [2, 2, 8] * 20000}
    cell = json.dumps(shape).replace('"', '""')
    (picture,), _ = read(f'{writer.HEADER}\na.jpg,12,"{{}}",1,0,"{cell}","{{}}"\n', tmp_path)
    assert picture.objects[0].shape is not None


@pytest.mark.parametrize("endless", ["a," * 600_000, '"\n",' * 300_000])
def test_a_row_without_end_is_refused(tmp_path: Path, endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(via, "_MAX_ROW", 1 << 20)
    with pytest.raises(DatasetError, match="a row of more than 1 million characters"):
        read(f"{writer.HEADER}\n{endless}", tmp_path)


def test_it_claims_its_own_samples_only(shared_data: Path) -> None:
    for path in (shared_data / "formats").rglob("*.*"):
        own = path.parent.name == "via" and path.suffix == ".json"
        assert via.claims(path, _head(path), Path("/")) == own, path
    assert open_source(shared_data / "formats" / "via", ("person",)).notation == "via"


@pytest.mark.parametrize("way", ["json1", "json2", "project", "csv"])
def test_round_trip(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "noise", 20)
    source = open_source(writer.write(tmp_path / "source", items, way), ("person",))
    assert source.notation == "via"
    assert check.worst_overlap(check.drawn(read_source(source)), items) == 1.0


def test_to_dataset(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "noise", 4)
    assert prepare([writer.write(tmp_path / "source", items, "csv")], tmp_path / "dataset").rejected == 0
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) == 1.0


@given(synthetic.documents(KEYS, ["polygon", "circle", "rect", "ellipse"]))
@settings(max_examples=100)
def test_any_json_gives_records_or_an_error(tmp_path_factory: pytest.TempPathFactory, anything: Any) -> None:
    folder = Folder(tmp_path_factory.getbasetemp(), ("person",))
    path, rows = folder.root / "any.json", folder.root / "any.csv"
    rows.write_text(f"{writer.HEADER}\na.jpg,1,2,3,{json.dumps(anything)},{{}}\nb,1,1,1,1,{{}},\0\n")
    for value in (anything, document(anything), document(region(anything), {"shape_attributes": anything})):
        path.write_text(json.dumps(value))
        for file in (path, rows):
            try:
                synthetic.assert_sound(via.read(file, folder))
            except DatasetError:
                continue
