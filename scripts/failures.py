"""Draw where the shipped models go wrong on public-domain pictures: docs/failures.jpg, which the model cards name.

python scripts/failures.py docs/failures.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from figureground.arrays import Frame
from figureground.compositor import composite
from figureground.engine import Engine, shipped_models
from figureground.images import write_image

PICTURES = {
    "a flag beside somebody is partly the person": data.astronaut,
    "an animal that fills the picture is a person": data.chelsea,
    "so may be a thing of skin's colours": data.retina,
}
SIDE, GAP, TEXT = 300, 8, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    engines = {name: Engine(name) for name in shipped_models()}
    rows = [captioned(caption, [picture(), *cut(picture(), engines)]) for caption, picture in PICTURES.items()]
    head = np.hstack([label(name) for name in ("the picture", *engines)])
    write_image(options.output, np.vstack([head, *rows]))


def cut(frame: Frame, engines: dict[str, Engine]) -> list[Frame]:
    """The person as each model sees it, on green."""
    green = np.full_like(frame, (40, 160, 80))
    return [composite(frame, engine(frame), green) for engine in engines.values()]


def captioned(caption: str, pictures: list[Frame]) -> Frame:
    tiles = [np.pad(square(picture), ((0, 0), (0, GAP), (0, 0)), constant_values=255) for picture in pictures]
    row = np.hstack(tiles)
    return np.vstack([row, label(caption, row.shape[1])])


def square(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return np.asarray(cv2.resize(frame[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def label(text: str, width: int = SIDE + GAP) -> Frame:
    line = np.full((TEXT, width, 3), 255, np.uint8)
    return np.asarray(cv2.putText(line, text, (4, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (30, 30, 30), 1, cv2.LINE_AA))


if __name__ == "__main__":
    main()
