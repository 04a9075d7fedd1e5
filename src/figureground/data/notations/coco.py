"""COCO instances: one JSON for many pictures (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from figureground.data.join import Join, joined
from figureground.data.json_stream import JsonError, stream_json
from figureground.data.notations.checks import Finite, Id, Size, explain, storable
from figureground.data.records import Folder, Object, Picture, Point, Polygons, Problem, Record, Rle, Shape
from figureground.errors import DatasetError

NAME = "coco"
SUFFIXES = (".json",)
_FIRST_KEY = re.compile(r'^\s*\{\s*"(info|licenses|images|annotations|categories|type)"\s*:')
_COMPRESSED = re.compile(r"[0-o]*")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


def _number(value: Any) -> Any:
    """An id as a whole number where it is one: files that went through tables have 7 here, 7.0 or "7" there."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


_Key = Annotated[Id, BeforeValidator(_number)]


class _Image(BaseModel):
    id: _Key
    file_name: str
    width: Size | None = None
    height: Size | None = None
    license: _Key | None = None


class _OfImage(BaseModel):
    image_id: _Key


class _Annotation(_OfImage):
    id: _Key | None = None
    category_id: _Key
    segmentation: Any = None
    problem: str = ""  # of one so broken that it has no class


class _Named(BaseModel):
    id: _Key
    name: str | None = ""


class _Runs(BaseModel):
    counts: str | list[Annotated[int, Field(ge=0, lt=1 << 31)]]
    size: tuple[Size, Size]  # height, width


_RINGS = TypeAdapter(list[list[Finite]])


