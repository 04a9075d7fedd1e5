"""Labelbox: exports of version 1 and 2, and annotations for import with masks in them."""

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

SERVER = "https://storage.labelbox.com/ck1%2F"


def write(folder: Path, items: Sequence[Item], way: str = "v2") -> Path:
    """The pictures in `folder`/data and export.json (v1), export.ndjson (v2) or import.ndjson (masks) beside it."""
    (folder / "data").mkdir(parents=True)
    for name, file, _ in items:
        shutil.copyfile(file, folder / "data" / name)
    if way == "v1":
        (folder / "export.json").write_text(json.dumps([_old_row(name, mask) for name, _, mask in items]))
    elif way == "v2":
        rows = [_row(number, name, mask) for number, (name, _, mask) in enumerate(items)]
        (folder / "export.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        entries = [entry(name, part) for name, _, mask in items for part in parts(mask)]
        (folder / "import.ndjson").write_text("".join(json.dumps(one) + "\n" for one in entries))
    return folder


def _polygon(piece: Mask) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in centre_ring(piece)]


def _old_row(name: str, mask: Mask) -> dict[str, Any]:
    objects = [
        {"featureId": f"f{number}", "title": "Person", "value": "person", "polygon": _polygon(piece)}
        for number, piece in enumerate(without_holes(mask))
    ]
    row = {"ID": "l1", "DataRow ID": "d1", "Labeled Data": f"{SERVER}{name}?Expires=1", "External ID": None}
    return row | {"Label": {"objects": objects, "classifications": []}, "Skipped": False}


def _row(number: int, name: str, mask: Mask) -> dict[str, Any]:
    objects = [
        {
            "feature_id": f"f{index}",
            "name": "Person",
            "value": "person",
            "annotation_kind": "ImagePolygon",
            "classifications": [],
            "polygon": _polygon(piece),
        }
        for index, piece in enumerate(without_holes(mask))
    ]
    label = {"label_kind": "Default", "id": "l1", "annotations": {"objects": objects, "classifications": []}}
    return {
        "data_row": {"id": f"d{number}", "global_key": f"key-{number}", "external_id": name, "row_data": SERVER + name},
        "media_attributes": {"height": mask.shape[0], "width": mask.shape[1], "mime_type": "image/png"},
        "projects": {"p1": {"name": "people", "labels": [label]}},
    }


def entry(name: str, part: Mask) -> dict[str, Any]:
    """An annotation for import, its mask as large as the picture."""
    stream = io.BytesIO()
    Image.fromarray(part.astype(np.uint8) * np.uint8(255)).save(stream, format="PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    return {"uuid": "u", "name": "person", "dataRow": {"globalKey": name}, "mask": {"png": data}}
