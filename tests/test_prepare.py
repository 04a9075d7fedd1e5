"""`prepare` end to end: real files in, a dataset out, every annotation accounted for."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotated import coco, supervisely
from annotated.coco import Item
from annotated.photographs import items, photograph
from annotated.supervisely import bitmap
from figureground.data.account import account
from figureground.data.manifest import read_manifest
from figureground.data.prepare import Settings, prepare
from figureground.data.reading import STATE
from figureground.errors import DatasetError
from figureground.images import read_image, read_matte, write_image

ALL_TRAIN = Settings(split="1,0,0")


@pytest.fixture
def photographs(tmp_path: Path) -> list[Item]:
    return items(tmp_path / "photographs", 6)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "figureground", "prepare", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


def rejects(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "rejects.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def masks(dataset: Path) -> dict[str, Any]:
    """Of every picture, by the last part of its id."""
    return {re.split(r"[_-]", item.id)[-1]: read_matte(item.mask) for item in read_manifest(dataset)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_dataset_is_as_the_formats_page_says(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "people", photographs, "runs")
    before = files(source)
    result = prepare([source], tmp_path / "dataset")
    assert files(source) == before
    assert sorted(path.name for path in (tmp_path / "dataset").iterdir()) == [
        "dataset.json",
        "images",
        "manifest.csv",
        "masks",
        "rejects.csv",
    ]
    for item, (name, file, mask) in zip(read_manifest(tmp_path / "dataset"), photographs, strict=True):
        assert item.id == f"people_images-{Path(name).stem}"
        assert item.image.read_bytes() == file.read_bytes()
        assert (item.width, item.height, item.source, item.group) == (64, 48, "people", f"people/images/{name}")
        np.testing.assert_array_equal(read_matte(item.mask), mask * 255)
        with Image.open(item.mask) as stored:
            assert stored.mode == "L"
    with (tmp_path / "dataset" / "manifest.csv").open() as manifest:
        row = next(csv.DictReader(manifest))
    assert row["sha256"] == hashlib.sha256(photographs[0][1].read_bytes()).hexdigest()
    assert float(row["coverage"]) == pytest.approx(photographs[0][2].mean(), abs=1e-4)
    assert row["licence"] == "not stated"
    description = json.loads((tmp_path / "dataset" / "dataset.json").read_text())
    assert description["licences"] == {"people": {"not stated": 6}}
    assert sum(description["counts"]["people"].values()) == 6
    assert (result.accepted, result.repaired, result.rejected) == (6, 0, 0)
    assert rejects(tmp_path / "dataset") == []


def test_two_runs_give_the_same_bytes(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "people", photographs)
    for name in ("one", "two", "two"):  # the last one again, over what is there
        prepare([source], tmp_path / name / "dataset")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_union_of_objects_with_holes_of_their_own(tmp_path: Path) -> None:
    """A hole of one object does not cut another; a hole's outline is not filled, as the starting point did."""
    write_image(tmp_path / "s/ds1/img/a.png", photograph(0))
    ring = {
        "exterior": [[10, 10], [40, 10], [40, 40], [10, 40]],
        "interior": [[[20, 20], [30, 20], [30, 30], [20, 30]]],
    }
    inner = {"exterior": [[24, 24], [26, 24], [26, 26], [24, 26]], "interior": []}
    objects = [{"classTitle": "person_poly", "geometryType": "polygon", "points": p} for p in (ring, inner)]
    document = {"size": {"width": 64, "height": 48}, "objects": objects, "tags": []}
    (tmp_path / "s/ds1/ann").mkdir()
    (tmp_path / "s/ds1/ann/a.png.json").write_text(json.dumps(document))
    prepare([tmp_path / "s"], tmp_path / "d", ALL_TRAIN)
    (matte,) = masks(tmp_path / "d").values()
    assert matte[15, 15] == 255
    assert matte[22, 22] == 0
    assert matte[25, 25] == 255
    assert (matte > 0).sum() == 31 * 31 - 11 * 11 + 3 * 3


