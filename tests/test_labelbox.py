"""Labelbox: both exports and annotations for import; nothing is downloaded."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from annotated import check, synthetic
from annotated import labelbox as writer
from figureground.data.notations import labelbox
from figureground.data.prepare import prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import _head, open_source, read_source
from figureground.data.records import Folder, Object, Picture, Polygons, Problem
from figureground.errors import DatasetError

SQUARE = [{"x": 2.0, "y": 2.0}, {"x": 9.0, "y": 2.0}, {"x": 9.0, "y": 8.0}, {"x": 2.0, "y": 8.0}]
KEYS = (
    *("data_row", "dataRow", "Label", "Labeled Data", "External ID", "projects", "labels", "annotations", "objects"),
    *("name", "schemaId", "polygon", "mask", "png", "instanceURI", "x", "y", "id", "globalKey", "media_attributes"),
)
SERVER = "its mask is on a server"


def read(folder: Path, *values: Any, text: str = "") -> tuple[list[Picture], list[Problem]]:
    path = folder / "export.ndjson"
    path.write_text(text or "".join(json.dumps(value) + "\n" for value in values))
    found = list(labelbox.read(path, Folder(folder, ("person",))))
    return [r for r in found if isinstance(r, Picture)], [r for r in found if isinstance(r, Problem)]


def row(*objects: Any, label: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    """A row of version 2 with one label."""
    labels = [{"annotations": {"objects": list(objects), "classifications": []}} | (label or {})]
    return {"data_row": {"id": "d1", "external_id": "a.jpg"} | data, "projects": {"p1": {"labels": labels}}}


def old_row(*objects: Any, **others: Any) -> dict[str, Any]:
    label = {"objects": list(objects), "classifications": []}
    return {"Labeled Data": "https://host/a%20b.jpg?token=x/y.png", "External ID": None, "Label": label} | others


def entry(**others: Any) -> dict[str, Any]:
    return {"uuid": "u1", "dataRow": {"id": "d1"}, "name": "person", "polygon": SQUARE} | others


def pixels(item: Object, height: int, width: int) -> NDArray[np.bool_]:
    assert item.shape is not None, item.problem
    return rasterize(item.shape, height, width)[0] > 0


def test_sample_of_version_1(shared_data: Path) -> None:
    path = shared_data / "formats" / "labelbox" / "v1_image_export.json"
    (picture,) = labelbox.read(path, Folder(path.parent, ("polygon",)))
    assert isinstance(picture, Picture)
    assert picture.name == "2560px-Kitano_Street_Kobe01s5s4110.jpg"
    reasons = [item.problem for item in picture.objects]
    assert reasons[:4] == ["a box: no outline"] * 4
    assert reasons[4].startswith(SERVER)
    assert reasons[5:] == ["", "", "a point: no area", "a line: no area", "a line: no area"]
    assert picture.objects[5].id == "ckr2k3v6d00043h69s3psq0oy"
    assert picture.objects[5].place == "line 1: Label.objects[5]"
    points = json.loads(path.read_text())["Label"]["objects"][5]["polygon"]
    wanted = np.zeros((1600, 2560), np.uint8)
    cv2.fillPoly(wanted, [np.rint([[point["x"], point["y"]] for point in points]).astype(np.int32)], 1)
    np.testing.assert_array_equal(pixels(picture.objects[5], 1600, 2560), wanted > 0)


def test_sample_for_import(shared_data: Path) -> None:
    path = shared_data / "formats" / "labelbox" / "ndjson_image_import.json"
    (picture,) = labelbox.read(path, Folder(path.parent, ("person",)))
    assert isinstance(picture, Picture)
    assert picture.name == "ckrazctum0z8a0ybc0b0o0g0v"
    assert [item.shape is not None for item in picture.objects] == [False, False, True, False]
    assert picture.objects[2].label == "ckrazcuec16oi0z66dzrd8pfl"  # the schema id, for want of a name
    assert [item.place for item in picture.objects] == ["[0]", "[1]", "[2]", "[3]"]


def test_every_label_of_every_project_counts(tmp_path: Path) -> None:
    both = row({"feature_id": "f1", "name": "Person", "polygon": SQUARE}, {"feature_id": "f2", "name": "dog"})
    both["projects"]["p2"] = {"labels": row({"name": "person", "polygon": SQUARE})["projects"]["p1"]["labels"] * 2}
    (picture,), _ = read(tmp_path, both | {"media_attributes": {"height": 20, "width": 30, "exif_rotation": "1"}})
    assert (picture.width, picture.height) == (30, 20)
    assert [item.label for item in picture.objects] == ["Person", "dog", "person", "person"]
    assert picture.objects[0].place == "line 1: projects.p1.labels[0].annotations.objects[0]"
    assert picture.objects[1].problem == "no polygon and no mask"


def test_names_of_pictures(tmp_path: Path) -> None:
    rows = [
        row(),
        row(external_id=None, global_key="k.png", row_data="https://host/x.jpg"),
        row(external_id="made up", global_key="key", row_data="https://host/folder%2Fx%20y.jpg?Expires=1#z"),
        row(external_id=None, row_data="https://host/no-suffix/"),
        old_row(),
        old_row(**{"External ID": "sub/c.jpg"}),
    ]
    pictures, _ = read(tmp_path, *rows)
    assert [p.name for p in pictures] == ["a.jpg", "k.png", "x y.jpg", "no-suffix", "a b.jpg", "sub/c.jpg"]


def test_what_nobody_annotated_is_no_picture_without_people(tmp_path: Path) -> None:
    unlabelled, skipped = row(), row(label={"performance_details": {"skipped": True}})
    unlabelled["projects"]["p1"]["labels"] = []
    pictures, problems = read(tmp_path, unlabelled, skipped, old_row(Skipped=True), row(), old_row())
    assert [picture.objects for picture in pictures] == [[], []]
    assert [problem.annotation for problem in problems] == ["a.jpg", "a.jpg", "a b.jpg"]
    assert all("not annotated" in problem.reason for problem in problems)


def test_annotations_for_import_are_joined_by_their_picture(tmp_path: Path) -> None:
    others = [entry(dataRow={"globalKey": "b.jpg"}, uuid=name) for name in ("u2", "u3")]
    pictures, _ = read(tmp_path, others[0], entry(), others[1])
    assert [(picture.name, [item.id for item in picture.objects]) for picture in pictures] == [
        ("b.jpg", ["u2", "u3"]),
        ("d1", ["u1"]),
    ]
    assert pictures[0].objects[1].place == "line 3"


def test_masks_for_import_state_the_size_of_their_picture(tmp_path: Path) -> None:
    wanted = synthetic.mask(3)
    (picture,), _ = read(tmp_path, entry(), writer.entry("a.jpg", wanted) | {"dataRow": {"id": "d1"}})
    assert (picture.height, picture.width) == (60, 80)
    np.testing.assert_array_equal(pixels(picture.objects[1], 60, 80), wanted)
    for png in ("", "%", "AAAA", base64.b64encode(b"x" * 40).decode()):
        (picture,), _ = read(tmp_path, entry(polygon=None, mask={"png": png}))
        assert picture.width is None


@pytest.mark.parametrize("brackets", ["array", "lines", "one"])
def test_arrays_lines_and_single_objects(tmp_path: Path, brackets: str) -> None:
    rows = [old_row({"title": "person", "polygon": SQUARE})] * (1 if brackets == "one" else 3)
    text = json.dumps(rows if brackets == "array" else rows[0], indent=2)
    if brackets == "lines":
        text = "\n".join(json.dumps(one) for one in rows)
    pictures, problems = read(tmp_path, text=text)
    assert len(pictures) == len(rows)
    assert not problems


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"name": "person", "bounding_box": {"top": 1}, "mask": {"url": "https://host"}}, "a box: no outline"),
        ({"name": "person", "line": SQUARE}, "a line: no area"),
        ({"name": "person", "point": SQUARE[0]}, "a point: no area"),
        ({"name": "person", "mask": {"url": "https://host"}}, SERVER),
        ({"name": "person", "composite_mask": {"url": "https://host", "color_rgb": [1, 2, 3]}}, SERVER),
        ({"name": "person", "instanceURI": "https://host"}, SERVER),
        ({"name": "weather", "answer": {"name": "sunny"}}, "a classification: no outline"),
        ({"name": "person"}, "no polygon and no mask"),
        ({"name": "person", "polygon": [{"x": 1, "y": math.inf}]}, "polygon.0.y: Input should be a finite number"),
        ({"name": "person", "polygon": [{"x": 1}]}, "polygon.0.y: Field required"),
        ({"name": "person", "polygon": [[1, 2]]}, "polygon.0"),
        (None, "valid dictionary"),
    ],
)
def test_broken_objects_have_their_reasons(tmp_path: Path, broken: Any, reason: str) -> None:
    whole = {"name": "person", "polygon": SQUARE}
    for value in (row(broken, whole), old_row(broken, whole)):
        (picture,), _ = read(tmp_path, value)
        assert picture.objects[0].shape is None
        assert picture.objects[0].problem.startswith(reason) or reason in picture.objects[0].problem
        assert picture.objects[1].shape == Polygons([[(2.0, 2.0), (9.0, 2.0), (9.0, 8.0), (2.0, 8.0)]])


def test_broken_rows_do_not_lose_the_others(tmp_path: Path) -> None:
    broken = [3, {}, {"data_row": {}}, old_row(Label="Skip"), {"dataRow": 3}, row(label={"annotations": {}})]
    pictures, problems = read(tmp_path, *broken, row())
    assert len(pictures) == 1
    assert [problem.place for problem in problems] == [f"line {number}" for number in range(1, 7)]
    assert "got 'Skip'" in problems[3].reason


def test_broken_files(tmp_path: Path) -> None:
    text = "".join(json.dumps(value) + "\n" for value in (entry(), row(), row()))
    (tmp_path / "cut.ndjson").write_text(text[:-20])
    found = []
    with pytest.raises(DatasetError, match="ends in the middle"):  # noqa: PT012
        for record in labelbox.read(tmp_path / "cut.ndjson", Folder(tmp_path, ("person",))):
            found.append(record)
    # Annotations for import of a picture may stand after the cut; a row holds all of its own.
    pictures = [(record.name, record.partial) for record in found if isinstance(record, Picture)]
    assert pictures == [("a.jpg", False), ("d1", True)]
    with pytest.raises(DatasetError, match="cannot be read"):
        list(labelbox.read(tmp_path / "none.ndjson", Folder(tmp_path, ("person",))))


def test_it_claims_its_own_samples_only(shared_data: Path) -> None:
    for path in (shared_data / "formats").rglob("*.*"):
        own = path.parent.name == "labelbox" and path.suffix == ".json"
        assert labelbox.claims(path, _head(path), Path("/")) == own, path
    assert open_source(shared_data / "formats" / "labelbox", ("person",)).notation == "labelbox"


@pytest.mark.parametrize("way", ["v1", "v2", "masks"])
def test_round_trip(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "noise", 20)
    source = open_source(writer.write(tmp_path / "source", items, way), ("person",))
    assert source.notation == "labelbox"
    assert check.worst_overlap(check.drawn(read_source(source)), items) == 1.0


def test_to_dataset(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "noise", 4)
    assert prepare([writer.write(tmp_path / "source", items, "v1")], tmp_path / "dataset").rejected == 0
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) == 1.0


@given(synthetic.documents(KEYS))
@settings(max_examples=100)
def test_any_json_gives_records_or_an_error(tmp_path_factory: pytest.TempPathFactory, anything: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.ndjson"
    for value in (
        anything,
        row(anything),
        old_row(anything),
        entry(mask=anything, polygon=None),
        {"dataRow": anything},
    ):
        path.write_text(json.dumps(value))
        try:
            synthetic.assert_sound(labelbox.read(path, Folder(path.parent, ("person",))))
        except DatasetError:
            continue
