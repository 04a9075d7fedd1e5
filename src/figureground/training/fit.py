"""Training: one loop from a recipe and a dataset to a run folder."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from figureground.atomic import atomic_path
from figureground.data.manifest import read_manifest
from figureground.errors import TrainingError
from figureground.training.checkpoint import Progress, Weights, load_checkpoint, save_checkpoint
from figureground.training.config import Recipe
from figureground.training.dataset import Backgrounds, Samples, read_backgrounds, training_batches, validation_batches
from figureground.training.losses import make_loss
from figureground.training.unet import base_unet, classic_unet, light_unet, logits_model

AVERAGE_EVERY = 10  # steps between updates of the weights' moving average
REMEDY = "lower learning_rate"
Report = Callable[[dict[str, float]], None]


def build_network(recipe: Recipe) -> keras.Model:
    """The recipe's network, untrained, for pictures of any size its strides divide."""
    if recipe.network == "classic":
        return classic_unet(recipe.width, recipe.dropout, (None, None))
    return base_unet() if recipe.network == "base" else light_unet()


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


def fit(recipe: Recipe, dataset: Path, run: Path, resume: bool = False, report: Report | None = None) -> Path:
    """Train `recipe` on the train split of `dataset`, validate on its val split, keep everything in `run`.

    Args:
        recipe: the settings.
        dataset: a folder as `prepare` writes it.
        run: folder for config.json, environment.json, metrics.csv, curves.png, best.keras and last.npz.
        resume: go on from `run`'s last checkpoint.
        report: called with the row of metrics.csv after every validation.

    Returns:
        The path of `best.keras`: the best weights (averaged, where the recipe asks for it) by the
        validation figure the recipe chooses by.

    Raises:
        TrainingError: the loss is not finite, there is nothing to resume, or `run` holds another run.
        DatasetError: the dataset cannot be read.
    """
    _check_run(recipe, dataset, run, resume)
    keras.utils.set_random_seed(recipe.seed)
    cv2.setNumThreads(1)  # the batches have threads of their own
    train = Samples.load(read_manifest(dataset, "train"), recipe.cache_side)
    val = Samples.load(read_manifest(dataset, "val"), recipe.cache_side)
    backgrounds = _backgrounds(recipe)
    steps = max(1, len(train) // recipe.batch)

    shown = build_network(recipe)  # float32, holds the weights that are validated and kept
    model = _trainable(recipe)
    logits = logits_model(shown)  # made once: a new one for every validation would be traced again every time
    if recipe.start and not resume:
        _begin_with(model, Path(recipe.start))
    average, progress = [np.array(w) for w in model.get_weights()], Progress()
    if resume:
        average, progress = load_checkpoint(run / "last.npz", model)
    _write_json(run / "config.json", _config(recipe, dataset))
    _write_json(run / "environment.json", environment(dataset, recipe.seed))

    while progress.epoch < recipe.epochs and not _out_of_patience(recipe, progress):
        started = time.monotonic()
        loss = _train_epoch(model, average, train, backgrounds, recipe, progress.epoch, steps)
        progress.epoch += 1
        progress.seconds += time.monotonic() - started
        if progress.epoch % recipe.validate_every == 0 or progress.epoch == recipe.epochs:
            shown.set_weights(average if recipe.average else model.get_weights())
            row = {"epoch": progress.epoch, "seconds": round(progress.seconds, 1), "loss": loss}
            row |= validate(logits, val, recipe)
            _keep(row, shown, run, progress, recipe.choose_by)
            if report:
                report(row)
        save_checkpoint(run / "last.npz", model, average, progress)
    return run / "best.keras"


def _config(recipe: Recipe, dataset: Path) -> dict[str, object]:
    return asdict(recipe) | {"dataset": str(dataset.resolve())}


def _check_run(recipe: Recipe, dataset: Path, run: Path, resume: bool) -> None:
    """A run's folder holds one run: nothing else may be written over it, nor go on under its name."""
    if not resume:
        if (run / "last.npz").exists() or (run / "best.keras").exists():
            raise TrainingError(f"{run}: holds a run already; add --resume to go on or choose another --output")
        return
    if not (run / "config.json").exists():
        raise TrainingError(f"{run}: no run to resume here; start it without --resume")
    was = json.loads((run / "config.json").read_text(encoding="utf-8"))
    now = json.loads(json.dumps(_config(recipe, dataset)))
    changed = [name for name in now if name != "epochs" and was.get(name) != now[name]]
    if changed:
        name = changed[0]
        raise TrainingError(
            f"{run}: was begun with {name} {was.get(name)!r}, got {now[name]!r}; only epochs may change"
        )


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


def environment(dataset: Path, seed: int) -> dict[str, str | int]:
    """What decides the weights besides the recipe: versions, machine, code and data."""
    try:
        root = Path(__file__).parents[3]
        command = ["git", f"--git-dir={root / '.git'}", f"--work-tree={root}", "describe", "--always", "--dirty"]
        revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        revision = ""  # an installed package, not a checkout
    packages = ("figureground", "keras", "numpy", "opencv-python-headless")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
        "backend": keras.backend.backend(),
        "backend_version": sys.modules[keras.backend.backend()].__version__,
        "git_revision": revision,
        "seed": seed,
        "manifest_sha256": hashlib.sha256((dataset / "manifest.csv").read_bytes()).hexdigest(),
        **{name: version(name) for name in packages},
    }


