"""What `train.py` learns from, small enough to send to a machine with a GPU: zip files of WebP pictures and PNG masks.

    python scripts/distill/pack.py DATASET BACKGROUNDS UNLABELLED OUTPUT

Writes train.zip, val.zip, backgrounds.zip, backgrounds_val.zip and unlabelled.zip into OUTPUT, 88 MB for 9,900
pictures.
"""

from __future__ import annotations

import argparse
import csv
import math
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.data.manifest import read_manifest
from figureground.images import EXTENSIONS, read_image, read_matte

SIDE = 264  # of a square with as many pixels
QUALITY = 78

Row = tuple[str, str, Path, Path | None]  # source, name, picture, mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dataset", "backgrounds", "unlabelled", "output"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        items = read_manifest(options.dataset, split)
        pack(options.output / f"{split}.zip", ((item.source, item.id, item.image, item.mask) for item in items))
    with (options.backgrounds / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for split, name in (("train", "backgrounds"), ("val", "backgrounds_val")):
        chosen = (row for row in rows if row["split"] == split)
        pictures = ((row["source"], row["image"], options.backgrounds / row["image"], None) for row in chosen)
        pack(options.output / f"{name}.zip", pictures)
    paths = sorted(path for path in options.unlabelled.iterdir() if path.suffix.lower() in EXTENSIONS)
    pack(options.output / "unlabelled.zip", (("unlabelled", path.name, path, None) for path in paths))


def pack(archive: Path, rows: Iterable[Row]) -> None:
    """Each row as SOURCE/NAME.webp and, where it has a mask, SOURCE/NAME.png."""
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as file:
        for source, name, picture, mask in rows:
            frame = cv2.cvtColor(shrunk(read_image(picture)), cv2.COLOR_RGB2BGR)
            file.writestr(f"{source}/{name}.webp", encoded(".webp", frame, cv2.IMWRITE_WEBP_QUALITY, QUALITY))
            if mask:
                matte = shrunk(read_matte(mask)) // 17 * 17  # 16 levels: a third of the bytes
                file.writestr(f"{source}/{name}.png", encoded(".png", matte, cv2.IMWRITE_PNG_COMPRESSION, 9))
    print(archive, f"{archive.stat().st_size / 1e6:.1f} MB")


def shrunk(picture: Frame) -> Frame:
    height, width = picture.shape[:2]
    scale = SIDE / math.sqrt(height * width)
    if scale >= 1:
        return picture
    return cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def encoded(suffix: str, picture: Frame, setting: int, value: int) -> bytes:
    return bytes(cv2.imencode(suffix, picture, [setting, value])[1])


if __name__ == "__main__":
    main()
