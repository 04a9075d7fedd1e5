"""The command line: each command parses, calls one function and prints.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done; 1 some inputs failed, each named;
2 the call was wrong; 130 interrupted.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from figureground import cli_data, cli_live, cli_replace, cli_training
from figureground.errors import FigureGroundError
from figureground.terminal import Json, complain, parse_size
from figureground.version import __version__

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
    _open_standard()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end the work
            stream.reconfigure(errors="backslashreplace")
    for library in ("PIL", "python_multipart"):
        logging.getLogger(library).addHandler(logging.NullHandler())
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


def _open_standard() -> None:
    """Give what the program was started without (`>&-`) an end: nothing to read, and all that is said is taken.

    Else Python has None there, and the next file to be opened would get its number and whatever libraries print.
    A picture that is asked for on a closed standard output is not taken, so that its loss is told.
    """
    for number, way in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, way)  # the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


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
    cli_replace.replace,
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
