"""Pascal VOC: palettes, colours and label maps; edges that are void; classes that are not there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from annotated import check, synthetic, voc
from figureground.data.notations import masks
from figureground.data.notations.voc import claims, read
from figureground.data.prepare import Settings, prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import open_source, read_source
from figureground.data.records import Folder, MaskFile, Picture, Record
from figureground.errors import DatasetError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return voc.write(tmp_path / "VOC2012", synthetic.items(tmp_path / "pictures", 1))


def shape_of(source: Path, *classes: str) -> MaskFile:
    (file,) = (source / "SegmentationClass").iterdir()
    (picture,) = read(file, Folder(source, classes))
    assert isinstance(picture, Picture)
    assert picture.image == source / "JPEGImages" / "picture 0.png"
    (item,) = picture.objects
    assert item.label == classes[0]
    assert isinstance(item.shape, MaskFile), item.problem
    return item.shape


def test_only_own_files_are_claimed(shared_data: Path) -> None:
    for path in sorted((shared_data / "formats").rglob("*")):
        assert not claims(path, "", Path("/")), path
    for name in ("SegmentationClass/a.png", "SegmentationClassAug/b/a.png", "SegmentationClassPNG/a.png"):
        assert claims(Path("VOC", name), "", Path())
        assert not masks.claims(Path("VOC", name), "", Path())
    for name in ("SegmentationObject/a.png", "JPEGImages/a.png", "SegmentationClass/a.npy", "a.png"):
        assert not claims(Path("VOC", name), "", Path())
    assert not claims(Path("SegmentationClassVisualization/a.png"), "", Path())


def test_palette_is_read_by_numbers(source: Path) -> None:
    assert shape_of(source, "person").values == [15]
    assert shape_of(source, "tvmonitor", "aeroplane").values == [1, 20]


def test_colours_are_those_of_vocs_own_table(source: Path) -> None:
    (file,) = (source / "SegmentationClass").iterdir()
    with Image.open(file) as opened:
        opened.convert("RGB").save(file)
    assert shape_of(source, "person", "chair").colours == [(192, 0, 0), (192, 128, 128)]
    assert shape_of(source, "bus", "car", "tvmonitor").colours == [(0, 128, 128), (128, 128, 128), (0, 64, 128)]


def test_label_map_gives_the_colours(source: Path) -> None:
    (source / "labelmap.txt").write_text(voc.LABEL_MAP)
    assert shape_of(source, "person").colours == [(250, 50, 83)]


def test_class_names_give_the_numbers(source: Path) -> None:
    (source / "class_names.txt").write_text("_background_\ncar\nperson\n")
    assert shape_of(source, "person").values == [2]


def test_class_that_is_not_there(source: Path) -> None:
    with pytest.raises(DatasetError, match="class pedestrian is not in VOC's own list; there are background, aero"):
        shape_of(source, "person", "pedestrian")
    (source / "labelmap.txt").write_text("background:0,0,0::\nrider:1,2,3::\nbroken")
    with pytest.raises(DatasetError, match=r"not in .*labelmap.txt; there are background, rider: choose"):
        shape_of(source, "person")
    (source / "labelmap.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DatasetError, match="cannot be read"):
        shape_of(source, "person")


def test_nobody_in_the_mask(source: Path) -> None:
    shape = shape_of(source, "cow")
    assert not rasterize(shape, 60, 80)[0].any()


def test_broken_mask_and_missing_picture(source: Path) -> None:
    (file,) = (source / "SegmentationClass").iterdir()
    file.write_bytes(file.read_bytes()[:20])
    (source / "JPEGImages" / "picture 0.png").unlink()
    (picture,) = read(file, Folder(source, ("person",)))
    assert isinstance(picture, Picture)
    assert picture.image is None
    assert picture.objects[0].shape is None
    assert "cannot be read" in picture.objects[0].problem


def test_mask_out_of_the_source_is_refused(source: Path, tmp_path: Path) -> None:
    (file,) = (source / "SegmentationClass").iterdir()
    file.rename(tmp_path / "outside.png")
    file.symlink_to(tmp_path / "outside.png")
    (picture,) = read(file, Folder(source, ("person",)))
    assert isinstance(picture, Picture)
    assert picture.objects[0].problem == "a symbolic link out of the source"


@pytest.mark.parametrize("way", ["palette", "rgb", "labelmap"])
def test_round_trip(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "pictures", 20)
    source = open_source(voc.write(tmp_path / "source", items, way), ("person",))
    assert source.notation == "voc"
    found = check.drawn(read_source(source))
    assert all(np.array_equal(found[number], mask) for number, (_, _, mask) in enumerate(items))


def test_to_dataset(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "pictures", 6)
    items[3][2][:] = False
    voc.write(tmp_path / "source", items, "labelmap")
    prepare([tmp_path / "source"], tmp_path / "dataset", Settings(split="1,0,0"))
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) == 1.0


@settings(max_examples=60)
@given(data=st.binary(max_size=60), names=st.text(max_size=40))
def test_any_bytes_give_records_or_a_dataset_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, names: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "SegmentationClass"
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(data)
    (folder.parent / "class_names.txt").write_bytes(f"person\n{names}".encode("utf-8", "surrogatepass"))
    found = list[Record]()
    with suppress(DatasetError):
        found.extend(read(folder / "a.png", Folder(folder.parent, ("person",))))
    synthetic.assert_sound(found)
