"""A recipe's network: built, ready to train, begun with other weights."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import ops

from figureground.errors import TrainingError
from figureground.training.config import Recipe
from figureground.training.losses import make_loss
from figureground.training.start import find_weights
from figureground.training.unet import base_unet, classic_unet, encoder_layers, light_unet, logits_model, small_unet


def build_network(recipe: Recipe) -> keras.Model:
    """The recipe's network, untrained, for pictures of any size its strides divide."""
    if recipe.network == "classic":
        return classic_unet(recipe.width, recipe.dropout, (None, None))
    return {"base": base_unet, "small": small_unet, "light": light_unet}[recipe.network]()


def load_model(path: Path) -> keras.Model:
    """Load a `.keras` file in safe mode: it may hold no code.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path}: not a Keras model this can load ({str(error).strip().splitlines()[0]})"
        ) from error


def trainable(recipe: Recipe) -> keras.Model:
    """The network up to its logits, compiled; its layers compute in bfloat16 where the recipe asks for it."""
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if recipe.mixed_precision else "float32")
    try:
        model = logits_model(build_network(recipe))
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    loss = make_loss(recipe.loss, recipe.boundary_weight)
    optimizer = _optimizer(recipe)
    # Given as a function, the metric would be made within the first step, which TensorFlow then has to trace again.
    metric = keras.metrics.MeanMetricWrapper(accuracy, "accuracy")
    # XLA makes these networks several times slower on a CPU than TensorFlow's own kernels; JAX has nothing else.
    model.compile(optimizer, loss, metrics=[metric], jit_compile=keras.backend.backend() == "jax")
    optimizer.build(model.trainable_variables)  # before any layer is frozen: it must know them all
    if keras.backend.backend() == "jax":
        optimizer.stateless_apply = partial(_apply_to_what_learns, optimizer)
    return model


def _apply_to_what_learns(optimizer: Any, state: list[Any], gradients: list[Any], values: list[Any]) -> Any:
    """`stateless_apply`, which JAX's step calls, without its demand that everything learns: layers may be frozen."""
    learnt = [variable for variable in optimizer._trainable_variables if variable.trainable]
    known = [*zip(learnt, values, strict=True), *zip(optimizer.variables, state, strict=True)]
    with keras.StatelessScope(state_mapping=known) as scope:
        optimizer.apply(gradients, learnt)
    changed = ([scope.get_current_value(variable) for variable in part] for part in (learnt, optimizer.variables))
    return tuple(changed)


def _optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    several = recipe.accumulate if recipe.accumulate > 1 else None
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(recipe.learning_rate, gradient_accumulation_steps=several)
    optimizer = keras.optimizers.AdamW(
        recipe.learning_rate, weight_decay=recipe.weight_decay, gradient_accumulation_steps=several
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def accuracy(mask: Any, logits: Any) -> Any:
    """Share of pixels on the right side of 0.5, for each of N pictures, from (N, H, W, 1) masks and logits.

    Of every fourth row and column: all pixels would cost a hundredth of the light network's step.
    """
    right = ops.equal(logits[:, ::4, ::4] > 0, mask[:, ::4, ::4] >= 0.5)
    return ops.mean(ops.cast(right, "float32"), axis=(1, 2, 3))


def freeze_encoder(model: keras.Model, frozen: bool) -> None:
    """Hold the encoder as it is, the statistics of its batch normalisation included, or let it learn again."""
    encoder = encoder_layers(model)
    if all(layer.trainable != frozen for layer in encoder):
        return
    for layer in encoder:
        layer.trainable = not frozen
    model.train_function = None  # the one there may be was traced with the layers as they were


def begin_with(model: keras.Model, start: str) -> None:
    """Give `model` the weights that `start` names, as `find_weights` understands it.

    Raises:
        TrainingError: there are none, or they are another network's.
    """
    path = find_weights(start)
    found = load_model(path)
    weights = found.get_weights()
    if [w.shape for w in weights] != [tuple(w.shape) for w in model.weights]:
        raise TrainingError(
            f"{path}: holds another network ({found.name}) than the recipe's ({model.name.removesuffix('_logits')}, or "
            "of another width); --set network=NAME and width, or another start"
        )
    model.set_weights(weights)
