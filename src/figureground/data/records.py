"""What every notation is read into: pictures, the shapes drawn on them, and what went wrong.

Records travel to other processes and wait in a file on disk, so they hold plain values only.
Coordinates are x to the right and y down, in pixels of the picture as its notation states it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Point = tuple[float, float]
Action = Literal["repaired", "rejected"]


@dataclass(frozen=True, slots=True)
class Polygons:
    """Outlines and holes of one object.

    `fill` names whose rules decide which pixels lie inside: `coco` those of pycocotools (a pixel (x, y) covers
    x to x + 1, y to y + 1), `opencv` those of cv2.fillPoly on rounded coordinates and `pillow` those of
    ImageDraw.polygon (in both, points are centres of pixels and the outline belongs to the object).
    """

    outlines: list[list[Point]]
    holes: list[list[Point]] = field(default_factory=list)
    fill: Literal["coco", "opencv", "pillow"] = "opencv"
    relative: bool = False  # coordinates are parts of the picture's width and height
    kind: Literal["polygons"] = "polygons"


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A filled ellipse; `angle` in degrees, clockwise on the screen."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    angle: float = 0.0
    kind: Literal["ellipse"] = "ellipse"


@dataclass(frozen=True, slots=True)
class Rle:
    """Run lengths, beginning with a run of background, of a width x height window whose corner is (left, top).

    Those in columns are of the whole picture, and must be as large as it is.
    """

    counts: list[int]
    width: int
    height: int
    left: int = 0
    top: int = 0
    order: Literal["columns", "rows"] = "columns"
    kind: Literal["rle"] = "rle"


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A PNG in base64 (of its zlib stream, if `deflated` and it is one) whose corner is (left, top).

    Its alpha channel is the object where it has one (of a PNG that is not `deflated`, one with anything transparent),
    else whatever is not 0, or if it `is_soft`, its grey levels.
    """

    data: str
    left: int
    top: int
    deflated: bool = False
    is_soft: bool = False
    kind: Literal["bitmap"] = "bitmap"


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A picture file of the object's pixels, as large as the picture.

    `values` are the palette indices or grey levels that are the object, `colours` its RGB colours. Without either
    the file is an alpha: its alpha channel, if anything is transparent, or its grey levels. They are taken as they
    stand if `is_matte`, else a file that seems to hold something else, such as class numbers, is refused or mended.
    """

    path: Path
    values: list[int] = field(default_factory=list)
    colours: list[tuple[int, int, int]] = field(default_factory=list)
    is_matte: bool = False
    kind: Literal["mask"] = "mask"


Shape = Polygons | Ellipse | Rle | Bitmap | MaskFile


@dataclass(frozen=True, slots=True)
class Object:
    """One annotation: its name in the file, where it stands there, and its shape or why it has none."""

    id: str
    place: str
    label: str
    shape: Shape | None
    problem: str = ""  # with a shape: what was repaired in reading it; without: why it is rejected


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture with its annotations, as one notation gives it."""

    file: Path  # the annotation file
    place: str
    name: str  # the picture's name as the annotation gives it
    objects: list[Object]
    width: int | None = None  # as stated; None: not stated
    height: int | None = None
    image: Path | None = None  # where it is, if the notation says so beyond its name
    embedded: bool = False  # the picture is in the annotation file itself
    partial: bool = False  # the file is broken: objects of it may be lost
    licence: str = ""
    # Only what has been prepared before knows these:
    id: str = ""
    source: str = ""
    group: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row of rejects.csv: an annotation, or something larger, that was repaired or rejected."""

    file: str
    place: str
    annotation: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What a notation may know of where it reads: the source's root, out of which nothing is followed."""

    root: Path
    classes: tuple[str, ...]


Record = Picture | Problem
Claims = Callable[[Path, str, Path], bool]
Read = Callable[[Path, Folder], Iterator[Record]]
