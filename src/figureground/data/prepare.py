"""Annotated pictures of any notation into one dataset folder, every annotation accounted for.

Three steps, each of which a run that was stopped goes on with: the sources are read and their pictures noted; every
picture and its mask is written; groups and splits are made and the manifest is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from figureground.atomic import check_writable
from figureground.data.convert import convert
from figureground.data.finish import Prepared, finish, is_ours, printable, set_aside
from figureground.data.folders import walk
from figureground.data.note import Note
from figureground.data.reading import AUTO, STATE, Source, open_source
from figureground.data.splits import Placing
from figureground.data.state import State
from figureground.data.workers import in_parallel
from figureground.errors import DatasetError, OutputError
from figureground.version import __version__

_FEW = 32  # pictures done sooner than processes begin
_COMMIT_EVERY = 64  # pictures; what a killed run does again
Progress = Callable[[str, int, int], None]  # step, pictures done, of how many (0: not known yet)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a dataset is to hold."""

    notation: str = AUTO
    classes: tuple[str, ...] = ("person",)
    split: str = ""  # "": 0.8,0.2,0, but what was prepared before keeps its split
    group_by: str = ""  # "": every picture by itself
    only_sources: tuple[str, ...] = ()  # (): all
    coverage: tuple[float, float] = (0.0, 1.0)  # least and largest share of a picture that its mask may cover

    def __post_init__(self) -> None:
        """Refuse what could only give an empty dataset.

        Raises:
            DatasetError: it would.
        """
        if not self.classes or not all(self.classes):
            raise DatasetError("--classes: want one name or more, as in person,rider")
        if not 0 <= self.coverage[0] <= self.coverage[1] <= 1:
            raise DatasetError(f"--coverage {self.coverage[0]},{self.coverage[1]}: want two numbers from 0 to 1")


def prepare(
    sources: Sequence[Path], dataset: Path, settings: Settings | None = None, progress: Progress | None = None
) -> Prepared:
    """Read annotated pictures and write a dataset folder (docs/formats.md).

    Args:
        sources: folders or annotation files; nothing in them is changed.
        dataset: the folder to write; one that was prepared before is written anew.
        settings: which annotations, pictures and splits.
        progress: told the step, how many of its pictures are done and how many there are.

    Returns:
        What became of every picture and annotation.

    Raises:
        DatasetError: nothing usable is in the sources, a setting is wrong, or `dataset` holds something else.
        OutputError: the dataset cannot be written; run again, the work goes on where it stopped.
    """
    settings, progress = settings or Settings(), progress or (lambda step, done, total: None)
    placing = Placing.parse(settings.split, settings.group_by)
    opened = [open_source(source, settings.classes, settings.notation) for source in sources]
    if settings.classes != Settings().classes and all(source.notation == "prepared" for source in opened):
        raise DatasetError(f"--classes {','.join(settings.classes)}: the masks of a prepared dataset have no classes")
    _check_place(opened, dataset)
    check_writable(dataset)
    dataset.mkdir(parents=True, exist_ok=True)
    state = State(dataset / STATE, _task(opened, settings))
    try:
        _note(state, opened, settings, placing, progress)
        set_aside(dataset)
        _convert(state, dataset, settings, progress)
        named = settings.classes if all(source.has_labels for source in opened) else ()
        result = finish(state, dataset, placing, list(sources), named)
    except sqlite3.OperationalError as error:
        raise OutputError(f"{state.path}: cannot be written ({error}); free space and run it again") from error
    except sqlite3.DatabaseError as error:
        raise OutputError(f"{state.path}: is damaged ({error}); delete it and run it again") from error
    finally:
        state.close()
    state.path.unlink(missing_ok=True)
    return result


