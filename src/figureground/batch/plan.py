"""Which files a call of `replace` means, and where each result goes."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath

from figureground.atomic import check_writable
from figureground.batch.folder import replaceable
from figureground.batch.options import Options
from figureground.batch.places import is_folder, is_url, join, real, same, stamp
from figureground.batch.walk import Folder, walk
from figureground.encodings import OPAQUE_EXTENSIONS, encoding_for, suffix_for
from figureground.errors import InputError, OutputError
from figureground.images import EXTENSIONS
from figureground.sources import VIDEO_EXTENSIONS

Remembered = Callable[[str], str]  # an input's name to the `result` an earlier run gave it; empty: none


@dataclass(frozen=True, slots=True)
class Job:
    """One input and where its result goes, as files of this machine."""

    input: Path
    output: Path


@dataclass(frozen=True, slots=True)
class Item:
    """One input and where its result goes, as paths or URLs.

    Attributes:
        input: a picture or a video; or a folder that cannot be read.
        output: where its result goes.
        name: of the input below the folder that was asked for, with slashes: the same wherever the tree lies.
        result: of the output below the output folder; empty where there is no such folder.
        refused: why nothing can be made of it, if so.
    """

    input: str
    output: str
    name: str = ""
    result: str = ""
    refused: str = ""


def plan(
    inputs: Sequence[str | Path],
    output: str | Path | None,
    options: Options,
    remembered: Remembered = lambda _: "",
) -> Iterator[Item]:
    """Find the files behind `inputs` and decide where each result goes.

    What is named is looked at now, what folders hold only as it is asked for: of a million files none waits for the
    last to be found. What is wrong with a file in a folder is told by its item.

    Raises:
        InputError: a missing path.
        OutputError: a result that would overwrite an input, the background or another result, or a suffix that cannot
            hold it.
    """
    places = [str(place) for place in inputs]
    for place in places:
        if stamp(place) is None:
            raise InputError(f"{place}: no such file or folder")
    folders = [place for place in places if is_folder(place)]
    files = [place for place in places if place not in folders]
    target = None if output is None else str(output)
    if target is None and folders:
        raise OutputError(f"{folders[0]}: a folder needs --output, or its results would be its inputs next time")
    guard = _Guard(files, folders, target, options)
    if target is not None and is_url(target) and options.codec == "png":
        raise OutputError(f"{target}: --codec png writes folders, which go to no URL; choose a place on this machine")
    if target is not None and any(same(root, target) for root in folders):
        raise OutputError(f"{target}: is an input; choose another --output")
    if is_single(places, target, options):
        assert target is not None
        named = [Item(places[0], target)]
    else:
        named = _named(files, target, options, remembered)
    if options.of_videos and not folders and not any(is_video(Path(item.input)) for item in named):
        raise OutputError(f"{options.of_videos}: only for videos, and no input is one; leave out what does nothing")
    for item in named:
        if reason := guard.reason(item, options):
            raise OutputError(reason)
        _check_suffix(Job(Path(item.input), Path(item.output)), options)
    return chain(named, _in_folders(folders, target or "", options, remembered, guard, named) if folders else ())


def is_single(inputs: Sequence[str | Path], output: str | Path | None, options: Options) -> bool:
    """Whether `output` is what is made of the one input; else it is a folder for results, if there is one."""
    if output is None or len(inputs) != 1 or is_folder(str(inputs[0])):
        return False
    if not _suffix(Path(_name(str(inputs[0]))), options):  # of numbered pictures
        return not is_url(str(output)) and replaceable(Path(output))
    target = str(output)
    return bool(PurePosixPath(target).suffix) and not target.endswith(("/", os.sep)) and not is_folder(target)


def check_not_empty(inputs: Sequence[str | Path]) -> None:
    """
    Raises:
        InputError: a folder without pictures and videos, or one that cannot be read.
    """
    for root in map(str, inputs):
        if is_folder(root):
            first = next(walk([root], _SUFFIXES), None)
            if first is None:
                raise InputError(f"{root}: no pictures or videos in this folder")
            if first[0].name == "" and first[0].unreadable:
                raise InputError(f"{root}: cannot be read ({first[0].unreadable[0][1]})")


def check_sheet(sheet: str, items: Sequence[Item], options: Options) -> None:
    """
    Raises:
        OutputError: a contact sheet of anything but one video, or one that cannot be written.
    """
    if is_url(sheet):
        raise OutputError(f"{sheet}: a contact sheet goes to no URL; choose a place on this machine")
    if len(items) != 1 or not is_video(Path(items[0].input)):
        raise OutputError(f"{sheet}: a contact sheet is of one video; leave --sheet out or give one")
    if Path(sheet).suffix.lower() not in EXTENSIONS:
        raise OutputError(f"{sheet}: cannot hold a picture; use one of {' '.join(EXTENSIONS)}")
    if real(sheet) == real(items[0].input) or _within(real(sheet), real(items[0].output)):
        raise OutputError(f"{sheet}: is the video, or one of its pictures; choose another --sheet")
    if real(sheet) in behind_people(options):
        raise OutputError(f"{sheet}: is the background; choose another --sheet")
    check_writable(Path(sheet).parent)


_SUFFIXES = EXTENSIONS + VIDEO_EXTENSIONS


def _named(files: Sequence[str], output: str | None, options: Options, remembered: Remembered) -> list[Item]:
    """The files that were named one by one."""
    items = []
    # Beside their inputs, results of one folder can only meet those of the same folder.
    homes = dict[str, list[str]]()
    for file in files:
        homes.setdefault(_home(file) if output is None else output, []).append(file)
    for home, here in homes.items():
        first = dict[str, str]()
        for file in here:
            name = _name(file)
            if name in first:
                there = join(home, _wanted(name, options, beside=output is None))
                raise OutputError(_meeting(there, first[name], file))
            first[name] = file
        results = result_names([*first], options, remembered, beside=output is None)
        kept = output is not None
        items += [Item(f, join(home, results[n]), n, results[n] if kept else "") for n, f in first.items()]
    order = {file: number for number, file in enumerate(files)}
    return sorted(items, key=lambda item: order[item.input])


def _in_folders(
    roots: Sequence[str], output: str, options: Options, remembered: Remembered, guard: _Guard, named: Sequence[Item]
) -> Iterator[Item]:
    listed: Folder | None = None
    results = dict[str, str]()
    # By its name a result is known the next time, so a file at a folder's top cannot have that of another input.
    met = {item.name: item for item in named}
    for folder, name in walk(roots, _SUFFIXES, left_out=output):
        if folder is not listed:
            results, listed = _results(folder, options, remembered, named), folder
        if not name:
            for root, reason in folder.unreadable:
                place = join(root, folder.name) if folder.name else root
                yield Item(place, join(output, folder.name), folder.name, "", f"{place}: cannot be read ({reason})")
            continue
        if not folder.name and name in met:
            for root in folder.files[name]:
                if not same(twin := join(root, name), met[name].input):
                    yield Item(twin, met[name].output, "", "", _meeting(met[name].output, met[name].input, twin))
            continue
        first, *others = folder.files[name]
        result = str(PurePosixPath(folder.name, results[name]))
        item = Item(join(first, folder.below(name)), join(output, result), folder.below(name), result)
        yield Item(item.input, item.output, item.name, result, guard.reason(item, options))
        for root in others:
            twin = join(root, item.name)
            yield Item(twin, item.output, "", "", _meeting(item.output, item.input, twin))


def _meeting(there: str, one: str, other: str) -> str:
    return f"{there}: both {one} and {other} would go there; rename one, or give each its own --output"


def _results(folder: Folder, options: Options, remembered: Remembered, named: Sequence[Item]) -> dict[str, str]:
    def old(name: str) -> str:
        path = PurePosixPath(remembered(folder.below(name)))
        return path.name if path.parent == PurePosixPath(folder.name) else ""

    taken = [item.result for item in named] if not folder.name else []
    return result_names(sorted(folder.files), options, old, taken)


def result_names(
    names: Sequence[str], options: Options, remembered: Remembered, taken: Sequence[str] = (), beside: bool = False
) -> dict[str, str]:
    """The results' names for the files of one folder, no two alike, be it but for upper and lower case.

    Where two files want one name, as a.jpg and a.png do as cut-outs, the one that had it in an earlier run keeps it,
    else the one that is called so itself, else the first; the other's result keeps its whole name, as a.jpg.png.
    """
    given, used = dict[str, str](), {_folded(name) for name in taken}

    def give(name: str, result: str) -> bool:
        written = {_folded(path.name) for path in _written(Path(name), Path(result), options)}
        free = not written & used
        if free:
            used.update(written)
            given[name] = result
        return free

    for name in names:
        old = remembered(name)
        if old and PurePosixPath(old).suffix == _suffix(Path(name), options):
            give(name, old)
    tag = f"-{options.kind}" if beside else ""
    rest = [name for name in names if name not in given]
    for name in sorted(rest, key=lambda name: _wanted(name, options) != name):
        whole, suffix = name + tag, _suffix(Path(name), options)
        choices = chain([_wanted(name, options, beside), whole + suffix], (f"{whole}-{n}{suffix}" for n in count(2)))
        next(other for other in choices if give(name, other))
    return given


def _written(path: Path, output: Path, options: Options) -> list[Path]:
    """All that is written for a result."""
    return [output, matte_path(output)] if options.matte and is_video(path) else [output]


def written_beside(item: Item, options: Options) -> list[str]:
    """What is written for an item besides its result: the mattes of videos, a contact sheet."""
    if not is_video(Path(item.input)):
        return []
    _, *others = _written(Path(item.input), Path(_name(item.output)), options)
    places = [join(_home(item.output), other.name) for other in others]
    return places if options.sheet is None else [*places, options.sheet]


def _folded(name: str) -> str:
    """The same for names that some file systems hold for one."""
    folded = unicodedata.normalize("NFC", name).casefold()
    return name if folded == name else folded  # of a million equal strings one is enough


def _wanted(name: str, options: Options, beside: bool = False) -> str:
    """What the result of a file of this name is called if nothing else is."""
    path = Path(name)
    wanted = f"{path.stem}{f'-{options.kind}' if beside else ''}{_suffix(path, options)}"
    return name if wanted == name else wanted


def _home(file: str) -> str:
    return file.rpartition("/")[0] if is_url(file) else os.path.dirname(file)


def _name(file: str) -> str:
    return PurePosixPath(file).name if is_url(file) else os.path.basename(file)


class _Guard:
    """Knows where no result may go: onto inputs and the background."""

    def __init__(self, files: Sequence[str], folders: Sequence[str], output: str | None, options: Options) -> None:
        self._files = {real(file) for file in files}
        # The folders in which each file has a name, by what tells files and folders on a disk apart.
        self._homes = dict[tuple[int, int] | None, set[tuple[int, int] | None]]()
        for file in files:
            self._homes.setdefault(_on_disk(file), set()).add(_on_disk(_home(file) or "."))
        # Results in a folder of an input folder are left out of the walk, so they are no inputs.
        self._output = real(output) if output is not None else ""
        self._roots = [real(root) for root in folders]
        self._shown = behind_people(options)
        self._home: tuple[str | None, str] = (None, "")

    def reason(self, item: Item, options: Options) -> str:
        """Why the result may not go there; empty if it may."""
        home = _home(item.output)
        if self._home[0] != home:  # most come from the same folder as the one before
            self._home = (home, real(home))
        for path in _written(Path(item.input), Path(_name(item.output)), options):
            place, shown = join(self._home[1], path.name), join(home, path.name)
            if place in self._files or self._is_file(shown) or self._is_inside(self._home[1]):
                return f"{shown}: is an input; choose another --output"
            if place in self._shown:
                return f"{shown}: is the background; choose another --output"
        return ""

    def _is_file(self, output: str) -> bool:
        """Whether it is one of the files under another spelling, as A.JPG and a.jpg are on some systems."""
        file = _on_disk(output) if self._files else None
        return file is not None and _on_disk(_home(output) or ".") in self._homes.get(file, ())

    def _is_inside(self, home: str) -> bool:
        return any(
            _within(home, root) and not (_within(self._output, root) and _within(home, self._output))
            for root in self._roots
        )


def _on_disk(place: str) -> tuple[int, int] | None:
    """Disk and number of a file or folder of this machine; None if it is not there."""
    try:
        status = os.stat(place)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def behind_people(options: Options) -> set[str]:
    """The files that stand behind people."""
    if options.kind != "composite" or not os.path.exists(options.background):
        return set()
    slides = Path(options.background).iterdir() if os.path.isdir(options.background) else ()
    return {real(str(path)) for path in (options.background, *slides)}


def _within(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder + ("/" if is_url(folder) else os.sep))


def _suffix(path: Path, options: Options) -> str:
    suffix = path.suffix.lower()
    if is_video(path):
        return suffix_for(suffix, options.transparent, options.codec)
    if options.kind != "composite":
        return ".png"
    return suffix if suffix in EXTENSIONS else ".png"


def _check_suffix(job: Job, options: Options) -> None:
    if is_video(job.input):
        if options.crop:
            raise OutputError(f"{job.input}: --crop is for pictures, a video keeps its size; leave it out")
        encoding_for(job.output, options.transparent, options.codec)
    elif job.output.suffix.lower() not in EXTENSIONS:
        raise OutputError(f"{job.output}: cannot hold a picture; use one of {' '.join(EXTENSIONS)}")
    elif options.transparent and job.output.suffix.lower() in (".jpg", ".jpeg", ".bmp"):
        raise OutputError(f"{job.output}: {job.output.suffix} holds no transparency; use .png or .webp")


def matte_path(output: Path) -> Path:
    """Where the matte of a video goes that is written beside its result."""
    suffix = output.suffix.lower() if output.suffix.lower() in OPAQUE_EXTENSIONS else ".mp4"
    return output.with_name(f"{output.stem}-matte{suffix}")


def is_video(path: Path) -> bool:
    """Whether a file is taken as a video, by its name."""
    return path.suffix.lower() in VIDEO_EXTENSIONS
