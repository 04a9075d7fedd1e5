"""An honest look at a dataset: what is in it, what looks wrong, what is there twice and what leaks between splits."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from figureground.data.manifest import SPLITS, Item, read_manifest
from figureground.data.measure import KINDS, Measured, Place, measure_all
from figureground.data.pairs import Entry, Pair, entry_of, find_pairs

# What is measured of each picture, and the edges of its histogram; values beyond the ends count in the end bins.
EDGES: dict[str, NDArray[np.float64]] = {
    "coverage": np.linspace(0, 1, 21),
    "parts": np.arange(0.0, 9),
    "specks": np.arange(0.0, 12),
    "boundary": np.linspace(0, 5, 21),
    "longest side": 2 ** np.linspace(5, 13, 17),
    "aspect ratio": 2 ** np.linspace(-2, 2, 17),
    "brightness": np.linspace(0, 256, 17),
    "sharpness": 10 ** np.linspace(0, 5, 21),
}
SIZES = 12  # picture sizes listed, the most frequent first
RANDOM, EXTREME = 6, 3  # samples shown of each source: by lot, and of the smallest and largest people
_SEED = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """How one measure is spread over pictures: mean, ends and percentiles."""

    pictures: int
    mean: float
    minimum: float
    p5: float
    p25: float
    median: float
    p75: float
    p95: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Source:
    """One source, or all together; `position` is the share of masks that are person there, (GRID, GRID) row by row."""

    name: str
    pictures: int
    groups: int
    splits: dict[str, int]
    licences: dict[str, int]
    spreads: dict[str, Spread]
    position: list[list[float]]


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` pictures lie in [edges[i], edges[i + 1]); what lies beyond the ends is in the first and last."""

    edges: list[float]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Size:
    """How many pictures are `width` x `height` pixels."""

    width: int
    height: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A picture of which something is wrong or odd; `kind` is one of `KINDS`, the odder the higher `weight`."""

    kind: str
    detail: str
    weight: float
    picture: Entry


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture worth seeing, chosen at `random` or as the `smallest` or `largest` person of its source."""

    why: str
    coverage: float
    picture: Entry


@dataclass(frozen=True, slots=True)
class Exploration:
    """All there is to say of a dataset; the page shows nothing that is not in here.

    `repeated` is how many pictures are near-duplicates of an earlier one, `leaks` how many pairs stand in two splits.
    """

    dataset: str
    overall: Source
    sources: list[Source]
    sizes: list[Size]
    other_sizes: int
    histograms: dict[str, Histogram]
    found: dict[str, int]
    findings: list[Finding]
    repeated: int
    leaks: int
    pairs: list[Pair]
    samples: list[Sample]


