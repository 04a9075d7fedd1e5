"""Training: one loop from a recipe and a dataset to a run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from figureground.threads import opencv_threads
from figureground.training.checkpoint import Progress, save_checkpoint
from figureground.training.config import Recipe
from figureground.training.dataset import Batch, training_batches
from figureground.training.events import Board
from figureground.training.look import Row, conclude, look, out_of_patience
from figureground.training.model import freeze_encoder
from figureground.training.parts import Parts, begin, diverged
from figureground.training.replicas import Devices
from figureground.training.report import load_report
from figureground.training.run import check_run
from figureground.training.schedule import learning_rate, steps_to_average, update_average

SAVE_EVERY = 600.0  # seconds between checkpoints within an epoch


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is after a step: both counts begin at 1, `loss` is the epoch's mean so far, `best` the best value."""

    epoch: int
    epochs: int
    step: int
    steps: int
    batch: int
    loss: float
    best: float | None
    choose_by: str


def fit(
    recipe: Recipe,
    dataset: Path,
    run: Path,
    resume: bool = False,
    report: Callable[[Row], None] | None = None,
    watch: Callable[[Step], None] | None = None,
    save_every: float = SAVE_EVERY,
    devices: Devices | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Train `recipe` on the train split of `dataset`, validate on its val split, keep everything in `run`.

    Args:
        recipe: the settings.
        dataset: a folder as `prepare` writes it.
        run: folder for what docs/formats.md lists.
        resume: go on from `run`'s last checkpoint, or from the beginning if it was stopped before the first.
        report: called with the row of metrics.csv after every validation.
        watch: called after every step.
        save_every: seconds between checkpoints within an epoch; there is one at the end of each in any case.
        devices: where, as `open_devices` gives them; left out: the one device that the backend chooses.
        stop: asked after every step; once true, the step is saved and the run ends with a KeyboardInterrupt.

    Returns:
        The path of `best.keras`: the best weights (averaged, where the recipe asks for it) by the
        validation figure the recipe chooses by.

    Raises:
        TrainingError: the loss is not finite, there is nothing to resume, or `run` holds another run.
        DatasetError: the dataset cannot be read, or cannot be learnt from.
        ImageError: a picture or a mask cannot be read.
        RecipeError: a batch that cannot be shared out among the devices.
        OutputError: `run` cannot be written, or the disk is full; what it held is still there.
        KeyboardInterrupt: `stop` asked for it.
    """
    devices = devices or Devices()
    devices.check(recipe)
    check_run(recipe, dataset, run, resume)
    page = load_report()  # what is missing for it is told before the work, not after it
    keras.utils.set_random_seed(recipe.seed)
    with opencv_threads(1):  # the batches have threads of their own
        parts = begin(recipe, dataset, run, resume, devices)
        _train(parts, report, watch, save_every, stop)
        if devices.is_chief:
            conclude(parts, page)
    devices.from_chief([0.0])  # nobody leaves before the chief: the others' end would be an error to it
    return run / "best.keras"


def _train(
    parts: Parts,
    report: Callable[[Row], None] | None,
    watch: Callable[[Step], None] | None,
    save_every: float,
    stop: Callable[[], bool],
) -> None:
    recipe, progress = parts.recipe, parts.progress
    board = Board.start(parts.folder / "tensorboard", progress.epoch) if parts.devices.is_chief else None
    while progress.epoch < recipe.epochs and not out_of_patience(parts):
        loss, accuracy = _train_epoch(parts, watch, save_every, stop)
        if progress.epoch % recipe.validate_every == 0 or progress.epoch == recipe.epochs:
            row = look(parts, loss, accuracy)
            if board:
                board.add(row)
            if report:
                report(row)
        _save(parts)


def _train_epoch(
    parts: Parts, watch: Callable[[Step], None] | None, save_every: float, stop: Callable[[], bool]
) -> tuple[float, float]:
    """Train to the end of the epoch; give the means of loss and accuracy over its batches."""
    recipe, progress = parts.recipe, parts.progress
    freeze_encoder(parts.model, progress.epoch < recipe.freeze_encoder)
    place, part = (progress.epoch, len(progress.batches)), (parts.devices.machine, parts.devices.machines)
    batches = training_batches(parts.train, parts.backgrounds, recipe, *place, part=part)
    saved = time.monotonic()
    for batch in _timed(batches, progress):
        _train_step(parts, batch)
        if watch:
            watch(_step(parts))
        if (is_asked := stop()) or time.monotonic() - saved >= save_every:
            _save(parts)
            saved = time.monotonic()
        if is_asked:
            raise KeyboardInterrupt
    loss, accuracy = np.mean(progress.batches, axis=0).tolist()
    progress.epoch, progress.batches = progress.epoch + 1, []
    return loss, accuracy


def _timed(batches: Iterator[Batch], progress: Progress) -> Iterator[Batch]:
    """Count the seconds that go by, and those of them spent waiting for a batch."""
    while True:
        asked = time.monotonic()
        batch = next(batches, None)
        got = time.monotonic()
        progress.data_seconds += got - asked
        progress.seconds += got - asked
        if batch is None:
            return
        yield batch
        progress.seconds += time.monotonic() - got


def _train_step(parts: Parts, batch: Batch) -> None:
    recipe, progress, steps = parts.recipe, parts.progress, parts.steps
    step = progress.epoch * steps + len(progress.batches)
    parts.model.optimizer.learning_rate.assign(learning_rate(recipe, steps, step))
    loss, accuracy = parts.learn(batch)
    if not math.isfinite(loss):
        raise diverged(parts, f"the loss is {loss} in epoch {progress.epoch + 1}, step {step % steps + 1} of {steps}")
    if recipe.average and (forward := steps_to_average(steps, step)):
        update_average(parts.average, parts.model.get_weights(), recipe.average, step, forward)
    progress.batches.append((loss, accuracy))


def _step(parts: Parts) -> Step:
    recipe, progress = parts.recipe, parts.progress
    best = abs(progress.best) if progress.best_epoch else None
    loss = float(np.mean([loss for loss, _ in progress.batches]))
    place = (progress.epoch + 1, recipe.epochs, len(progress.batches), parts.steps)
    return Step(*place, recipe.batch, loss, best, recipe.choose_by)


def _save(parts: Parts) -> None:
    if not all(np.isfinite(weight).all() for weight in parts.model.get_weights()):
        progress = parts.progress
        after = (
            f"epoch {progress.epoch + 1}, step {len(progress.batches)}"
            if progress.batches
            else f"epoch {progress.epoch}"
        )
        raise diverged(parts, f"weights are no longer finite after {after}")
    if parts.devices.is_chief:
        save_checkpoint(parts.folder / "last.npz", parts.model, parts.average, parts.progress)
