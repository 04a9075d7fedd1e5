"""Pictures that are there twice, and what of them, or of one group, stands in two splits: a leak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from figureground.data.manifest import Item
from figureground.data.measure import Measured
from figureground.data.similar import components, near_duplicates


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the manifest, as the report names it; paths are relative to the dataset."""

    id: str
    source: str
    group: str
    split: str
    licence: str
    image: str
    mask: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that belong together: an `identical file`, a `near-duplicate` or a `shared group`.

    `distance` is in bits of the perceptual hash, None where it is not known; a `leak` stands in two splits.
    """

    kind: str
    first: Entry
    second: Entry
    distance: int | None
    same_group: bool
    leak: bool


def entry_of(item: Item, dataset: Path) -> Entry:
    """Name an item for the report."""
    image, mask = (path.relative_to(dataset).as_posix() for path in (item.image, item.mask))
    return Entry(item.id, item.source, item.group, item.split, item.licence, image, mask)


def find_pairs(entries: Sequence[Entry], measured: Sequence[Measured]) -> tuple[list[Pair], int]:
    """Find all pairs of a dataset: leaks first, then those of different groups, each the nearest first.

    Of many equal files each is paired with the next in the manifest only; of a group that stands in several splits,
    the first pictures of two splits. Beside the pairs, gives how many pictures repeat an earlier one, be it through
    others.
    """
    near, identical = _near(measured), _identical(measured)
    kinds = dict.fromkeys(_shared_groups(entries), "shared group")
    kinds |= dict.fromkeys(near, "near-duplicate") | dict.fromkeys(identical, "identical file")
    pairs = [_pair(kind, i, j, entries, measured) for (i, j), kind in sorted(kinds.items())]
    first = components(len(measured), np.array([*near, *identical], np.int64).reshape(-1, 2))
    return sorted(pairs, key=_rank), int((first != np.arange(len(measured))).sum())


def _rank(pair: Pair) -> tuple[bool, bool, int]:
    return not pair.leak, pair.same_group, -1 if pair.distance is None else pair.distance


def _pair(kind: str, i: int, j: int, entries: Sequence[Entry], measured: Sequence[Measured]) -> Pair:
    first, second = entries[i], entries[j]
    same_group = first.group == second.group != ""
    distance = _distance(measured[i], measured[j])
    return Pair(kind, first, second, distance, same_group, leak=first.split != second.split)


def _distance(first: Measured, second: Measured) -> int | None:
    if first.look is None or second.look is None:
        return None
    return sum((a ^ b).bit_count() for a, b in zip(first.look.hash, second.look.hash, strict=True))


def _near(measured: Sequence[Measured]) -> list[tuple[int, int]]:
    rows = [row for row, each in enumerate(measured) if each.look is not None]
    joined = b"".join(each.look.hash for each in measured if each.look is not None)
    pairs = near_duplicates(np.frombuffer(joined, np.uint64).reshape(-1, 4))
    return [(rows[i], rows[j]) for i, j in pairs.tolist()]


def _identical(measured: Sequence[Measured]) -> list[tuple[int, int]]:
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, each in enumerate(measured):
        if each.digest:
            rows[each.digest].append(row)
    return [pair for same in rows.values() for pair in pairwise(same)]


def _shared_groups(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    firsts: dict[str, dict[str, int]] = defaultdict(dict)
    for row, entry in enumerate(entries):
        if entry.group:  # an empty one is no group
            firsts[entry.group].setdefault(entry.split, row)
    return [pair for splits in firsts.values() for pair in pairwise(splits.values())]