def test_bitmaps_are_kept_with_their_pictures_and_neutral_is_no_person(tmp_path: Path, photographs: list[Item]) -> None:
    """The starting point dropped 3,700 of 5,711 pictures, whose people were bitmaps."""
    source = supervisely.write(tmp_path / "s", photographs, "bitmaps")
    path = source / "ds1/ann/000.png.json"
    document = json.loads(path.read_text())
    everything = np.ones((48, 64), bool)
    document["objects"].append(bitmap(everything, "neutral"))
    path.unlink()
    (source / "ds1/ann/000.json").write_text(json.dumps(document))  # the other way to name them
    result = prepare([source], tmp_path / "d", ALL_TRAIN)
    for (_, _, mask), matte in zip(photographs, masks(tmp_path / "d").values(), strict=True):
        np.testing.assert_array_equal(matte, mask * 255)
    assert result.ignored == 1
    assert result.accepted == 12


def test_real_supervisely_bitmaps(shared_data: Path, tmp_path: Path) -> None:
    samples = json.loads((shared_data / "formats/supervisely/real_bitmap_strings.json").read_text())
    write_image(tmp_path / "s/ds1/img/a.png", photograph(0))
    box = {"data": samples[0]["data"], "origin": [5, 7]}
    document = {"size": {"width": 64, "height": 48}, "objects": [{"classTitle": "person_bmp", "bitmap": box}]}
    (tmp_path / "s/ds1/ann").mkdir()
    (tmp_path / "s/ds1/ann/a.png.json").write_text(json.dumps(document))
    prepare([tmp_path / "s"], tmp_path / "d", ALL_TRAIN)
    (matte,) = masks(tmp_path / "d").values()
    np.testing.assert_array_equal(matte[7:10, 5:8], samples[0]["alpha"])
    assert (matte > 0).sum() == 8


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_alpha_masks_of_supervisely(tmp_path: Path, packed: bool, mode: str) -> None:
    """Soft, and from newer servers without zlib around the PNG."""
    write_image(tmp_path / "s/ds1/img/a.png", photograph(0))
    alpha = Image.fromarray(np.array([[0, 77, 255]], np.uint8))
    stream = BytesIO()
    (alpha if mode == "L" else Image.merge("RGBA", [alpha] * 4)).save(stream, "PNG")
    data = zlib.compress(stream.getvalue()) if packed else stream.getvalue()
    shape = {"data": base64.b64encode(data).decode(), "origin": [5, 7]}
    document = {
        "size": {"width": 64, "height": 48},
        "objects": [{"classTitle": "person", "geometryType": "alpha_mask", "bitmap": shape}],
    }
    (tmp_path / "s/ds1/ann").mkdir()
    (tmp_path / "s/ds1/ann/a.png.json").write_text(json.dumps(document))
    assert prepare([tmp_path / "s"], tmp_path / "d", ALL_TRAIN).accepted == 1
    (matte,) = masks(tmp_path / "d").values()
    assert matte[7, 5:8].tolist() == [0, 77, 255]
    assert np.count_nonzero(matte) == 2


