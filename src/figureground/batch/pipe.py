"""`replace` between other programs: one picture, or raw video, through standard input and output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from figureground.atomic import check_writable
from figureground.backgrounds import make_background
from figureground.batch.compose import make_compose
from figureground.batch.options import Options
from figureground.batch.picture import NobodyError, is_deep, make_picture, remark
from figureground.batch.places import real
from figureground.batch.plan import behind_people, is_video
from figureground.batch.spans import steady
from figureground.errors import ImageError, InputError, OutputError
from figureground.images import EXTENSIONS, check_suffix, format_suffix
from figureground.pictures import Metadata, encode_picture, read_picture, write_picture
from figureground.pipeline import run
from figureground.rawvideo import Pipe, RawFormat, RawSource, ReaderGoneError, write_all
from figureground.runtimes.peers import open_model

STANDARD = "-"  # input or output
MAX_BYTES = 1 << 30  # of a picture that comes in


def is_piped(inputs: Sequence[str], output: str | None, frames: str | None) -> bool:
    """Whether a call reads standard input or writes standard output."""
    return frames is not None or STANDARD in inputs or output == STANDARD


def replace_piped(
    inputs: Sequence[str], output: str | None, options: Options, format: str | None, frames: str | None
) -> Callable[[], str]:
    """Check a call that reads standard input or writes standard output.

    Args:
        inputs: one of them, `-` or a file.
        output: `-` or a file.
        options: what is asked.
        format: of a picture that is written to standard output, as png; None: the input's for a composite, else png.
        frames: of raw video, as `RawFormat.of` reads them; both ends are standard then. None: it is one picture.

    Returns:
        What does it, and gives what is to be said of it, mostly nothing. It raises an InputError or OutputError where
        something is wrong with what comes in or cannot go out; a reader that has enough ends it without a word.

    Raises:
        FigureGroundError: nothing can start.
    """
    if len(inputs) != 1:
        raise InputError(f"-: standard input or output takes one input, not {len(inputs)}")
    if output is None and frames is None:
        raise OutputError("-: say where the result goes: --output FILE, or --output - for standard output")
    to_standard = output in (None, STANDARD)
    if to_standard and os.isatty(1):
        raise OutputError("standard output is a terminal; send it into a file or another program")
    if frames is not None:
        if format is not None:
            raise OutputError("--format: is for a picture, raw frames have none; leave it out")
        return _frames(inputs[0], output, options, RawFormat.of(frames))
    if format is not None and f".{format.lower()}" not in EXTENSIONS:
        raise OutputError(f"--format {format}: want one of {', '.join(suffix[1:] for suffix in EXTENSIONS)}")
    return _picture(inputs[0], None if to_standard else Path(output or ""), options, format)


def _frames(name: str, output: str | None, options: Options, format: RawFormat) -> Callable[[], str]:
    if name != STANDARD or output not in (None, STANDARD):
        raise InputError("--pipe: frames come from standard input and go to standard output; give - as the only input")
    if options.crop:
        raise OutputError("--crop: is for pictures, a video keeps its size; leave it out")
    if options.of_videos or options.sheet:
        raise OutputError(f"{options.of_videos or '--sheet'}: only for video files, not for raw frames; leave it out")
    model = open_model(options.model)
    compose = make_compose(options.kind, make_background(options.background) if options.kind == "composite" else None)

    def pass_on() -> str:
        source = RawSource(sys.stdin.buffer, format)
        _until_enough(lambda: run(source, steady(model, source), compose, Pipe(1)))
        return ""

    return pass_on


def _picture(name: str, output: Path | None, options: Options, format: str | None) -> Callable[[], str]:
    if output is not None:
        if format is not None:
            raise OutputError("--format: is for --output -; a file's name says its format")
        check_writable(output.parent)
        if real(str(output)) in behind_people(options):
            raise OutputError(f"{output}: is the background; choose another --output")
    elif name != STANDARD and os.path.isdir(name):
        raise InputError(f"{name}: a folder cannot go to standard output; give --output FOLDER")
    elif name != STANDARD and is_video(Path(name)):
        raise OutputError(f"{name}: a video cannot go to standard output; name a file, or give its frames to --pipe")
    if options.of_videos or options.sheet:
        raise OutputError(f"{options.of_videos or '--sheet'}: only for videos, not for a picture from or to -")
    suffix = output.suffix if output else f".{format}" if format else None if options.kind == "composite" else ".png"
    if suffix is not None:
        check_suffix(output or Path(f"--format {suffix}"), transparent=options.kind == "cutout")
    background = make_background(options.background) if options.kind == "composite" else None
    model = open_model(options.model)

    def pass_on() -> str:
        file: Path | BytesIO = BytesIO(_read_input()) if name == STANDARD else Path(name)
        ending = suffix or format_suffix(file)
        picture = read_picture(file, is_deep(options, ending))
        try:
            pixels, metadata = make_picture(picture, model, options, background)
        except NobodyError as error:
            raise ImageError(f"{'picture' if name == STANDARD else name}: {error}") from error
        _until_enough(lambda: _write(output, pixels, metadata, ending))
        return remark(picture)

    return pass_on


def _read_input() -> bytes:
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ImageError(f"picture: over {MAX_BYTES >> 30} GB; shrink it")
    return content


def _write(output: Path | None, pixels: NDArray[Any], metadata: Metadata, suffix: str) -> None:
    if output is not None:
        write_picture(output, pixels, metadata)
        return
    file = BytesIO()  # made whole before any of it is written
    try:
        encode_picture(file, pixels, metadata, suffix)
    except (ValueError, RuntimeError) as error:
        raise OutputError(f"standard output: cannot be written as {suffix[1:]} ({error})") from error
    write_all(1, file.getbuffer())


def _until_enough(work: Callable[[], object]) -> None:
    try:
        work()
    except ReaderGoneError:
        os.close(1)  # so that nothing of Python's is written to it at the end
        os.open(os.devnull, os.O_WRONLY)
