"""Small real videos: made and read back with FFmpeg through PyAV, without the code under test.

Colours are converted here by the formulas of BT.601 and BT.709, not by the library the package uses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from figureground.arrays import Frame
from scenes import plain

Picture = NDArray[np.uint8]
SAMPLE_RATE = 48_000
BT601, BT709 = 5, 1  # as FFmpeg numbers them
_LUMA = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722)}  # the shares of red and blue


@dataclass(frozen=True)
class Look:
    """How to encode: the codec, its pixels, the matrix and range of the colours, the turn a player must make."""

    codec: str = "libx264"
    pixels: str = "yuv444p"
    matrix: int = BT601
    full: bool = False
    tagged: bool = True
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    moov_first: bool = False
    gop: int = 250
    more: tuple[tuple[str, str], ...] = ()  # settings of the encoder


MPEG4 = Look(codec="mpeg4", pixels="yuv420p")
VP9 = Look(codec="libvpx-vp9", pixels="yuv420p")
H264 = Look(pixels="yuv420p")


def counting(frames: int, width: int = 48, height: int = 32) -> list[Frame]:
    """Picture n is grey, 16 n bright: `count` tells which one came out."""
    return [plain(width, height, (16 * n, 16 * n, 16 * n)) for n in range(frames)]


def count(pictures: Sequence[Picture]) -> list[int]:
    return [round(float(picture[:, :, 0].mean()) / 16) for picture in pictures]


def make_video(
    path: Path,
    pictures: Sequence[Picture],
    rate: Fraction | int = 30,
    look: Look | None = None,
    times: Sequence[Fraction] | None = None,
    sound: str | None = None,
) -> Path:
    """Write RGB or RGBA pictures; `sound` names the codec of a tone as long as the pictures."""
    look, rate = look or Look(), Fraction(rate)
    with av.open(str(path), "w", options={"movflags": "faststart"} if look.moov_first else {}) as container:
        stream = _video_stream(container, path, pictures[0], rate, look)
        tone = container.add_stream(sound, rate=SAMPLE_RATE, layout="stereo") if sound else None
        for number, picture in enumerate(pictures):
            frame = _to_frame(picture, look)
            frame.time_base = stream.codec_context.time_base
            frame.pts = round((number / rate if times is None else times[number]) / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _write_tone(container, tone, float(len(pictures) / rate))
    return path


def _video_stream(container: Any, path: Path, picture: Picture, rate: Fraction, look: Look) -> Any:
    options = {"crf": "4", "preset": "ultrafast", "g": str(look.gop)} if look.codec == "libx264" else {}
    options |= dict(look.more)
    stream = container.add_stream(look.codec, rate=rate, options=options)
    stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], look.pixels
    context = stream.codec_context
    # FFmpeg's own choice, one unit a frame, leaves no room for frames that come unsteadily; AVI knows no other.
    fine = look.codec == "libx264" and path.suffix != ".avi"
    context.time_base = Fraction(1, rate.numerator * 1000) if fine else 1 / rate
    context.sample_aspect_ratio = look.aspect
    if look.tagged:
        context.colorspace = look.matrix
        context.color_range = int(ColorRange.JPEG if look.full else ColorRange.MPEG)
    if look.rotation:
        stream.set_display_rotation(look.rotation)
    return stream


def _to_frame(picture: Picture, look: Look) -> av.VideoFrame:
    if picture.shape[2] == 4 or not look.pixels.startswith("yuv"):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if picture.shape[2] == 3 else "rgba")
    else:
        frame = av.VideoFrame.from_ndarray(_to_yuv(picture, look.matrix, look.full), format="yuv444p")
    return frame.reformat(format=look.pixels)


def _to_yuv(rgb: Frame, matrix: int, full: bool) -> Picture:
    red, blue = _LUMA[matrix]
    r, g, b = (rgb[:, :, i] / 255 for i in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    planes = np.stack([y, (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)])
    scale, offset = ((255, 255, 255), (0, 128, 128)) if full else ((219, 224, 224), (16, 128, 128))
    whole = planes * np.reshape(scale, (3, 1, 1)) + np.reshape(offset, (3, 1, 1))
    return np.clip(np.rint(whole), 0, 255).astype(np.uint8)


def _to_rgb(yuv: Picture, matrix: int, full: bool) -> Frame:
    red, blue = _LUMA[matrix]
    scale, offset = ((255, 255, 255), (0, 128, 128)) if full else ((219, 224, 224), (16, 128, 128))
    y, cb, cr = (yuv - np.reshape(offset, (3, 1, 1)).astype(np.float64)) / np.reshape(scale, (3, 1, 1))
    r, b = y + (2 - 2 * red) * cr, y + (2 - 2 * blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.rint(np.dstack([r, g, b]) * 255), 0, 255).astype(np.uint8)


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    wave = sweep(seconds)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    resampler = AudioResampler(format=stream.format, layout="stereo", rate=SAMPLE_RATE, frame_size=stream.frame_size)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def sweep(seconds: float) -> NDArray[np.float32]:
    """A rising tone: no two stretches of it are the same."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * (300 + 400 * at) * at)).astype(np.float32)


