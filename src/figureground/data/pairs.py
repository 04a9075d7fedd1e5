"""Pictures that are there twice, and what of them, or of one group, stands in two splits: a leak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from figureground.data.manifest import Item
from figureground.data.measure import Measured
from figureground.data.similar import linked, near_blocks

_FARTHEST = 257  # bits: more than any two hashes differ in


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

    Of many equal files each is paired with the next in the manifest only; of many near-duplicates, as of a video's
    frames, each with the nearest before it in another split, in another group and in its own; of a group that stands
    in several splits, the first pictures of two splits. Beside the pairs, gives how many pictures repeat an earlier
    one, be it through others.
    """
    identical, nearest = _identical(measured), _Nearest(entries)
    repeats = linked(len(measured), chain([np.array(identical, np.int64).reshape(-1, 2)], _near(measured, nearest)))
    kinds = dict.fromkeys(_shared_groups(entries), "shared group")
    kinds |= dict.fromkeys(nearest.pairs(), "near-duplicate") | dict.fromkeys(identical, "identical file")
    pairs = [_pair(kind, i, j, entries, measured) for (i, j), kind in sorted(kinds.items())]
    return sorted(pairs, key=_rank), int((repeats != np.arange(len(measured))).sum())


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


def _near(measured: Sequence[Measured], nearest: _Nearest) -> Iterator[NDArray[np.int64]]:
    """The near-duplicates, block by block, each shown to `nearest` on the way."""
    rows = np.array([row for row, each in enumerate(measured) if each.look is not None], np.int64)
    joined = b"".join(each.look.hash for each in measured if each.look is not None)
    hashes = np.frombuffer(joined, np.uint64).reshape(-1, 4)
    for pairs in near_blocks(hashes):
        distances = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
        nearest.add(rows[pairs], distances)
        yield rows[pairs]


class _Nearest:
    """Of many pairs, each picture's nearest before it in another split, in another group and in its own."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._splits = np.unique([entry.split for entry in entries], return_inverse=True)[1]
        self._groups = np.unique([entry.group for entry in entries], return_inverse=True)[1]
        self._found = [np.full((2, len(entries)), _FARTHEST, np.int64) for _ in range(3)]  # distance, partner

    def add(self, pairs: NDArray[np.int64], distances: NDArray[np.int64]) -> None:
        first, second = pairs[:, 0], pairs[:, 1]
        leaks = self._splits[first] != self._splits[second]
        same = self._groups[first] == self._groups[second]
        for found, chosen in zip(self._found, (leaks, ~leaks & ~same, ~leaks & same), strict=True):
            chosen = chosen & (distances < found[0, second])
            # Of what is assigned to one place, the last stays: the nearest, and of several the first in the manifest.
            order = np.flatnonzero(chosen)[np.lexsort((-first[chosen], -distances[chosen]))]
            found[:, second[order]] = distances[order], first[order]

    def pairs(self) -> list[tuple[int, int]]:
        """Those that were found, i < j."""
        kept = [np.flatnonzero(found[0] < _FARTHEST) for found in self._found]
        return [(int(found[1, row]), int(row)) for found, rows in zip(self._found, kept, strict=True) for row in rows]


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
