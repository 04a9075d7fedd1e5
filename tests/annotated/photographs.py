"""Pictures that look different from each other, with masks of people of several parts and with holes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from annotated.coco import Item
from figureground.arrays import Frame
from figureground.images import write_image


def photograph(seed: int, width: int = 64, height: int = 48) -> Frame:
    """Coarse patches of colour: no two seeds give near-duplicates."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def items(folder: Path, count: int, suffix: str = ".png", width: int = 64, height: int = 48) -> list[Item]:
    """`count` pictures, called 000.png and so on, in `folder`; each mask is a ring and a patch."""
    found = []
    for number in range(count):
        file = folder / f"{number:03}{suffix}"
        write_image(file, photograph(number, width, height))
        found.append((file.name, file, mask(number, width, height)))
    return found


def mask(seed: int, width: int = 64, height: int = 48) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """An ellipse with a hole, and a rectangle apart from it."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width), np.uint8)
    centre = (int(width * rng.uniform(0.55, 0.7)), int(height * rng.uniform(0.45, 0.6)))
    axes = (int(width * rng.uniform(0.18, 0.25)), int(height * rng.uniform(0.25, 0.35)))
    cv2.ellipse(pixels, centre, axes, 0, 0, 360, 1, -1)
    cv2.ellipse(pixels, centre, (axes[0] // 3, axes[1] // 3), 0, 0, 360, 0, -1)
    left, top = rng.integers(1, width // 10), rng.integers(1, height // 3)
    pixels[top : top + height // 4, left : left + width // 8] = 1
    return pixels.astype(bool)
