"""A dataset that `prepare` has written: to merge, filter or split it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from figureground.data.manifest import read_manifest
from figureground.data.records import Folder, MaskFile, Object, Picture, Record

NAME = "prepared"
SUFFIXES = (".csv",)


def claims(path: Path, head: str, root: Path) -> bool:
    """A manifest.csv, be it broken, beside images/ and masks/: read as anything else, its splits would be lost."""
    beside = (path.parent / name for name in ("images", "masks"))
    return path.name == "manifest.csv" and path.is_file() and all(folder.is_dir() for folder in beside)


def read(file: Path, folder: Folder) -> Iterator[Record]:
    """The rows of a manifest, with the id, source, group, split and licence they have there.

    Raises:
        DatasetError: the manifest is broken.
    """
    for number, item in enumerate(read_manifest(file.parent), 2):
        mask = MaskFile(item.mask, is_matte=True)
        yield Picture(
            file=file,
            place=f"line {number}",
            name=item.image.name,
            objects=[Object(item.id, f"line {number}", folder.classes[0], mask)],
            width=item.width,
            height=item.height,
            image=item.image,
            licence=item.licence,
            id=item.id,
            source=item.source,
            group=item.group,
            split=item.split,
        )
