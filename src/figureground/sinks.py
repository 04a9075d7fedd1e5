"""Where finished pictures go. A sink has `send(picture, time)` and is a context manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av import AudioFrame, AudioStream, Packet, VideoFrame, VideoStream
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from figureground.atomic import atomic_path
from figureground.errors import FigureGroundError, OutputError

OPAQUE_EXTENSIONS = (".mp4", ".mov", ".mkv", ".webm")
TRANSPARENT_EXTENSIONS = (".mov", ".webm")
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
# Sound that FFmpeg counts among a container's codecs but then does not write.
_REFUSED = {"mp4": ("pcm_",), "mov": ("flac", "opus", "vorbis")}
# By number of channels, for sound that is encoded anew: encoders know few layouts, and AVI names none.
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_H264 = {"preset": "veryfast", "crf": "18"}
# The alpha has 8 bits; and ProRes at its default rate takes 30 MB a second for 720p.
_PRORES = {"profile": "4444", "vendor": "apl0", "alpha_bits": "8", "bits_per_mb": "1600"}
_VP9 = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, the pixels it is given and its settings."""

    codec: str
    pixels: str
    options: dict[str, str]


def encoding_for(path: Path, transparent: bool) -> Encoding:
    """The encoding a file name asks for.

    Raises:
        OutputError: no such container here, or one that holds no transparency though that is asked for.
    """
    suffix = path.suffix.lower()
    if transparent:
        if suffix not in TRANSPARENT_EXTENSIONS:
            raise OutputError(
                f"{path}: {suffix or 'this'} holds no transparent video; use .mov (ProRes 4444) or .webm (VP9)"
            )
        if suffix == ".mov":
            return Encoding("prores_ks", "yuva444p10le", _PRORES)
        # Without alternate reference frames: VP9 in WebM cannot hold them together with an alpha channel.
        return Encoding("libvpx-vp9", "yuva420p", _VP9 | {"auto-alt-ref": "0"})
    if suffix not in OPAQUE_EXTENSIONS:
        raise OutputError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; use {' '.join(OPAQUE_EXTENSIONS)}"
        )
    return Encoding("libvpx-vp9", "yuv420p", _VP9) if suffix == ".webm" else Encoding("libx264", "yuv420p", _H264)


class Pictures(Protocol):
    """What a file needs to know of its pictures, as a `VideoSource` does; `path` names the file with their sound."""

    @property
    def path(self) -> Path | None: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def rate(self) -> Fraction: ...
    @property
    def aspect(self) -> Fraction: ...
    @property
    def tick(self) -> Fraction: ...
    @property
    def begin(self) -> Fraction: ...
    @property
    def colorspace(self) -> int: ...
    @property
    def primaries(self) -> int: ...
    @property
    def transfer(self) -> int: ...


@contextmanager
def video_sink(path: Path, like: Pictures, transparent: bool = False) -> Iterator[VideoSink]:
    """A video file like the one the frames came from: same size, rate, times, colours and sound.

    Nothing stands at `path` until the block ends without an error; then the whole file does.

    Args:
        path: .mp4, .mov, .mkv (H.264), .webm (VP9); transparent: .mov (ProRes 4444) or .webm.
        like: the source of the frames; one without a path has no sound.
        transparent: pictures come as (H, W, 4) RGBA instead of (H, W, 3) RGB.

    Raises:
        OutputError: the suffix does not fit, or the file cannot be written.
    """
    encoding = encoding_for(path, transparent)
    kind = _FORMATS[path.suffix.lower()]
    with atomic_path(path) as temporary, _writing(path), ExitStack() as opened:
        # Once more: the source reads the pictures at its own pace.
        heard = opened.enter_context(av.open(str(like.path.absolute()))) if like.path is not None else None
        container = opened.enter_context(av.open(str(temporary), "w", format=kind))
        sink = VideoSink(container, encoding, like, heard)
        yield sink
        sink.finish()


