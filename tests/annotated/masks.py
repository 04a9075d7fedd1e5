"""Pictures with mask files beside them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from annotated.coco import Item
from annotated.rings import Mask

CLASSES = {"colour": ("#c08080",), "palette": ("2",)}  # what has to be asked for, where that is not a person


def write(folder: Path, items: Sequence[Item], way: str = "binary") -> Path:
    """`folder`/images and masks; `way` is binary (0, 255), ones (0, 1), bits, alpha, colour, palette or beside.

    `beside` keeps NAME.png and NAME_mask.png in one folder.
    """
    images, masks = (folder, folder) if way == "beside" else (folder / "images", folder / "masks")
    for made in (images, masks):
        made.mkdir(parents=True, exist_ok=True)
    for name, file, mask in items:
        shutil.copyfile(file, images / name)
        ending = "_mask" if way == "beside" else ""
        picture(mask, way).save(masks / f"{Path(name).stem}{ending}.png")
    return folder


def picture(mask: Mask, way: str) -> Image.Image:
    """A mask as a picture file holds it."""
    if way == "ones":
        return Image.fromarray(mask.astype(np.uint8))
    if way == "bits":
        return Image.fromarray(mask)
    if way == "alpha":
        colours = np.full((*mask.shape, 3), 90, np.uint8)
        return Image.fromarray(np.dstack([colours, mask * np.uint8(255)]))
    if way == "colour":
        found = np.full((*mask.shape, 3), (10, 200, 10), np.uint8)
        found[mask] = (0xC0, 0x80, 0x80)
        return Image.fromarray(found)
    if way == "palette":
        made = Image.fromarray(np.where(mask, 2, 1).astype(np.uint8))
        made.putpalette([0, 0, 0, 9, 9, 9, 9, 9, 9])
        return made
    return Image.fromarray(mask * np.uint8(255))
