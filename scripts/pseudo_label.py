"""Label pictures by models that agree on them, as a dataset to train on beside people's own labels.

    python scripts/pseudo_label.py PICTURES OUTPUT --teacher base --teacher mp_selfie.tflite [--agree 0.9]
    figureground prepare DATASET OUTPUT --output BOTH

A picture's mask is the mean of all teachers' alphas of it and of its mirror image (data distillation, Radosavovic
et al. 2018). Pictures on which two teachers' masks have an IoU below `--agree` are left out. `prepare` then keeps
near-duplicates of validation pictures out of training.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.progress import track

from figureground.arrays import Alpha, Frame
from figureground.atomic import atomic_path
from figureground.data.manifest import COLUMNS
from figureground.evaluation.metrics import iou
from figureground.images import EXTENSIONS, read_image, write_image
from figureground.runtimes.peers import open_model

Teacher = Callable[[Frame], Alpha]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--teacher", action="append", required=True, help="a model that `evaluate` takes; repeatable")
    parser.add_argument("--agree", type=float, default=0.9, help="least IoU of any two teachers' masks")
    parser.add_argument("--licence", default="not stated", help="of the pictures")
    options = parser.parse_args()
    teachers = [open_model(name) for name in options.teacher]
    for folder in ("images", "masks"):
        (options.output / folder).mkdir(parents=True, exist_ok=True)
    paths = sorted(path for path in options.pictures.iterdir() if path.suffix.lower() in EXTENSIONS)
    rows = []
    for path in track(paths):
        frame = read_image(path)
        alphas = [both_ways(teacher, frame) for teacher in teachers]
        if agreement(alphas) >= options.agree:
            rows.append(keep(path, frame, np.mean(alphas, axis=0), options.output, options.licence))
    with atomic_path(options.output / "manifest.csv") as temporary, temporary.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    print(f"{len(rows)} of {len(paths)} pictures labelled, the teachers differ on the others")


def both_ways(teacher: Teacher, frame: Frame) -> Alpha:
    """The mean of a picture's alpha and of its mirror image's."""
    mirrored = teacher(np.ascontiguousarray(frame[:, ::-1]))[:, ::-1]
    return np.asarray((teacher(frame) + mirrored) / 2, np.float32)


def agreement(alphas: Sequence[Alpha]) -> float:
    """The least IoU of any two masks; 1 for a single one."""
    return min((iou(one >= 0.5, other >= 0.5) for one, other in combinations(alphas, 2)), default=1.0)


def keep(path: Path, frame: Frame, alpha: Alpha, output: Path, licence: str) -> Sequence[object]:
    """Write the picture and its mask; its row of the manifest."""
    name = f"{path.parent.name}_{path.stem}"
    image, mask = f"images/{name}{path.suffix}", f"masks/{name}.png"
    shutil.copyfile(path, output / image)
    write_image(output / mask, np.rint(alpha * 255).astype(np.uint8))
    height, width = alpha.shape
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    source = path.parent.name
    return name, image, mask, width, height, source, name, "train", f"{alpha.mean():.4f}", sha256, licence


if __name__ == "__main__":
    main()