def explore(
    dataset: Path, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Exploration:
    """Look at every picture and mask of a dataset folder.

    Pictures are measured in processes of their own (a script that calls this needs the usual
    `if __name__ == "__main__"`); the result does not depend on how many. A broken or missing picture is a finding.

    Args:
        dataset: a folder as `prepare` writes it.
        workers: how many processes; left out: one a core.
        progress: called with the pictures done and the pictures in all.

    Raises:
        DatasetError: no manifest, or a bad one.
        FigureGroundError: a process was killed, as happens when the memory is full.
    """
    items = read_manifest(dataset)
    measured, places = measure_all(items, workers, progress)
    values = {name: np.array([_value(name, each) for each in measured], np.float64) for name in EDGES}
    entries = [entry_of(item, dataset) for item in items]
    rows = _rows_by_source(items)
    pairs, repeated = find_pairs(entries, measured)
    findings = _findings(entries, measured)
    sizes, other_sizes = _sizes(measured)
    shown = np.where(np.isfinite(values["brightness"]), values["coverage"], math.nan)  # with a picture to show
    return Exploration(
        dataset=dataset.resolve().name,
        overall=_source("all", range(len(items)), items, values, np.sum([*places.values()], axis=0)),
        sources=[_source(name, rows[name], items, values, places[name]) for name in rows],
        sizes=sizes,
        other_sizes=other_sizes,
        histograms={name: _histogram(values[name], edges) for name, edges in EDGES.items()},
        found={kind: sum(finding.kind == kind for finding in findings) for kind in KINDS},
        findings=findings,
        repeated=repeated,
        leaks=sum(pair.leak for pair in pairs),
        pairs=pairs,
        samples=[sample for name in rows for sample in _samples(rows[name], entries, shown)],
    )


def _value(name: str, measured: Measured) -> float:
    """One measure of one picture, NaN where it could not be taken."""
    if name in ("coverage", "parts", "specks", "boundary"):
        return math.nan if measured.outline is None else float(getattr(measured.outline, name))
    look = measured.look
    if look is None:
        return math.nan
    if name == "longest side":
        return float(max(look.width, look.height))
    return look.width / look.height if name == "aspect ratio" else float(getattr(look, name))


def _rows_by_source(items: Sequence[Item]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, item in enumerate(items):
        rows[item.source].append(row)
    return rows


def _sizes(measured: Sequence[Measured]) -> tuple[list[Size], int]:
    """The most frequent sizes, and how many pictures have another."""
    sizes = Counter((each.look.width, each.look.height) for each in measured if each.look is not None)
    listed = sorted(sizes.items(), key=lambda size: (-size[1], size[0]))[:SIZES]
    return [Size(*size, count) for size, count in listed], sizes.total() - sum(count for _, count in listed)


def _source(
    name: str, rows: Sequence[int], items: Sequence[Item], values: dict[str, NDArray[np.float64]], place: Place
) -> Source:
    chosen = [items[row] for row in rows]
    splits = Counter(item.split for item in chosen)
    spreads = {measure: _spread(each[rows]) for measure, each in values.items()}
    return Source(
        name=name,
        pictures=len(chosen),
        groups=len({item.group for item in chosen}),
        splits={split: splits[split] for split in SPLITS},
        licences=dict(Counter(item.licence for item in chosen).most_common()),
        spreads={measure: spread for measure, spread in spreads.items() if spread is not None},
        position=_position(place, int(np.isfinite(values["coverage"][rows]).sum())),
    )


def _spread(values: NDArray[np.float64]) -> Spread | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, p5, p25, median, p75, p95, high = np.percentile(known, [0, 5, 25, 50, 75, 95, 100])
    figures = (known.mean(), low, p5, p25, median, p75, p95, high)
    return Spread(len(known), *(round(float(figure), 4) for figure in figures))


def _position(place: Place, masks: int) -> list[list[float]]:
    return [[round(float(cell), 4) for cell in row] for row in place / (255 * max(1, masks))]


def _histogram(values: NDArray[np.float64], edges: NDArray[np.float64]) -> Histogram:
    known = values[np.isfinite(values)]
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    return Histogram([round(float(edge), 4) for edge in edges], counts.tolist())


def _findings(entries: Sequence[Entry], measured: Sequence[Measured]) -> list[Finding]:
    """Every doubt, in the order of `KINDS`, the oddest first."""
    found = [
        Finding(doubt.kind, doubt.detail, round(doubt.weight, 4), entry)
        for entry, each in zip(entries, measured, strict=True)
        for doubt in each.doubts
    ]
    kinds = list(KINDS)
    return sorted(found, key=lambda finding: (kinds.index(finding.kind), -finding.weight))


def _samples(rows: Sequence[int], entries: Sequence[Entry], coverage: NDArray[np.float64]) -> Iterator[Sample]:
    """Some pictures of one source; no picture twice, none without a person."""
    known = np.array([row for row in rows if coverage[row] > 0], np.int64)
    by_size = known[np.argsort(coverage[known], kind="stable")]
    ends = min(EXTREME, len(known) // 2)
    middle = by_size[ends : len(by_size) - ends]
    drawn = np.random.default_rng(_SEED).choice(middle, min(RANDOM, len(middle)), replace=False)
    for why, chosen in (
        ("random", np.sort(drawn)),
        ("smallest", by_size[:ends]),
        ("largest", by_size[::-1][:ends]),
    ):
        for row in chosen:
            yield Sample(why, round(float(coverage[row]), 4), entries[row])


def table(exploration: Exploration) -> str:
    """The few lines that a terminal shows of it."""
    lines = [f"{'source':<14} {'pictures':>8} {'groups':>7} {'train':>6} {'val':>6} {'test':>6} {'coverage':>8}"]
    for source in [*exploration.sources, exploration.overall]:
        splits = " ".join(f"{count:>6}" for count in source.splits.values())
        spread = source.spreads.get("coverage")
        coverage = f"{spread.median:>8.1%}" if spread else f"{'-':>8}"
        lines.append(f"{source.name:<14} {source.pictures:>8} {source.groups:>7} {splits} {coverage}")
    odd = ", ".join(f"{kind} {count}" for kind, count in exploration.found.items() if count)
    lines += ["", f"leaks between splits: {exploration.leaks}", f"repeated pictures:    {exploration.repeated}"]
    return "\n".join([*lines, f"odd or broken:        {odd or 'none'}"])
