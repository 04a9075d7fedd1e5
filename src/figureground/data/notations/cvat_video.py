"""The video of a file in CVAT's XML: its frames, the pictures of them, and its tracks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from figureground.data.folders import is_picture, walk
from figureground.data.join import Join
from figureground.data.notations.cvat_tracks import Track, taken
from figureground.data.records import Object, Picture, Problem, Record
from figureground.data.xml_stream import Tag
from figureground.errors import DatasetError

_FRAME = re.compile(r"frame_(\d{6,9})")
_LAST_FRAME = 10**9 - 1
_FACTS = ("start_frame", "stop_frame", "size", "width", "height")


class Video:
    """What is known of the video so far; its objects wait in `frames` on disk for all tracks to be read."""

    def __init__(self, file: Path, frames: Join) -> None:
        self.tracks = 0
        self._file, self._frames = file, frames
        self._track: Track | None = None
        self._facts = dict[str, int]()
        self._tasks = 0

    def take_meta(self, within: tuple[str, ...], text: str) -> None:
        """The text of an element in `meta`: of a task, of a job, or of the video's `original_size`."""
        if within == ("project", "tasks", "task"):
            self._tasks += 1
        elif within[-1] in _FACTS and len(within) <= 3 and text.isdecimal() and len(text) <= 9:
            self._facts[within[-1]] = int(text)

    def begin_track(self, tag: Tag) -> Iterator[Problem]:
        """A `track`, whose shapes follow."""
        self.tracks += 1
        name = f"track {tag.attributes.get('id', '')[:40]}".strip()
        if self._is_several:
            reason = "frames of a project of several tasks: export each task by itself"
            yield Problem(str(self._file), f"line {tag.line}", name, "rejected", reason)
        else:
            self._track = Track(name, tag.attributes.get("label", ""), self._numbers, self._frames)

    def add_shape(self, tag: Tag) -> Iterator[Problem]:
        """A shape of the track."""
        try:
            if self._track:
                self._track.add(tag)
        except DatasetError as error:
            yield Problem(str(self._file), f"line {tag.line}", "", "rejected", str(error))

    def end_track(self) -> None:
        """The end of the `track`."""
        if self._track:
            self._track.end(self._stop)
        self._track = None

    def records(self) -> Iterator[Record]:
        """Every frame that there is a picture of, and what stands in others."""
        if self.tracks and not self._is_several:
            for number in self._numbers:
                yield from self._frame(number)
        for number in self._frames:
            yield from self._frame(number)

    def _frame(self, number: int) -> Iterator[Record]:
        objects, found = taken(self._frames, number), self._pictures.get(number, [])
        if len(found) == 1:
            name, width, height = found[0].name, self._facts.get("width"), self._facts.get("height")
            yield Picture(self._file, f"frame {number}", name, objects, width or None, height or None, found[0])
            return
        # Looked for by its name elsewhere in the source, it might be a frame of another video.
        several = " and ".join(str(path) for path in found[:3]) + " are of one frame: leave one"
        reason = several if found else f"there is no picture frame_{number:06d} beside it"
        for item in objects or [Object("", f"frame {number}", "", None)]:
            yield Problem(str(self._file), item.place, item.id, "rejected", reason)

    @property
    def _is_several(self) -> bool:
        """Whether the frames of several videos are counted on in one file."""
        return self._tasks > 1

    @property
    def _start(self) -> int:
        return self._facts.get("start_frame", 0)

    @property
    def _stop(self) -> int:
        """The last frame that was annotated."""
        by_size = self._start + self._facts["size"] - 1 if "size" in self._facts else _LAST_FRAME
        return self._facts.get("stop_frame", by_size)

    @cached_property
    def _pictures(self) -> dict[int, list[Path]]:
        """The frames beside the file, by number."""
        found = defaultdict[int, list[Path]](list)
        parent = self._file.parent
        for path in walk(parent.parent if parent.name == "annotations" else parent):
            if isinstance(path, Path) and is_picture(path) and (match := _FRAME.fullmatch(path.stem)):
                found[int(match[1])].append(path)
        return found

    @cached_property
    def _numbers(self) -> list[int]:
        return sorted(number for number in self._pictures if self._start <= number <= self._stop)
