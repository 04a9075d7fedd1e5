"""The commands from annotated pictures to a dataset."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from figureground.errors import FigureGroundError
from figureground.terminal import Json, needs, progress_bar

Dataset = Annotated[Path, typer.Argument(help="A dataset folder: images/, masks/, manifest.csv.")]


def prepare(
    sources: Annotated[list[Path], typer.Argument(help="Folders of annotated pictures, or annotation files.")],
    output: Annotated[Path, typer.Option(help="The dataset folder to write.")],
    notation: Annotated[
        str,
        typer.Option(
            "--format", help="auto, coco, supervisely, labelme, via, cvat, labelbox, yolo, voc, masks, prepared."
        ),
    ] = "auto",
    classes: Annotated[str, typer.Option(help="What to segment: names, numbers or colours of masks.")] = "person",
    split: Annotated[
        str,
        typer.Option(help="Shares of train, val and test; left out: 0.8,0.2,0, and a prepared dataset keeps its own."),
    ] = "",
    group_by: Annotated[
        str, typer.Option(help="Regular expression of the part of a path that pictures of one group share.")
    ] = "",
    only_sources: Annotated[str, typer.Option(help="Take only these sources of prepared datasets.")] = "",
    coverage: Annotated[
        str, typer.Option(help="Least and largest share of a picture that the mask may cover.")
    ] = "0,1",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any annotation was rejected.")] = False,
    as_json: Json = False,
) -> int:
    """Turn annotated pictures of any notation into a dataset; every annotation is accounted for."""
    with needs("train"):
        from figureground.data.account import account
        from figureground.data.prepare import Settings
        from figureground.data.prepare import prepare as work

    settings = Settings(notation, _listed(classes), split, group_by, _listed(only_sources), _numbers(coverage))
    with progress_bar("pictures/s") as bar:
        tasks = {step: bar.add_task(step, total=None, visible=False) for step in ("reading", "writing")}

        def progress(step: str, done: int, total: int) -> None:
            bar.update(tasks[step], completed=done, total=total or None, visible=True)

        result = work(sources, output, settings, progress)
    print(json.dumps(asdict(result), indent=1) if as_json else account(result))
    return int(strict and result.rejected > 0)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise FigureGroundError(f"--coverage {text}: want two numbers, as in 0.01,0.9") from error
    return low, high


def explore(
    dataset: Dataset,
    output: Annotated[
        Path | None, typer.Option(help="The page; left out: report.html, or none where --json is given.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Look at a dataset: figures, samples, odd annotations, near-duplicates and leaks, as one HTML page."""
    from figureground.atomic import PAGES, check_file
    from figureground.data.explore import explore as look
    from figureground.data.explore import table
    from figureground.data.explore_page import load_template, write_page

    page = output if as_json else output or Path("report.html")
    with needs("train"):
        template = load_template() if page else None  # what is missing is told before the work, not after it
    if page:
        check_file(page, "report.html", PAGES)
    with progress_bar("pictures/s") as bar:
        task = bar.add_task("explore", total=None)
        result = look(dataset, progress=lambda n, all_: bar.update(task, completed=n, total=all_))
    if page and template:
        write_page(result, dataset, page, template)
    print(json.dumps(asdict(result), indent=1) if as_json else f"{table(result)}\n{page}")
    return 0
