"""One module a notation. Each has

NAME        as `--format` takes it
SUFFIXES    of its annotation files
claims      whether a file (by its path, the beginning and end of its text, and the source's root) is written in it
read        its pictures, and its problems, as records; nothing of a broken file may raise but a DatasetError,
            which says what is lost with the rest of the file

To add one, write its module and name it here.
"""

from __future__ import annotations

from figureground.data.notations import coco, cvat, labelbox, labelme, masks, prepared, supervisely, via, voc, yolo
from figureground.data.records import Claims, Read

NOTATIONS: dict[str, tuple[tuple[str, ...], Claims, Read]] = {
    module.NAME: (module.SUFFIXES, module.claims, module.read)
    for module in (coco, supervisely, labelme, via, labelbox, cvat, yolo, voc, masks, prepared)
}
