"""Training steps from the same weights on the same batch, for tests that compare backends and devices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from figureground.training.config import Recipe
from figureground.training.replicas import Devices

SMALL = Recipe("steps", size=64, batch=8, loss="bce+0.5*dice", boundary_weight=2.0, learning_rate=1e-3)


def batch(recipe: Recipe) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Noise, and masks that differ from picture to picture, so that parts of the batch differ too."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (recipe.batch, recipe.size, recipe.size, 3), np.uint8)
    masks = np.zeros((recipe.batch, recipe.size, recipe.size, 1), np.float32)
    for number, mask in enumerate(masks):
        mask[number : recipe.size // 2, : 8 * number + 8] = 1.0
    return frames, masks


def weights(model: Any) -> list[NDArray[np.float32]]:
    """Weights drawn by numpy: the backends' own generators differ."""
    rng = np.random.default_rng(1)
    drawn = []
    for variable in model.weights:
        shape = tuple(variable.shape)
        scale = np.sqrt(2 / np.prod(shape[:-1])) if variable.name == "kernel" else 0.0
        around = 1.0 if variable.name in ("gamma", "moving_variance") else 0.0
        drawn.append((around + scale * rng.standard_normal(shape)).astype(np.float32))
    return drawn


def losses(recipe: Recipe, devices: Devices, steps: int) -> list[float]:
    """The loss before each of `steps` steps of the optimizer, and at last the norm of the gradients' moving average.

    The norm is there because Adam's steps, and so the losses, are the same for gradients of another scale.
    """
    from figureground.training.model import trainable

    with devices.scope():
        model = trainable(recipe)
    model.set_weights(weights(model))
    learn = devices.learner(model)
    found = [learn(batch(recipe))[0] for _ in range(steps)]
    average = [np.asarray(variable) for variable in model.optimizer.variables if "momentum" in variable.path]
    return [*found, float(np.sqrt(sum(np.square(part).sum() for part in average)))]
