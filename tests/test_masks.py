"""Mask files beside pictures: which are pairs, and what in a mask is the object."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from annotated import check, masks, supervisely, synthetic
from figureground.data.notations.masks import claims, read
from figureground.data.prepare import Settings, prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import open_source, read_source
from figureground.data.records import Folder, MaskFile, Picture, Problem, Record
from figureground.errors import DatasetError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6), 255).save(folder / name)


def record(folder: Path, name: str, *classes: str) -> Record:
    (found,) = read(folder / name, Folder(folder, classes or ("person",)))
    return found


PAIRS = [
    ("masks/a.png", "images/a.jpg"),
    ("mask/train/a.png", "image/train/a.bmp"),
    ("train/matte/a.png", "train/imgs/a.webp"),
    ("alphas/a_alpha.png", "images/a.jpg"),
    ("masks/a.jpg.png", "images/a.jpg"),
    ("masks/a.mask.png", "photos/a.png"),
    ("train_masks/a_mask.png", "train/a.jpg"),
    ("DUTS-TR-Mask/a.png", "DUTS-TR-Image/a.jpg"),
    ("gt/a.png", "im/a.jpg"),
    ("person_masks/a.png", "images/a.jpg"),
    ("labels/a.png", "images/a.jpg"),
    ("Annotations/a.png", "JPEGImages/a.jpg"),
    ("segmentations/a_seg.png", "images/a.jpg"),
    ("masks/a.png", "a.jpg"),
    ("a_mask.png", "a.jpg"),
    ("images/a-matte.png", "images/a.jpg"),
]


@pytest.mark.parametrize(("mask", "picture"), PAIRS)
def test_pair(tmp_path: Path, mask: str, picture: str) -> None:
    touch(tmp_path, mask, picture)
    assert claims(tmp_path / mask, "", Path("/"))
    assert not claims(tmp_path / picture, "", Path("/"))
    found = record(tmp_path, mask)
    assert isinstance(found, Picture)
    assert found.image == tmp_path / picture
    (item,) = found.objects
    assert (item.label, item.shape) == ("person", MaskFile(tmp_path / mask))


@pytest.mark.parametrize(
    "name", ["photos/ski_mask.jpg", "masks/a.txt", "labels/a.png", "annotations/deep/a.png", "seg.png", "a/b.png"]
)
def test_picture_without_partner_is_no_mask(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert not claims(tmp_path / name, "", Path("/"))


def test_only_own_files_are_claimed(shared_data: Path, tmp_path: Path) -> None:
    for path in sorted((shared_data / "formats").rglob("*")):
        assert not claims(path, "", Path("/")), path
    supervisely.write(tmp_path / "project", synthetic.items(tmp_path / "pictures", 1))
    touch(tmp_path / "project", "ds1/img/a.png", "ds1/img/a_mask.png", "ds1/masks_machine/a.png")
    assert not any(claims(path, "", Path("/")) for path in (tmp_path / "project").rglob("*"))


def test_pair_that_is_none(tmp_path: Path) -> None:
    touch(tmp_path, "masks/a.png", "masks/b.png", "images/b.png", "images/b.jpg", "images/c.png")
    found = record(tmp_path, "masks/a.png")
    assert isinstance(found, Problem)
    assert found.reason == "a mask without a picture: there is no a of any suffix among the pictures"
    found = record(tmp_path, "masks/b.png")
    assert isinstance(found, Problem)
    assert found.reason.startswith("a mask of several pictures: ")


def test_nothing_out_of_the_source_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "masks/a.png", "images/a.png", "source/images/b.png", "outside.png")
    found = record(tmp_path / "masks", "a.png")
    assert isinstance(found, Problem)
    assert found.reason.startswith("a mask without a picture")
    (tmp_path / "source" / "masks").mkdir()
    (tmp_path / "source" / "masks" / "b.png").symlink_to(tmp_path / "outside.png")
    found = record(tmp_path / "source", "masks/b.png")
    assert isinstance(found, Problem)
    assert found.reason == "a symbolic link out of the source"


def test_classes_choose_levels_or_colours(tmp_path: Path) -> None:
    touch(tmp_path, "masks/a.png", "images/a.png")
    for classes, values, colours in [
        (("1", "20"), [1, 20], []),
        (("#c08080", "#0A0b0c"), [], [(0xC0, 0x80, 0x80), (10, 11, 12)]),
        (("cat",), [], []),
    ]:
        found = record(tmp_path, "masks/a.png", *classes)
        assert isinstance(found, Picture)
        assert found.objects[0].label == classes[0]
        assert found.objects[0].shape == MaskFile(tmp_path / "masks" / "a.png", values, colours)


@pytest.mark.parametrize("classes", [("#zz0000",), ("#fff",), ("256",), ("1", "#c08080"), ("1", "cat")])
def test_classes_that_no_mask_has(tmp_path: Path, classes: tuple[str, ...]) -> None:
    touch(tmp_path, "masks/a.png", "images/a.png")
    with pytest.raises(DatasetError, match="--classes"):
        record(tmp_path, "masks/a.png", *classes)


def test_sixteen_bits_of_class_numbers(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1], [2, 255]], np.uint16)).save(tmp_path / "a.png")
    assert rasterize(MaskFile(tmp_path / "a.png", values=[2]), 2, 2)[0].tolist() == [[0, 0], [255, 0]]
    Image.fromarray(np.array([[0, 65535], [257, 514]], np.uint16)).save(tmp_path / "a.png")
    assert rasterize(MaskFile(tmp_path / "a.png", values=[1, 2]), 2, 2)[0].tolist() == [[0, 0], [255, 255]]


def test_levels_asked_of_colours(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="in colours, not class numbers"):
        rasterize(MaskFile(tmp_path / "a.png", values=[1]), 4, 4)


@pytest.mark.parametrize("way", ["binary", "ones", "bits", "alpha", "colour", "palette", "beside"])
def test_round_trip(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "pictures", 20)
    source = open_source(masks.write(tmp_path / "source", items, way), masks.CLASSES.get(way, ("person",)))
    assert source.notation == "masks"
    found = check.drawn(read_source(source))
    assert all(np.array_equal(found[number], mask) for number, (_, _, mask) in enumerate(items))


@pytest.mark.parametrize("way", ["alpha", "beside"])
def test_to_dataset(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "pictures", 6)
    items[3][2][:] = False
    masks.write(tmp_path / "source", items, way)
    prepare([tmp_path / "source"], tmp_path / "dataset", Settings(split="1,0,0"))
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) == 1.0


@settings(max_examples=60)
@given(data=st.binary(max_size=60), classes=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3))
def test_any_bytes_and_classes_give_records_or_a_dataset_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, classes: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    touch(folder, "images/a.png")
    (folder / "masks").mkdir(exist_ok=True)
    (folder / "masks" / "a.png").write_bytes(data)
    with suppress(DatasetError):
        found = record(folder, "masks/a.png", *classes)
        synthetic.assert_sound([found])
        assert isinstance(found, Picture)
        (item,) = found.objects
        assert item.shape
        rasterize(item.shape, 6, 8)
