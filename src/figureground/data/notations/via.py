"""VGG Image Annotator 1 and 2: annotations, projects and CSV (https://www.robots.ox.ac.uk/~vgg/software/via/)."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, Field, ValidationError

from figureground.data.join import Join, joined
from figureground.data.json_stream import JsonError, stream_json
from figureground.data.notations.checks import explain, storable
from figureground.data.notations.via_labels import Labels
from figureground.data.notations.via_shapes import shape_of
from figureground.data.records import Folder, Object, Picture, Problem, Record
from figureground.errors import DatasetError

NAME = "via"
SUFFIXES = (".json", ".csv")
_MAX_ROW = 16 << 20  # characters; csv's own limit, of a cell, is too small for some outlines
_HEADER = re.compile(r"#?filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,")
_ENTRY = re.compile(r'\s*\{\s*"(_via_[a-z_]+"\s*:|(?:[^"\\]|\\.)*"\s*:\s*\{)')
_KEYS = re.compile(r'"(_via_img_metadata|_via_settings|file_attributes|shape_attributes|region_attributes)"\s*:')
_LABEL_MISSING = "none of its attributes says what it is, though those of other regions do"


class _Region(BaseModel):
    shape: dict[str, Any] = Field(alias="shape_attributes")
    attributes: dict[str, Any] = Field({}, alias="region_attributes")


class _Entry(BaseModel):
    name: str = Field(alias="filename")
    regions: list[Any] | dict[str, Any] = []


def claims(path: Path, head: str, root: Path) -> bool:
    """A CSV with VIA's header, a project, or a JSON object of pictures with attributes."""
    if path.suffix.lower() == ".csv":
        return bool(_HEADER.match(head[:200].replace('"', "")))
    return path.suffix.lower() == ".json" and bool(_ENTRY.match(head)) and bool(_KEYS.search(head))


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The pictures of a file, those without regions included.

    Raises:
        DatasetError: the file is broken or of another notation, after everything before the fault.
    """
    labels = Labels(folder.classes)
    found = _rows(file, labels) if file.suffix.lower() == ".csv" else _entries(file, labels)
    empty = True
    for record in found:
        empty = False
        yield record
    if empty:
        raise DatasetError("holds no pictures: not VIA annotations")


def _entries(file: Path, labels: Labels) -> Iterator[Record]:
    _survey(file, labels)
    for place, value in _members(file):
        try:
            entry = _Entry.model_validate(value)
        except ValidationError as error:
            yield Problem(str(file), storable(place), "", "rejected", explain(error))
            continue
        regions = entry.regions if isinstance(entry.regions, dict) else dict(enumerate(entry.regions))
        objects = [_object(str(key), f"{place}.regions[{key}]", region, labels) for key, region in regions.items()]
        yield Picture(file, storable(place), entry.name, objects)


def _survey(file: Path, labels: Labels) -> None:
    """What must be known of a whole file before the first region of it can be labelled."""
    try:
        for key, _, value in stream_json(file):
            if key == "_via_attributes" and isinstance(value, dict) and isinstance(value.get("region"), dict):
                named = value["region"].items()
                labels.options = {name: about.get("options") for name, about in named if isinstance(about, dict)}
        for _, value in _members(file):
            regions = value.get("regions") if isinstance(value, dict) else None
            regions = list(regions.values()) if isinstance(regions, dict) else regions
            for region in regions if isinstance(regions, list) else ():
                labels.survey(region.get("region_attributes") if isinstance(region, dict) else None)
    except JsonError:
        return  # reported when the file is read


def _members(file: Path) -> Iterator[tuple[str, Any]]:
    """The entries of annotations, or of the annotations in a project."""
    for key, index, value in stream_json(file):
        if key == "_via_img_metadata" and isinstance(value, dict):
            yield from ((f"{key}.{name}", entry) for name, entry in value.items())
        elif not key.startswith("_via_"):
            yield key if index == "" else f"{key}[{index}]", value


def _rows(file: Path, labels: Labels) -> Iterator[Record]:
    """The pictures of a CSV, in which a picture's regions may stand far apart."""
    fault = ""
    with joined() as regions:
        try:
            yield from _keep(file, regions, labels)
        except UnicodeDecodeError as error:
            fault = f"not UTF-8 ({error.reason}); save it as UTF-8"
        except OSError as error:
            fault = f"cannot be read ({error.strerror or error})"
        except csv.Error as error:
            fault = f"not CSV ({error})"
        for name in regions:
            found = regions.take(name)
            objects = [_of_cells(place, cells, labels) for place, (_, *cells) in found if cells[1] not in ("", "{}")]
            # Of rows that are not there nothing else would tell, if the file was cut off between two.
            is_cut = bool(fault) or found[0][1][0] not in ("", str(len(objects)))
            yield Picture(file, found[0][0], name, objects, partial=is_cut)
    if fault:
        raise DatasetError(fault)


def _keep(file: Path, regions: Join, labels: Labels) -> Iterator[Problem]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = _cells(opened)
        next(rows, None)
        for line, row in rows:
            place = f"line {line}"
            if len(row) < 7:
                yield Problem(str(file), place, "", "rejected", f"{len(row)} columns, want 7")
                continue
            *names, _, _, count, number, shape, attributes = row
            # VIA does not quote commas in names.
            regions.add(",".join(names), [place, [count, number, shape, attributes]])
            labels.survey(_json(attributes))


def _cells(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The line that each row ends on, and its cells; `csv` by itself would read on in a row that does not end."""
    length = 0

    def lines() -> Iterator[str]:
        nonlocal length
        while line := file.readline(_MAX_ROW + 1):
            length += len(line)
            if length > _MAX_ROW:
                raise csv.Error(f"a row of more than {_MAX_ROW >> 20} million characters")
            yield line

    csv.field_size_limit(_MAX_ROW)
    reader = csv.reader(lines())
    for row in reader:
        length = 0
        if row:
            yield reader.line_num, row


def _of_cells(place: str, cells: list[str], labels: Labels) -> Object:
    number, shape, attributes = cells
    region = {"shape_attributes": _json(shape), "region_attributes": _json(attributes)}
    return _object(number, place, region, labels)


def _json(cell: str) -> Any:
    try:
        return json.loads(cell or "{}")
    except (ValueError, RecursionError):
        return cell  # no object, which will be said where it is used


def _object(name: str, place: str, region: Any, labels: Labels) -> Object:
    name, place, label = storable(name), storable(place), ""
    try:
        found = _Region.model_validate(region)
        label = labels.of(found.attributes)
        shape = shape_of(found.shape)
    except (ValidationError, DatasetError) as error:
        return Object(name, place, label, None, explain(error))
    return Object(name, place, label, shape if label else None, "" if label else _LABEL_MISSING)
