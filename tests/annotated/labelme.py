"""labelme files beside their pictures, as polygons or masks."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotated.coco import Item
from annotated.rings import Mask, centre_ring, parts, without_holes


def write(folder: Path, items: Sequence[Item], way: str = "polygons") -> Path:
    """`folder`/NAME and NAME.json; `way` is polygons, masks, or embedded (polygons, and the picture in the file)."""
    folder.mkdir(parents=True)
    for name, file, mask in items:
        if way != "embedded":
            shutil.copyfile(file, folder / name)
        pieces = parts(mask) if way == "masks" else without_holes(mask)
        document = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [shape(part, number, way) for number, part in enumerate(pieces)],
            "imagePath": name,
            "imageData": base64.b64encode(file.read_bytes()).decode() if way == "embedded" else None,
            "imageHeight": mask.shape[0],
            "imageWidth": mask.shape[1],
        }
        (folder / name).with_suffix(".json").write_text(json.dumps(document, indent=2))
    return folder


def shape(part: Mask, group: int, way: str = "polygons", label: str = "person") -> dict[str, Any]:
    """One part as labelme 5 writes it."""
    common = {"label": label, "group_id": group, "description": "", "flags": {}}
    if way != "masks":
        return common | {"shape_type": "polygon", "points": centre_ring(part), "mask": None}
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    top, bottom, left, right = (int(value) for value in (rows[0], rows[-1], columns[0], columns[-1]))
    stream = io.BytesIO()
    Image.fromarray(part[top : bottom + 1, left : right + 1].astype(np.uint8)).save(stream, format="PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    return common | {"shape_type": "mask", "points": [[left, top], [right, bottom]], "mask": data}
