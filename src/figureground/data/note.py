"""The first step of preparing: what a source holds, with its pictures found and its classes chosen."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from figureground.data.folders import Finder, is_picture, walk
from figureground.data.labels import is_ignored, is_wanted
from figureground.data.reading import Source, read_source
from figureground.data.records import MaskFile, Object, Picture, Problem
from figureground.data.state import State
from figureground.errors import DatasetError

_LONGEST = 100  # characters of an id: file systems allow 255 bytes, and endings follow


class Note:
    """Takes the records of one source into the state."""

    def __init__(
        self, state: State, source: Source, name: str, classes: Sequence[str], only_sources: Sequence[str]
    ) -> None:
        self._state, self._source, self._name = state, source, name
        self._classes, self._only_sources = classes, only_sources
        self._finder = Finder(source.root)

    def take_all(self) -> Iterator[int]:
        """Take every record; gives the number of pictures so far after each."""
        taken = 0
        for record in read_source(self._source):
            if isinstance(record, Problem):
                self._state.add_problem(record)
            else:
                self._take(record)
                taken += 1
            yield taken
        self._count_strangers()

    def _take(self, picture: Picture) -> None:
        source = picture.source or self._name
        if self._only_sources and source not in self._only_sources:
            self._state.count(source, "", "other source")
            return
        picture = replace(picture, objects=self._wanted(source, picture.objects))
        try:
            picture = self._found(picture)
        except DatasetError as error:
            self._reject(picture, str(error))
            return
        path = self._path(picture)
        before = self._state.add_picture(self._id(picture, source, path), source, path, picture)
        if before:
            self._reject(picture, f"its picture {path} has been annotated in {before} already: not taken twice")

    def _wanted(self, source: str, objects: Sequence[Object]) -> list[Object]:
        """The objects of the classes asked for, and those so broken that they have no class; others are counted."""
        kept = list[Object]()
        for item in objects:
            if not item.label or is_wanted(item.label, self._classes):
                kept.append(self._held(item))
                fate = "wanted" if kept[-1].shape else "broken"
            else:
                fate = "ignored" if is_ignored(item.label) else "other"
            self._state.count(source, item.label, fate)
        return kept

    def _found(self, picture: Picture) -> Picture:
        if picture.image:
            if not os.path.lexists(picture.image):
                raise DatasetError(f"its picture {picture.image} is missing")
            if not self._finder.holds(picture.image):
                raise DatasetError(f"its picture {picture.image} is not in {self._source.root}")
            return replace(picture, embedded=False)
        if picture.embedded:  # looked for elsewhere, it might be another of its name
            image = self._finder.led_to(picture.name, picture.file)
            return replace(picture, image=image, embedded=image is None)
        image, mended = self._finder.find(picture.name, picture.file)
        objects = [replace(item, problem=_both(item.problem, mended)) for item in picture.objects]
        return replace(picture, image=image, embedded=False, objects=objects)

    def _held(self, item: Object) -> Object:
        """An object whose mask file, if it has one, is in the source."""
        if not isinstance(item.shape, MaskFile) or self._finder.holds(item.shape.path):
            return item
        return replace(item, shape=None, problem=f"its mask {item.shape.path} is not in {self._source.root}")

    def _path(self, picture: Picture) -> str:
        """Of the picture in its source, or of the file that it is in."""
        file = picture.image or picture.file
        return file.relative_to(self._source.root).as_posix()

    def _id(self, picture: Picture, source: str, path: str) -> str:
        """The one it had when it was prepared before, else of its source and path; unlike every other."""
        name = picture.id or f"{source}_{Path(path).with_suffix('').as_posix()}"
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")
        if len(name) <= _LONGEST and name and not self._state.has_id(name):
            return name
        digest = hashlib.sha256(f"{self._name}/{path}".encode()).hexdigest()
        found = (f"{name[:_LONGEST]}-{digest[:length]}" for length in range(8, 65, 8))
        return next(other for other in found if not self._state.has_id(other))

    def _reject(self, picture: Picture, reason: str) -> None:
        for item in picture.objects or [Object("", picture.place, "", None)]:
            self._state.add_problem(Problem(str(picture.file), item.place, item.id, "rejected", reason))

    def _count_strangers(self) -> None:
        """Count the pictures of the source that no annotation names."""
        if not self._source.path.is_dir() or self._source.notation == "prepared":
            return
        for file in walk(self._source.root):
            if not isinstance(file, Path) or not is_picture(file) or file.parent.name.startswith("Segmentation"):
                continue
            if not self._state.has_image(file) and not self._source.is_annotation(file):
                self._state.count(self._name, "", "no annotation")


def _both(one: str, other: str) -> str:
    return "; ".join(filter(None, (one, other)))
