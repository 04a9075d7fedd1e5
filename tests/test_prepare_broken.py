"""Broken input: each fault with a reason of its own in rejects.csv, and the rest imported."""

from __future__ import annotations

import base64
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotated import coco
from annotated.photographs import items, photograph
from figureground.data.manifest import read_manifest
from figureground.data.prepare import Settings, prepare
from figureground.errors import DatasetError
from figureground.images import read_matte, write_image

SQUARE = {"exterior": [[5, 5], [20, 5], [20, 20], [5, 20]], "interior": []}


def annotated(folder: Path, name: str, *objects: Any, **changes: Any) -> Path:
    """A picture of 64x48 in a Supervisely project, with `objects`."""
    number = sum(ord(letter) * 7**place for place, letter in enumerate(name)) % 100_000
    write_image(folder / "ds1/img" / name, photograph(number))
    return described(folder, name, *objects, **changes)


def described(folder: Path, name: str, *objects: Any, **changes: Any) -> Path:
    document = {"size": {"width": 64, "height": 48}, "tags": [], "objects": list(objects)} | changes
    path = folder / "ds1/ann" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def polygon(*points: Any, **changes: Any) -> dict[str, Any]:
    geometry = {"exterior": list(points), "interior": []}
    return {"id": 1, "classTitle": "person_poly", "geometryType": "polygon", "points": geometry} | changes


def bits(data: str) -> dict[str, Any]:
    return {"id": 2, "classTitle": "person_bmp", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [0, 0]}}


def good() -> dict[str, Any]:
    return polygon(*SQUARE["exterior"])


