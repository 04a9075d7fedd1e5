"""The command line: each command parses, calls one function and prints.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done; 1 some inputs failed, each named;
2 the call was wrong; 130 interrupted.
"""

from __future__ import annotations

import io
import json
import logging
import signal
import sys
import warnings
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground import cli_data, cli_live, cli_training
from figureground.errors import FigureGroundError, InputError, OutputError
from figureground.terminal import Json, Report, complain, parse_size, parse_time, progress_bar
from figureground.version import __version__

if TYPE_CHECKING:
    from figureground.batch.options import Options

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
INTERRUPTED = 130


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"figureground {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Cut people out of pictures and video, in real time, on your own machine."""


def main() -> None:
    """Run the command line and exit with its code."""
    # What a library remarks on a file (broken EXIF, say) is no message of ours: stderr holds one line a failure.
    warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end the work
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        code = app(standalone_mode=False)
    except FigureGroundError as error:
        code = complain(str(error))
    except OSError as error:
        code = complain(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        error.show()  # a wrong call: typer's own message
        code = error.exit_code
    if code == INTERRUPTED:  # as which typer gives a Ctrl-C back, too
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not interrupt saying so
        complain("interrupted; what was finished is kept, nothing half-written is left")
    sys.exit(code or 0)


def replace(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, videos, or folders of them; - is standard input.")],
    background: Annotated[
        str, typer.Option(help="blur, blur:STRENGTH (1 to 100), #rrggbb, transparent, or a picture, video or folder.")
    ] = "blur",
    kind: Annotated[
        str, typer.Option(help="composite, cutout (transparent background) or alpha (the matte).")
    ] = "composite",
    output: Annotated[
        str | None,
        typer.Option(
            help="A file for one input, a folder for several; left out: beside each input; - is standard output."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A shipped model (small, base), an .onnx, .tflite or .xml file, or its .toml.")
    ] = "small",
    crop: Annotated[bool, typer.Option("--crop", help="Cut pictures down to the person (cut-outs, alphas).")] = False,
    margin: Annotated[
        float, typer.Option(help="With --crop: what is left around the person, in % of their longer side.")
    ] = 0.0,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Keep no EXIF, GPS or XMP of pictures, only colour profiles.")
    ] = False,
    picture_format: Annotated[
        str | None, typer.Option("--format", help="Of the picture that goes to standard output, as png.")
    ] = None,
    pipe: Annotated[
        str | None,
        typer.Option(help="Raw frames from standard input to output: rgb24:WIDTHxHEIGHT, or with @FPS (25)."),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Of videos: h264, hevc, vp9, av1, prores, ffv1, qtrle, png (a folder); left out: by the name."
        ),
    ] = None,
    matte: Annotated[bool, typer.Option("--matte", help="Write a video's matte, too, as NAME-matte.")] = False,
    start: Annotated[str, typer.Option("--from", help="Where to begin in a video: seconds or h:mm:ss.")] = "0",
    end: Annotated[str | None, typer.Option("--to", help="Where to end in it, likewise.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Of a video at most, for a preview.")] = None,
    sheet: Annotated[str | None, typer.Option(help="A picture to write: contact sheet of one video's result.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run was.")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Inputs at once; 0: one a core.")] = 0,
    cluster: Annotated[
        str, typer.Option(help="Work on a Ray cluster: local, auto, HOST:PORT or ray://HOST:PORT.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what is put into the folders, until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Give the people in pictures and videos another background."""
    from figureground.batch import Options, results
    from figureground.batch.pipe import is_piped

    options = Options(
        kind=kind,
        background=background,
        model=model,
        crop=crop,
        margin=margin,
        strip_metadata=strip_metadata,
        codec=codec,
        matte=matte,
        start=parse_time(start),
        end=None if end is None else parse_time(end),
        frames=frames,
        sheet=sheet,
        resume=resume,
    )
    if is_piped(inputs, output, pipe):
        if as_json:
            raise FigureGroundError("--json: says nothing of standard input and output; leave it out")
        return _piped(inputs, output, options, picture_format, pipe)
    if picture_format is not None:
        raise FigureGroundError("--format: is for --output -; a file's name says its format")
    with (
        progress_bar("inputs/s") as bar,
        Report(bar, as_json) as report,
        closing(results(inputs, output, options, report.tell, jobs, cluster, watch)) as found,
        suppress(*[KeyboardInterrupt] if watch else []),  # that is how it ends
    ):
        for result in found:
            report.add(result)
    return int(report.failed)


def _piped(
    inputs: list[str], output: str | None, options: Options, picture_format: str | None, pipe: str | None
) -> int:
    from figureground.batch.pipe import replace_piped

    pass_on = replace_piped(inputs, output, options, picture_format, pipe)
    try:
        pass_on()
    except (InputError, OutputError) as error:
        complain(str(error))
        return 1
    return 0


def bench(
    size: Annotated[str, typer.Option(help="Of the frame, WIDTHxHEIGHT.")] = "1280x720",
    threads: Annotated[int, typer.Option(min=1, help="For the network, OpenCV and the peers.")] = 1,
    peers: Annotated[Path, typer.Option(help="Folder with mp_selfie.tflite; skipped, and said so, if absent.")] = Path(
        "../shared/peers"
    ),
    as_json: Json = False,
) -> int:
    """Time each stage of a frame, beside MediaPipe and the starting point's way where they are installed."""
    from figureground.bench import bench as measure
    from figureground.bench import table

    result = measure(*parse_size(size), threads, peers)
    print(json.dumps(asdict(result), indent=1) if as_json else table(result))
    return 0


for command in (
    replace,
    cli_live.live,
    cli_live.serve,
    cli_live.doctor,
    cli_data.prepare,
    cli_data.explore,
    cli_training.augment,
    cli_training.train,
    cli_training.export,
    cli_training.evaluate,
    bench,
):
    app.command()(command)
