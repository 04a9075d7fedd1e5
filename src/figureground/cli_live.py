"""The commands for a camera: live, serve, doctor."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from figureground.atomic import check_spared
from figureground.errors import FigureGroundError, SettingError, reason
from figureground.terminal import Json, complain, parse_size, say

if TYPE_CHECKING:
    from types import FrameType

    from figureground.live import Live, Settings
    from figureground.pipeline import Sink

CameraOption = Annotated[str, typer.Option(help="Number, device, (part of a) name, video file, or stream's address.")]
BackgroundOption = Annotated[
    str,
    typer.Option(help="blur, blur:STRENGTH (1 to 100), #rrggbb, transparent (green), or a picture, video, folder."),
]
ModelOption = Annotated[str, typer.Option(help="A shipped model (small, base) or an .onnx file.")]
DeviceOption = Annotated[str, typer.Option(help="What the model runs on: cpu, cuda, openvino, coreml, directml.")]
SizeOption = Annotated[str, typer.Option(help="Of the picture that goes out, WIDTHxHEIGHT.")]
FpsOption = Annotated[float, typer.Option(min=1, max=240, help="Pictures a second at most.")]
HostOption = Annotated[str, typer.Option(help="Where the page is served; any other than this computer needs a token.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0: a free one.")]
TokenOption = Annotated[Path | None, typer.Option(help="A file with the token that the page asks for.")]
LinesOption = Annotated[bool, typer.Option("--json", help="Say what happens as lines of JSON.")]


def live(
    camera: CameraOption = "0",
    background: BackgroundOption = "blur",
    to: Annotated[
        str, typer.Option(help="page, virtual (a virtual camera), file:PATH, or pipe (raw rgb24 on stdout).")
    ] = "page",
    fps: FpsOption = 30.0,
    size: SizeOption = "1280x720",
    model: ModelOption = "small",
    device: DeviceOption = "cpu",
    mirror: Annotated[bool, typer.Option("--mirror", help="Left and right as in a mirror.")] = False,
    fit: Annotated[
        str, typer.Option(help="Camera pictures of another shape: cover (cut) or contain (bars).")
    ] = "cover",
    people: Annotated[str, typer.Option(help="Who is kept: everyone, largest, or centre.")] = "everyone",
    cpu: Annotated[str, typer.Option(help="Share of one core to stay under, as in 30%.")] = "",
    refine: Annotated[bool, typer.Option(help="Edges from the full picture.")] = True,
    stabilise: Annotated[bool, typer.Option(help="Less flicker.")] = True,
    look_ahead: Annotated[bool, typer.Option("--look-ahead", help="One picture later, and steadier.")] = False,
    overlay: Annotated[str, typer.Option(help="A picture with transparency over everything, as a name tag.")] = "",
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    token_file: TokenOption = None,
    as_json: LinesOption = False,
) -> int:
    """Replace a camera's background as it happens. Nothing of the room is ever shown, whatever fails."""
    from figureground.live import Settings

    settings = Settings().changed(
        {
            "camera": camera,
            "background": background,
            "model": model,
            "device": device,
            "mirror": mirror,
            "fit": fit,
            "people": people,
            "refine": refine,
            "stabilise": stabilise,
            "look_ahead": look_ahead,
            "overlay": overlay,
            "fps": fps,
            "cpu": _share(cpu),
        }
    )
    width, height = parse_size(size)
    kind, _, path = to.partition(":")
    if kind not in ("page", "virtual", "file", "pipe") or (kind == "file") != bool(path):
        raise FigureGroundError(f"--to {to}: want page, virtual, file:PATH or pipe")
    file = Path(path).expanduser()
    if kind == "file":
        check_spared(file, camera=camera, background=background, overlay=overlay, model=model)
    say = _teller(as_json, sys.stderr if kind == "pipe" else sys.stdout)
    outputs, watched = _outputs(kind, file, width, height, fps)
    page = (host, port, token_file) if kind in ("page", "virtual") else None
    return _run(settings, (width, height), outputs, to, say, watched, page)


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    token_file: TokenOption = None,
    camera: CameraOption = "0",
    background: BackgroundOption = "blur",
    model: ModelOption = "small",
    device: DeviceOption = "cpu",
    size: SizeOption = "1280x720",
    fps: FpsOption = 30.0,
    as_json: LinesOption = False,
) -> int:
    """Serve the page that controls the live picture, and pictures for other programs; it begins without the camera."""
    from figureground.live import Settings

    changes = {"camera": camera, "background": background, "model": model, "device": device, "fps": fps}
    settings = Settings().changed(changes)
    page, say = (host, port, token_file), _teller(as_json, sys.stdout)
    return _run(settings, parse_size(size), (), "page", say, lambda: None, page, start=False)


