"""CVAT's XML 1.1: images with polygons or masks, or a video whose frames are the pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from annotated.coco import Item
from annotated.rings import Mask, corner_rings, keyhole


def write(folder: Path, items: Sequence[Item], way: str = "polygons") -> Path:
    """`folder`/images and `folder`/annotations.xml; `way` is polygons, masks or track.

    A track is what CVAT makes of a shape drawn on one frame of a video: it is outside on the next.
    """
    (folder / "images").mkdir(parents=True)
    entries = list[str]()
    for number, (name, file, mask) in enumerate(items):
        if way == "track":
            shutil.copyfile(file, folder / "images" / f"frame_{number:06}{file.suffix}")
            entries += [_track(number, mask, index) for index in range(int(mask.any()))]
            continue
        shutil.copyfile(file, folder / "images" / name)
        size = f'width="{mask.shape[1]}" height="{mask.shape[0]}"'
        shapes = "".join(_shapes(mask, way))
        entries.append(f'<image id="{number}" name={quoteattr(name)} {size}>\n{shapes}</image>')
    mode = "interpolation" if way == "track" else "annotation"
    last = len(items) - 1
    task = f"<size>{len(items)}</size><mode>{mode}</mode><start_frame>0</start_frame><stop_frame>{last}</stop_frame>"
    text = "\n".join(["<version>1.1</version>", f"<meta><task><id>1</id>{task}</task></meta>", *entries])
    document = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n{text}\n</annotations>\n'
    (folder / "annotations.xml").write_text(document, encoding="utf-8")
    return folder


def _track(frame: int, mask: Mask, index: int) -> str:
    shape = runs(mask)
    drawn = f'<mask frame="{frame}" keyframe="1" outside="0" occluded="0" {shape}/>'
    gone = f'<mask frame="{frame + 1}" keyframe="1" outside="1" occluded="0" {shape}/>'
    return f'<track id="{frame + index}" label="person" source="manual">\n{drawn}\n{gone}\n</track>'


def _shapes(mask: Mask, way: str) -> Iterator[str]:
    common = 'label="person" source="manual" occluded="0" z_order="0"'
    if way == "masks":
        if mask.any():
            yield f"<mask {common} {runs(mask)}/>\n"
        return
    for rings in corner_rings(mask) if mask.any() else []:
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in keyhole(*rings))
        yield f'<polygon {common} points="{points}"><attribute name="age">7</attribute></polygon>\n'


def runs(mask: Mask) -> str:
    """The attributes of a mask's window."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    edges = np.flatnonzero(np.diff(window.ravel().astype(np.int8))) + 1
    counts = np.diff(np.concatenate([[0], edges, [window.size]])).tolist()
    text = ", ".join(map(str, [0, *counts] if window[0, 0] else counts))
    height, width = window.shape
    return f'rle="{text}" left="{columns[0]}" top="{rows[0]}" width="{width}" height="{height}"'