class VideoSink:
    """What `video_sink` gives: takes pictures of the source's size, in order."""

    def __init__(
        self, container: OutputContainer, encoding: Encoding, like: Pictures, heard: InputContainer | None
    ) -> None:
        self._container = container
        self._like = like
        self._clock = _clock(like.rate)
        self._pixels = encoding.pixels
        if encoding.pixels == "yuv420p" and (like.width % 2 or like.height % 2):
            self._pixels = "yuv444p"  # halved colour planes need even sides
        stream = container.add_stream(encoding.codec, rate=like.rate, options=encoding.options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = like.width, like.height, self._pixels
        context = stream.codec_context
        context.time_base, context.sample_aspect_ratio = self._clock, like.aspect
        context.colorspace, context.color_range = like.colorspace, int(ColorRange.MPEG)
        context.color_primaries, context.color_trc = like.primaries, like.transfer
        self._stream = stream
        self._first: Fraction | None = None
        self._pts = -1
        self._sound = None if heard is None else Sound(heard, container, like.begin)

    def send(self, picture: NDArray[np.uint8], time: Fraction) -> None:
        """Write one (H, W, 3) or, for a transparent file, (H, W, 4) picture, to be shown at `time` seconds."""
        frame = VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24").reformat(
            format=self._pixels,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=self._like.colorspace,
            # Several threads write into each other's rows in 10 bits, unless the width is a multiple of 16.
            threads=1 if self._pixels.endswith("10le") else 0,
        )
        if self._first is None:
            self._first = time  # often not 0: sound may begin before the picture
        frame.time_base = self._clock
        steady = self._first + on_grid(time - self._first, self._like.rate, self._like.tick)
        self._pts = frame.pts = max(round(steady / self._clock), self._pts + 1)  # no encoder takes one time twice
        self._container.mux(self._stream.encode(frame))
        if self._sound is not None:
            self._sound.copy_until(time)

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.copy_until(None)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors into ours; a full disk is the usual one."""
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, FigureGroundError):
            raise
        raise OutputError(f"{path}: cannot be written ({error})") from error


class Sound:
    """The sound of a file on its way into another: packet for packet where that can hold it, else re-encoded."""

    def __init__(self, source: InputContainer, into: OutputContainer, begin: Fraction) -> None:
        self._into = into
        self._begin = begin
        self._packets: Iterator[Packet[Any]] = iter(())
        self._waiting: Packet[Any] | None = None
        self._resampler: AudioResampler | None = None
        if source.streams.audio:
            self._stream = self._add(source.streams.audio[0])
            self._packets = source.demux(source.streams.audio[0])

    def _add(self, stream: AudioStream) -> AudioStream:
        name, container = stream.codec_context.codec.canonical_name, self._into.format.name
        if name in self._into.supported_codecs and not name.startswith(_REFUSED.get(container, ())):
            return self._into.add_stream_from_template(stream)
        codec = "libopus" if container == "webm" else "aac"
        rate = 48_000 if codec == "libopus" or stream.rate > 48_000 else stream.rate
        added = self._into.add_stream(codec, rate=rate, layout=_LAYOUTS.get(stream.channels, "stereo"))
        assert isinstance(added, AudioStream)
        self._resampler = AudioResampler(
            format=added.format, layout=added.layout, rate=rate, frame_size=added.frame_size
        )
        return added

    def copy_until(self, time: Fraction | None) -> None:
        """Move the packets up to `time` seconds, all that are left if None."""
        while True:
            packet = self._next() if self._waiting is None else self._waiting
            if packet is None:
                return
            self._waiting = packet
            if time is not None and packet.pts is not None and packet.pts * Fraction(packet.time_base) > time:
                return
            self._waiting = None
            self._move(packet)

    def _next(self) -> Packet[Any] | None:
        packet = next(self._packets, None)
        if packet is not None and packet.pts is not None and packet.dts is not None:
            shift = round(self._begin / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return packet

    def _move(self, packet: Packet[Any]) -> None:
        if self._resampler is None:
            if packet.size:
                packet.stream = self._stream
                self._into.mux(packet)
            return
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            for piece in self._resampler.resample(frame):
                self._into.mux(self._stream.encode(piece))
        if not packet.size:  # the end: what the resampler and the encoder still hold
            for piece in self._resampler.resample(None):
                self._into.mux(self._stream.encode(piece))
            self._into.mux(self._stream.encode(None))


def on_grid(time: Fraction, rate: Fraction, tick: Fraction) -> Fraction:
    """The time of the nearest frame of a steady `rate` if `time` is that but for rounding to `tick`, else `time`.

    Matroska rounds times to milliseconds; written as they stand, 30 frames a second would become 30.003.
    """
    steady = round(time * rate) / rate
    return steady if abs(time - steady) < tick else time


def _clock(rate: Fraction) -> Fraction:
    """A unit of time that divides the frame time and is at most 1/90000 s, for frames that come unsteadily."""
    return Fraction(1, rate.numerator * -(-90_000 // rate.numerator))
