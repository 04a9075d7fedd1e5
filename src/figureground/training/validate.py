"""How good a network is on pictures that it does not learn from."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from figureground.training.config import Recipe
from figureground.training.dataset import Samples, validation_batches


def validate(network: keras.Model, samples: Samples, recipe: Recipe) -> dict[str, float]:
    """Loss, pixel accuracy, and mean per-picture IoU and Dice at 0.5 over the valid pixels of `samples`.

    Args:
        network: gives logits.
        samples: what to measure it on.
        recipe: says at which size.
    """
    totals: list[tuple[float, float, float, float]] = []
    for (frames, masks), valid in validation_batches(samples, recipe.size, recipe.batch):
        logits = np.asarray(keras.ops.convert_to_numpy(network.predict_on_batch(frames)), np.float64)
        for logit, mask, inside in zip(logits, masks, valid, strict=True):
            if inside.any():
                totals.append(_scores(logit[inside], mask[inside]))
    loss, accuracy, iou, dice = np.mean(totals, axis=0).tolist()
    return {"val_loss": loss, "val_accuracy": accuracy, "val_iou": iou, "val_dice": dice}


def _scores(logit: NDArray[np.float64], mask: NDArray[np.float32]) -> tuple[float, float, float, float]:
    with np.errstate(invalid="ignore"):  # an infinite logit makes the loss no number, and `fit` says so
        loss = np.maximum(logit, 0) - logit * mask + np.log1p(np.exp(-np.abs(logit)))
    guess, truth = logit > 0, mask >= 0.5
    both, either = np.count_nonzero(guess & truth), np.count_nonzero(guess | truth)
    # An empty picture found empty is right.
    iou = both / either if either else 1.0
    return float(loss.mean()), float((guess == truth).mean()), iou, 2 * iou / (1 + iou)
