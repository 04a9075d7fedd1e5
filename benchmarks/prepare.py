"""Time and peak memory of `figureground prepare` on 1,000 and 10,000 photographs of 640x480 with COCO polygons.

python benchmarks/prepare.py
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from peak import peak_memory

WIDTH, HEIGHT, PEOPLE, POINTS = 640, 480, 3, 60
LIMIT = 240  # seconds for 10,000 pictures on two cores


def main() -> None:
    print(f"prepare, {WIDTH}x{HEIGHT}, {PEOPLE} polygons of {POINTS} points a picture, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        for count in (1_000, 10_000):
            source = Path(name) / f"source{count}"
            make_source(source, count)
            started = time.monotonic()
            peak = peak_memory("prepare", source, "--output", Path(name) / f"dataset{count}")
            seconds = time.monotonic() - started
            print(f"  {count:>6} pictures: {seconds:.0f} s, {peak:.0f} MB in the largest process")
    print(f"  asked: 10,000 in at most {LIMIT} s, memory that does not grow")


def make_source(folder: Path, count: int) -> None:
    """COCO instances of `count` different photographs: crops of one, turned in colour."""
    from skimage import data

    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    photograph = cv2.resize(data.astronaut(), (1600, 1600), interpolation=cv2.INTER_CUBIC)
    images, annotations = [], []
    for number in range(count):
        left, top = rng.integers(0, 1600 - WIDTH), rng.integers(0, 1600 - HEIGHT)
        crop = photograph[top : top + HEIGHT, left : left + WIDTH]
        noise = cv2.resize(rng.integers(0, 120, (12, 16, 3)).astype(np.uint8), (WIDTH, HEIGHT))
        cv2.imwrite(str(folder / "images" / f"{number:06}.jpg"), cv2.addWeighted(crop, 0.6, noise, 1.0, 0))
        images.append({"id": number, "file_name": f"{number:06}.jpg", "width": WIDTH, "height": HEIGHT})
        annotations += [annotation(number, part, rng) for part in range(PEOPLE)]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "instances.json").write_text(json.dumps(document))


def annotation(number: int, part: int, rng: np.random.Generator) -> dict[str, object]:
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    radius = rng.uniform(40, 140) * rng.uniform(0.8, 1.2, POINTS)
    x = np.clip(rng.uniform(100, 540) + radius * np.cos(angle), 0, WIDTH)
    y = np.clip(rng.uniform(100, 380) + radius * np.sin(angle), 0, HEIGHT)
    ring = np.stack([x, y], 1).round(2).ravel().tolist()
    return {"id": number * PEOPLE + part, "image_id": number, "category_id": 1, "segmentation": [ring], "iscrowd": 0}


if __name__ == "__main__":
    main()
