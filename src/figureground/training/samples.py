"""What a network says to a few fixed pictures of the val split, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.training.config import Recipe
from figureground.training.dataset import Samples, validation_batches

PICTURES = 12
SIDE = 192  # pixels of a cell of the sheet
GAP, TITLE, COLUMNS = 10, 24, 2
PAPER, INK = (250, 249, 246), (28, 33, 38)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A picture's number in the manifest, IoU at 0.5, and picture, truth and prediction as (H, W, 3) uint8 RGB."""

    id: str
    iou: float
    cells: tuple[Frame, Frame, Frame]


def predict_samples(network: keras.Model, samples: Samples, recipe: Recipe) -> list[Prediction]:
    """Run a network that gives logits on `PICTURES` pictures, the same ones every time, spread over the split."""
    chosen = np.linspace(0, len(samples) - 1, min(PICTURES, len(samples))).round().astype(int).tolist()
    items = [samples.items[number] for number in chosen]
    few = Samples(items, samples.side, {place: samples[number] for place, number in enumerate(chosen)})
    shown: list[Prediction] = []
    for (frames, masks), valid in validation_batches(few, recipe.size, recipe.batch):
        logits = np.asarray(keras.ops.convert_to_numpy(network.predict_on_batch(frames)), np.float32)
        alphas = 0.5 + 0.5 * np.tanh(logits / 2)
        for cells in zip(frames, masks, alphas, valid, strict=True):
            if cells[-1].any():
                shown.append(_prediction(items[len(shown)].id, *cells))
    return shown


def _prediction(
    name: str,
    frame: Frame,
    mask: NDArray[np.float32],
    alpha: NDArray[np.float32],
    valid: NDArray[np.bool_],
) -> Prediction:
    height, width = int(valid[:, 0, 0].sum()), int(valid[0, :, 0].sum())
    frame, mask, alpha = frame[:height, :width], mask[:height, :width], alpha[:height, :width]
    guess, truth = alpha > 0.5, mask >= 0.5
    either = np.count_nonzero(guess | truth)
    iou = np.count_nonzero(guess & truth) / either if either else 1.0
    return Prediction(name, iou, (frame, _grey(mask), _grey(alpha)))


def _grey(share: NDArray[np.float32]) -> Frame:
    return np.repeat((share * 255 + 0.5).astype(np.uint8), 3, axis=2)


def sheet(predictions: Sequence[Prediction], title: str) -> Image.Image:
    """All predictions side by side: picture, truth, prediction, two such rows beside each other."""
    rows = -(-len(predictions) // COLUMNS)
    block = 3 * SIDE + 4 * GAP
    page = Image.new("RGB", (COLUMNS * block + GAP, 2 * TITLE + GAP + rows * (SIDE + TITLE + GAP)), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    pen.text((2 * GAP, GAP), title, INK, ImageFont.load_default(17))
    for number, prediction in enumerate(predictions):
        left, top = 2 * GAP + number % COLUMNS * block, 2 * TITLE + GAP + number // COLUMNS * (SIDE + TITLE + GAP)
        for place, (cell, name) in enumerate(
            zip(prediction.cells, ("picture", "truth", f"prediction, IoU {prediction.iou:.3f}"), strict=True)
        ):
            x = left + place * (SIDE + GAP)
            pen.text((x, top - TITLE + GAP), name, INK, font)
            page.paste(_fitted(cell), (x, top + GAP - 2))
    return page


def _fitted(cell: Frame) -> Image.Image:
    scale = SIDE / max(cell.shape[:2])
    size = (max(1, round(cell.shape[1] * scale)), max(1, round(cell.shape[0] * scale)))
    return Image.fromarray(cv2.resize(cell, size, interpolation=cv2.INTER_LINEAR))


def write_sheet(path: Path, predictions: Sequence[Prediction], title: str) -> None:
    """Write `sheet` as a PNG.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        sheet(predictions, title).save(temporary)