def run(source: Path, dataset: Path) -> dict[str, tuple[str, str]]:
    """Import, and give what was done and why for every annotation file, by its name; the good picture is there."""
    prepare([source], dataset, Settings(split="1,0,0"))
    with (dataset / "rejects.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [item.id for item in read_manifest(dataset) if item.id.endswith("good")]
    return {Path(row["file"]).name.split(".")[0]: (row["action"], row["reason"]) for row in rows}


def test_two_corners_are_a_rectangle(tmp_path: Path) -> None:
    corners = {"points": {"exterior": [[40, 30], [8, 4]], "interior": []}}
    annotated(tmp_path / "s", "box.png", {"classTitle": "person", "geometryType": "rectangle"} | corners)
    annotated(tmp_path / "s", "good.png", good())
    assert run(tmp_path / "s", tmp_path / "d") == {}
    (item,) = (each for each in read_manifest(tmp_path / "d") if each.id.endswith("box"))
    y, x = np.nonzero(read_matte(item.mask))
    assert (x.min(), y.min(), x.max(), y.max(), len(x)) == (8, 4, 40, 30, 33 * 27)


def deflated_zeros(size: int) -> bytes:
    deflater, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(deflater.compress(block) for _ in range(size >> 20)) + deflater.flush()


BROKEN_FILES = {
    "cut": (b'{"size": {"width": 64, "height": 48}, "objects": [{"classTi', "the file ends in the middle"),
    "latin": ('{"size": {"width": 64, "height": 48}, "objects": [], "tags": ["é"]}'.encode("latin-1"), "not UTF-8"),
    "deep": (b'{"size": {"width": 64, "height": 48}, "objects": ' + b"[" * 100_000, "nested too deeply"),
    "number": (b'{"size": {"width": ' + b"9" * 3_000_000, "thousands of digits"),
    "text": (b"just words", "not JSON"),
    "empty": (b"", "the file ends in the middle"),
    "other": (b'{"shapes": []}', "not a Supervisely annotation"),
    "list": (b"[1, 2]", "not a Supervisely annotation"),
}
BROKEN_OBJECTS = {
    "nan": ([polygon([1, 2], [float("nan"), 5], [9, 9])], "rejected", "finite number"),
    "infinite": ([polygon([1, 2], [float("inf"), 5], [9, 9])], "rejected", "finite number"),
    "huge": ([polygon([1, 2], [1e300, 5], [9, 9])], "rejected", "less than or equal"),
    "two": ([polygon([1, 2], [9, 9])], "rejected", "a ring of 2 different points has no inside"),
    "outside": ([polygon([100, 100], [120, 100], [120, 120])], "rejected", "outside the picture of 64x48"),
    "beyond": ([polygon([10, 10], [200, 10], [200, 30], [10, 30])], "repaired", "clipped to the picture"),
    "far": ([polygon([10, 10], [9e8, 10], [9e8, 30], [10, 30])], "repaired", "clipped to the picture"),
    "crossing": ([polygon([5, 5], [30, 30], [30, 5], [5, 30])], "repaired", "touches or crosses itself"),
    "garbage": ([bits("!!! no base64 !!!")], "rejected", "not base64"),
    "stream": ([bits(base64.b64encode(b"no zlib").decode())], "rejected", "no zlib stream"),
    "picture": ([bits(base64.b64encode(zlib.compress(b"no PNG")).decode())], "rejected", "no picture"),
    "kind": ([polygon([5, 5], geometryType="cuboid")], "rejected", "a cuboid: no outline"),
    "nothing": ([polygon(points=None)], "rejected", "a polygon without its data"),
    "untitled": ([{"geometryType": "polygon"}], "rejected", "classTitle: Field required"),
    "string": (["person"], "rejected", "valid dictionary"),
    "half": ([bits("\ud800")], "rejected", "not base64"),
}


def test_broken_files(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    for name, (content, _) in BROKEN_FILES.items():
        annotated(source, f"{name}.png").write_bytes(content)
    found = run(source, tmp_path / "d")
    for name, (_, reason) in BROKEN_FILES.items():
        assert found[name][0] == "rejected"
        assert reason in found[name][1], name


def test_broken_annotations(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    for name, (objects, _, _) in BROKEN_OBJECTS.items():
        annotated(source, f"{name}.png", *objects, good())
    found = run(source, tmp_path / "d")
    for name, (_, action, reason) in BROKEN_OBJECTS.items():
        assert found[name][0] == action, (name, found[name])
        assert reason in found[name][1], name
    mattes = {item.id.split("-")[-1]: read_matte(item.mask) for item in read_manifest(tmp_path / "d")}
    assert set(mattes) == {"good", *BROKEN_OBJECTS}  # the good square on each picture is imported
    assert all(matte[10, 12] == 255 for matte in mattes.values())
    for name in ("beyond", "far"):
        assert (mattes[name][10:31, 10:] == 255).all()
    assert (mattes["crossing"] > 0).sum() > 16 * 16


def test_a_bitmap_that_expands_to_gigabytes_is_not_expanded(tmp_path: Path) -> None:
    """4 GB of zeros, 4 MB packed: prepared by a process that may not have 1.5 GB."""
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    annotated(source, "bomb.png", bits(base64.b64encode(deflated_zeros(4 << 30)).decode()))
    line = [sys.executable, "-m", "figureground", "prepare", str(source), "--output", str(tmp_path / "d")]
    done = subprocess.run(line, capture_output=True, text=True, preexec_fn=lambda: limited(3 << 29))
    assert done.returncode == 0, done.stderr
    assert "a bitmap of more than 64 MiB" in (tmp_path / "d/rejects.csv").read_text()


def limited(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def test_pictures_that_are_not_as_said(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    annotated(source, "size.png", good(), size={"width": 640, "height": 480})
    described(source, "missing.png", good())
    annotated(source, "torn.png", good())
    (source / "ds1/img/torn.png").write_bytes((source / "ds1/img/torn.png").read_bytes()[:100])
    annotated(source, "words.png", good())
    (source / "ds1/img/words.png").write_text("no picture")
    found = run(source, tmp_path / "d")
    assert "of a picture of 640x480, but size.png is 64x48" in found["size"][1]
    assert found["missing"][1] == f"its picture {source / 'ds1/img/missing.png'} is missing"
    assert "cannot be read" in found["torn"][1]
    assert "not a picture" in found["words"][1]


def test_paths_never_lead_out_of_the_source(tmp_path: Path) -> None:
    write_image(tmp_path / "secret.png", photograph(1))
    source = tmp_path / "s"
    (source / "images").mkdir(parents=True)
    write_image(source / "images/good.png", photograph(2))
    (source / "images/link.png").symlink_to(tmp_path / "secret.png")
    (source / "far").symlink_to(tmp_path, target_is_directory=True)
    names = ["good.png", "../secret.png", "images/../../secret.png", str(tmp_path / "secret.png"), "link.png"]
    names += ["C:\\Users\\me\\secret.png", "\\\\server\\share\\secret.png", "a\0b.png", "x" * 5000 + ".png", ""]
    names += ["far/secret.png"]
    document = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "segmentation": [[5, 5, 20, 5, 20, 20, 5, 20]]}
            for number in range(len(names))
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    (source / "instances.json").write_text(json.dumps(document))
    prepare([source], tmp_path / "d")
    with (tmp_path / "d/rejects.csv").open(newline="") as file:
        rows = {row["annotation"]: row["reason"] for row in csv.DictReader(file) if row["annotation"]}
    assert len(read_manifest(tmp_path / "d")) == 1
    assert set(rows) == {str(number) for number in range(1, len(names))}
    linked = {rows.pop(str(names.index(name))) for name in ("link.png", "far/secret.png")}
    assert all(f"is behind a symbolic link out of {source}" in reason for reason in linked), linked
    assert all("is not in" in reason or "no picture is named" in reason for reason in rows.values()), rows


def test_windows_paths_find_the_picture_in_the_source(tmp_path: Path) -> None:
    (tmp_path / "s/photos").mkdir(parents=True)
    write_image(tmp_path / "s/photos/a.png", photograph(2))
    write_image(tmp_path / "s/photos/b.png", photograph(3))
    ring = [[5, 5, 20, 5, 20, 20]]
    document = {
        "images": [{"id": 1, "file_name": "photos\\a.png"}, {"id": 2, "file_name": "D:\\data\\b.png"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "segmentation": ring} for i in (1, 2)],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "s/x.json").write_text(json.dumps(document))
    prepare([tmp_path / "s"], tmp_path / "d")
    assert len(read_manifest(tmp_path / "d")) == 2
    assert "its picture is not at D:\\data\\b.png: took " in (tmp_path / "d/rejects.csv").read_text()


def test_links_in_circles(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    (source / "ds1/ann/circle.png.json").symlink_to(source / "ds1/ann/circle.png.json")
    (source / "ds1/up").symlink_to(source, target_is_directory=True)
    (source / "ds1/ann/nowhere.json").symlink_to(source / "gone")
    found = run(source, tmp_path / "d")
    assert "a symbolic link to a folder: not followed" in found["up"][1]
    assert "a symbolic link that leads nowhere" in found["nowhere"][1]
    assert found["circle"][0] == "rejected"


def test_names_that_are_no_characters(tmp_path: Path) -> None:
    """As archives made elsewhere leave them."""
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    folder = source / "ds1/ann"
    try:
        (folder / os.fsdecode(b"caf\xe9.png.json")).write_bytes((folder / "good.png.json").read_bytes())
    except OSError:
        pytest.skip("this file system wants UTF-8")
    assert run(source, tmp_path / "d")["caf?"] == ("rejected", "its name has bytes that are no characters: rename it")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    os.mkfifo(source / "ds1/ann/pipe.png.json")  # opening it would wait for ever
    annotated(source, "locked.png", good()).chmod(0)
    found = run(source, tmp_path / "d")
    assert found["pipe"] == ("rejected", "not a regular file")
    if os.geteuid() != 0:  # root reads everything
        assert "cannot be read" in found["locked"][1]


def rows(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "rejects.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def coco_of(folder: Path, images: list[dict[str, Any]], segmentation: Any = None) -> Path:
    """A COCO file with one annotation an image."""
    ring = segmentation or [[5, 5, 20, 5, 20, 20, 5, 20]]
    annotations = [{"id": i["id"], "image_id": i["id"], "category_id": 1, "segmentation": ring} for i in images]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def test_a_picture_missing_from_its_folder_is_not_another_of_its_name(tmp_path: Path) -> None:
    for name in ("train/a.png", "val/b.png"):
        write_image(tmp_path / "s" / name, photograph(len(name)))
    images = [{"id": 1, "file_name": "train/a.png"}, {"id": 2, "file_name": "train/b.png"}]
    prepare([coco_of(tmp_path / "s", images)], tmp_path / "d")
    assert len(read_manifest(tmp_path / "d")) == 1
    (row,) = rows(tmp_path / "d")
    assert "its picture train/b.png is not in" in row["reason"]


def test_pictures_of_one_name_are_those_of_the_subset_that_the_file_is_called_by(tmp_path: Path) -> None:
    """As CVAT exports a project: annotations/instances_train.json names frame_000000.png of images/train."""
    (tmp_path / "s/annotations").mkdir(parents=True)
    for number, subset in enumerate(("train", "val"), 1):
        write_image(tmp_path / "s/images" / subset / "a.png", photograph(number))
        coco_of(tmp_path / "s/annotations", [{"id": 1, "file_name": "a.png"}])
        (tmp_path / "s/annotations/instances.json").rename(tmp_path / f"s/annotations/instances_{subset}.json")
    assert prepare([tmp_path / "s"], tmp_path / "d").accepted == 2
    assert [item.id for item in read_manifest(tmp_path / "d")] == ["s_images-train-a", "s_images-val-a"]
    (tmp_path / "s/images/train/a.png").rename(tmp_path / "s/images/train/b.png")
    prepare([tmp_path / "s"], tmp_path / "d")
    (row,) = rows(tmp_path / "d")
    assert row["file"].endswith("instances_train.json")
    assert "its picture a.png is not in" in row["reason"]


def test_a_picture_found_elsewhere_than_the_others_is_told(tmp_path: Path) -> None:
    for name in ("a.png", "old/b.png"):
        write_image(tmp_path / "s" / name, photograph(len(name)))
    prepare(
        [coco_of(tmp_path / "s", [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}])], tmp_path / "d"
    )
    (row,) = rows(tmp_path / "d")
    assert (row["action"], row["reason"]) == (
        "repaired",
        f"its picture is not at b.png: took {tmp_path / 's/old/b.png'}",
    )


@pytest.mark.parametrize("there", ["IMG_1.jpg", "Mu\u0308ller.JPG"])
@pytest.mark.parametrize("named", ["{}", "images/{}", "C:\\photos\\{}"])
def test_names_that_another_system_takes_for_the_same(tmp_path: Path, there: str, named: str) -> None:
    """Windows heeds no case, and macOS writes an accent as a character of its own."""
    write_image(tmp_path / "s/images" / there, photograph(1))
    name = unicodedata.normalize("NFC", there).replace("jpg", "JPG").replace("M", "m")
    if (tmp_path / "s/images" / name).exists():
        pytest.skip("this system takes them for the same itself")
    written = named.format(name)
    prepare([coco_of(tmp_path / "s", [{"id": 1, "file_name": written}])], tmp_path / "d")
    (row,) = rows(tmp_path / "d")
    assert (row["action"], row["reason"]) == (
        "repaired",
        f"its picture is not at {written}: took {tmp_path / 's/images' / there}",
    )


def test_a_picture_missing_from_its_dataset_is_not_another_datasets(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    described(source, "a.png", good())
    annotated(tmp_path / "other", "a.png", polygon(*SQUARE["exterior"][:3]))
    (tmp_path / "other/ds1").rename(source / "ds2")
    assert run(source, tmp_path / "d")["a"] == ("rejected", f"its picture {source / 'ds1/img/a.png'} is missing")
    (item,) = (each for each in read_manifest(tmp_path / "d") if each.id.endswith("a"))
    assert np.count_nonzero(read_matte(item.mask)) == 136  # half of the square: its own annotation


def labelme_of(file: Path, name: str, corner: int, data: bytes = b"") -> None:
    """A file of labelme with a square from (0, 0) to (corner, corner), of a picture of 64x48."""
    shape = {"label": "person", "points": [[0, 0], [corner, corner]], "shape_type": "rectangle"}
    document = {"shapes": [shape], "imagePath": name, "imageHeight": 48, "imageWidth": 64}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document | {"imageData": base64.b64encode(data).decode() or None}))


def test_a_picture_missing_beside_its_file_is_not_another_folders(tmp_path: Path) -> None:
    source = tmp_path / "s"
    for name in ("monday/b.png", "tuesday/a.png"):
        write_image(source / name, photograph(len(name)))
    labelme_of(source / "monday/a.json", "a.png", 9)
    labelme_of(source / "monday/b.json", "b.png", 9)
    labelme_of(source / "tuesday/a.json", "a.png", 19)
    prepare([source], tmp_path / "d")
    (row,) = rows(tmp_path / "d")
    assert row["reason"] == f"its picture {source / 'monday/a.png'} is missing"
    areas = {item.id: np.count_nonzero(read_matte(item.mask)) for item in read_manifest(tmp_path / "d")}
    assert areas == {"s_monday-b": 100, "s_tuesday-a": 400}


def test_a_picture_inside_its_file_is_taken_before_another_of_its_name(tmp_path: Path) -> None:
    write_image(tmp_path / "s/a.png", photograph(1))
    write_image(tmp_path / "inside.png", photograph(2))
    labelme_of(tmp_path / "s/deep/a.json", "a.png", 9, (tmp_path / "inside.png").read_bytes())
    prepare([tmp_path / "s"], tmp_path / "d")
    (item,) = read_manifest(tmp_path / "d")
    assert item.image.read_bytes() == (tmp_path / "inside.png").read_bytes()


def test_run_lengths_of_another_picture_are_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "s" / name, photograph(ord(name[0])))
    images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}, {"id": 2, "file_name": "b.png"}]
    source = coco_of(tmp_path / "s", images, {"size": [24, 32], "counts": [0, 24 * 32]})
    with pytest.raises(DatasetError, match="no picture could be used"):
        prepare([source], tmp_path / "d")
    stated, unstated = sorted(row["reason"] for row in rows(tmp_path / "d"))
    assert stated == "run lengths of 32x24, the picture is 64x48"
    assert unstated == "the annotation is of a picture of 32x24, but b.png is 64x48"


def test_run_lengths_tell_that_a_photograph_was_annotated_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "s").mkdir()
    Image.fromarray(photograph(1)).save(tmp_path / "s/a.png", exif=exif)
    left_half = [48 * 32, 48 * 32]
    source = coco_of(tmp_path / "s", [{"id": 1, "file_name": "a.png"}], {"size": [48, 64], "counts": left_half})
    prepare([source], tmp_path / "d")
    (item,) = read_manifest(tmp_path / "d")
    matte = read_matte(item.mask)
    assert matte.shape == (64, 48)
    assert (matte[32:] == 255).all()
    assert not matte[:32].any()


