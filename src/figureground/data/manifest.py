"""The dataset's manifest: one row a picture (docs/formats.md)."""

from __future__ import annotations

import csv
import shlex
from dataclasses import dataclass
from pathlib import Path

from figureground.errors import DatasetError, reason

COLUMNS = ("id", "image", "mask", "width", "height", "source", "group", "split", "coverage", "sha256", "licence")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Item:
    """One annotated picture; `image` and `mask` are absolute paths."""

    id: str
    image: Path
    mask: Path
    width: int
    height: int
    source: str
    group: str
    split: str
    licence: str


def read_manifest(dataset: Path, split: str | None = None) -> list[Item]:
    """Read a dataset's rows in file order, those of one split if `split` is named.

    Raises:
        DatasetError: no manifest, a missing column, a bad value, or no picture in the split.
    """
    path = dataset / "manifest.csv"
    if split is not None and split not in SPLITS:
        raise DatasetError(f"{path}: no split {split!r}; use one of {', '.join(SPLITS)}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first column
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path}: column {missing[0]!r} is missing; want {','.join(COLUMNS)}")
            items = [_item(dataset, path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path}: cannot be read ({reason(error)}); make a dataset with `figureground prepare`"
        ) from error
    chosen = [item for item in items if split in (None, item.split)]
    if not chosen:
        raise DatasetError(_nothing_in(split, path, items))
    return chosen


def _nothing_in(split: str | None, path: Path, items: list[Item]) -> str:
    again = f"figureground prepare {shlex.quote(str(path.parent))} --split TRAIN,VAL,TEST --output NEW"
    mend = f"divide them anew:  {again}" if items else "make a dataset with `figureground prepare`"
    if len(items) > 1 and len({item.group for item in items}) == 1:
        mend = "all are of one group, as frames of one scene, which is not divided: prepare it with pictures of another"
    return f"{path}: no picture in split {split!r} ({len(items)} rows in all); {mend}"


def _item(dataset: Path, path: Path, line: int, row: dict[str, str]) -> Item:
    if None in row.values():
        raise DatasetError(f"{path}: line {line}: has fewer fields than the {len(COLUMNS)} columns")
    if row["split"] not in SPLITS:
        raise DatasetError(f"{path}: line {line}: split {row['split']!r} is none of {', '.join(SPLITS)}")
    try:
        width, height = int(row["width"]), int(row["height"])
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{path}: line {line}: width or height is no whole number") from error
    return Item(
        id=row["id"],
        image=_inside(dataset, path, line, row["image"]),
        mask=_inside(dataset, path, line, row["mask"]),
        width=width,
        height=height,
        source=row["source"],
        group=row["group"],
        split=row["split"],
        licence=row["licence"],
    )


def _inside(dataset: Path, path: Path, line: int, name: str) -> Path:
    # A manifest from a stranger must not make us read files elsewhere.
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DatasetError(f"{path}: line {line}: {name!r} is not a path inside the dataset")
    return dataset / name
