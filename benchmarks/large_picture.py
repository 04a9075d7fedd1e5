"""Peak memory and time of `figureground replace` on one large picture, of every kind, beside its decoded size.

python benchmarks/large_picture.py PORTRAIT [MEGAPIXELS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from peak import peak_memory
from PIL import Image

WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a small picture": ("small.jpg", ("--kind", "cutout")),
    "JPEG, cut-out as PNG": ("large.jpg", ("--kind", "cutout")),
    "JPEG, cropped cut-out": ("large.jpg", ("--kind", "cutout", "--crop")),
    "JPEG, alpha": ("large.jpg", ("--kind", "alpha")),
    "JPEG, turned, blurred": ("turned.jpg", ()),
    "JPEG, before a picture": ("large.jpg", ("--background", "small.jpg")),
    "16-bit TIFF, cut-out": ("deep.tif", ("--kind", "cutout", "--output", "out.tif")),
    "JPEG, cut-out as WebP": ("large.jpg", ("--kind", "cutout", "--output", "out.webp")),
}


def main(portrait: Path, megapixels: float = 100) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pictures(portrait, folder, megapixels)
        print(f"peak memory and time of replace, {megapixels:g} megapixels ({3 * megapixels:g} MB in 8-bit RGB)")
        for what, (picture, arguments) in WAYS.items():
            named = [str(folder / each) if "." in each else each for each in arguments]
            output = [] if "--output" in arguments else ["--output", folder / "out"]
            began = time.perf_counter()
            peak = peak_memory("replace", folder / picture, *named, *output)
            times = peak / (3 * megapixels * (2 if "16" in what else 1))
            print(f"  {what:24} {peak:>6.0f} MB  {times:>5.2f} times its pixels  {time.perf_counter() - began:>5.1f} s")


def make_pictures(portrait: Path, folder: Path, megapixels: float) -> None:
    picture = cv2.imread(str(portrait))
    assert picture is not None
    side = round((megapixels * 1e6) ** 0.5)
    cv2.imwrite(str(folder / "small.jpg"), picture)
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    rgb = Image.fromarray(cv2.cvtColor(large, cv2.COLOR_BGR2RGB))
    rgb.save(folder / "large.jpg", quality=90)
    exif = Image.Exif()
    exif[274] = 6
    rgb.save(folder / "turned.jpg", quality=90, exif=exif)
    cv2.imwrite(str(folder / "deep.tif"), large.astype(np.uint16) * 257)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
