"""Bytes of every kind into the readers, guided by which of their lines are reached (atheris, on libFuzzer).

    python tests/fuzz_readers.py TARGET FOLDER [libFuzzer's options, as -max_total_time=60]
    python tests/fuzz_readers.py --list

Whatever the bytes are, a reader of annotations gives records that can be stored and shapes that can be drawn, or
raises a FigureGroundError. What FOLDER is for: fuzzing.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import ModuleType

import atheris

with atheris.instrument_imports(include=["figureground.data", "figureground.images", "figureground.pictures"]):
    from figureground import pictures
    from figureground.data import json_stream, notations, rasterize, xml_stream
    from figureground.data.notations import coco as coco_notation

import numpy as np
from pydantic import TypeAdapter

from annotated import coco, cvat, labelbox, labelme, masks, supervisely, via, voc, yolo
from annotated.coco import Item
from annotated.photographs import photograph
from annotated.synthetic import assert_sound
from figureground.data.records import Folder, Picture
from figureground.errors import FigureGroundError
from figureground.images import write_image
from fuzzing import Target, main, of_text
from picturefiles import content_of
from picturefiles import photograph as saying_much

json_stream.CHUNK = xml_stream.CHUNK = 64  # so that some inputs are read in pieces, as large files are
HEIGHT, WIDTH = 48, 64
SAYING = (".jpg", ".png", ".webp", ".tif", ".avif", *([".heic"] if find_spec("pillow_heif") else []))
MANIFEST = """\
id,image,mask,width,height,source,group,split,coverage,sha256,licence
a,images/a.jpg,masks/a.png,64,48,s,a,train,0.5000,00,CC-BY
"a, b",images/b.jpg,masks/b.png,64,48,s,b,val,0.5000,00,
"""
_PICTURE = TypeAdapter(Picture)


def items(folder: Path) -> list[Item]:
    """Two small pictures: an object of two parts, one of them with a hole, and nobody."""
    ring = np.zeros((HEIGHT, WIDTH), bool)
    ring[2:7, 3:9] = ring[9, 12:14] = True
    ring[4, 5:7] = False
    folder.mkdir(parents=True, exist_ok=True)
    made = list[Item]()
    for number, mask in enumerate((ring, np.zeros_like(ring))):
        write_image(folder / f"{number:03}.png", photograph(number, WIDTH, HEIGHT))
        made.append((f"{number:03}.png", folder / f"{number:03}.png", mask))
    return made


def written(folder: Path, writer: ModuleType, way: str) -> Path:
    shutil.rmtree(folder / "source", ignore_errors=True)
    return writer.write(folder / "source", items(folder / "pictures"), way)


def of_notation(folder: Path, writer: ModuleType, pattern: str, *ways: str) -> Target:
    """A reader of a notation, begun with what `writer` makes; the first file of `pattern` is replaced by the bytes."""
    seeds, name = list[bytes](), writer.__name__.rpartition(".")[2]
    for way in ways:
        source = written(folder, writer, way)
        found = sorted(source.glob(pattern))
        seeds += [file.read_bytes() for file in found]
    return Target(source, found[0], seeds, reading(name))


def reading(name: str) -> Callable[[Path, Path], object]:
    _, claims, read = notations.NOTATIONS[name]

    def run(file: Path, source: Path) -> None:
        claims(file, file.read_bytes()[:4096].decode("utf-8-sig", "replace"), Path("/"))
        for record in read(file, Folder(source, ("person",))):
            assert_sound([record])
            if isinstance(record, Picture):
                draw(_PICTURE.validate_json(_PICTURE.dump_json(record)))  # as it waits in the state of a `prepare`

    return run


def draw(picture: Picture) -> None:
    for item in picture.objects:
        try:
            if item.shape:
                rasterize.rasterize(item.shape, HEIGHT, WIDTH)
        except FigureGroundError as error:
            str(error).encode()


def of_labels(folder: Path, writer: ModuleType, way: str, name: str, labels: str) -> Target:
    """The file `name` that says what the classes of a source are; `labels` finds one that is read by it."""
    source = written(folder, writer, way)
    annotation = next(source.glob(labels))
    read = reading(writer.__name__.rpartition(".")[2])
    return Target(source, source / name, [(source / name).read_bytes()], lambda file, source: read(annotation, source))


def prepared(folder: Path) -> Target:
    source = written(folder, masks, "binary")
    return Target(source, source / "manifest.csv", [MANIFEST.encode()], reading("prepared"))


def streamed(file: Path) -> None:
    """Whatever `json` reads, the stream reads."""
    try:
        is_sound = isinstance(json.loads(file.read_bytes()), dict | list)
    except (ValueError, RecursionError):
        is_sound = False
    try:
        stored(json_stream.stream_json(file))
    except FigureGroundError as error:
        if is_sound and "nested" not in str(error):
            raise AssertionError("the stream refuses what json reads") from error


def stored(values: Iterable[object]) -> None:
    for value in values:
        json.dumps(value, ensure_ascii=False).encode()


def uncompressed(file: Path) -> None:
    coco_notation.uncompressed(file.read_bytes().decode("latin-1"))


def pictured(file: Path) -> None:
    """A picture that is read can be written again, with all that is kept of what it says."""
    picture = pictures.read_picture(file, deep=True)
    if picture.pixels.size > 1 << 20:
        return
    rgb = picture.seen()
    for suffix in (".png", ".tif", ".jpg"):
        pictures.encode_picture(BytesIO(), rgb, picture.metadata.sized(*rgb.shape[1::-1]), suffix)
    if picture.pixels.dtype == np.uint16:
        rgba = np.dstack([picture.pixels, picture.pixels[:, :, :1]])
        pictures.encode_picture(BytesIO(), rgba, picture.metadata, ".tif")


def of_pictures(folder: Path) -> Target:
    """A small photograph in every format, and two of 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = photograph(0, 12, 9)
    seeds = [saying_much(folder / f"in{suffix}", pixels, xmp=b"<x/>").read_bytes() for suffix in SAYING]
    rgba = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), np.uint16)
    said = pictures.Metadata(exif={271: "Acme"}, dpi=(300.0, 300.0))
    for suffix in (".png", ".tif"):
        seeds.append(content_of(lambda file, suffix=suffix: pictures.encode_picture(file, rgba, said, suffix)))
    return of_text(folder, pictured, *seeds)


