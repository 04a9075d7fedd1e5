"""The command for files: replace."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from figureground.errors import FigureGroundError, InputError, OutputError
from figureground.terminal import Json, Report, complain, parse_time, progress_bar

if TYPE_CHECKING:
    from figureground.batch.options import Options

InputsArgument = Annotated[list[str], typer.Argument(help="Pictures, videos, or folders of them; - is standard input.")]
BackgroundOption = Annotated[
    str, typer.Option(help="blur, blur:STRENGTH (1 to 100), #rrggbb, transparent, or a picture, video or folder.")
]
KindOption = Annotated[str, typer.Option(help="composite, cutout (transparent background) or alpha (the matte).")]
OutputOption = Annotated[
    str | None,
    typer.Option(help="A file for one input, a folder for several; left out: beside each input; - is standard output."),
]
ModelOption = Annotated[
    str, typer.Option(help="A shipped model (small, base), an .onnx, .tflite or .xml file, or its .toml.")
]
CropOption = Annotated[bool, typer.Option("--crop", help="Cut pictures down to the person (cut-outs, alphas).")]
MarginOption = Annotated[
    float, typer.Option(help="With --crop: what is left around the person, in % of their longer side.")
]
StripOption = Annotated[
    bool,
    typer.Option("--strip-metadata", help="Keep no EXIF, GPS or XMP of pictures, no date or place of videos."),
]
FormatOption = Annotated[
    str | None, typer.Option("--format", help="Of the picture that goes to standard output, as png.")
]
PipeOption = Annotated[
    str | None, typer.Option(help="Raw frames from standard input to output: rgb24:WIDTHxHEIGHT, or with @FPS (25).")
]
CodecOption = Annotated[
    str | None,
    typer.Option(help="Of videos: h264, hevc, vp9, av1, prores, ffv1, qtrle, png (a folder); left out: by the name."),
]
MatteOption = Annotated[bool, typer.Option("--matte", help="Write a video's matte, too, as NAME-matte.")]
FromOption = Annotated[str, typer.Option("--from", help="Where to begin in a video: seconds or h:mm:ss.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Where to end in it, likewise.")]
FramesOption = Annotated[int | None, typer.Option(min=1, help="Of a video at most, for a preview.")]
SheetOption = Annotated[str | None, typer.Option(help="A picture to write: contact sheet of one video's result.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where a killed run was.")]
JobsOption = Annotated[int, typer.Option(min=0, help="Inputs at once; 0: one a core.")]
ClusterOption = Annotated[str, typer.Option(help="Work on a Ray cluster: local, auto, HOST:PORT or ray://HOST:PORT.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Go on with what is put into the folders, until Ctrl-C.")]


def replace(
    inputs: InputsArgument,
    background: BackgroundOption = "blur",
    kind: KindOption = "composite",
    output: OutputOption = None,
    model: ModelOption = "small",
    crop: CropOption = False,
    margin: MarginOption = 0.0,
    strip_metadata: StripOption = False,
    picture_format: FormatOption = None,
    pipe: PipeOption = None,
    codec: CodecOption = None,
    matte: MatteOption = False,
    start: FromOption = "0",
    end: ToOption = None,
    frames: FramesOption = None,
    sheet: SheetOption = None,
    resume: ResumeOption = False,
    jobs: JobsOption = 0,
    cluster: ClusterOption = "",
    watch: WatchOption = False,
    as_json: Json = False,
) -> int:
    """Give the people in pictures and videos another background."""
    from figureground.batch import Options
    from figureground.batch.pipe import is_piped

    begin, until = parse_time(start), None if end is None else parse_time(end)
    options = Options(
        kind, background, model, crop, margin, strip_metadata, codec, matte, begin, until, frames, sheet, resume
    )
    if is_piped(inputs, output, pipe):
        of_files = {"--jobs": jobs, "--cluster": cluster, "--watch": watch, "--resume": resume}
        if given := ", ".join(name for name, value in of_files.items() if value):
            raise FigureGroundError(f"{given}: only for files and folders, not for what goes through -; leave it out")
        return _piped(inputs, output, options, picture_format, pipe, as_json)
    if picture_format is not None:
        raise FigureGroundError("--format: is for --output -; a file's name says its format")
    return _files(inputs, output, options, jobs, cluster, watch, as_json)


def _files(
    inputs: list[str], output: str | None, options: Options, jobs: int, cluster: str, watch: bool, as_json: bool
) -> int:
    from figureground.batch import is_video, results
    from figureground.engine import licence_of

    videos = False
    with (
        progress_bar("inputs/s") as bar,
        Report(bar, as_json, {"model": options.model, "licence": licence_of(options.model)}) as report,
        closing(results(inputs, output, options, report.tell, jobs, cluster, watch)) as found,
        suppress(*[KeyboardInterrupt] if watch else []),  # that is how it ends
    ):
        for result in found:
            report.add(result)
            videos |= is_video(Path(result.input))
    if options.of_videos and not videos:
        complain(f"{options.of_videos}: only for videos, and none was among the inputs")
    return int(report.failed)


def _piped(
    inputs: list[str], output: str | None, options: Options, picture_format: str | None, pipe: str | None, as_json: bool
) -> int:
    from figureground.batch.pipe import replace_piped

    if as_json:
        raise FigureGroundError("--json: says nothing of standard input and output; leave it out")
    pass_on = replace_piped(inputs, output, options, picture_format, pipe)
    try:
        if note := pass_on():
            complain(f"{inputs[0]}: {note}")
    except (InputError, OutputError) as error:
        complain(str(error))
        return 1
    return 0