def _check_place(opened: Sequence[Source], dataset: Path) -> None:
    """Refuse to write over a source, or over anything that was not prepared."""
    place = Path(os.path.realpath(dataset))
    for source in opened:
        root = Path(os.path.realpath(source.root))
        if place == root or place.is_relative_to(root) or root.is_relative_to(place):
            raise DatasetError(f"--output {dataset}: overlaps the source {source.path}; choose another folder")
    if dataset.exists() and not dataset.is_dir():
        raise DatasetError(f"--output {dataset}: is a file; choose a folder")
    if dataset.is_dir() and any(dataset.iterdir()) and not (is_ours(dataset) or (dataset / STATE).exists()):
        raise DatasetError(f"--output {dataset}: holds something that prepare did not write; choose another folder")


def _task(opened: Sequence[Source], settings: Settings) -> str:
    """A digest of what was asked and of the sources as they are: only the same task is gone on with."""
    digest = hashlib.sha256(json.dumps([__version__, asdict(settings)]).encode())
    for source in opened:
        for file in walk(source.path) if source.path.is_dir() else [source.path]:
            if isinstance(file, Path):
                status = os.stat(file)
                text = f"{os.path.realpath(file)}:{status.st_size}:{status.st_mtime_ns}\n"
                digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _note(state: State, opened: Sequence[Source], settings: Settings, placing: Placing, progress: Progress) -> None:
    """Read every annotation file and keep its pictures, unless that has been done."""
    if state.recall("noted"):
        return
    state.clear()
    names = set[str]()
    for source in opened:
        note = Note(state, source, _unlike(source.name, names), settings.classes, settings.only_sources)
        for done in note.take_all():
            progress("reading", done, 0)
    _check_found(state, settings.classes)
    _check_heeded(state, settings, placing)
    state.remember("noted", True)
    state.commit()


def _unlike(name: str, taken: set[str]) -> str:
    """`name`, or with a number that makes it another than those taken; taken from now on."""
    found = next(n for n in chain([name], (f"{name}-{number}" for number in count(2))) if n not in taken)
    taken.add(found)
    return found


def _check_found(state: State, classes: Sequence[str]) -> None:
    """Refuse sources none of whose annotations can be used: the dataset would be of nobody."""
    counts = state.counts()
    others = Counter[str]()
    for _, label, fate, number in counts:
        if fate == "other":
            others[label] += number
    if any(fate == "wanted" for _, _, fate, _ in counts):
        return
    if others and not any(fate == "broken" and label for _, label, fate, _ in counts):
        shown = ", ".join(f"{printable(label)} ({number})" for label, number in others.most_common(8))
        raise DatasetError(f"no annotation of class {', '.join(classes)}; there are {shown}: choose with --classes")
    lost = state.first_lost()
    if lost and state.has_nobody():
        where, reason = printable(f"{lost.file}, {lost.place}"), printable(lost.reason)
        raise DatasetError(f"no annotation can be used, such as the one in {where}: {reason}")


def _check_heeded(state: State, settings: Settings, placing: Placing) -> None:
    """Refuse settings that would change nothing: they are misspelt."""
    there = state.sources()
    for name in settings.only_sources:
        if name not in there:
            raise DatasetError(f"--only-sources {name}: there is none; there are {', '.join(map(printable, there))}")
    paths = list(state.paths()) if placing.pattern else []
    if paths and not any(map(placing.group, paths)):
        raise DatasetError(f"--group-by {settings.group_by}: matches no picture's path, such as {printable(paths[0])}")


def _convert(state: State, dataset: Path, settings: Settings, progress: Progress) -> None:
    total, done = state.total()
    progress("writing", done, total)
    jobs = 1 if total - done <= _FEW else None
    with closing(in_parallel(convert, _work(state, dataset, settings), jobs)) as outcomes:
        for number, outcome in outcomes:
            state.finish(number, outcome)
            done += 1
            if done % _COMMIT_EVERY == 0:
                state.commit()
            progress("writing", done, total)
    state.commit()


def _work(state: State, dataset: Path, settings: Settings) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for number, name, picture in state.waiting():
        yield number, (picture, name, dataset, settings.coverage)
