"""How a run is doing: validation, what is noted of it in the run's folder, the best weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from figureground.atomic import atomic_path
from figureground.training.curves import plot_curves
from figureground.training.model import load_model
from figureground.training.parts import Parts, diverged
from figureground.training.report import write_report
from figureground.training.run import write_metrics
from figureground.training.samples import Prediction, predict_samples, write_sheet
from figureground.training.schedule import learning_rate
from figureground.training.validate import validate

if TYPE_CHECKING:
    from jinja2 import Template

Row = dict[str, float]


def look(parts: Parts, loss: float, accuracy: float) -> Row:
    """Validate; note it in the run's folder and keep the weights if they are the best so far."""
    recipe, folder, progress = parts.recipe, parts.folder, parts.progress
    parts.shown.set_weights(parts.average if recipe.average else parts.model.get_weights())
    figures = validate(parts.logits, parts.val, recipe)
    figures = dict(zip(figures, parts.devices.from_chief(list(figures.values())), strict=True))
    row = _row(parts, loss, accuracy) | figures
    if not math.isfinite(row["val_loss"]):
        raise diverged(parts, f"the validation loss is {row['val_loss']} after epoch {progress.epoch}")
    progress.rows.append(row)
    _keep_best(parts, row)
    if not parts.devices.is_chief:
        return row
    write_metrics(folder / "metrics.csv", progress.rows)
    plot_curves(folder / "curves.png", progress.rows, progress.best_epoch)
    if recipe.sample_every and progress.epoch - progress.sampled >= recipe.sample_every:
        progress.sampled = progress.epoch
        _draw(parts, f"epoch-{progress.epoch:04d}", f"validation pictures after epoch {progress.epoch}")
    return row


def _row(parts: Parts, loss: float, accuracy: float) -> Row:
    progress, steps = parts.progress, parts.steps
    epochs = progress.epoch - (int(progress.rows[-1]["epoch"]) if progress.rows else 0)
    seconds, waited = progress.seconds - progress.noted[0], progress.data_seconds - progress.noted[1]
    progress.noted = (progress.seconds, progress.data_seconds)
    return {
        "epoch": progress.epoch,
        "seconds": round(progress.seconds, 1),
        "learning_rate": learning_rate(parts.recipe, steps, progress.epoch * steps - 1),
        "images_per_s": epochs * steps * parts.recipe.batch / seconds,
        "data_wait": waited / seconds,
        "loss": loss,
        "accuracy": accuracy,
    }


def _keep_best(parts: Parts, row: Row) -> None:
    progress = parts.progress
    progress.waited += 1
    value = -row["val_iou"] if parts.recipe.choose_by == "val_iou" else row["val_loss"]
    if value < progress.best:
        progress.best, progress.best_epoch, progress.waited = value, progress.epoch, 0
        if parts.devices.is_chief:
            with atomic_path(parts.folder / "best.keras") as temporary:
                parts.shown.save(temporary)


def _draw(parts: Parts, name: str, title: str) -> list[Prediction]:
    predictions = predict_samples(parts.logits, parts.val, parts.recipe)
    write_sheet(parts.folder / "samples" / f"{name}.png", predictions, f"{parts.recipe.name}: {title}")
    return predictions


def out_of_patience(parts: Parts) -> bool:
    return 0 < parts.recipe.patience <= parts.progress.waited


def conclude(parts: Parts, page: Template) -> None:
    """Draw what the best weights give, and write the report."""
    progress, folder = parts.progress, parts.folder
    parts.shown.set_weights(load_model(folder / "best.keras").get_weights())
    predictions = _draw(parts, "best", f"validation pictures, weights of epoch {progress.best_epoch}")
    kept = {
        split: (len(samples.cache), len(samples)) for split, samples in (("train", parts.train), ("val", parts.val))
    }
    write_report(folder, progress, predictions, kept, page)
