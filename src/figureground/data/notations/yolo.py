"""YOLO's outlines, a text file a picture (https://docs.ultralytics.com/datasets/segment/).

labels/train/NAME.txt is of images/train/NAME.jpg; or both are in one folder. Classes are called as a YAML file with
`names`, classes.txt or obj.names says, in the label's folder or the nearest above it; else by their numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from figureground.data.folders import pictures_called
from figureground.data.notations.yolo_names import class_names
from figureground.data.records import Folder, Object, Picture, Point, Polygons, Record, Shape
from figureground.errors import DatasetError

NAME = "yolo"
SUFFIXES = (".txt",)
_MAX_FILE = 16 << 20  # characters
_MAX_LINES = 100_000
_OUTSIDE = 0.5  # of the picture; what is farther off is in pixels
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_IS_NUMBER = re.compile(_NUMBER)
_FIRST_LINE = re.compile(rf"\s*\d+(?:[ \t]+(?:{_NUMBER}|nan|-?inf)){{4,}}[ \t]*(?:\r?\n|$)", re.IGNORECASE)


def claims(path: Path, head: str, root: Path) -> bool:
    """A text of numbers; or one under a folder `labels` that is empty or that there is a picture of."""
    if path.suffix.lower() != ".txt":
        return False
    if _FIRST_LINE.match(head):
        return True
    is_label = root.name == "labels" or "labels" in path.relative_to(root).parts[:-1]
    return is_label and (not head.strip() or _image(path) is not None)


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The picture of a file, an object a line.

    Raises:
        DatasetError: the file cannot be read, or the names of its classes cannot.
    """
    lines = _text(file).split("\n")
    if len(lines) > _MAX_LINES:
        raise DatasetError(f"more than {_MAX_LINES} lines")
    names = class_names(file.parent, folder.root)
    objects = [_object(number, line, names) for number, line in enumerate(lines, 1) if line.strip()]
    image = _image(file)
    yield Picture(file, "", image.name if image else f"{file.stem}.jpg", objects, image=image)


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            text = opened.read(_MAX_FILE + 1)
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"not UTF-8 ({error.reason}); save it as UTF-8") from error
    if len(text) > _MAX_FILE:
        raise DatasetError(f"more than {_MAX_FILE >> 20} million characters")
    return text


def _image(file: Path) -> Path | None:
    """The picture: in the folder of the label's path whose last `labels` is `images`, or beside the label."""
    folders = [file.parent]
    parts = list(file.parent.parts)
    if "labels" in parts:
        last = len(parts) - 1 - parts[::-1].index("labels")
        folders.insert(0, Path(*parts[:last], "images", *parts[last + 1 :]))
    return next((path for folder in folders for path in pictures_called(file.stem, folder)), None)


def _object(number: int, line: str, names: dict[int, str]) -> Object:
    place, label = f"line {number}", ""
    try:
        label = _label(line.split(maxsplit=1)[0], names)
        return Object("", place, label, _shape(line.split()[1:]))
    except DatasetError as error:
        return Object("", place, label, None, str(error))


def _label(text: str, names: dict[int, str]) -> str:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise DatasetError(f"want the number of a class first, got {text[:40]!r}")
    number = int(text)
    if names and number not in names:
        raise DatasetError(f"class {number} has no name; there are those from {min(names)} to {max(names)}")
    return names.get(number) or str(number)


def _shape(texts: list[str]) -> Shape:
    if len(texts) == 4:
        raise DatasetError("a box, no outline")
    if len(texts) % 2:
        raise DatasetError(f"{len(texts)} coordinates, an odd number")
    if len(texts) < 6:
        raise DatasetError(f"{len(texts) // 2} points, want 3 or more")
    values = [_number(text) for text in texts]
    points: list[Point] = list(zip(values[::2], values[1::2], strict=True))
    return Polygons([points], relative=True, fill="opencv")


def _number(text: str) -> float:
    value = float(text) if _IS_NUMBER.fullmatch(text) else math.nan
    if math.isnan(value):
        raise DatasetError(f"want numbers, got {text[:40]!r}")
    if not -_OUTSIDE <= value <= 1 + _OUTSIDE:
        raise DatasetError(f"{text[:40]} is far outside 0 to 1: want parts of the picture's width and height")
    return value