def test_an_outline_too_long_to_fill_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "s"
    annotated(source, "good.png", good())
    write_image(source / "ds1/img/long.png", np.zeros((1000, 1000, 3), np.uint8))
    points = [[number % 2 * 999, number % 1000] for number in range(20_000)]
    described(source, "long.png", polygon(*points), size={"width": 1000, "height": 1000})
    assert "pixels long: want at most" in run(source, tmp_path / "d")["long"][1]


def test_a_filter_that_leaves_nothing_leaves_the_dataset(tmp_path: Path) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 5), "runs")
    prepare([source], tmp_path / "d")
    before = (tmp_path / "d/manifest.csv").read_bytes()
    for settings, reason in (
        (Settings(coverage=(0.99, 1.0)), "all were filtered out"),
        (Settings(only_sources=("c", "nope")), "--only-sources nope: there is none; there are c"),
        (Settings(group_by=r"subjct\d"), "--group-by .*: matches no picture's path, such as c/images/000.png"),
    ):
        with pytest.raises(DatasetError, match=reason):
            prepare([source], tmp_path / "d", settings)
        assert (tmp_path / "d/manifest.csv").read_bytes() == before
        assert all(item.image.is_file() and item.mask.is_file() for item in read_manifest(tmp_path / "d"))


def test_why_nothing_is_left_is_said_by_what_was_rejected(tmp_path: Path) -> None:
    annotated(tmp_path / "s", "a.png", *BROKEN_OBJECTS["beyond"][0])
    annotated(tmp_path / "s", "b.png", *BROKEN_OBJECTS["two"][0])
    with pytest.raises(DatasetError, match=r"1 rejected, such as .*b\.png\.json: a ring of 2 different points"):
        prepare([tmp_path / "s"], tmp_path / "d", Settings(coverage=(0.99, 1.0)))


