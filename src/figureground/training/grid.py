"""What training sees: a sheet of augmented samples. Needs none of Keras, so that it is there at once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.data.manifest import read_manifest
from figureground.training.config import Recipe
from figureground.training.dataset import Backgrounds, Samples, read_backgrounds, vary
from figureground.training.geometry import Matte, Sample

SIDE = 320  # pixels of a cell, at most: smaller training crops are enlarged by a whole number, larger ones shrunk
_GAP = 4
_OUTLINE, _HALO, _PAPER = (255, 214, 0), (0, 0, 0), (255, 255, 255)


def augmented_grid(dataset: Path, recipe: Recipe, count: int = 6, variations: int = 7) -> Frame:
    """Draw pictures of the train split, a row each: as it is, then as `recipe` varies it; the mask's edge in yellow.

    The pictures are spread over the dataset. The recipe's seed decides everything.

    Args:
        dataset: a folder as `prepare` writes it.
        recipe: its `augment`, `size`, `seed` and `backgrounds` are heeded.
        count: rows, at least 1; no more are drawn than there are pictures.
        variations: columns beside the first, at least 1.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DatasetError: the dataset or the recipe's folder of backgrounds cannot be read.
        ImageError: a picture of it cannot.
    """
    samples = Samples(read_manifest(dataset, "train"), recipe.cache_side, {})  # read one by one as they are drawn
    backgrounds = _backgrounds(recipe)
    numbers = np.linspace(0, len(samples), min(count, len(samples)), endpoint=False).astype(int)
    rows = [_row(samples, int(number), backgrounds, recipe, variations) for number in numbers]
    return _joined([_joined(row, 1) for row in rows], 0)


def _backgrounds(recipe: Recipe) -> Backgrounds:
    if not recipe.backgrounds:
        return Backgrounds()
    return read_backgrounds(Path(recipe.backgrounds), recipe.cache_side, recipe.negatives_only)


def _row(samples: Samples, number: int, backgrounds: Backgrounds, recipe: Recipe, variations: int) -> list[Frame]:
    side = recipe.size * max(1, SIDE // recipe.size) if recipe.size <= SIDE else SIDE
    cells = [_whole(samples[number], side)]
    for variation in range(variations):
        rng = np.random.default_rng([recipe.seed, number, variation])
        cells.append(outlined(*_scaled(vary(samples, number, backgrounds, recipe, rng), side, side)))
    return cells


def _whole(sample: Sample, side: int) -> Frame:
    """The picture as it is, at its own aspect ratio in the middle of a white square."""
    scale = side / max(sample[1].shape)
    height, width = (max(1, round(length * scale)) for length in sample[1].shape)
    cell = np.full((side, side, 3), _PAPER, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    cell[top : top + height, left : left + width] = outlined(*_scaled(sample, width, height))
    return cell


def _scaled(sample: Sample, width: int, height: int) -> Sample:
    method = cv2.INTER_AREA if width < sample[1].shape[1] else cv2.INTER_LINEAR
    frame, matte = (cv2.resize(each, (width, height), interpolation=method) for each in sample)
    return frame, matte


def outlined(frame: Frame, matte: Matte) -> Frame:
    """A copy of the picture with the person's edge, where the mask crosses a half, drawn in yellow on black.

    Where the frame cuts the person, the line goes along the frame.
    """
    edged = cv2.copyMakeBorder((matte > 127).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
    lines, _ = cv2.findContours(edged, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    drawn = frame.copy()
    for colour, thickness in ((_HALO, 3), (_OUTLINE, 1)):
        cv2.drawContours(drawn, lines, -1, colour, thickness, offset=(-1, -1))
    return drawn


def _joined(pictures: list[Frame], axis: int) -> NDArray[np.uint8]:
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, _PAPER, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], axis)