def claims(path: Path, head: str, root: Path) -> bool:
    """A JSON object that begins as COCO's do."""
    return path.suffix.lower() == ".json" and bool(_FIRST_KEY.match(head))


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The pictures of a file, those without annotations included.

    The lists of a file may stand in any order, so its annotations wait on disk for their pictures.

    Raises:
        DatasetError: it is no COCO file, or broken, after everything before the fault.
    """
    names: dict[str, dict[Any, str]] = {"categories": {}, "licenses": {}}
    fault: JsonError | None = None
    is_broken, reached = False, _Reached()
    with joined() as images, joined() as annotations:
        try:
            for key, index, value in stream_json(file, reached.tell):
                place = f"{key}[{index}]"
                try:
                    _keep(key, value, place, names, images, annotations)
                except (ValidationError, DatasetError) as error:
                    is_broken = True
                    yield Problem(str(file), place, _said_id(value), "rejected", explain(error))
        except JsonError as error:
            fault = error
        if not fault:
            _check_instances(names, reached, is_broken)
        is_cut = fault is not None and not reached.is_past_annotations
        yield from _pictures(file, names, images, annotations, is_cut)
    if fault:
        raise fault


class _Reached:
    """Which lists of a file the reading has come to."""

    def __init__(self) -> None:
        self.annotations = self.is_past_annotations = False

    def tell(self, key: str) -> None:
        """The reading comes to the list `key`."""
        self.annotations |= key == "annotations"
        self.is_past_annotations = self.annotations and key != "annotations"


def _check_instances(names: dict[str, dict[Any, str]], reached: _Reached, is_broken: bool) -> None:
    """Refuse captions, lists of pictures to annotate and the like: read as instances, they would be of nobody."""
    if not names["categories"] and not is_broken:
        raise DatasetError("holds no categories: not COCO instances")
    if not reached.annotations:
        raise DatasetError("holds no annotations: not COCO instances")


def _keep(key: str, value: Any, place: str, names: dict[str, dict[Any, str]], images: Join, annotations: Join) -> None:
    if key in names:
        named = _Named.model_validate(value)
        if names[key].setdefault(named.id, named.name or "") != (named.name or ""):
            raise DatasetError(f"a second entry of {key} with the id {named.id}")
    elif key == "images":
        image = _Image.model_validate(value)
        images.add(image.id, [place, image.model_dump()])
    elif key == "annotations":
        annotation = _annotation(value)
        annotations.add(annotation.image_id, [place, annotation.model_dump()])


def _annotation(value: Any) -> _Annotation:
    """An annotation; a broken one as long as its picture is known, which must not pass for one of nobody.

    Raises:
        ValidationError: no picture is named.
    """
    try:
        return _Annotation.model_validate(value)
    except ValidationError as error:
        image = _OfImage.model_validate(value).image_id
        name = _said_id(value)
        return _Annotation(id=name or None, image_id=image, category_id="", problem=explain(error))


def _said_id(value: Any) -> str:
    return storable(str(value.get("id", ""))) if isinstance(value, dict) else ""


def _pictures(
    file: Path, names: dict[str, dict[Any, str]], images: Join, annotations: Join, is_cut: bool
) -> Iterator[Record]:
    for key in images:
        (place, image), *others = images.take(key)
        for other, _ in others:
            yield Problem(str(file), other, str(key), "rejected", f"a second image with the id {key}")
        objects = [_object(names["categories"], *entry) for entry in annotations.take(key)]
        if is_cut and not objects:
            reason = "its annotations may be in the part of the file that is lost: not taken for a picture of nobody"
            yield Problem(str(file), place, str(key), "rejected", reason)
            continue
        runs = next((item.shape for item in objects if isinstance(item.shape, Rle)), None)
        yield Picture(
            file=file,
            place=place,
            name=image["file_name"],
            objects=objects,
            # What is not stated, run lengths tell.
            width=image["width"] or (runs.width if runs else None),
            height=image["height"] or (runs.height if runs else None),
            licence=names["licenses"].get(image["license"], ""),
            partial=is_cut,
        )
    for key in annotations:
        for place, annotation in annotations.take(key):
            yield Problem(str(file), place, _name(annotation), "rejected", f"there is no image with its image_id {key}")


def _name(annotation: dict[str, Any]) -> str:
    return "" if annotation["id"] is None else str(annotation["id"])


def _object(categories: dict[Any, str], place: str, annotation: dict[str, Any]) -> Object:
    category, name = annotation["category_id"], _name(annotation)
    if annotation["problem"]:
        return Object(name, place, "", None, annotation["problem"])
    if category not in categories:
        return Object(name, place, "", None, f"there is no category with its category_id {category}")
    try:
        shape, mended = _shape(annotation["segmentation"])
    except (ValidationError, DatasetError) as error:
        return Object(name, f"{place}.segmentation", categories[category], None, explain(error))
    return Object(name, place, categories[category], shape, mended)


def _shape(segmentation: Any) -> tuple[Shape, str]:
    if isinstance(segmentation, dict):
        runs = _Runs.model_validate(segmentation)
        counts = uncompressed(runs.counts) if isinstance(runs.counts, str) else runs.counts
        return Rle(counts, width=runs.size[1], height=runs.size[0]), ""
    if not segmentation:
        raise DatasetError("no outline: segmentation is empty, and a box is none")
    mended = ""
    if isinstance(segmentation, list) and all(isinstance(value, int | float) for value in segmentation):
        segmentation, mended = [segmentation], "a flat list of coordinates, read as one outline"
    rings = _RINGS.validate_python(segmentation)
    if any(len(ring) % 2 for ring in rings):
        raise DatasetError("an odd number of coordinates")
    return Polygons([_points(ring) for ring in rings], fill="coco"), mended


def _points(ring: list[float]) -> list[Point]:
    return list(zip(ring[::2], ring[1::2], strict=True))


def uncompressed(text: str) -> list[int]:
    """The run lengths of COCO's compressed text (maskApi.c, rleFrString).

    A character holds 5 bits; from the fourth on, a number is the difference from the last but one.

    Raises:
        DatasetError: the text is not of this kind.
    """
    if not _COMPRESSED.fullmatch(text):
        raise DatasetError("compressed run lengths with a character outside 0 to o")
    counts = list[int]()
    value = shift = 0
    for code in text.encode():
        bits = code - 48
        value |= (bits & 31) << shift
        shift += 5
        if shift > 35:
            raise DatasetError("compressed run lengths with a number over 32 bits")
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise DatasetError("compressed run lengths that end in the middle")
    return counts