def test_prepared_datasets_that_are_broken(tmp_path: Path) -> None:
    for name in ("d", "header"):
        prepare([coco.write(tmp_path / f"c{name}", items(tmp_path / name, 5), "runs")], tmp_path / name / "d")
    write_image(tmp_path / "secret.png", np.full((48, 64), 255, np.uint8))
    dataset = tmp_path / "d/d"
    masks = sorted((dataset / "masks").iterdir())
    masks[0].unlink()
    masks[0].symlink_to(tmp_path / "secret.png")
    masks[1].unlink()
    os.mkfifo(masks[1])
    sorted((dataset / "images").iterdir())[2].unlink()
    assert prepare([dataset], tmp_path / "again").rejected == 3
    assert len(read_manifest(tmp_path / "again")) == 2
    manifest = tmp_path / "header/d/manifest.csv"
    manifest.write_text(manifest.read_text().replace("licence", "license"))
    with pytest.raises(DatasetError, match="column 'licence' is missing"):
        prepare([tmp_path / "header/d"], tmp_path / "again2")


@pytest.mark.parametrize("notation", ["auto", "coco"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, notation: str) -> None:
    (tmp_path / "s").mkdir()
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "s")
    with pytest.raises(DatasetError, match=r"export\.zip: is an archive; unpack it and name the folder"):
        prepare([Path(archive)], tmp_path / "d", Settings(notation))


def test_roots_by_other_names(tmp_path: Path) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "p", 3), "runs")
    (tmp_path / "link").symlink_to(source)
    roundabout = tmp_path / "gone" / ".." / "c"
    for number, root in enumerate((tmp_path / "link", roundabout)):
        assert prepare([root], tmp_path / f"d{number}").accepted == 3
