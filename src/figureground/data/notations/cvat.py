"""CVAT's XML 1.1, for images and for videos (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/).

Tags, which CVAT puts on whole pictures, are no annotation of pixels and are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from figureground.data.join import joined
from figureground.data.notations.checks import Size, explain
from figureground.data.notations.cvat_shapes import parse, shape
from figureground.data.notations.cvat_video import Video
from figureground.data.records import Folder, Object, Picture, Problem, Record
from figureground.data.xml_stream import Tag, stream_xml
from figureground.errors import DatasetError

NAME = "cvat"
SUFFIXES = (".xml",)
_ROOT = re.compile(r"<annotations[\s/>]")
_MOST = 100_000  # shapes of one picture
_NO_SHAPES = ("tag", "attribute")


class _Image(BaseModel):
    name: str
    width: Size | None = None
    height: Size | None = None
    subset: str = ""


def claims(path: Path, head: str, root: Path) -> bool:
    """An XML of `annotations`; others' are of one `annotation`."""
    return path.suffix.lower() == ".xml" and bool(_ROOT.search(head))


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The images of a file and the frames of its tracks, those without objects included.

    Frames are called frame_000000 and so on; one whose picture is not there is left out unless a shape stands in it.

    Raises:
        DatasetError: the file is broken, after the images before the fault; no track is read then, as every
            frame may lack an object that comes later.
    """
    with joined() as frames:
        reading = _Reading(file, Video(file, frames))
        try:
            for tag in stream_xml(file):
                yield from reading.take(tag)
        except DatasetError as error:
            if reading.video.tracks:
                raise DatasetError(f"{error}; no track is read, as each frame may lack an object of those") from error
            raise
        yield from reading.video.records()
        if not reading.images and not reading.video.tracks:
            raise DatasetError("holds no images and no tracks")


class _Reading:
    """One file as far as it has been read."""

    def __init__(self, file: Path, video: Video) -> None:
        self.images = 0
        self.video = video
        self._file = file
        self._image: _Image | None = None
        self._place = ""
        self._objects = list[Object]()

    def take(self, tag: Tag) -> Iterator[Record]:
        """Go on with a beginning or an end."""
        if tag.path[0] != "annotations":
            raise DatasetError(f"not CVAT: the root is <{tag.path[0][:40]}>, want <annotations>")
        within, is_beginning = tag.path[1:], tag.text is None
        if within == ("image",):
            yield from self._begin_image(tag) if is_beginning else self._end_image()
        elif within == ("track",) and is_beginning:
            yield from self.video.begin_track(tag)
        elif within == ("track",):
            self.video.end_track()
        elif within[:1] == ("meta",) and len(within) > 1 and tag.text is not None:
            self.video.take_meta(within[1:], tag.text)
        elif len(within) == 2 and is_beginning and within[1] not in _NO_SHAPES:
            yield from self._take_shape(tag)

    def _begin_image(self, tag: Tag) -> Iterator[Problem]:
        self.images += 1
        self._place, self._objects = f"line {tag.line}", []
        try:
            self._image = _Image.model_validate(tag.attributes)
        except ValidationError as error:
            name = tag.attributes.get("name", "")
            yield Problem(str(self._file), self._place, name, "rejected", explain(error))

    def _end_image(self) -> Iterator[Picture]:
        image, self._image = self._image, None
        if image:
            # Projects keep the pictures of each subset in a folder.
            name = f"{image.subset}/{image.name}" if image.subset else image.name
            yield Picture(self._file, self._place, name, self._objects, image.width, image.height)

    def _take_shape(self, tag: Tag) -> Iterator[Problem]:
        if tag.path[1] == "track":
            yield from self.video.add_shape(tag)
        elif self._image:
            if len(self._objects) == _MOST:
                raise DatasetError(f"line {tag.line}: an image of more than {_MOST} shapes")
            self._objects.append(_object(tag))


def _object(tag: Tag) -> Object:
    name, place, label = tag.attributes.get("id", ""), f"line {tag.line}", tag.attributes.get("label", "")
    if not label:
        return Object(name, place, "", None, "no label")
    try:
        return Object(name, place, label, shape(parse(tag.path[-1], tag.attributes)))
    except DatasetError as error:
        return Object(name, place, label, None, str(error))
