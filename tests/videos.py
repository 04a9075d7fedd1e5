"""Small real videos: made and read back with FFmpeg through PyAV, without the code under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
BT601, BT709 = 5, 1  # as FFmpeg numbers them


@dataclass(frozen=True)
class Look:
    """How to encode: the codec, its pixels, the matrix and range of the colours, the turn a player must make."""

    codec: str = "libx264"
    pixels: str = "yuv444p"
    matrix: int = BT601
    range: ColorRange = ColorRange.MPEG
    tagged: bool = True
    rotation: int = 0
    aspect: Fraction = Fraction(1)


def make_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    rate: Fraction | int = 30,
    look: Look | None = None,
    times: Sequence[Fraction] | None = None,
    sound: str | None = None,
) -> Path:
    """Write RGB or RGBA pictures; `sound` names the codec of a tone as long as the pictures."""
    look = look or Look()
    with av.open(str(path), "w") as container:
        stream = _video_stream(container, path, pictures[0], Fraction(rate), look)
        tone = container.add_stream(sound, rate=SAMPLE_RATE, layout="stereo") if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if picture.shape[2] == 3 else "rgba")
            frame = frame.reformat(
                format=look.pixels,
                dst_colorspace=look.matrix,
                src_color_range=ColorRange.JPEG,
                dst_color_range=look.range,
            )
            time = Fraction(number, 1) / rate if times is None else times[number]
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(time / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            _write_tone(container, tone, float(len(pictures) / Fraction(rate)))
    return path


def _video_stream(container: Any, path: Path, picture: NDArray[np.uint8], rate: Fraction, look: Look) -> Any:
    options = {"crf": "4", "preset": "ultrafast"} if look.codec == "libx264" else {}
    stream = container.add_stream(look.codec, rate=rate, options=options)
    stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], look.pixels
    context = stream.codec_context
    # FFmpeg's own choice, one unit a frame, leaves no room for frames that come unsteadily.
    context.time_base = (
        Fraction(1, rate.numerator * 1000) if look.codec == "libx264" and path.suffix != ".avi" else 1 / rate
    )
    context.sample_aspect_ratio = look.aspect
    if look.tagged:
        context.colorspace, context.color_range = look.matrix, int(look.range)
    if look.rotation:
        stream.set_display_rotation(look.rotation)
    return stream


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    # A sweep: no two of its packets are the same.
    wave = (0.3 * np.sin(2 * np.pi * (300 + 400 * at) * at)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    resampler = AudioResampler(format=stream.format, layout="stereo", rate=SAMPLE_RATE, frame_size=stream.frame_size)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def make_sound(path: Path, seconds: float = 0.5) -> Path:
    with av.open(str(path), "w") as container:
        _write_tone(container, container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo"), seconds)
    return path


@dataclass(frozen=True)
class Film:
    """What a video file holds."""

    pictures: list[NDArray[np.uint8]]
    times: list[Fraction]
    rate: Fraction
    duration: float
    codec: str
    sound_codec: str | None
    sound_packets: list[bytes]
    sound_seconds: float

    @property
    def size(self) -> tuple[int, int]:
        return self.pictures[0].shape[1], self.pictures[0].shape[0]


def read_film(path: Path, decoder: str | None = None, pixels: str = "rgb24") -> Film:
    """Read a video file whole; `decoder` where FFmpeg's first choice drops the alpha."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = _decode(path, decoder)
        sounds = list(container.streams.audio)
        packets = [packet for packet in container.demux(sounds[0]) if packet.size] if sounds else []
        return Film(
            [to_array(frame, pixels) for frame in frames],
            [Fraction(frame.pts) * frame.time_base for frame in frames],
            Fraction(stream.average_rate or 0),
            (container.duration or 0) / av.time_base,
            stream.codec_context.codec.canonical_name,
            sounds[0].codec_context.codec.canonical_name if sounds else None,
            [bytes(packet) for packet in packets],
            float(sum(packet.duration * packet.time_base for packet in packets)),
        )


def _decode(path: Path, decoder: str | None) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if decoder is None:
            return list(container.decode(stream))
        context = av.codec.Codec(decoder, "r").create("video")
        if stream.codec_context.extradata:
            context.extradata = stream.codec_context.extradata
        frames = []
        for packet in container.demux(stream):
            for frame in context.decode(packet if packet.size else None):
                frame.time_base = stream.time_base
                frames.append(frame)
        return frames


def to_array(frame: av.VideoFrame, pixels: str) -> NDArray[np.uint8]:
    """As a player shows it: with the matrix the file names, to the full range."""
    shown = frame.reformat(
        format=pixels,
        src_colorspace=BT709 if frame.colorspace == 1 else BT601,
        src_color_range=frame.color_range,
        dst_color_range=ColorRange.JPEG,
    )
    return np.asarray(shown.to_ndarray(), np.uint8)
