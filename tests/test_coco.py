"""COCO instances: pixel for pixel as pycocotools, and every oddity of real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from annotated import synthetic
from figureground.data.json_stream import JsonError
from figureground.data.notations import coco
from figureground.data.rasterize import rasterize
from figureground.data.records import Folder, Picture, Polygons, Problem, Rle
from figureground.errors import DatasetError

SAMPLES = (
    "labelme_export_voc3.annotations.json",
    "labelbox_rle.json",
    "labelbox_instances.json",
    "datumaro_instances_train.json",
    "datumaro_instances_val.json",
)

KEYS = ("images", "annotations", "categories", "segmentation", "counts", "size", "file_name", "width", "height", "name")
KEYS += ("id", "image_id", "category_id")


def records(document: Any, folder: Path) -> tuple[list[Picture], list[Problem]]:
    path = folder / "instances.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    found = list(coco.read(path, Folder(folder, ("person",))))
    return [r for r in found if isinstance(r, Picture)], [r for r in found if isinstance(r, Problem)]


def instances(*segmentations: Any, **image: Any) -> dict[str, Any]:
    """A document of one picture of 20x10 with one annotation a segmentation."""
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 20, "height": 10} | image],
        "annotations": [
            {"id": number, "image_id": 7, "category_id": 1, "segmentation": segmentation, "iscrowd": 0}
            for number, segmentation in enumerate(segmentations)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }


def expected(segmentation: Any, height: int, width: int) -> np.ndarray[Any, Any]:
    """As COCO.annToMask of pycocotools."""
    if isinstance(segmentation, list):
        runs = reference.merge(reference.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        runs = reference.frPyObjects(segmentation, height, width)
    else:
        runs = segmentation
    return np.asarray(reference.decode(runs))


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_agree_with_pycocotools_on_every_annotation(shared_data: Path, name: str) -> None:
    path = shared_data / "formats" / "coco" / name
    document = json.loads(path.read_text())
    by_id = {str(annotation["id"]): annotation for annotation in document["annotations"]}
    pictures = [r for r in coco.read(path, Folder(path.parent, ("person",))) if isinstance(r, Picture)]
    assert len(pictures) == len(document["images"])
    compared = 0
    for picture in pictures:
        assert picture.height is not None
        assert picture.width is not None
        for item in picture.objects:
            segmentation = by_id.pop(item.id)["segmentation"]
            if not segmentation:  # a box only, of which pycocotools can make no mask either
                assert "segmentation is empty" in item.problem
                continue
            wanted = expected(segmentation, picture.height, picture.width)
            assert item.shape is not None, item.problem
            if not wanted.any():
                with pytest.raises(DatasetError, match="no pixel"):
                    rasterize(item.shape, picture.height, picture.width)
                continue
            np.testing.assert_array_equal(rasterize(item.shape, picture.height, picture.width)[0], wanted * 255)
            compared += 1
    assert not by_id
    assert compared or name == "datumaro_instances_train.json"


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_compressed_runs_are_those_of_pycocotools(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    runs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    shape = Rle(coco.uncompressed(runs["counts"].decode()), width, height)
    if mask.any():
        np.testing.assert_array_equal(rasterize(shape, height, width)[0], mask * 255)
    else:
        assert sum(shape.counts) == height * width


@settings(max_examples=300)
@given(st.text(st.characters(min_codepoint=0, max_codepoint=130)))
def test_any_text_is_runs_or_an_error(text: str) -> None:
    """In pycocotools itself, a last character that promises another makes it read beyond the text."""
    try:
        counts = coco.uncompressed(text)
    except DatasetError:
        return
    assert all(isinstance(count, int) for count in counts)


def test_runs_that_do_not_fill_the_window_are_refused() -> None:
    for counts in ([10, 10], [10, -5, 195], [], [10**12]):
        with pytest.raises(DatasetError, match="run length"):
            rasterize(Rle(counts, 20, 10), 10, 20)
    with pytest.raises(DatasetError, match="want 1 to"):
        rasterize(Rle([1 << 40], 1 << 20, 1 << 20, order="rows"), 10, 20)


def test_all_kinds_of_segmentation(tmp_path: Path) -> None:
    square, second = [2, 2, 8, 2, 8, 8, 2, 8], [10, 1, 15, 1, 15, 6, 10, 6]
    runs = {"size": [10, 20], "counts": [100, 50, 50]}
    text = {"size": [10, 20], "counts": reference.frPyObjects(runs, 10, 20)["counts"].decode()}
    (picture,), problems = records(instances([square, second], runs, text, square), tmp_path)
    assert not problems
    parts, plain, compressed, flat = picture.objects
    assert isinstance(parts.shape, Polygons)
    assert len(parts.shape.outlines) == 2  # the starting point joined them into one
    assert rasterize(parts.shape, 10, 20)[0].astype(bool).sum() == 36 + 25
    assert plain.shape == compressed.shape == Rle([100, 50, 50], 20, 10)
    assert flat.shape == Polygons([[(2.0, 2.0), (8.0, 2.0), (8.0, 8.0), (2.0, 8.0)]], fill="coco")
    assert "flat list" in flat.problem


def test_every_annotation_of_a_picture_is_kept_and_pictures_without_any_too(tmp_path: Path) -> None:
    """The starting point kept the last annotation only."""
    document = instances(*([[x, 0, x + 2, 0, x + 2, 2, x, 2]] for x in range(0, 18, 3)))
    document["images"].append({"id": 8, "file_name": "nobody.jpg", "license": 3})
    document["licenses"] = [{"id": 3, "name": "CC BY"}, {"id": 4, "name": None}]
    pictures, problems = records(document, tmp_path)
    assert [len(picture.objects) for picture in pictures] == [6, 0]
    assert pictures[1].licence == "CC BY"
    assert pictures[1].width is None
    assert not problems


def test_lists_may_stand_in_any_order(tmp_path: Path) -> None:
    document = instances([[1, 1, 5, 1, 5, 5]])
    turned = {key: document[key] for key in ("annotations", "categories", "images")}
    assert records(turned, tmp_path) == records(document, tmp_path)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([], "segmentation is empty"),
        (None, "segmentation is empty"),
        ([[1, 2, 3]], "odd number of coordinates"),
        ([[1, 2, float("nan"), 4, 5, 6]], "finite number"),
        ([[1, 2, float("inf"), 4, 5, 6]], "finite number"),
        ([[1, 2, 1e300, 4, 5, 6]], "less than or equal to"),
        ([["1", 2, 3, 4, 5, 6]], "0.0: Input should be a valid number"),
        ("polygon", "valid list"),
        ({"counts": "0", "size": [10]}, "size.1"),
        ({"counts": "~", "size": [10, 20]}, "outside 0 to o"),
        ({"counts": "o", "size": [10, 20]}, "end in the middle"),
        ({"counts": "o" * 20, "size": [10, 20]}, "over 32 bits"),
        ({"counts": [1.5], "size": [10, 20]}, "counts.0: Input should be a valid integer, got a number"),
        ({"counts": [-5, 10], "size": [10, 20]}, "counts.0: Input should be greater than or equal to 0, got -5"),
        ({"counts": None, "size": [10, 20]}, "counts: Input should be a valid string or a valid list, got None"),
    ],
)
def test_broken_segmentations_have_their_reasons(tmp_path: Path, segmentation: Any, reason: str) -> None:
    (picture,), _ = records(instances(segmentation, [[1, 1, 5, 1, 5, 5]]), tmp_path)
    broken, whole = picture.objects
    assert broken.shape is None
    assert reason in broken.problem
    assert broken.place.startswith("annotations[0]")
    assert whole.shape is not None


def test_references_that_lead_nowhere(tmp_path: Path) -> None:
    document = instances([[1, 1, 5, 1, 5, 5]], [[1, 1, 5, 1, 5, 5]])
    document["annotations"][0]["image_id"] = 99
    document["annotations"][1]["category_id"] = 99
    document["annotations"].append({"id": 5})
    document["images"].append(document["images"][0])
    (picture,), problems = records(document, tmp_path)
    assert picture.objects[0].problem == "there is no category with its category_id 99"
    reasons = {problem.annotation: problem.reason for problem in problems}
    assert reasons["0"] == "there is no image with its image_id 99"
    assert "Field required" in reasons["5"]
    assert reasons["7"] == "a second image with the id 7"


def test_cut_off_files_give_what_stands_before_the_cut(tmp_path: Path) -> None:
    document = instances(*([[x, 0, x + 2, 0, x + 2, 2]] for x in range(6)))
    text = json.dumps({key: document[key] for key in ("categories", "images", "annotations")})
    path = tmp_path / "instances.json"
    path.write_text(text[: text.rindex('"id"')])
    found = []
    with pytest.raises(JsonError, match="ends in the middle") as error:  # noqa: PT012
        for record in coco.read(path, Folder(tmp_path, ("person",))):
            found.append(record)
    assert error.value.place == "annotations[5]"
    (picture,) = found
    assert isinstance(picture, Picture)
    assert len(picture.objects) == 5


def test_a_picture_whose_annotations_may_be_cut_off_is_not_one_of_nobody(tmp_path: Path) -> None:
    document = instances([[1, 1, 5, 1, 5, 5]], [[1, 1, 5, 1, 5, 5]])
    document["images"].append({"id": 8, "file_name": "b.jpg"})
    document["annotations"][1]["image_id"] = 8
    ordered = json.dumps({key: document[key] for key in ("categories", "images", "annotations")})
    path = tmp_path / "instances.json"
    for text in (ordered[: ordered.rindex('"id"')], ordered[: ordered.index('"annotations"')]):
        path.write_text(text)
        found = []
        with pytest.raises(JsonError, match="ends in the middle"):  # noqa: PT012
            for record in coco.read(path, Folder(tmp_path, ("person",))):
                found.append(record)
        assert all(picture.objects and picture.partial for picture in found if isinstance(picture, Picture))
        assert "not taken for a picture of nobody" in [each for each in found if isinstance(each, Problem)][-1].reason


def test_a_broken_annotation_stays_with_its_picture(tmp_path: Path) -> None:
    document = instances([[1, 1, 5, 1, 5, 5]])
    document["annotations"][0]["category_id"] = None
    (picture,), problems = records(document, tmp_path)
    assert [(item.id, item.place, item.shape) for item in picture.objects] == [("0", "annotations[0]", None)]
    assert "category_id" in picture.objects[0].problem
    assert not problems


@pytest.mark.parametrize("written", [str, float])
def test_ids_are_one_however_they_are_written(tmp_path: Path, written: Any) -> None:
    document = instances([[1, 1, 5, 1, 5, 5]])
    whole = records(document, tmp_path)
    document["annotations"][0]["image_id"] = written(7)
    document["categories"][0]["id"] = written(1)
    assert records(document, tmp_path) == whole


def test_captions_and_lists_of_pictures_are_no_instances(tmp_path: Path) -> None:
    document = instances([[1, 1, 5, 1, 5, 5]])
    captions = document | {"categories": [], "annotations": [{"id": 1, "image_id": 7, "caption": "two men"}]}
    (listed := dict(document)).pop("annotations")
    for other, reason in ((captions, "no categories"), (listed, "no annotations")):
        found = []
        (tmp_path / "instances.json").write_text(json.dumps(other))
        with pytest.raises(DatasetError, match=reason):  # noqa: PT012
            for record in coco.read(tmp_path / "instances.json", Folder(tmp_path, ("person",))):
                found.append(record)
        assert not found


def test_more_annotations_of_a_picture_than_memory_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("figureground.data.join.MAX_ELEMENT", 1 << 20)
    with pytest.raises(DatasetError, match="more than 1 million characters of picture 7"):
        records(instances(*[[[1.5] * 30_000]] * 10), tmp_path)


def test_claims(tmp_path: Path) -> None:
    assert coco.claims(Path("x.json"), ' {\n "info": {}', Path())
    assert not coco.claims(Path("x.json"), '{"version": "4.0.0"', Path())
    assert not coco.claims(Path("x.txt"), '{"info": {}', Path())
    with pytest.raises(DatasetError, match="no categories"):
        records({"shapes": []}, tmp_path)


@given(synthetic.documents(KEYS))
@settings(max_examples=100)
def test_any_json_gives_records_or_an_error(tmp_path_factory: pytest.TempPathFactory, anything: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    for document in (anything, instances(anything), instances({"counts": anything, "size": [10, 20]})):
        try:
            pictures, problems = records(json.dumps(document), folder)
        except DatasetError:
            continue
        synthetic.assert_sound([*pictures, *problems])
