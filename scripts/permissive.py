"""The part of the data that anyone may use, as folders of their own.

    python scripts/permissive.py DATA OUTPUT

DATA has people/ and backgrounds/ as data/README.md there describes. OUTPUT gets the people whose row says `permissive`
and the backgrounds of sources whose tier begins with it; what those sources name as unclear stays out.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

UNCLEAR = ("DOR_",)  # files of doordetect that are from a set without a licence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    sources = json.loads((options.data / "backgrounds" / "sources.json").read_text())
    free = {name for name, source in sources.items() if source["tier"].startswith("permissive")}
    people, rooms = options.output / "people", options.output / "backgrounds"
    chosen(options.data / "people", people, lambda row: row["licence"] == "permissive", ("image", "mask"))

    def is_free(split: str, row: Mapping[str, str]) -> bool:
        unclear = Path(row["image"]).name.partition("_")[2].startswith(UNCLEAR)
        return row["split"] == split and row["source"] in free and not unclear

    for split in ("train", "val"):
        chosen(options.data / "backgrounds", rooms / split, partial(is_free, split))


def chosen(
    source: Path, output: Path, wanted: Callable[[Mapping[str, str]], bool], files: tuple[str, ...] = ("image",)
) -> None:
    """Copy the rows of a manifest that are wanted, and their files."""
    with (source / "manifest.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows, names = [row for row in reader if wanted(row)], reader.fieldnames or []
    for row in rows:
        for name in files:
            (output / row[name]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / row[name], output / row[name])
    with (output / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    print(f"{output}: {len(rows)} pictures")


if __name__ == "__main__":
    main()
