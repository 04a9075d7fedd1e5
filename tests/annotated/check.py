"""What a reader, or a whole `prepare`, made of pictures with known masks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotated.coco import Item
from annotated.rings import Mask
from figureground.data.manifest import read_manifest
from figureground.data.rasterize import rasterize
from figureground.data.records import Picture, Record
from figureground.images import read_matte


def drawn(records: Iterable[Record], shape: tuple[int, int] = (60, 80)) -> dict[int, Mask]:
    """By the number that a picture's name ends with, the union of its objects; nothing may be rejected."""
    found = dict[int, Mask]()
    for record in records:
        assert isinstance(record, Picture), record
        mask = np.zeros(shape, bool)
        for item in record.objects:
            assert item.shape, item.problem
            mask |= _hard(rasterize(item.shape, *shape)[0])
        found[_number(Path(record.name).stem)] = mask
    return found


def prepared(dataset: Path) -> dict[int, Mask]:
    """By the number that a picture's id ends with, its mask."""
    return {_number(item.id): _hard(read_matte(item.mask)) for item in read_manifest(dataset)}


def worst_overlap(found: dict[int, Mask], items: Sequence[Item]) -> float:
    """The least intersection over union of all pictures."""
    assert sorted(found) == list(range(len(items)))
    pairs = [(found[number], mask) for number, (_, _, mask) in enumerate(items)]
    return min(float((a & b).sum() / (a | b).sum()) if (a | b).any() else 1.0 for a, b in pairs)


def _hard(matte: NDArray[np.uint8]) -> Mask:
    assert np.isin(matte, (0, 255)).all()
    return matte > 0


def _number(name: str) -> int:
    match = re.search(r"(\d+)$", name)
    assert match, name
    return int(match[1])
