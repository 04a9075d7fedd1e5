"""A tiny dataset in the format of `prepare`, for tests that train, evaluate or export."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.data.manifest import COLUMNS
from figureground.images import write_image
from figureground.training.config import Recipe

Picture = NDArray[np.uint8]
TINY = Recipe("tiny", size=64, batch=4, epochs=7, learning_rate=3e-3)
# The classic network at a 64th of its width: its graph is made in a third of the time. It has dropout, whose
# random state must survive a resume too.
CLASSIC = Recipe(
    "classic", network="classic", width=1 / 64, dropout=0.2, size=32, batch=4, epochs=3, learning_rate=3e-3, average=0.9
)


def person(rng: np.random.Generator, width: int = 64, height: int = 64) -> tuple[Picture, Picture]:
    """A bright reddish ellipse before dark noise: a "person" that a network finds within a few dozen steps."""
    matte = np.zeros((height, width), np.uint8)
    centre = (int(width * rng.uniform(0.35, 0.65)), int(height * rng.uniform(0.45, 0.7)))
    axes = (int(width * rng.uniform(0.2, 0.35)), int(height * rng.uniform(0.25, 0.4)))
    cv2.ellipse(matte, centre, axes, 0, 0, 360, 255, -1)
    frame = rng.integers(0, 90, (height, width, 3), np.uint8)
    frame[matte == 255] += np.array([150, 110, 90], np.uint8)
    return frame, matte


def write_dataset(
    folder: Path, train: int = 16, val: int = 8, sizes: Sequence[tuple[int, int]] = ((64, 64),), seed: int = 0
) -> Path:
    """Write `train` + `val` pictures of `sizes` (width, height; in turn), sources "day" and "night" in turn."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(train + val):
        frame, matte = person(rng, *sizes[number % len(sizes)])
        split = "train" if number < train else "val"
        rows.append(write_picture(folder, f"p{number:03d}", frame, matte, split, ("day", "night")[number % 2]))
    write_manifest(folder, rows)
    return folder


def write_picture(
    folder: Path, name: str, frame: Picture, matte: Picture, split: str = "val", source: str = "day"
) -> dict[str, Any]:
    """Write one picture and its mask; give its row of the manifest."""
    image, mask = f"images/{name}.png", f"masks/{name}.png"
    write_image(folder / image, frame)
    write_image(folder / mask, matte)
    return {
        "id": name,
        "image": image,
        "mask": mask,
        "width": frame.shape[1],
        "height": frame.shape[0],
        "source": source,
        "group": name,
        "split": split,
        "coverage": f"{matte.mean() / 255:.4f}",
        "sha256": hashlib.sha256((folder / image).read_bytes()).hexdigest(),
        "licence": "CC0-1.0",
    }


def write_manifest(folder: Path, rows: Iterable[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> Path:
    """Write manifest.csv with `columns`, and the two files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "rejects.csv").write_text("file,place,annotation,action,reason\n", encoding="utf-8")
    (folder / "dataset.json").write_text(json.dumps({"name": "tiny"}) + "\n", encoding="utf-8")
    return folder / "manifest.csv"


def weights(run: Path) -> dict[str, bytes]:
    """Everything of a run's last checkpoint that decides how training goes on."""
    with np.load(run / "last.npz") as file:
        return {name: file[name].tobytes() for name in file.files if name != "progress"}


def progress(run: Path) -> dict[str, Any]:
    """How far a run's last checkpoint says it has come."""
    with np.load(run / "last.npz") as file:
        state: dict[str, Any] = json.loads(bytes(file["progress"]))
    return state
