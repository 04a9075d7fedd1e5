"""Pascal VOC's class masks (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/segexamples/).

SegmentationClass/NAME.png is of JPEGImages/NAME.jpg. The classes are those of a `labelmap.txt` (CVAT's) or a
`class_names.txt` (LabelMe's) beside the folder, else VOC's own. The void edge, 255, is background.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from figureground.data.folders import BESIDE, Finder, pictures_called
from figureground.data.labels import is_wanted
from figureground.data.records import Folder, MaskFile, Object, Picture, Record
from figureground.errors import DatasetError, ImageError
from figureground.images import has_levels

NAME = "voc"
SUFFIXES = (".png",)
_FOLDER = "SegmentationClass"
_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_MAX_LIST = 1 << 20  # characters
_LABEL = re.compile(r"([^#:][^:]*):(\d{1,3}),(\d{1,3}),(\d{1,3}):.*")
Colour = tuple[int, int, int]


def claims(path: Path, head: str, root: Path) -> bool:
    """A PNG under a folder SegmentationClass, or one called so with an ending."""
    return path.suffix.lower() == ".png" and _class_folder(path) is not None


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The picture of a mask; if nobody is in the mask, the picture of nobody.

    Raises:
        DatasetError: a class asked for is not in the list, or the list cannot be read.
    """
    masks = _class_folder(file)
    if masks is None:
        raise DatasetError(f"not under a folder {_FOLDER}")
    root = masks.parent
    image = _image(file, masks)
    yield Picture(file, "", image.name if image else f"{file.stem}.jpg", [_object(file, root, folder)], image=image)


def _class_folder(path: Path) -> Path | None:
    found = (parent for parent in path.parents if parent.name.startswith(_FOLDER))
    return next((parent for parent in found if not parent.name.endswith("Visualization")), None)


def _image(file: Path, masks: Path) -> Path | None:
    within = file.parent.relative_to(masks)
    folders = (masks.parent / name / within for name in ("JPEGImages", *BESIDE))
    return next((path for folder in folders for path in pictures_called(file.stem, folder)), None)


def _object(file: Path, root: Path, folder: Folder) -> Object:
    if not Finder(folder.root).holds(file):
        return Object(file.name, "", folder.classes[0], None, "a symbolic link out of the source")
    values, colours = _wanted(root, folder)
    try:
        shape = MaskFile(file, values=values) if values and has_levels(file) else MaskFile(file, colours=colours)
    except ImageError as error:
        return Object(file.name, "", folder.classes[0], None, str(error))
    return Object(file.name, "", folder.classes[0], shape)


def _wanted(root: Path, folder: Folder) -> tuple[list[int], list[Colour]]:
    """Of the classes asked for, the numbers and the colours, as far as they are known."""
    label_map, class_names = root / "labelmap.txt", root / "class_names.txt"
    finder = Finder(folder.root)
    if finder.holds(label_map):
        named = _label_map(label_map)
        chosen = _chosen([name for name, _ in named], folder.classes, label_map)
        return [], [named[number][1] for number in chosen]
    if finder.holds(class_names):
        names = [line.strip() for line in _lines(class_names)]
        chosen = _chosen(names, folder.classes, class_names)
    else:
        chosen = _chosen(_CLASSES, folder.classes, Path("VOC's own list"))
    return chosen, [_colour(number) for number in chosen]


def _chosen(names: Sequence[str], classes: Sequence[str], where: Path) -> list[int]:
    """The places in the list of the classes asked for."""
    for wanted in classes:
        if not any(is_wanted(name, (wanted,)) for name in names):
            shown = ", ".join(name[:40] for name in names[:30])
            raise DatasetError(f"class {wanted} is not in {where}; there are {shown}: choose with --classes")
    return [number for number, name in enumerate(names) if is_wanted(name, classes)]


def _colour(number: int) -> Colour:
    """VOC's colour of a class: its bits, three at a time, from the highest bit of each channel down."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


def _label_map(path: Path) -> list[tuple[str, Colour]]:
    found = [match for line in _lines(path) if (match := _LABEL.fullmatch(line.strip()))]
    return [(match[1], (int(match[2]), int(match[3]), int(match[4]))) for match in found]


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(_MAX_LIST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error})") from error
