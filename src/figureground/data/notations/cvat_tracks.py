"""The tracks of CVAT's XML, which follow an object through a video: shapes at some frames, moved between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from figureground.data.join import Join
from figureground.data.notations.cvat_shapes import Drawn, moved, parse, shape
from figureground.data.records import Object
from figureground.data.xml_stream import Tag
from figureground.errors import DatasetError

_OBJECT = TypeAdapter(Object)


@dataclass(frozen=True, slots=True)
class _Key:
    """What a track says of one frame."""

    frame: int
    place: str
    outside: bool
    drawn: Drawn | None
    problem: str


class Track:
    """Puts one object into `frames`, a shape at a time, so that no track need be held whole."""

    def __init__(self, name: str, label: str, pictures: Sequence[int], frames: Join) -> None:
        """`pictures` are the frames, in order, that there are pictures of."""
        self._name, self._label, self._pictures, self._frames = name, label, pictures, frames
        self._last: _Key | None = None

    def add(self, tag: Tag) -> None:
        """Take the next shape of the track.

        Raises:
            DatasetError: it stands at no frame, or not at a later one than the shape before.
        """
        key = _key(tag)
        if self._last and key.frame <= self._last.frame:
            raise DatasetError(f"frame {key.frame} after frame {self._last.frame} in one track: want rising frames")
        self._hold(key.frame, key)
        if not key.outside:
            self._put(key.frame, self._object(key, key.drawn, key.place, key.problem))
        self._last = key

    def end(self, stop: int) -> None:
        """The last shape holds to the frame `stop`."""
        self._hold(stop + 1, None)

    def _hold(self, end: int, following: _Key | None) -> None:
        """Fill the frames between the last shape and `end` that have no shape of their own."""
        last = self._last
        if last is None or last.outside:
            return
        for frame in self._pictures[bisect_left(self._pictures, last.frame + 1) : bisect_left(self._pictures, end)]:
            self._put(frame, self._between(last, following, frame))

    def _between(self, last: _Key, following: _Key | None, frame: int) -> Object:
        place = f"{last.place}, frame {frame}"
        if not following or not last.drawn:
            return self._object(last, last.drawn, place, last.problem)
        part = (frame - last.frame) / (following.frame - last.frame)
        drawn = moved(last.drawn, following.drawn, part) if following.drawn else None
        reason = f"held from frame {last.frame}: the next shape has other points" if not drawn else ""
        if last.drawn.rle and not drawn:
            reason = f"held from frame {last.frame}: a mask does not move"
        return self._object(last, drawn or last.drawn, place, reason)

    def _object(self, key: _Key, drawn: Drawn | None, place: str, problem: str) -> Object:
        found = Object(self._name, place, self._label, shape(drawn) if drawn else None, problem)
        return found if self._label else replace(found, shape=None, problem="no label")

    def _put(self, frame: int, found: Object) -> None:
        self._frames.add(frame, _OBJECT.dump_python(found, mode="json"))


def taken(frames: Join, frame: int) -> list[Object]:
    """The objects that tracks have put into a frame."""
    return [_OBJECT.validate_python(value) for value in frames.take(frame)]


def _key(tag: Tag) -> _Key:
    text = tag.attributes.get("frame", "")
    if not text.isdecimal() or len(text) > 9:
        raise DatasetError(f"frame: want a whole number, got {text[:40]!r}")
    outside = tag.attributes.get("outside", "0") not in ("0", "False", "false")
    try:
        return _Key(int(text), f"line {tag.line}", outside, parse(tag.path[-1], tag.attributes), "")
    except DatasetError as error:
        return _Key(int(text), f"line {tag.line}", outside, None, str(error))
