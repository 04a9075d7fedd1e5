"""A Supervisely project, as polygons with holes or bitmaps."""

from __future__ import annotations

import base64
import io
import json
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotated.coco import Item
from annotated.rings import Mask, centre_rings, parts


def write(folder: Path, items: Sequence[Item], way: str = "polygons") -> Path:
    """`folder`/ds1/img and ds1/ann; `way` is polygons or bitmaps."""
    for name in ("img", "ann"):
        (folder / "ds1" / name).mkdir(parents=True)
    (folder / "meta.json").write_text('{"classes": [], "tags": []}')
    for name, file, mask in items:
        shutil.copyfile(file, folder / "ds1" / "img" / name)
        objects = [_polygon(part) if way == "polygons" else bitmap(part) for part in parts(mask)]
        size = {"height": mask.shape[0], "width": mask.shape[1]}
        document = {"description": "", "tags": [], "size": size, "objects": objects}
        (folder / "ds1" / "ann" / f"{name}.json").write_text(json.dumps(document))
    return folder


def _polygon(part: Mask) -> dict[str, Any]:
    outline, holes = centre_rings(part)
    points = {"exterior": outline, "interior": holes}
    return {"classTitle": "person_poly", "geometryType": "polygon", "points": points, "bitmap": None}


def bitmap(part: Mask, title: str = "person_bmp") -> dict[str, Any]:
    """A bitmap object: the PNG of palette mode, whose index 0 is transparent, that Supervisely writes."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    window = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture = Image.fromarray(window.astype(np.uint8))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    stream = io.BytesIO()
    picture.save(stream, format="PNG", transparency=0, bits=1)
    data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
    box = {"data": data, "origin": [int(columns[0]), int(rows[0])]}
    return {"classTitle": title, "geometryType": "bitmap", "points": None, "bitmap": box}
