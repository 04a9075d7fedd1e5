"""Masks and documents made up for tests of the readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from annotated.coco import Item
from annotated.rings import Mask
from figureground.data.records import Object, Picture, Problem, Record

# A letter of the Latin alphabet, one that is not, and half a character, which no file can hold.
_TEXTS = st.text(st.sampled_from('ax9 "\\/.é\ud800'), max_size=5)


def mask(seed: int, height: int = 60, width: int = 80) -> Mask:
    """Several ellipses with holes, some of which cut one in two or touch the border."""
    random = np.random.default_rng(seed)
    canvas = np.zeros((height, width), np.uint8)
    for value in (1, 1, 1, 0, 0, 0):
        centre = (int(random.integers(0, width)), int(random.integers(0, height)))
        largest = 20 if value else 6
        axes = (int(random.integers(1, largest)), int(random.integers(1, largest)))
        cv2.ellipse(canvas, centre, axes, float(random.uniform(0, 180)), 0, 360, value, -1)
    return canvas > 0


def items(folder: Path, count: int) -> list[Item]:
    """Pictures of noise in `folder`, and their masks."""
    folder.mkdir(parents=True)
    made = list[Item]()
    for number in range(count):
        shape = mask(number)
        noise = np.random.default_rng(1000 + number).integers(0, 256, (*shape.shape, 3), np.uint8)
        path = folder / f"noise-{number}.png"
        Image.fromarray(noise).save(path)
        made.append((f"picture {number}.png", path, shape))
    return made


def documents(keys: Sequence[str], values: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """Any JSON whose objects have some of `keys`, and some of `values` in it."""
    leaves = st.none() | st.booleans() | st.integers(-99, 99) | st.floats() | _TEXTS
    leaves |= st.sampled_from([*values, "person"])
    names = st.sampled_from(keys) | _TEXTS
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=25
    )


def assert_sound(records: Iterable[Record]) -> None:
    """Every record can be stored, and says what is wrong with whatever has no shape."""
    for record in records:
        assert isinstance(record, Picture | Problem)
        if isinstance(record, Problem):
            assert record.reason
            (record.place + record.annotation + record.reason).encode()
            continue
        (record.place + record.name).encode()
        for item in record.objects:
            assert isinstance(item, Object)
            assert item.shape is not None or item.problem
            (item.id + item.place + item.label + item.problem).encode()
