"""The last step of preparing: groups, splits, and the files that describe the dataset."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from figureground.atomic import atomic_path
from figureground.data.json_stream import read_json
from figureground.data.labels import is_wanted
from figureground.data.manifest import COLUMNS, SPLITS
from figureground.data.similar import linked, near_blocks
from figureground.data.splits import Placing, common_group, common_split, split_of
from figureground.data.state import State
from figureground.errors import DatasetError
from figureground.images import EXTENSIONS
from figureground.version import __version__

REJECTS = ("file", "place", "annotation", "action", "reason")
UNKNOWN = "not stated"
_OLD = ".manifest.old.csv"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of every picture and annotation."""

    pictures: dict[str, dict[str, int]]  # by source and split
    empty: int  # pictures of them without any object
    incomplete: int  # pictures of them with a rejected object beside others, or of a file cut off
    accepted: int  # annotations
    repaired: int
    rejected: int
    ignored: int  # regions marked as neither person nor background
    other_classes: dict[str, int]  # annotations by the class that was not asked for
    other_sources: int  # pictures
    out_of_coverage: int  # pictures
    without_annotation: int  # pictures that no annotation file names
    near_duplicates: int  # pictures grouped with another for their looks
    ungrouped: int  # pictures in whose path --group-by finds no group
    missing_classes: list[str]  # asked for, but no annotation is of them
    sources_of_nobody: list[str]  # whose annotations are all of other classes
    reasons: dict[str, int]  # why annotations were repaired or rejected, most frequent first
    rejects: str  # the path of rejects.csv


def is_ours(dataset: Path) -> bool:
    """Whether `prepare` wrote this folder."""
    return "prepared_by" in _described(dataset)


