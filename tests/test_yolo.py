"""YOLO's outlines: names of classes, lines that cannot be used, and files that are none of its labels."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from annotated import check, synthetic, yolo
from figureground.data.labels import is_wanted
from figureground.data.notations.yolo import claims, read
from figureground.data.notations.yolo_names import class_names
from figureground.data.prepare import Settings, prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import open_source, read_source
from figureground.data.records import Folder, Object, Picture, Polygons, Record
from figureground.errors import DatasetError

TRIANGLE = "0 0.1 0.2 0.9 0.2 0.5 0.8\n"


def label(folder: Path, text: str, name: str = "labels/train/a.txt") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def picture(file: Path, root: Path) -> Picture:
    (found,) = read(file, Folder(root, ("person",)))
    assert isinstance(found, Picture)
    return found


def objects(folder: Path, text: str) -> list[Object]:
    return picture(label(folder, text), folder).objects


def test_only_own_files_are_claimed(shared_data: Path, tmp_path: Path) -> None:
    for path in sorted((shared_data / "formats").rglob("*")):
        if path.is_file():
            assert not claims(path, path.read_bytes()[:4096].decode("utf-8", "replace"), Path("/")), path
    for name, text in [
        ("requirements.txt", "numpy==2.0\n"),
        ("train.txt", "images/train/a.jpg\n"),
        ("ImageSets/Segmentation/train.txt", "2007_000032\n2007_000033\n"),
        ("ids.txt", "000000000139\n000000000285\n"),
        ("labels/classes.txt", "person\ncar\n"),
        ("README.txt", "0 of 5 4 3 2 1\n"),
        ("empty.txt", ""),
        ("digits.txt", "0 " + "1" * 4000),
    ]:
        assert not claims(label(tmp_path, text, name), text, Path("/")), name
    for name, text in [("labels/a.txt", ""), ("a.txt", TRIANGLE), ("b.txt", "\n0 .1 .2 nan .4 .5")]:
        assert claims(label(tmp_path, text, name), text, Path("/")), name


def test_broken_label_of_a_picture_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    assert claims(label(tmp_path, "person 0.1 0.2", "labels/a.txt"), "person 0.1 0.2", Path("/"))
    assert not claims(label(tmp_path, "person 0.1 0.2", "labels/b.txt"), "person 0.1 0.2", Path("/"))


def test_outline_is_filled_as_by_opencv(tmp_path: Path) -> None:
    (found,) = objects(tmp_path, TRIANGLE)
    assert found.shape == Polygons([[(0.1, 0.2), (0.9, 0.2), (0.5, 0.8)]], relative=True, fill="opencv")
    canvas = np.zeros((50, 100), np.uint8)
    cv2.fillPoly(canvas, [np.array([[10, 10], [90, 10], [50, 40]], np.int32)], 255)
    assert np.array_equal(rasterize(found.shape, 50, 100)[0], canvas)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.2 0.2", "a box, no outline"),
        ("0 0.1 0.2 0.3", "3 coordinates, an odd number"),
        ("0 0.1 0.2", "1 points, want 3 or more"),
        ("0", "0 points, want 3 or more"),
        ("0 0.1 0.2 0.3 0.4 0.5 nan", "want numbers, got 'nan'"),
        ("0 0.1 0.2 0.3 0.4 0.5 1_0", "want numbers, got '1_0'"),
        ("0 0.1 0.2 0.3 0.4 0.5 x", "want numbers, got 'x'"),
        ("0 0.1 0.2 0.3 0.4 0.5 1e999", "1e999 is far outside 0 to 1"),
        ("0 10 20 90 20 50 80", "10 is far outside 0 to 1"),
        ("person 0.1 0.2 0.3 0.4 0.5 0.6", "want the number of a class first, got 'person'"),
        ("-1 0.1 0.2 0.3 0.4 0.5 0.6", "want the number of a class first, got '-1'"),
        ("1.0 0.1 0.2 0.3 0.4 0.5 0.6", "want the number of a class first, got '1.0'"),
    ],
)
def test_line_that_cannot_be_used(tmp_path: Path, line: str, reason: str) -> None:
    good, bad = objects(tmp_path, f"{TRIANGLE}\n{line}\n")
    assert (good.place, good.label, good.problem) == ("line 1", "0", "")
    assert bad.shape is None
    assert bad.place == "line 3"
    assert bad.problem.startswith(reason)


def test_picture_is_found(tmp_path: Path) -> None:
    for name in ("labels/images/labels/a.txt", "flat/b.txt"):
        label(tmp_path, TRIANGLE, name)
    (tmp_path / "labels" / "images" / "images").mkdir()
    for name in ("labels/images/images/a.JPG", "flat/b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    first = picture(tmp_path / "labels/images/labels/a.txt", tmp_path)
    assert first.image == tmp_path / "labels/images/images/a.JPG"
    assert picture(tmp_path / "flat/b.txt", tmp_path).image == tmp_path / "flat/b.png"
    assert picture(label(tmp_path, "", "labels/c.txt"), tmp_path) == Picture(tmp_path / "labels/c.txt", "", "c.jpg", [])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: ['person', \"a car\", x y]  # three\nnc: 3", {0: "person", 1: "a car", 2: "x y"}),
        ("nc: 2\nnames: [person,\n  car,  # two\n]\n", {0: "person", 1: "car"}),
        ("names:\n- person\n- 'it''s'\nnc: 2", {0: "person", 1: "it's"}),
        (
            "names:\n  # the classes\n  0: person\n\n  7: red light  # !\npath: .",
            {0: "person", 7: "red light"},
        ),
        ("names: {0: person, 3: 'car, red'}", {0: "person", 3: "car, red"}),
        ("path: ../datasets\n", {}),
    ],
)
def test_names_in_yaml(tmp_path: Path, text: str, names: dict[int, str]) -> None:
    label(tmp_path, text, "data.yaml")
    assert class_names(tmp_path, tmp_path) == names


@pytest.mark.parametrize(
    "text",
    ["names: *all", "names: [a, [b]]", "names: [a", "names:\n  a: b", "names: [a,,b]", "names: [a" + " " * 200_000],
)
def test_names_that_are_not_understood(tmp_path: Path, text: str) -> None:
    label(tmp_path, text, "data.yaml")
    with pytest.raises(DatasetError, match="its names cannot be understood"):
        class_names(tmp_path, tmp_path)


def test_nearest_names_count(tmp_path: Path) -> None:
    label(tmp_path, "x: 1\nnames: [car, person]", "people.yml")
    label(tmp_path, "dog\n\nperson\n", "near/classes.txt")
    assert class_names(tmp_path / "near", tmp_path / "near") == {0: "dog", 1: "", 2: "person"}
    assert picture(label(tmp_path, TRIANGLE, "labels/a.txt"), tmp_path).objects[0].label == "car"
    found = picture(label(tmp_path, TRIANGLE + TRIANGLE.replace("0", "1", 1) + "3 1 1 0 1 0 0", "near/a.txt"), tmp_path)
    assert [item.label for item in found.objects] == ["dog", "1", ""]
    assert found.objects[2].problem == "class 3 has no name; there are those from 0 to 2"
    label(tmp_path, "x: 1\nnames: [cat, person]", "people.yml")
    assert picture(tmp_path / "labels/a.txt", tmp_path).objects[0].label == "cat"


def test_names_out_of_the_source_are_not_read(tmp_path: Path) -> None:
    outside = label(tmp_path, "names: [car]", "outside.yaml")
    file = label(tmp_path, TRIANGLE, "source/labels/a.txt")
    (tmp_path / "source" / "data.yaml").symlink_to(outside)
    assert picture(file, tmp_path / "source").objects[0].label == "0"


def test_a_class_number_is_no_other(tmp_path: Path) -> None:
    assert is_wanted("1", ("1",))
    assert not is_wanted("10", ("1",))
    assert is_wanted("person1_poly", ("person1",))
    assert is_wanted("person1", ("person",))


def test_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = Folder(tmp_path, ("person",)), tmp_path / "a.txt"
    file.write_bytes(b"0 \xff")
    with pytest.raises(DatasetError, match="not UTF-8"):
        list(read(file, folder))
    file.write_text("0\n" * 200_000)
    with pytest.raises(DatasetError, match="more than 100000 lines"):
        list(read(file, folder))
    monkeypatch.setattr("figureground.data.notations.yolo._MAX_FILE", 1 << 18)
    with pytest.raises(DatasetError, match="million characters"):
        list(read(file, folder))
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read(tmp_path / "none.txt", folder))


def test_round_trip(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "pictures", 20)
    source = open_source(yolo.write(tmp_path / "source", items), ("person",))
    assert source.notation == "yolo"
    assert check.worst_overlap(check.drawn(read_source(source)), items) == 1.0


def test_to_dataset(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "pictures", 6)
    items[3][2][:] = False
    yolo.write(tmp_path / "source", items)
    prepare([tmp_path / "source"], tmp_path / "dataset", Settings(split="1,0,0"))
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) >= 0.99


TOKENS = st.sampled_from(["0", "1", "-1", "0.5", "1e-3", "nan", "inf", "1e999", "x", "é", "9" * 5000, "\t", "\n", "\0"])


@settings(max_examples=100)
@given(text=st.lists(TOKENS | st.text(max_size=3), max_size=30).map(" ".join), names=st.text(max_size=30))
def test_any_text_gives_records_or_a_dataset_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, names: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "yolo"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "a.yaml").write_bytes(f"names: {names}".encode("utf-8", "surrogatepass"))
    found = list[Record]()
    with suppress(DatasetError):
        found.extend(read(folder / "a.txt", Folder(folder, ("person",))))
    synthetic.assert_sound(found)


@settings(max_examples=50)
@given(data=st.binary(max_size=99))
def test_any_bytes_give_records_or_a_dataset_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.txt"
    file.write_bytes(data)
    found = list[Record]()
    claims(file, data.decode("utf-8", "replace"), Path("/"))
    with suppress(DatasetError):
        found.extend(read(file, Folder(file.parent, ("person",))))
    synthetic.assert_sound(found)