def _run(
    settings: Settings,
    size: tuple[int, int],
    outputs: Sequence[AbstractContextManager[Sink]],
    to: str,
    say: Callable[[dict[str, object]], object],
    watched: Callable[[], bool | None],
    page: tuple[str, int, Path | None] | None,
    start: bool = True,
) -> int:
    """Until Ctrl-C, a SIGTERM, or an output or model that cannot go on."""
    from figureground.live import Live

    token = _token(page[2]) if page is not None else None
    with Live(settings, size, outputs, to, start, event=say, watched=watched) as running:
        if page is None:
            _wait(running)
        else:
            from figureground.web.server import serve as serve_page

            signal.signal(signal.SIGTERM, signal.default_int_handler)
            _at_hang_up(lambda *_: signal.raise_signal(signal.SIGTERM))
            with suppress(KeyboardInterrupt):  # how a live picture ends
                serve_page(running, page[0], page[1], token)
    if running.error is not None:
        raise running.error
    return 0


def _wait(running: Live) -> None:
    """Until somebody asks for the end, or the closing of the terminal does.

    What asks again changes nothing from then on: the file is being finished.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    _at_hang_up(lambda number, _: asked.append(number))
    while not asked and not running.ended.wait(0.2):
        pass


def _at_hang_up(end: Callable[[int, FrameType | None], object]) -> None:
    """When the terminal is closed, unless `nohup` keeps that away; Windows has no such signal."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, end)


def _outputs(
    kind: str, path: Path, width: int, height: int, fps: float
) -> tuple[list[AbstractContextManager[Sink]], Callable[[], bool | None]]:
    """The sinks, and what tells whether anybody reads them."""
    if kind == "virtual":
        from figureground.virtualcam import VirtualCamera

        camera = VirtualCamera(width, height, fps)
        return [camera], camera.watched
    if kind == "file":
        from figureground.live.outputs import recording

        return [recording(path, width, height, fps)], lambda: None
    if kind == "pipe":
        from figureground.rawvideo import Pipe

        if sys.stdout.isatty():
            raise FigureGroundError("--to pipe: standard output is a terminal; send it into a file or another program")
        return [Pipe(sys.stdout.fileno())], lambda: None
    return [], lambda: None


def _teller(as_json: bool, out: TextIO) -> Callable[[dict[str, object]], object]:
    """What happens, as a line for people on stderr or as a line of JSON on `out`."""

    def tell(event: dict[str, object]) -> None:
        if as_json:
            say(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **event}) + "\n", out)
        elif said := [str(event[name]) for name in ("light", "level", "reason", "remedy") if event.get(name)]:
            complain(": ".join(said))

    return tell


def _share(text: str) -> float | None:
    """`30%` or `0.3` as 0.3, nothing as None."""
    from figureground.live import Settings

    if not text:
        return None
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        Settings().changed({"cpu": share})
    except (ValueError, SettingError):
        raise FigureGroundError(f"--cpu {text}: want a share of one core, from 2% to 100%, as in 30%") from None
    return share


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FigureGroundError(f"--token-file {path}: cannot be read ({reason(error)})") from error


def doctor(as_json: Json = False) -> int:
    """Try every part for real and say what works, what does not, and the line that mends it."""
    from figureground.doctor import checks, report

    found = checks()
    print(json.dumps({"checks": [asdict(check) for check in found]}, indent=1) if as_json else report(found))
    return int(any(check.status == "broken" for check in found))
