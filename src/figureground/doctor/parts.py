"""The parts of the program, each tried for real."""

from __future__ import annotations

import io
import time
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from figureground.arrays import Frame
from figureground.camera import Camera, CameraInfo, cameras
from figureground.doctor.check import Check
from figureground.encodings import encoding_for
from figureground.engine import Engine, shipped_models
from figureground.errors import FigureGroundError, MissingExtraError, OutputError
from figureground.frames import colorspace, to_frame
from figureground.sessions import usable_devices
from figureground.virtualcam import MODPROBE, VirtualCamera

PATIENCE = 6.0  # seconds for a camera's first picture
_CODECS = {"H.264": (".mp4", "mp4", False), "VP9": (".webm", "webm", False), "ProRes": (".mov", "mov", True)}
_EXTRAS = {
    "virtualcam": ("pyvirtualcam", "virtual camera"),
    "train": ("keras", "training"),
    "openvino": ("openvino", "OpenVINO files"),
    "peers": ("ai_edge_litert", "LiteRT files"),
}


def camera_list() -> list[Check]:
    """Every camera with one picture of it."""
    there = cameras()
    if not there:
        return [Check("cameras", "absent", "none is connected", "plug one in, or give --camera a video file")]
    return [_camera(number, each) for number, each in enumerate(there)]


def _camera(number: int, info: CameraInfo) -> Check:
    name, begin = f"camera {number}: {info.name}", time.monotonic()
    with Camera(info.device) as camera:
        shot = camera.newest(PATIENCE)
        if shot is not None:
            took = time.monotonic() - begin
            detail = f"{info.device}, {camera.width}x{camera.height}, first picture after {took:.1f} s"
            return Check(name, "works", detail)
        fault = camera.fault
    if fault is None:
        return Check(
            name, "broken", f"{info.device} gave no picture in {PATIENCE:.0f} s", "unplug it and plug it in again"
        )
    return Check(name, "broken", fault.reason, fault.remedy)


def virtual_camera() -> Check:
    """A grey picture shown to it."""
    try:
        with VirtualCamera(640, 360, 30) as camera:
            camera.send(np.full((360, 640, 3), 128, np.uint8), Fraction(0))
            watched = {True: "a program reads it", False: "nobody reads it", None: "it does not tell who reads it"}
            return Check("virtual camera", "works", f"{camera.device} takes pictures; {watched[camera.watched()]}")
    except MissingExtraError as error:
        what, _, remedy = str(error).partition(": run  ")
        return Check("virtual camera", "absent", what, remedy)
    except OutputError as error:
        what, _, remedy = str(error).partition(": ")
        if remedy == MODPROBE:  # which may not be enough: `linux.module` says what is
            return Check("virtual camera", "absent", f"{what}: see v4l2loopback below")
        return Check("virtual camera", "broken", what, remedy)


def models() -> list[Check]:
    """Each shipped model on each device of this ONNX Runtime: loaded, and the alpha of one picture computed."""
    cards = shipped_models()
    found = [_model(name, device) for name in cards for device in usable_devices()]
    licences = ", ".join(sorted({str(card["licence"]) for card in cards.values()}))
    terms = f"{licences}: for research and non-commercial purposes only (see LICENSE-WEIGHTS)"
    return [*found, Check("licence of the models", "works", terms)]


def _model(name: str, device: str) -> Check:
    frame = np.full((720, 1280, 3), 180, np.uint8)
    what = f"model {name} on {device}"
    try:
        engine = Engine(name, device=device)
        best = min(_seconds(engine, frame) for _ in range(6))  # the first one prepares
    except FigureGroundError as error:
        return Check(what, "broken", str(error), "pip install --force-reinstall figureground")
    return Check(what, "works", f"{best * 1e3:.1f} ms for a picture of 1280x720")


def _seconds(engine: Engine, frame: Frame) -> float:
    begin = time.perf_counter()
    engine(frame)
    return time.perf_counter() - begin


def codecs() -> list[Check]:
    """A few pictures encoded, decoded and compared, for each codec that is written."""
    return [_codec(name, *how) for name, how in _CODECS.items()]


def _codec(name: str, suffix: str, container: str, transparent: bool) -> Check:
    what, remedy = f"codec {name}", "pip install --force-reinstall av"
    picture = np.full((64, 96, 3), (200, 60, 30), np.uint8)
    try:
        off = int(
            np.abs(_there_and_back(picture, Path(f"x{suffix}"), container, transparent).astype(int) - picture).max()
        )
    except (FigureGroundError, av.error.FFmpegError, OSError, ValueError) as error:
        return Check(what, "broken", f"cannot be written and read ({error})", remedy)
    if off > 12:
        return Check(what, "broken", f"colours come back {off} levels off", remedy)
    return Check(what, "works", f"written and read as {suffix}")


def _there_and_back(picture: Frame, path: Path, container: str, transparent: bool) -> Frame:
    encoding, file = encoding_for(path, transparent), io.BytesIO()
    with av.open(file, "w", format=container) as written:
        stream = written.add_stream(encoding.codec, rate=30, options=encoding.options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], encoding.pixels
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            written.mux(stream.encode(frame.reformat(format=encoding.pixels, threads=1)))
        written.mux(stream.encode(None))
    with av.open(io.BytesIO(file.getvalue()), "r") as read:
        *_, last = read.decode(video=0)
        return to_frame(last, colorspace(last), VideoReformatter(), 1)


def extras() -> list[Check]:
    """The optional parts."""
    return [
        Check(f"extra {extra}", "works", f"{what}: installed")
        if find_spec(library) is not None
        else Check(f"extra {extra}", "absent", f"{what}: not installed", f"pip install 'figureground[{extra}]'")
        for extra, (library, what) in _EXTRAS.items()
    ]