def _trainable(recipe: Recipe) -> keras.Model:
    """The network up to its logits, compiled; its layers compute in bfloat16 where the recipe asks for it."""
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if recipe.mixed_precision else "float32")
    try:
        model = logits_model(build_network(recipe))
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        optimizer = keras.optimizers.Adam(recipe.learning_rate)
    # XLA makes these networks several times slower on a CPU.
    model.compile(optimizer, make_loss(recipe.loss, recipe.boundary_weight), jit_compile=False)
    return model


def _begin_with(model: keras.Model, path: Path) -> None:
    weights = load_model(path).get_weights()
    if [w.shape for w in weights] != [tuple(w.shape) for w in model.weights]:
        raise TrainingError(f"{path}: holds another network than the recipe's; choose another start or network")
    model.set_weights(weights)


def _backgrounds(recipe: Recipe) -> Backgrounds:
    if not recipe.backgrounds:
        return Backgrounds()
    return read_backgrounds(Path(recipe.backgrounds), recipe.cache_side, recipe.negatives_only)


def _train_epoch(
    model: keras.Model,
    average: Weights,
    samples: Samples,
    backgrounds: Backgrounds,
    recipe: Recipe,
    epoch: int,
    steps: int,
) -> float:
    losses = []
    for step, (frames, masks) in enumerate(training_batches(samples, backgrounds, recipe, epoch)):
        model.optimizer.learning_rate.assign(learning_rate(recipe, steps, epoch * steps + step))
        loss = float(np.asarray(model.train_on_batch(frames, masks)).ravel()[0])
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} in epoch {epoch + 1}, step {step + 1} of {steps}; {REMEDY}")
        # Counted over the whole run: an epoch may have fewer steps than lie between two updates.
        if recipe.average and (epoch * steps + step + 1) % AVERAGE_EVERY == 0:
            _update_average(average, model.get_weights(), recipe.average, epoch * steps + step)
        losses.append(loss)
    return float(np.mean(losses))


def _update_average(average: Weights, weights: Weights, decay: float, step: int) -> None:
    # The first thousands of steps would weigh the random start too much under the full decay.
    keep = min(decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
    for mean, now in zip(average, weights, strict=True):
        mean += (1 - keep) * (now - mean)


def _keep(row: dict[str, float], model: keras.Model, run: Path, progress: Progress, choose_by: str) -> None:
    """Note a validation in the run's folder, and keep the weights if they are the best so far."""
    if not math.isfinite(row["val_loss"]):
        raise TrainingError(f"the validation loss is {row['val_loss']} after epoch {progress.epoch}; {REMEDY}")
    progress.rows.append(row)
    _write_metrics(run / "metrics.csv", progress.rows)
    plot_curves(run / "curves.png", progress.rows)
    progress.waited += 1
    value = -row["val_iou"] if choose_by == "val_iou" else row["val_loss"]
    if value < progress.best:
        progress.best, progress.best_epoch, progress.waited = value, progress.epoch, 0
        with atomic_path(run / "best.keras") as temporary:
            model.save(temporary)


def _out_of_patience(recipe: Recipe, progress: Progress) -> bool:
    return 0 < recipe.patience <= progress.waited


def _write_json(path: Path, content: object) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_metrics(path: Path, rows: list[dict[str, float]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)


def plot_curves(path: Path, rows: list[dict[str, float]]) -> None:
    """Loss, and accuracy, IoU and Dice on validation, over epochs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for axes, names in ((left, ("loss", "val_loss")), (right, ("val_accuracy", "val_iou", "val_dice"))):
        for name in names:
            axes.plot(epochs, [row[name] for row in rows], label=name)
        axes.set_xlabel("epoch")
        axes.legend()
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    pyplot.close(figure)
