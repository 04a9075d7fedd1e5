"""VGG Image Annotator: annotations of version 1 and 2, a project, and CSV."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotated.coco import Item
from annotated.rings import Mask, centre_ring, without_holes

HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"


def write(folder: Path, items: Sequence[Item], way: str = "json2") -> Path:
    """The pictures and via.json or via.csv in `folder`; `way` is json1, json2, project or csv."""
    folder.mkdir(parents=True)
    found = dict[str, Any]()
    for name, file, mask in items:
        shutil.copyfile(file, folder / name)
        size = file.stat().st_size
        found[f"{name}{size}"] = {
            "filename": name,
            "size": size,
            "regions": [region(piece) for piece in without_holes(mask)],
            "file_attributes": {"caption": 'a "caption", with a comma'},
        }
    if way == "csv":
        _write_rows(folder / "via.csv", found)
    else:
        (folder / "via.json").write_text(json.dumps(_document(found, way)))
    return folder


def region(piece: Mask, label: str = "person") -> dict[str, Any]:
    """A polygon region."""
    x, y = zip(*centre_ring(piece), strict=True)
    shape = {"name": "polygon", "all_points_x": list(x), "all_points_y": list(y)}
    return {"shape_attributes": shape, "region_attributes": {"class": label}}


def _document(found: dict[str, Any], way: str) -> dict[str, Any]:
    if way == "json1":
        first = {"fileref": "", "base64_img_data": ""}
        return {
            key: first | value | {"regions": {str(number): region for number, region in enumerate(value["regions"])}}
            for key, value in found.items()
        }
    if way == "json2":
        return found
    about = {"type": "text", "description": "", "default_value": ""}
    return {
        "_via_settings": {"ui": {}, "core": {"default_filepath": "./"}, "project": {"name": "people"}},
        "_via_img_metadata": found,
        "_via_attributes": {"region": {"class": about}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(found),
    }


def _write_rows(file: Path, found: dict[str, Any]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(HEADER.split(","))
        for value in found.values():
            first = [value["filename"], value["size"], json.dumps(value["file_attributes"]), len(value["regions"])]
            for number, one in enumerate(value["regions"]):
                cells = (json.dumps(one["shape_attributes"]), json.dumps(one["region_attributes"]))
                writer.writerow([*first, number, *cells])
            if not value["regions"]:
                writer.writerow([*first, 0, "{}", "{}"])
