"""COCO instances, as polygons or run lengths."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from annotated.rings import Mask, corner_rings, keyhole

Item = tuple[str, Path, Mask]  # the picture's name, its file, its mask


def write(folder: Path, items: Sequence[Item], way: str = "polygons") -> Path:
    """`folder`/images and `folder`/annotations/instances.json; `way` is polygons, runs or compressed."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images, annotations = [], []
    for number, (name, file, mask) in enumerate(items, 1):
        shutil.copyfile(file, folder / "images" / name)
        height, width = mask.shape
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        if mask.any():
            annotation = {"id": 1000 + number, "image_id": number, "category_id": 1, "iscrowd": int(way != "polygons")}
            annotations.append(annotation | {"segmentation": _segmentation(mask, way)})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "annotations" / "instances.json").write_text(json.dumps(document))
    return folder


def _segmentation(mask: Mask, way: str) -> object:
    if way == "polygons":
        rings = [keyhole(*rings) for rings in corner_rings(mask)]
        return [[value for point in ring for value in point] for ring in rings]
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    if way == "compressed":
        return {"size": list(mask.shape), "counts": runs["counts"].decode()}
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *lengths] if flat[0] else lengths}
