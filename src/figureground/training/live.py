"""A run on the terminal: a line that moves with every step, and one that stays for every validation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from figureground.training.fit import Step

TOLD = ("epoch", "seconds", "loss", "accuracy", "val_loss", "val_accuracy", "val_iou", "val_dice")
Report = Callable[[dict[str, float]], None]
Watch = Callable[["Step"], None]


def line(row: dict[str, float]) -> str:
    """A row of metrics.csv in short."""
    return "  ".join(f"{name} {row[name]:.4g}" for name in TOLD)


@contextmanager
def shown(terminal: bool) -> Iterator[tuple[Report, Watch | None]]:
    """Give `fit` its two listeners: where stderr is no `terminal`, plain lines and nothing with every step."""
    if not terminal:
        yield lambda row: print(line(row), file=sys.stderr, flush=True), None
        return
    with _bar() as bar:
        task = bar.add_task("", total=None, figures="loading pictures")
        times: list[float] = []

        def watch(step: Step) -> None:
            times.append(time.monotonic())
            # The first step, for which the graph is made, takes many times as long as those after it.
            took = (times[-1] - times[0]) / max(1, len(times) - 1)
            left = took * ((step.epochs - step.epoch + 1) * step.steps - step.step)
            figures = f"{rate(step.batch, took)}loss {step.loss:.3f}  {best(step)}{duration(left)}"
            text = f"epoch {step.epoch}/{step.epochs}  step {step.step}/{step.steps}"
            bar.update(task, description=text, completed=step.step, total=step.steps, figures=figures)

        yield lambda row: bar.console.print(line(row), highlight=False, soft_wrap=True), watch


def rate(batch: int, took: float) -> str:
    """How many pictures are learnt from in a second, once more than one batch has been."""
    return f"{batch / took:.0f} images/s  " if took else ""


def best(step: Step) -> str:
    """The best figure so far, if there is one."""
    return "" if step.best is None else f"best {step.choose_by.removeprefix('val_')} {step.best:.3f}  "


def duration(seconds: float) -> str:
    """What is left, as h:mm:ss, once it can be told."""
    if not seconds:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} left"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=10), TextColumn("{task.fields[figures]}"))
    return Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