_JSON = (b'{"a": [1, {"b": "\\ud83d\\ude00"}], "c": -1.5e3}', b"[[], {}, null, NaN, true]", b'{"a": 1}\n{"b": 2}\n')
TARGETS: dict[str, Callable[[Path], Target]] = {
    "coco": lambda folder: of_notation(folder, coco, "annotations/*", "polygons", "runs", "compressed"),
    "supervisely": lambda folder: of_notation(folder, supervisely, "ds1/ann/*", "polygons", "bitmaps"),
    "labelme": lambda folder: of_notation(folder, labelme, "*.json", "polygons", "masks", "embedded"),
    "via": lambda folder: of_notation(folder, via, "*.json", "json1", "json2", "project"),
    "via_csv": lambda folder: of_notation(folder, via, "*.csv", "csv"),
    "labelbox": lambda folder: of_notation(folder, labelbox, "*.*json", "v1", "v2", "masks"),
    "cvat": lambda folder: of_notation(folder, cvat, "*.xml", "polygons", "masks", "track"),
    "yolo": lambda folder: of_notation(folder, yolo, "labels/train/*", "polygons"),
    "yolo_names": lambda folder: of_labels(folder, yolo, "polygons", "data.yaml", "labels/train/*"),
    "voc": lambda folder: of_notation(folder, voc, "SegmentationClass/*", "palette", "rgb"),
    "voc_labels": lambda folder: of_labels(folder, voc, "labelmap", "labelmap.txt", "SegmentationClass/*"),
    "masks": lambda folder: of_notation(folder, masks, "masks/*", "binary", "ones", "bits", "alpha", "colour"),
    "prepared": prepared,
    "picture": of_pictures,
    "uncompressed": lambda folder: of_text(folder, uncompressed, b"52203", b"PPYo0", b"o"),
    "json": lambda folder: of_text(folder, streamed, *_JSON),
    "ndjson": lambda folder: of_text(folder, lambda file: stored(json_stream.stream_lines(file)), *_JSON),
    "xml": lambda folder: of_text(folder, lambda file: list(xml_stream.stream_xml(file)), b'<a b="c">&lt;<d/></a>'),
}


if __name__ == "__main__":
    main(TARGETS)