@pytest.mark.parametrize("as_stored", [False, True])
def test_a_turned_photograph_agrees_with_its_mask_file(tmp_path: Path, as_stored: bool) -> None:
    stored = photograph(1)
    stored[8:20, 6:30] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for folder in ("images", "masks"):
        (tmp_path / "s" / folder).mkdir(parents=True)
    Image.fromarray(stored).save(tmp_path / "s/images/a.png", exif=exif)
    annotated = stored if as_stored else read_image(tmp_path / "s/images/a.png")
    write_image(tmp_path / "s/masks/a.png", (annotated == (255, 0, 0)).all(axis=2) * np.uint8(255))
    assert prepare([tmp_path / "s"], tmp_path / "d", ALL_TRAIN).accepted == 1
    (item,) = read_manifest(tmp_path / "d")
    np.testing.assert_array_equal(read_matte(item.mask) > 0, (read_image(item.image) == (255, 0, 0)).all(axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("as_stored", [False, True])
def test_turned_photographs_agree_with_their_masks(tmp_path: Path, orientation: int, as_stored: bool) -> None:
    """Annotated as a viewer shows it, or as it is stored: the size in the annotation tells."""
    stored = photograph(1)
    stored[8:20, 6:30] = (255, 0, 0)  # the person is what is red
    (tmp_path / "s/images").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "s/images/a.png", exif=exif)
    shown = read_image(tmp_path / "s/images/a.png")
    if as_stored and shown.shape == stored.shape:
        pytest.skip("the same size either way: as shown is meant")
    annotated = stored if as_stored else shown
    red = (annotated == (255, 0, 0)).all(axis=2)
    coco.write(tmp_path / "c", [("a.png", tmp_path / "s/images/a.png", red)], "runs")
    prepare([tmp_path / "c"], tmp_path / "d", ALL_TRAIN)
    (item,) = read_manifest(tmp_path / "d")
    with Image.open(item.image) as stored_image:
        image = np.array(stored_image.convert("RGB"))  # without heeding EXIF
    assert image.shape[:2] == (item.height, item.width)
    np.testing.assert_array_equal(image, shown)
    np.testing.assert_array_equal(read_matte(item.mask) > 0, (image == (255, 0, 0)).all(axis=2))


def test_classes(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    text = (source / "annotations/instances.json").read_text()
    (source / "annotations/instances.json").write_text(text.replace('"person"', '"Dog"'))
    with pytest.raises(DatasetError, match=r"no annotation of class person; there are Dog \(6\)"):
        prepare([source], tmp_path / "d")
    result = prepare([source], tmp_path / "d", Settings(classes=("cat", "dog")))
    assert (result.accepted, result.missing_classes, result.sources_of_nobody) == (6, ["cat"], [])
    assert "no annotation is of class cat\n" in account(result) + "\n"


def test_a_source_that_calls_its_people_otherwise_is_named(tmp_path: Path, photographs: list[Item]) -> None:
    for name in ("a", "b"):
        coco.write(tmp_path / name, photographs, "runs")
    file = tmp_path / "b/annotations/instances.json"
    file.write_text(file.read_text().replace('"person"', '"human"'))
    result = prepare([tmp_path / "a", tmp_path / "b"], tmp_path / "d")
    assert (result.missing_classes, result.sources_of_nobody) == ([], ["b"])
    assert account(result).endswith("\nb: none of its annotations is of a class asked for")


def of_class(name: str, source: Path, number: int) -> None:
    """Write the annotations of a source again to a file in which they are of another class."""
    document = json.loads((source / "annotations/instances.json").read_text())
    document["categories"] = [{"id": number, "name": name}]
    for annotation in document["annotations"]:
        annotation["category_id"] = number
    (source / f"annotations/{name}.json").write_text(json.dumps(document))


def test_files_of_a_class_each_name_the_same_pictures(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    before = prepare([source], tmp_path / "alone", ALL_TRAIN)
    for name, number in (("cat", 5), ("zebra", 6)):  # one before instances.json, one after it
        of_class(name, source, number)
    result = prepare([source], tmp_path / "d", ALL_TRAIN)
    assert (result.accepted, result.rejected, result.empty) == (before.accepted, 0, before.empty)
    assert result.other_classes == {"cat": before.accepted, "zebra": before.accepted}
    assert files(tmp_path / "d/masks") == files(tmp_path / "alone/masks")


def test_objects_of_a_second_file_are_rejected_and_the_pictures_counted(
    tmp_path: Path, photographs: list[Item]
) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    (source / "annotations/others.json").write_bytes((source / "annotations/instances.json").read_bytes())
    result = prepare([source], tmp_path / "d", ALL_TRAIN)
    assert result.rejected == result.incomplete == result.accepted == len(photographs) - result.empty


def test_annotations_may_be_called_as_what_stands_beside_others(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    (source / "annotations/instances.json").rename(source / "dataset.json")
    for path in (source, source / "dataset.json"):
        assert prepare([path], tmp_path / "d", ALL_TRAIN).accepted > 0
    supervisely.write(tmp_path / "s", photographs)
    (tmp_path / "s/meta.json").write_text('{"classes": []}')
    assert prepare([tmp_path / "s"], tmp_path / "d", ALL_TRAIN).rejected == 0


def test_boxes_do_not_stand_before_outlines(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    document = json.loads((source / "annotations/instances.json").read_text())
    for annotation in document["annotations"]:
        annotation["segmentation"] = []
    (source / "annotations/boxes.json").write_text(json.dumps(document))
    result = prepare([source], tmp_path / "d", ALL_TRAIN)
    assert result.accepted == result.rejected == result.incomplete == len(photographs) - result.empty
    assert {(Path(row["file"]).name, row["reason"][:10]) for row in rejects(tmp_path / "d")} == {
        ("boxes.json", "no outline")
    }


def test_annotations_of_which_none_can_be_used_make_no_dataset_of_nobody(
    tmp_path: Path, photographs: list[Item]
) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    file = source / "annotations/instances.json"
    document = json.loads(file.read_text())
    for annotation in document["annotations"]:
        annotation["image_id"] += 1000
    file.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match=r"no annotation can be used, such as .*there is no image with its image_id"):
        prepare([source], tmp_path / "d")


def test_splits_stay_when_pictures_are_added(tmp_path: Path) -> None:
    photographs = items(tmp_path / "photographs", 60)
    before = {}
    for count in (30, 60):
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        prepare([coco.write(tmp_path / "c", photographs[:count], "runs")], tmp_path / "d", Settings(split=".5,.3,.2"))
        splits = {item.id: item.split for item in read_manifest(tmp_path / "d")}
        assert before.items() <= splits.items()
        before = splits
    assert set(before.values()) == {"train", "val", "test"}


def test_group_by_and_near_duplicates_keep_pictures_together(tmp_path: Path) -> None:
    frames = [
        (f"{person}-{number}.png", photograph(10 * person + number)) for person in range(8) for number in range(3)
    ]
    twin = np.clip(photograph(10).astype(int) + 6, 0, 255).astype(np.uint8)  # 1-0, a little brighter
    found = []
    for name, frame in [*frames, ("twin.png", twin)]:
        write_image(tmp_path / "p" / name, frame)
        found.append((name, tmp_path / "p" / name, np.ones(frame.shape[:2], bool)))
    settings = Settings(split=".5,.5", group_by=r"(\d+)-\d+")
    result = prepare([coco.write(tmp_path / "c", found, "runs")], tmp_path / "d", settings)
    items_ = {re.split("images-", item.id)[1]: item for item in read_manifest(tmp_path / "d")}
    for name, item in items_.items():
        mate = "1-0" if name == "twin" else f"{name[0]}-0"
        assert (item.group, item.split) == (items_[mate].group, items_[mate].split)
    assert (result.near_duplicates, result.ungrouped) == (1, 1)  # the twin
    assert len({item.group for item in items_.values()}) == 8
    assert {item.split for item in items_.values()} == {"train", "val"}


def in_test(count: int) -> dict[str, int]:
    return {"train": 0, "val": 0, "test": count}


def test_prepared_datasets_are_merged_filtered_and_split_anew(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 50)):
        found = []
        for number in range(8):
            write_image(tmp_path / name / f"{number}.png", photograph(seed + number))
            part = np.zeros((48, 64), bool)
            part[:, : 8 * number] = True  # number eighths
            found.append((f"{number}.png", tmp_path / name / f"{number}.png", part))
        prepare([coco.write(tmp_path / f"c{name}", found, "runs")], tmp_path / f"d{name}", Settings(split="0,0,1"))
    both = [tmp_path / "done", tmp_path / "dtwo"]
    merged = prepare(both, tmp_path / "merged")
    assert merged.pictures == {"cone": in_test(8), "ctwo": in_test(8)}
    ids = [item.id for item in read_manifest(tmp_path / "merged")]
    assert ids[0] == "cone_images-0"
    resplit = prepare(both, tmp_path / "resplit", Settings(split="1,0,0"))
    assert resplit.pictures["cone"]["train"] == 8
    one = prepare(both, tmp_path / "filtered", Settings(only_sources=("ctwo",), coverage=(0.2, 0.6)))
    assert one.pictures == {"ctwo": in_test(3)}
    assert (one.other_sources, one.out_of_coverage) == (8, 5)
    assert len(files(tmp_path / "filtered")) == 3 + 2 * 3
    with pytest.raises(DatasetError, match="--classes dog: the masks of a prepared dataset have no classes"):
        prepare(both, tmp_path / "dogs", Settings(classes=("dog",)))


def test_pictures_of_one_name_in_different_folders(tmp_path: Path) -> None:
    found = []
    for folder in ("a", "b"):
        write_image(tmp_path / "c" / folder / "same.png", photograph(ord(folder)))
        found.append({"id": folder, "file_name": f"{folder}/same.png"})
    found.append({"id": "c", "file_name": "same.png"})
    ring = [[5, 5, 20, 5, 20, 20, 5, 20]]
    annotations = [{"id": i, "image_id": i, "category_id": 1, "segmentation": ring} for i in "abc"]
    document = {"images": found, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "c/x.json").write_text(json.dumps(document))
    result = prepare([tmp_path / "c"], tmp_path / "d")
    assert [item.id for item in read_manifest(tmp_path / "d")] == ["c_a-same", "c_b-same"]
    assert result.rejected == 1
    (row,) = rejects(tmp_path / "d")
    assert "several pictures are called same.png" in row["reason"]
    assert row["annotation"] == "c"


def test_a_picture_whose_people_are_all_broken_is_not_called_empty(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    path = source / "annotations/instances.json"
    document = json.loads(path.read_text())
    document["annotations"][2]["segmentation"] = [[1, 1, 2, 2]]
    path.write_text(json.dumps(document))
    result = prepare([source], tmp_path / "d")
    assert (len(read_manifest(tmp_path / "d")), result.rejected) == (5, 1)


def test_killed_and_run_again_it_goes_on(tmp_path: Path) -> None:
    source = coco.write(tmp_path / "c", items(tmp_path / "photographs", 300, ".jpg", 320, 240), "runs")
    prepare([source], tmp_path / "whole" / "d")
    killed = tmp_path / "killed" / "d"
    line = [sys.executable, "-m", "figureground", "prepare", str(source), "--output", str(killed)]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(killed.glob("masks/c_*"))) < 80 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (killed / STATE).exists()
    assert not (killed / "manifest.csv").exists()
    done = {path: path.stat().st_mtime_ns for path in killed.glob("masks/c_*")}
    assert len(done) < 300
    result = prepare([source], killed)
    kept = sum(path.stat().st_mtime_ns == was for path, was in done.items())
    assert kept >= len(done) - 64 - 32  # what was not yet told to the state is done again
    assert result.accepted == 300
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_changed_source_is_begun_anew(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    prepare([source], tmp_path / "d")
    shutil.rmtree(source)
    coco.write(source, photographs[:4], "runs")
    prepare([source], tmp_path / "d")
    assert len(files(tmp_path / "d")) == 3 + 2 * 4  # what the earlier run wrote is gone
    assert len(read_manifest(tmp_path / "d")) == 4


def test_output_that_is_not_ours_is_left_alone(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs, "runs")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").write_text("x")
    with pytest.raises(DatasetError, match="did not write"):
        prepare([source], tmp_path / "d")
    for inside in (source, source / "out", tmp_path):
        with pytest.raises(DatasetError, match="overlaps the source"):
            prepare([source], inside)


def test_command_line(tmp_path: Path, photographs: list[Item]) -> None:
    source = coco.write(tmp_path / "c", photographs)
    path = source / "annotations/instances.json"
    document = json.loads(path.read_text())
    document["annotations"].append({"id": "broken", "image_id": 1, "category_id": 1, "segmentation": [[1, 1]]})
    path.write_text(json.dumps(document))
    done = command(source, "--output", tmp_path / "d", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["accepted"] + told["repaired"] == 6
    assert told["rejected"] == 1
    assert done.stderr == ""
    done = command(source, "--output", tmp_path / "d", "--strict")
    assert done.returncode == 1
    assert "1 rejected" in done.stdout
    (row,) = [row for row in rejects(tmp_path / "d") if row["action"] == "rejected"]
    assert row["annotation"] == "broken"
    assert row["place"] == "annotations[6]"
    for wrong, hint in (
        (["--split", "0.5,0.4"], "--split 0.5,0.4: want the shares"),
        (["--group-by", "("], "not a regular expression"),
        (["--format", "coca"], "--format coca: want auto, coco"),
        (["--coverage", "a"], "--coverage a: want two numbers"),
        (["--coverage", "0.5,0.1"], "--coverage"),
        (["--classes", ","], "--classes: want one name"),
    ):
        done = command(source, "--output", tmp_path / "e", *wrong)
        assert done.returncode == 2
        assert hint in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert command(tmp_path / "nowhere", "--output", tmp_path / "e").stderr.endswith("no such file or folder\n")
