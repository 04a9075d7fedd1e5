"""What a run works with, from its folder or from its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from figureground.atomic import remove_unfinished
from figureground.errors import DatasetError, RecipeError, TrainingError
from figureground.training.checkpoint import Progress, Weights, load_checkpoint
from figureground.training.config import Recipe, has_checkpoint
from figureground.training.dataset import Backgrounds, Samples, read_backgrounds, read_splits
from figureground.training.model import begin_with, build_network, trainable
from figureground.training.replicas import Devices, Learner
from figureground.training.run import check_same_data, config, data_hashes, environment, write_json
from figureground.training.start import find_weights
from figureground.training.unet import logits_model

BACKGROUNDS = 0.25  # of the memory for pictures: so much at most is for `backgrounds`


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run works with; `shown` and `logits`, of the same float32 weights, are what is validated and kept."""

    recipe: Recipe
    folder: Path
    train: Samples
    val: Samples
    backgrounds: Backgrounds
    devices: Devices
    model: keras.Model
    learn: Learner
    shown: keras.Model
    logits: keras.Model
    average: Weights
    progress: Progress

    @property
    def steps(self) -> int:
        return len(self.train) // self.recipe.batch


def begin(recipe: Recipe, dataset: Path, run: Path, resume: bool, devices: Devices) -> Parts:
    hashes = data_hashes(dataset, recipe.backgrounds)
    if resume:
        check_same_data(hashes, dataset, run)
    # First what is quickly found missing; it is told before the minutes that reading takes.
    if recipe.start and not (resume and has_checkpoint(run)):
        find_weights(recipe.start)
    backgrounds = _backgrounds(recipe)
    train, val = _read(recipe, dataset)
    shown = build_network(recipe)
    with devices.scope():
        model = trainable(recipe)
    average, progress = [np.array(w) for w in model.get_weights()], Progress()
    if resume and has_checkpoint(run):
        average, progress = load_checkpoint(run / "last.npz", model)
    elif recipe.start:
        begin_with(model, recipe.start)
        average = [np.array(w) for w in model.get_weights()]
    if resume:
        _check_same_place(devices, run, progress)
        _check_epochs(recipe, run, progress)
    if devices.is_chief:
        if (run / "config.json").exists():
            remove_unfinished(run)  # of a run that was killed while it wrote
        _describe(recipe, dataset, run, devices, hashes)
    logits = logits_model(shown)  # made once: a new one for every validation would be traced again every time
    learn = devices.learner(model)
    return Parts(recipe, run, train, val, backgrounds, devices, model, learn, shown, logits, average, progress)


def _check_same_place(devices: Devices, run: Path, progress: Progress) -> None:
    mine = [progress.epoch, len(progress.batches)]
    chief = devices.from_chief(mine)
    if chief != mine:
        raise TrainingError(
            f"{run}: machine {devices.machine} found a checkpoint of epoch, step {mine}, the chief one of {chief}; "
            "put --output into a folder that all machines share"
        )


def _check_epochs(recipe: Recipe, run: Path, progress: Progress) -> None:
    """A run cannot end before where it is, nor where no weights have been chosen yet."""
    done = progress.epoch
    least = done if progress.best_epoch else done + 1
    if recipe.epochs < least:
        unseen = "" if progress.best_epoch else ", and none validated yet"
        raise TrainingError(f"{run}: epochs={recipe.epochs}, but {done} are done{unseen}; want {least} or more")


def _describe(recipe: Recipe, dataset: Path, run: Path, devices: Devices, hashes: dict[str, str]) -> None:
    used = {"devices": devices.count, "machines": devices.machines}
    write_json(run / "config.json", config(recipe, dataset))
    write_json(run / "environment.json", environment(hashes, recipe.seed) | used)


def _read(recipe: Recipe, dataset: Path) -> tuple[Samples, Samples]:
    train, val = read_splits(dataset, recipe.batch)
    batches = len(train) // recipe.batch * recipe.epochs
    if batches < recipe.accumulate:
        raise RecipeError(f"accumulate={recipe.accumulate}: the run has but {batches} batches; it would learn nothing")
    memory = (1 - BACKGROUNDS if recipe.backgrounds else 1) * recipe.cache_gb * 1e9
    learnt = Samples.load(train, recipe.cache_side, memory)
    measured = Samples.load(val, recipe.cache_side, memory - learnt.bytes())
    for split, samples in (("train", learnt), ("val", measured)):
        if not any(matte.max() >= 128 for matte in samples.mattes()):
            raise DatasetError(
                f"{dataset}: no mask of split {split!r} holds anything; look at it with `figureground explore`"
            )
    return learnt, measured


def _backgrounds(recipe: Recipe) -> Backgrounds:
    if not recipe.backgrounds:
        return Backgrounds()
    memory = BACKGROUNDS * recipe.cache_gb * 1e9
    return read_backgrounds(Path(recipe.backgrounds), recipe.cache_side, recipe.negatives_only, memory)


def diverged(parts: Parts, what: str) -> TrainingError:
    epoch = parts.progress.best_epoch
    kept = f" and begin with --from {parts.folder}, which keeps the weights of epoch {epoch}" if epoch else ""
    return TrainingError(f"{what}; lower learning_rate{kept}")
