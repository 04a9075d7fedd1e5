"""What changes from step to step: the learning rate, and the weights' moving average."""

from __future__ import annotations

import math

from figureground.training.checkpoint import Weights
from figureground.training.config import Recipe

AVERAGE_EVERY = 10  # steps between updates of the weights' moving average, and at each epoch's end


def learning_rate(recipe: Recipe, steps: int, step: int) -> float:
    """The rate at a step of the whole run, after a linear warm-up."""
    warmup, total = recipe.warmup_epochs * steps, recipe.epochs * steps
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    if recipe.schedule == "halve":
        return recipe.learning_rate * 0.5 ** (step // (recipe.halve_every * steps))
    if recipe.schedule == "cosine":
        done = (step - warmup) / max(1.0, total - warmup)
        return recipe.learning_rate * max(0.01, 0.5 * (1 + math.cos(math.pi * done)))
    return recipe.learning_rate


def steps_to_average(steps: int, step: int) -> int:
    """How many steps the average is to be brought forward by after a step of the whole run; mostly 0.

    It is up to date at the end of every epoch of `steps`, when it is validated: an epoch may have but one.
    """
    done = step + 1
    if done % AVERAGE_EVERY and done % steps:
        return 0
    return done - max(step // AVERAGE_EVERY * AVERAGE_EVERY, step // steps * steps)


def update_average(average: Weights, weights: Weights, decay: float, step: int, steps: int) -> None:
    """Bring `average`, of which a step kept `decay`, up to `weights` after `steps` steps, the last `step`, in place."""
    # The first thousands of steps would weigh the random start too much under the full decay.
    keep = min(decay, (1 + step) / (10 + step)) ** steps
    for mean, now in zip(average, weights, strict=True):
        mean += (1 - keep) * (now - mean)
