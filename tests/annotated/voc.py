"""Pascal VOC: JPEGImages and SegmentationClass."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from annotated.coco import Item
from annotated.rings import Mask

PERSON, CHAIR, VOID = 15, 9, 255
COLOURS = {0: (0, 0, 0), CHAIR: (192, 0, 0), PERSON: (192, 128, 128), VOID: (224, 224, 192)}  # by VOC's own table
LABEL_MAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nchair:10,20,30::\nperson:250,50,83:head,hand:walk\n"


def write(folder: Path, items: Sequence[Item], way: str = "palette") -> Path:
    """`way` is palette, rgb, or labelmap, which is what CVAT exports; a chair and the void edge are there too."""
    for name in ("JPEGImages", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    if way == "labelmap":
        (folder / "labelmap.txt").write_text(LABEL_MAP)
    for name, file, mask in items:
        shutil.copyfile(file, folder / "JPEGImages" / name)
        picture(numbers(mask), way).save(folder / "SegmentationClass" / f"{Path(name).stem}.png")
    return folder


def numbers(mask: Mask) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The class of every pixel."""
    found = np.zeros(mask.shape, np.uint8)
    found[:5, :5] = CHAIR
    edge = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    found[edge] = VOID
    found[mask] = PERSON
    return found


def picture(found: np.ndarray[tuple[int, int], np.dtype[np.uint8]], way: str) -> Image.Image:
    """A class mask as a picture file holds it."""
    if way == "palette":
        made = Image.fromarray(found)
        made.putpalette([channel for number in range(256) for channel in COLOURS.get(number, (1, 2, 3))])
        return made
    colours = COLOURS if way == "rgb" else {0: (0, 0, 0), CHAIR: (10, 20, 30), PERSON: (250, 50, 83), VOID: (0, 0, 0)}
    pixels = np.zeros((*found.shape, 3), np.uint8)
    for number, colour in colours.items():
        pixels[found == number] = colour
    return Image.fromarray(pixels)