def make_sound(path: Path, seconds: float = 0.5) -> Path:
    with av.open(str(path), "w") as container:
        _write_tone(container, container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo"), seconds)
    return path


@dataclass(frozen=True)
class Film:
    """What a video file holds."""

    pictures: list[Picture]
    times: list[Fraction]
    rate: Fraction
    duration: float
    codec: str
    matrix: int
    rotation: int
    aspect: Fraction

    @property
    def size(self) -> tuple[int, int]:
        return self.pictures[0].shape[1], self.pictures[0].shape[0]


def read_film(path: Path) -> Film:
    """Read a video file whole, as a player shows it but for the turn."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return Film(
            [_shown(frame) for frame in frames],
            [Fraction(frame.pts or 0) * Fraction(frame.time_base or 0) for frame in frames],
            Fraction(stream.average_rate or 0),
            (container.duration or 0) / av.time_base,
            stream.codec_context.codec.canonical_name,
            frames[0].colorspace,
            frames[0].rotation,
            Fraction(stream.sample_aspect_ratio or 1),
        )


def _shown(frame: av.VideoFrame) -> Frame:
    yuv = frame.reformat(format="yuvj444p" if frame.color_range == 2 else "yuv444p").to_ndarray()
    return _to_rgb(np.asarray(yuv, np.uint8), BT709 if frame.colorspace == BT709 else BT601, frame.color_range == 2)


def read_rgba(path: Path) -> list[Picture]:
    """The pictures of a transparent video."""
    # FFmpeg's own VP9 decoder, its first choice, drops the alpha.
    decoder = "libvpx-vp9" if path.suffix == ".webm" else "prores"
    with av.open(str(path)) as container:
        context = av.codec.Codec(decoder, "r").create("video")
        return [_to_rgba(frame) for frame in _decode(container, context)]


def _decode(container: Any, context: Any) -> Iterator[av.VideoFrame]:
    for packet in container.demux(container.streams.video[0]):
        if packet.size:
            yield from context.decode(packet)
    yield from context.decode(None)


def _to_rgba(frame: av.VideoFrame) -> Picture:
    shown = frame.reformat(
        format="rgba",
        src_colorspace=frame.colorspace,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )
    return np.asarray(shown.to_ndarray(), np.uint8)


@dataclass(frozen=True)
class Sound:
    """What the first sound stream of a file holds; `wave` is its left channel, from the file's beginning on."""

    codec: str
    packets: list[bytes]
    wave: NDArray[np.float32]


def read_sound(path: Path) -> Sound | None:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return Sound(stream.codec_context.codec.canonical_name, packets, _wave(path))


def _wave(path: Path) -> NDArray[np.float32]:
    wave = np.zeros(SAMPLE_RATE * 10, np.float32)
    end, resampler = 0, AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            at = max(0, round(float((frame.pts or 0) * Fraction(frame.time_base or 0)) * SAMPLE_RATE))
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray()[0]
                wave[at : at + len(samples)] = samples
                at = end = at + len(samples)
    return wave[:end]


def open_files(path: Path) -> int:
    """How often this process holds a file open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("only Linux lists a process's open files under /proc")
    links = [entry.readlink() for entry in descriptors.iterdir() if os.path.lexists(entry)]
    return sum(link == path for link in links)
