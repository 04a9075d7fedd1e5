"""Labelbox: exports of version 1 (JSON) and 2 (NDJSON), and annotations for import (https://docs.labelbox.com)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError

from figureground.data.folders import is_picture
from figureground.data.join import Join, joined
from figureground.data.json_stream import JsonError, stream_json, stream_lines
from figureground.data.notations.checks import Size, explain
from figureground.data.notations.labelbox_objects import object_of, png_size
from figureground.data.records import Bitmap, Folder, Object, Picture, Problem, Record

NAME = "labelbox"
SUFFIXES = (".json", ".ndjson", ".jsonl")
_KEYS = ('"Labeled Data"', '"DataRow ID"', '"data_row"', '"dataRow"')


class _DataRow(BaseModel):
    id: str | None = None
    external: str | None = Field(None, validation_alias=AliasChoices("external_id", "externalId"))
    key: str | None = Field(None, validation_alias=AliasChoices("global_key", "globalKey"))
    url: str | None = Field(None, alias="row_data")


class _Media(BaseModel):
    height: Size | None = None
    width: Size | None = None


class _Objects(BaseModel):
    objects: list[Any]


class _Performance(BaseModel):
    skipped: bool | None = None


class _Label(BaseModel):
    annotations: _Objects
    performance: _Performance | None = Field(None, alias="performance_details")


class _Project(BaseModel):
    labels: list[_Label] = []


class _Row(BaseModel):
    """A row of version 2."""

    data: _DataRow = Field(alias="data_row")
    media: _Media | None = Field(None, alias="media_attributes")
    projects: dict[str, _Project]


class _OldRow(BaseModel):
    """A row of version 1."""

    url: str | None = Field(None, alias="Labeled Data")
    external: str | None = Field(None, alias="External ID")
    key: str | None = Field(None, alias="Global Key")
    media: _Media | None = Field(None, alias="Media Attributes")
    label: _Objects = Field(alias="Label")
    skipped: bool | None = Field(None, alias="Skipped")


_OBJECT = TypeAdapter(Object)


def claims(path: Path, head: str, root: Path) -> bool:
    """JSON with one of Labelbox's names for a data row."""
    return path.suffix.lower() in SUFFIXES and any(key in head for key in _KEYS)


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The pictures of a file; the labels of all projects and annotators count alike.

    A class is called by its name, or where the file gives none, by its schema id, for `--classes` to choose.

    Raises:
        DatasetError: the file is broken, after everything before the fault.
    """
    fault: JsonError | None = None
    with joined() as entries:
        try:
            for place, value in _values(file):
                try:
                    yield from _records(file, place, value, entries)
                except ValidationError as error:
                    yield Problem(str(file), place, "", "rejected", explain(error))
        except JsonError as error:
            fault = error
        yield from _joined(file, entries, is_cut=fault is not None)
    if fault:
        raise fault


def _values(file: Path) -> Iterator[tuple[str, Any]]:
    """The elements of an array, or one document after the other, and where each is."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            is_array = opened.read(4096).lstrip().startswith("[")
    except OSError as error:
        raise JsonError("", f"cannot be read ({error.strerror or error})") from error
    if is_array:
        yield from ((f"[{index}]", value) for _, index, value in stream_json(file))
    else:
        yield from ((f"line {line}", value) for line, value in stream_lines(file))


def _records(file: Path, place: str, value: Any, entries: Join) -> Iterator[Record]:
    if isinstance(value, dict) and "dataRow" in value:  # for import: several may be of one picture
        row = _DataRow.model_validate(value["dataRow"])
        item = object_of(place, value)
        entries.add(_name(row.external, row.key, row.id), [place, _OBJECT.dump_python(item, mode="json")])
    elif isinstance(value, dict) and "data_row" in value:
        yield _picture(file, place, _Row.model_validate(value))
    else:
        yield _old_picture(file, place, _OldRow.model_validate(value))


def _picture(file: Path, place: str, row: _Row) -> Record:
    name = _name(row.data.external, row.data.key, _last_part(row.data.url), row.data.id)
    lists = [
        (f"{place}: projects.{project}.labels[{number}].annotations.objects", label.annotations.objects)
        for project, found in row.projects.items()
        for number, label in enumerate(found.labels)
        if not (label.performance and label.performance.skipped)
    ]
    if not lists:
        return Problem(str(file), place, name, "rejected", "has no label that was not skipped: not annotated")
    objects = [object_of(f"{at}[{index}]", item) for at, items in lists for index, item in enumerate(items)]
    media = row.media or _Media()
    return Picture(file, place, name, objects, width=media.width, height=media.height)


def _old_picture(file: Path, place: str, row: _OldRow) -> Record:
    name = _name(row.external, row.key, _last_part(row.url))
    if row.skipped:
        return Problem(str(file), place, name, "rejected", "skipped by its annotator: not annotated")
    objects = [object_of(f"{place}: Label.objects[{index}]", item) for index, item in enumerate(row.label.objects)]
    media = row.media or _Media()
    return Picture(file, place, name, objects, width=media.width, height=media.height)


def _joined(file: Path, entries: Join, is_cut: bool) -> Iterator[Record]:
    for name in entries:
        found = entries.take(name)
        objects = [_OBJECT.validate_python(item) for _, item in found]
        sizes = (png_size(item.shape.data) for item in objects if isinstance(item.shape, Bitmap))
        width, height = next((size for size in sizes if size), (None, None))
        yield Picture(file, found[0][0], name, objects, width=width, height=height, partial=is_cut)


def _name(*names: str | None) -> str:
    """The first name that is a picture's, or the first at all: keys need not be names of files."""
    given = [name for name in names if name]
    return next((name for name in given if is_picture(Path(name))), given[0] if given else "")


def _last_part(url: str | None) -> str:
    path = unquote((url or "").partition("?")[0].partition("#")[0])
    return path.rstrip("/").rpartition("/")[2]
