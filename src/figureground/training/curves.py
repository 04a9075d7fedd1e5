"""The curves of a run, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figureground.atomic import atomic_path

Row = dict[str, float]
TRAIN, VAL, THIRD = "#0a7d86", "#c96f10", "#7a4fc0"
# Title; columns of metrics.csv with how they are called and drawn.
PANELS = (
    ("Loss", (("loss", "training", TRAIN), ("val_loss", "validation", VAL))),
    ("Accuracy", (("accuracy", "training", TRAIN), ("val_accuracy", "validation", VAL))),
    ("IoU and Dice, validation", (("val_iou", "IoU", VAL), ("val_dice", "Dice", THIRD))),
)


def column(rows: Sequence[Row], name: str) -> list[float]:
    """A column of metrics.csv; not a number where a row, of an older run, lacks it."""
    return [row.get(name, math.nan) for row in rows]


def limits(values: Sequence[float], least: float | None = None, most: float | None = None) -> tuple[float, float]:
    """Where an axis begins and ends: around all but the wildest twentieth of `values`, within `least` and `most`."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = (float(np.percentile(finite, part)) for part in (5, 95))
    if min(finite) > low - (high - low):
        low = min(finite)
    if max(finite) < high + (high - low):
        high = max(finite)
    room = 0.06 * (high - low) or 0.05
    low, high = low - room, high + room
    return (low if least is None else max(low, least)), (high if most is None else min(high, most))


def panel_limits(title: str, values: Sequence[float]) -> tuple[float, float]:
    """Where the vertical axis of one of `PANELS` begins and ends: losses begin at 0, shares end at 1."""
    low, high = limits(values, 0.0, None if title == "Loss" else 1.0)
    return (0.0 if title == "Loss" else low), high


def plot_curves(path: Path, rows: Sequence[Row], best_epoch: int = 0) -> None:
    """Draw loss and accuracy of training and validation, and IoU and Dice, over epochs; the best one marked.

    Raises:
        OutputError: the picture cannot be written.
    """
    figure = Figure(figsize=(14, 4.2))  # not pyplot's: a notebook's own figures are none of ours
    figure.subplots_adjust(0.035, 0.12, 0.99, 0.92, wspace=0.12)  # a layout that is worked out would draw it all twice
    for axes, panel in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        _draw(axes, panel, rows, best_epoch)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw(axes: Any, panel: tuple[str, Any], rows: Sequence[Row], best_epoch: int) -> None:
    title, lines = panel
    epochs = column(rows, "epoch")
    marker = "o" if len(rows) < 30 else None
    for name, label, colour in lines:
        axes.plot(epochs, column(rows, name), label=label, color=colour, linewidth=2, marker=marker, markersize=3.5)
    if best_epoch:
        axes.axvline(best_epoch, color="#5a636c", linewidth=1, linestyle=":", label=f"best: epoch {best_epoch}")
    axes.set_ylim(*panel_limits(title, [value for name, *_ in lines for value in column(rows, name)]))
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="#dedbd3", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