def finish(state: State, dataset: Path, placing: Placing, sources: list[Path], classes: tuple[str, ...]) -> Prepared:
    """Place every picture and write manifest.csv, rejects.csv and dataset.json; `classes` should be found.

    Raises:
        DatasetError: no picture could be used.
        OutputError: the files cannot be written.
    """
    with atomic_path(dataset / "rejects.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(REJECTS)
        writer.writerows([printable(part) for part in row] for row in state.problems())
    near, ungrouped = _place(state, placing)
    result = _summary(state, dataset, classes, near, ungrouped)
    if not state.written():
        if (dataset / _OLD).exists():
            (dataset / _OLD).replace(dataset / "manifest.csv")
        raise DatasetError(f"no picture could be used: {_why_empty(state, result)}")
    pictures, licences = _write_manifest(state, dataset)
    _write_description(dataset, pictures, licences, sources)
    _remove_stale(state, dataset)
    return replace(result, pictures=pictures)


def _place(state: State, placing: Placing) -> tuple[int, int]:
    """Give every picture its group and split.

    Returns:
        The number of pictures grouped for their looks alone, and of those that --group-by should have grouped.
    """
    numbers, groups, splits, ungrouped = list[int](), list[str](), list[str](), 0
    looks = np.empty((state.written(), 4), np.uint64)
    for number, look in state.looks():
        path, picture = state.origin(number)
        looks[len(numbers)] = look
        numbers.append(number)
        group = placing.group(path) or picture.group
        ungrouped += placing.pattern is not None and not group
        groups.append(group or path)
        splits.append(picture.split if placing.keep else "")
    members = defaultdict[int, list[int]](list)
    for index, component in enumerate(linked(len(numbers), chain([_same(groups)], near_blocks(looks)))):
        members[int(component)].append(index)
    for indices in members.values():
        group = common_group({groups[index] for index in indices})
        given = [splits[index] for index in indices if splits[index]]
        split = common_split(given) if given else split_of(group, placing.shares)
        for index in indices:
            state.place(numbers[index], group, split)
    near = sum(len(set(map(groups.__getitem__, indices))) for indices in members.values()) - len(members)
    return near, ungrouped


def _same(groups: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Pairs of indices that chain the members of every group, (M, 2)."""
    last, pairs = dict[str, int](), list[tuple[int, int]]()
    for index, group in enumerate(groups):
        if group in last:
            pairs.append((last[group], index))
        last[group] = index
    return np.array(pairs, np.int64).reshape(-1, 2)


def _write_manifest(state: State, dataset: Path) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """The number of pictures by source and split, and by source and licence."""
    pictures = defaultdict[str, dict[str, int]](lambda: dict.fromkeys(SPLITS, 0))
    licences = defaultdict[str, Counter[str]](Counter)
    with atomic_path(dataset / "manifest.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, source, group, split, picture, done in state.placed():
            licence = " ".join(picture.licence.split()) or UNKNOWN
            size = (done.width, done.height)
            row = (name, done.image, done.mask, *size, source, group, split, f"{done.coverage:.4f}", done.sha256)
            writer.writerow([printable(part) for part in (*row, licence)])
            pictures[source][split] += 1
            licences[source][licence] += 1
    return dict(pictures), {source: dict(sorted(counts.items())) for source, counts in licences.items()}


def printable(value: object) -> str:
    """A field without what UTF-8 or a reader of lines cannot hold: undecodable bytes, control characters."""
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(part if part.isprintable() else repr(part)[1:-1] for part in text)


def _summary(state: State, dataset: Path, classes: tuple[str, ...], near: int, ungrouped: int) -> Prepared:
    fates, sources = defaultdict[str, Counter[str]](Counter), defaultdict[str, set[str]](set)
    for source, label, fate, number in state.counts():
        fates[fate][label] += number
        sources[source].add(fate)
    found = [*fates["wanted"], *fates["broken"]]
    accepted = out = empty = incomplete = 0
    for outcome in state.outcomes():
        empty += outcome.empty
        incomplete += outcome.incomplete
        accepted += outcome.accepted if outcome.image else 0
        out += bool(outcome.left_out)
    return Prepared(
        pictures={},
        empty=empty,
        incomplete=incomplete,
        accepted=accepted,
        repaired=state.tally("repaired"),
        rejected=state.tally("rejected"),
        ignored=fates["ignored"].total(),
        other_classes=dict(fates["other"].most_common()),
        other_sources=fates["other source"].total(),
        out_of_coverage=out,
        without_annotation=fates["no annotation"].total(),
        near_duplicates=near,
        ungrouped=ungrouped,
        missing_classes=[name for name in classes if not any(is_wanted(label, [name]) for label in found)],
        sources_of_nobody=[
            name for name, said in sources.items() if "other" in said and not said & {"wanted", "broken"}
        ],
        reasons=state.reasons(),
        rejects=str(dataset / "rejects.csv"),
    )


def _why_empty(state: State, result: Prepared) -> str:
    if result.rejected:
        file, _, _, _, reason = next(row for row in state.problems() if row[3] == "rejected")
        return f"{result.rejected} rejected, such as {file}: {printable(reason)}; all are in {result.rejects}"
    if result.out_of_coverage or result.other_sources:
        return "all were filtered out"
    return "the sources hold no annotations"


def _write_description(
    dataset: Path, pictures: dict[str, dict[str, int]], licences: dict[str, dict[str, int]], sources: list[Path]
) -> None:
    known = dict[str, Any]()
    for source in sources:
        said = _described(source).get("sources")
        known |= said if isinstance(said, dict) else {}
    description = {
        "name": dataset.resolve().name,
        "format": 1,
        "prepared_by": f"figureground {__version__}",
        "counts": {source: {split: n for split, n in counts.items() if n} for source, counts in pictures.items()},
        "licences": licences,
        "sources": {source: known[source] for source in sorted(pictures) if source in known},
    }
    with atomic_path(dataset / "dataset.json") as temporary:
        temporary.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _described(source: Path) -> dict[str, Any]:
    """The dataset.json of a folder, {} if there is none that can be read."""
    try:
        said = read_json(source / "dataset.json")
        json.dumps(said, allow_nan=False)
    except (DatasetError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def set_aside(dataset: Path) -> None:
    """Take an earlier manifest away while the dataset is written anew: what is half written must not look whole."""
    manifest = dataset / "manifest.csv"
    if manifest.exists():
        manifest.replace(dataset / _OLD)


def _remove_stale(state: State, dataset: Path) -> None:
    """Remove what earlier runs wrote, or left half written, and this manifest does not name."""
    old = dataset / _OLD
    written = _named(old) if old.exists() else set()
    for name in state.stale():
        written |= {f"masks/{name}.png", *(f"images/{name}{suffix}" for suffix in EXTENSIONS)}
    for path in written - _named(dataset / "manifest.csv") if written else ():
        (dataset / path).unlink(missing_ok=True)
    old.unlink(missing_ok=True)
    for folder in (dataset, dataset / "images", dataset / "masks"):
        for file in folder.glob(".*.part.*"):
            file.unlink(missing_ok=True)


def _named(manifest: Path) -> set[str]:
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        names = {row[column] for row in csv.DictReader(file) for column in ("image", "mask")}
    return {name for name in names if Path(name).parent.as_posix() in ("images", "masks")}
