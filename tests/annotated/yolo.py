"""YOLO's outlines: images/train, labels/train and data.yaml."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from annotated.coco import Item
from annotated.rings import Mask, Ring, closed, parts


def write(folder: Path, items: Sequence[Item], way: str = "polygons") -> Path:
    """A dataset as ultralytics reads it; holes are reached through a cut, as it has none."""
    for name in ("images", "labels"):
        (folder / name / "train").mkdir(parents=True)
    text = "path: .\ntrain: images/train\nval: images/train\nnames:\n  0: bicycle\n  1: person\n"
    (folder / "data.yaml").write_text(text)
    for name, file, mask in items:
        shutil.copyfile(file, folder / "images" / "train" / name)
        lines = [f"1 {_coordinates(ring(part), *mask.shape)}\n" for part in parts(mask)]
        (folder / "labels" / "train" / f"{Path(name).stem}.txt").write_text("".join(lines))
    return folder


def _coordinates(points: Ring, height: int, width: int) -> str:
    return " ".join(f"{x / width:.6f} {y / height:.6f}" for x, y in points)


def ring(part: Mask) -> Ring:
    """One ring through the object's border pixels, which runs into every hole where that is nearest, and back."""
    found, tree = cv2.findContours(part.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outline = next(contour for contour, node in zip(found, tree[0], strict=True) if node[3] < 0)[:, 0]
    for hole in (contour[:, 0] for contour, node in zip(found, tree[0], strict=True) if node[3] >= 0):
        distances = np.abs(outline[:, None].astype(int) - hole[None]).max(axis=2)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        outline = np.concatenate([outline[: here + 1], hole[there:], hole[: there + 1], outline[here:]])
    return closed([(float(x), float(y)) for x, y in outline])
