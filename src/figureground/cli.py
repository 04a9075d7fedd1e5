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
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground import cli_data, cli_live, cli_training
from figureground.errors import FigureGroundError
from figureground.terminal import Json, complain, parse_size, parse_time, progress_bar

if TYPE_CHECKING:
    from figureground.batch import Result

app = typer.Typer(
    help="Cut people out of pictures and video, in real time, on your own machine.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
INTERRUPTED = 130


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
    inputs: Annotated[list[str], typer.Argument(help="Pictures, videos, or folders of them.")],
    background: Annotated[
        str, typer.Option(help="blur, blur:STRENGTH (1 to 100), #rrggbb, transparent, or a picture, video or folder.")
    ] = "blur",
    kind: Annotated[
        str, typer.Option(help="composite, cutout (transparent background) or alpha (the matte).")
    ] = "composite",
    output: Annotated[
        str | None, typer.Option(help="A file for one input, a folder for several; left out: beside each input.")
    ] = None,
    model: Annotated[str, typer.Option(help="A shipped model (small, base) or an .onnx file.")] = "small",
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
    as_json: Json = False,
) -> int:
    """Give the people in pictures and videos another background."""
    from figureground.batch import replace as run

    with progress_bar("frames/s") as bar:
        task = bar.add_task("", total=None)

        def progress(path: Path, done: int, total: int) -> None:
            bar.update(task, description=path.name, completed=done, total=total or None)

        results = run(
            inputs,
            background,
            output,
            kind,
            model,
            progress,
            codec=codec,
            matte=matte,
            start=parse_time(start),
            end=None if end is None else parse_time(end),
            frames=frames,
            sheet=sheet,
            resume=resume,
        )
    if as_json:
        print(json.dumps({"results": [asdict(result) for result in results]}, indent=1))
    else:
        for result in results:
            _say(result)
    return int(any(result.status == "failed" for result in results))


def _say(result: Result) -> None:
    if result.status == "failed":
        complain(result.reason)
    else:
        rate = f", {result.frames / result.seconds:.0f} frames/s" if result.frames > 1 and result.seconds else ""
        print(f"{result.output}  ({result.frames} {'frame' if result.frames == 1 else 'frames'}{rate})")
        if result.note:
            complain(f"{result.output}: {result.note}")


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
