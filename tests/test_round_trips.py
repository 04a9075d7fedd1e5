"""The masks of real photographs through every notation and back, and two of the notations all the way to weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from annotated import coco, cvat, labelbox, labelme, masks, supervisely, via, voc, yolo
from annotated.check import prepared, worst_overlap
from annotated.coco import Item
from annotated.rings import Mask, parts
from figureground.data.manifest import read_manifest
from figureground.data.rasterize import rasterize
from figureground.data.reading import open_source, read_source
from figureground.data.records import Picture, Record
from figureground.images import read_matte, write_image

EXACT = {
    coco: ("runs", "compressed"),
    supervisely: ("bitmaps",),
    labelme: ("masks",),
    cvat: ("masks", "track"),
    labelbox: ("masks",),
    voc: ("palette", "rgb", "labelmap"),
    masks: ("binary", "ones", "bits", "alpha", "colour", "palette", "beside"),
}
OUTLINED = {
    coco: ("polygons",),
    supervisely: ("polygons",),
    labelme: ("polygons", "embedded"),
    via: ("json2", "json1", "project", "csv"),
    cvat: ("polygons",),
    labelbox: ("v2", "v1"),
    yolo: ("polygons",),
}
DUST = 20  # pixels; what is larger must not be lost


@pytest.fixture(scope="module")
def real_masks(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Masks of photographs of every source; no reader opens the pictures, so that one pixel stands for each."""
    pixel = tmp_path_factory.mktemp("pixel") / "pixel.png"
    write_image(pixel, np.zeros((1, 1, 3), np.uint8))
    rows = read_manifest(shared_data / "people")[::18]
    drawn = [mask for row in rows if (mask := read_matte(row.mask) > 127).any()]
    assert len(drawn) >= 300
    return [(f"{number:06}.png", pixel, mask) for number, mask in enumerate(drawn)]


def each(ways: dict[ModuleType, tuple[str, ...]]) -> pytest.MarkDecorator:
    """Every way of every notation; all masks in a notation's first, fewer in the others."""
    cases = [
        pytest.param(notation, way, 5 if number else 1, id=f"{notation.__name__.rpartition('.')[2]}-{way}")
        for notation, names in ways.items()
        for number, way in enumerate(names)
    ]
    return pytest.mark.parametrize(("notation", "way", "step"), cases)


@each(EXACT)
def test_pixels_come_back_as_they_were(
    notation: ModuleType, way: str, step: int, real_masks: list[Item], tmp_path: Path
) -> None:
    for got, mask in returned(notation, way, real_masks[::step], tmp_path):
        assert np.array_equal(got, mask)


@each(OUTLINED)
def test_outlines_come_back_with_their_parts_and_holes(
    notation: ModuleType, way: str, step: int, real_masks: list[Item], tmp_path: Path
) -> None:
    """Bit-equal, but for two. YOLO has no holes: the cuts that lead to them paint the pixels they run over (IoU 0.9995
    at worst, 14 masks of 310 unequal). In Supervisely's the outline of a hole that touches itself at a corner takes
    in what it surrounds (0.9992, 7 of 310)."""
    for got, mask in returned(notation, way, real_masks[::step], tmp_path):
        if not np.array_equal(got, mask):
            assert notation in (yolo, supervisely)
            assert_alike(got, mask)


def returned(notation: ModuleType, way: str, items: list[Item], folder: Path) -> Iterator[tuple[Mask, Mask]]:
    """Every mask as it comes back, and as it was."""
    classes = masks.CLASSES.get(way, ("person",)) if notation is masks else ("person",)
    records = list(read_source(open_source(notation.write(folder / "source", items, way), classes)))
    assert len(records) == len(items)
    for record, (_, _, mask) in zip(sorted(records, key=number_of), items, strict=True):
        got = np.zeros(mask.shape, bool)
        for item in record.objects:
            assert item.shape, item.problem
            got |= rasterize(item.shape, *mask.shape)[0] > 127
        yield got, mask


def number_of(record: Record) -> int:
    assert isinstance(record, Picture), record
    return int(Path(record.name).stem[-6:])


def assert_alike(got: Mask, mask: Mask) -> None:
    assert (got & mask).sum() / (got | mask).sum() >= 0.99
    assert large(parts(got)) == large(parts(mask))
    enclosed = np.any([np.zeros_like(got), *holes(got)], axis=0)
    for hole in holes(mask):
        assert hole.sum() <= DUST or (enclosed & hole).sum() > hole.sum() / 2


def large(pieces: list[Mask]) -> int:
    return sum(int(piece.sum()) > DUST for piece in pieces)


def holes(mask: Mask) -> list[Mask]:
    """The connected parts (4 neighbours) of what the object encloses."""
    count, labels = cv2.connectedComponents(np.pad(~mask, 1, constant_values=True).astype(np.uint8), connectivity=4)
    inner = labels[1:-1, 1:-1]
    return [inner == number for number in range(1, count) if number != labels[0, 0]]


def test_from_an_export_to_weights_in_two_commands(shared_data: Path, tmp_path: Path) -> None:
    items = photographs(shared_data / "people", 100)
    exports = [coco.write(tmp_path / "coco", items), supervisely.write(tmp_path / "supervisely", items, "bitmaps")]
    datasets = [tmp_path / "of coco", tmp_path / "of supervisely"]
    for export, dataset in zip(exports, datasets, strict=True):
        figureground("prepare", export, "--output", dataset)
        assert worst_overlap(prepared(dataset), items) == 1.0
        assert len(read_manifest(dataset, "train")) > 60
        assert len(read_manifest(dataset, "val")) > 10
    run = tmp_path / "run"  # one is enough: but for their names the two are the same pictures and masks
    small = ("--epochs", "2", "--set", "size=64", "--set", "cache_side=96")
    figureground("train", datasets[1], "--recipe", "small", *small, "--output", run)
    assert (run / "best.keras").stat().st_size > 0


def photographs(people: Path, count: int) -> list[Item]:
    """Of every source of a dataset, with their masks."""
    rows = read_manifest(people)
    chosen = rows[:: len(rows) // count][:count]
    return [
        (f"{number:06}{row.image.suffix}", row.image, read_matte(row.mask) > 127) for number, row in enumerate(chosen)
    ]


def figureground(*arguments: object) -> None:
    command = [sys.executable, "-m", "figureground", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
