"""Where finished pictures go. A sink has `send(picture, time)` and is a context manager."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av import VideoFrame, VideoStream
from av.container import OutputContainer
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from figureground.atomic import atomic_path
from figureground.encodings import FORMATS, Encoding, encoding_for, ordinary_priority
from figureground.errors import FigureGroundError, OutputError
from figureground.frames import from_deep
from figureground.tracks import Tracks


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
        path: .mp4, .mov, .mkv (H.264), .webm (VP9); transparent: .mov (ProRes 4444), .webm or .mkv (FFV1).
        like: the source of the frames; one without a path has no sound.
        transparent: pictures come as (H, W, 4) RGBA instead of (H, W, 3) RGB.

    Raises:
        OutputError: the suffix does not fit, or the file cannot be written.
    """
    encoding = encoding_for(path, transparent)
    with atomic_path(path) as temporary, writing(path), ExitStack() as opened:
        # Once more: the source reads the pictures at its own pace.
        heard = opened.enter_context(av.open(str(like.path.absolute()))) if like.path is not None else None
        container = opened.enter_context(av.open(str(temporary), "w", format=FORMATS[path.suffix.lower()]))
        sink = VideoSink(container, encoding, like)
        if heard is not None:
            sink.tracks = Tracks(heard, container, like.begin)
        yield sink
        sink.finish()


class Clock:
    """The times of a file's pictures in its own unit, one that divides the frame time and is at most 1/90000 s.

    Args:
        like: what the pictures are like.
        first: the time of the first one in seconds, if it is known already.
        origin: the time that is 0 in the file, in seconds.
    """

    def __init__(self, like: Pictures, first: Fraction | None = None, origin: Fraction = Fraction(0)) -> None:
        self.unit = Fraction(1, like.rate.numerator * -(-90_000 // like.rate.numerator))
        self._rate, self._tick, self._first, self._origin = like.rate, like.tick, first, origin

    def __call__(self, time: Fraction) -> int:
        if self._first is None:
            self._first = time  # often not 0: sound may begin before the picture
        steady = self._first + on_grid(time - self._first, self._rate, self._tick)
        return round((steady - self._origin) / self.unit)


class VideoSink:
    """Takes pictures of the source's size, in order, and writes them as a video.

    Args:
        container: the file, opened.
        encoding: of the pictures.
        like: what they are like.
        clock: of the file, if the pictures are a part of a longer video.
        base: in units of the clock, what is taken from every time.
    """

    def __init__(
        self,
        container: OutputContainer,
        encoding: Encoding,
        like: Pictures,
        clock: Clock | None = None,
        base: int = 0,
    ) -> None:
        self.tracks: Tracks | None = None
        self._container = container
        self._like = like
        self._clock = clock or Clock(like)
        self._base = base
        encoding = encoding.fitting(like.width, like.height)
        self._pixels = encoding.pixels
        if encoding.codec == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # it prints what it is about to do, and only listens to this
        stream = container.add_stream(encoding.codec, rate=like.rate, options=dict(encoding.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = like.width, like.height, self._pixels
        context = stream.codec_context
        context.time_base, context.sample_aspect_ratio = self._clock.unit, like.aspect
        context.color_primaries, context.color_trc = like.primaries, like.transfer
        if self._pixels.startswith("yuv"):
            context.colorspace, context.color_range = like.colorspace, int(ColorRange.MPEG)
        if encoding.tag and container.format.name in ("mp4", "mov"):
            context.codec_tag = encoding.tag
        self._stream = stream
        self._pts, self._count = -1, 0

    def send(self, picture: NDArray[np.uint8] | NDArray[np.uint16], time: Fraction) -> None:
        """Write one (H, W, 3) or, for a transparent file, (H, W, 4) picture, to be shown at `time` seconds."""
        if picture.dtype == np.uint16:
            deep = from_deep(np.asarray(picture, np.uint16))
            frame = VideoFrame.from_ndarray(deep, format="rgba64le" if picture.shape[2] == 4 else "rgb48le")
        else:
            frame = VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
        frame = as_pixels(frame, self._pixels, self._like.colorspace)
        frame.color_primaries, frame.color_trc = self._like.primaries, self._like.transfer  # ProRes asks each frame
        frame.time_base = self._clock.unit
        # No encoder takes one time twice.
        self._pts = frame.pts = max(self._clock(time) - self._base, self._pts + 1)
        with ordinary_priority() if self._count == 0 else nullcontext():  # the first one opens the encoder
            packets = self._stream.encode(frame)
        self._container.mux(packets)
        self._count += 1
        if self.tracks is not None:
            self.tracks.copy_until(time)

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        packets = self._stream.encode(None)
        if self._count <= 2:
            for packet in packets:  # x265 works out at the third picture when one is decoded; before, it is chance
                packet.dts = packet.pts
        self._container.mux(packets)
        if self.tracks is not None:
            self.tracks.finish()


def as_pixels(frame: VideoFrame, pixels: str, matrix: int) -> VideoFrame:
    """An RGB picture, in 16 bits or 8, in an encoder's pixel format."""
    deep = frame.format.name.endswith(("48le", "64le"))
    if not pixels.startswith("yuv"):
        return frame.reformat(format=pixels)
    return frame.reformat(
        format=pixels,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=matrix,
        # Several threads write into each other's rows in 10 bits, unless the width is a multiple of 16.
        threads=1 if deep or pixels.endswith("10le") else 0,
        interpolation="AREA" if deep else None,  # which finds the colours that `frames.to_deep` has read again
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn FFmpeg's errors into ours; a full disk is the usual one."""
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, FigureGroundError):
            raise
        raise OutputError(f"{path}: cannot be written ({error})") from error


def on_grid(time: Fraction, rate: Fraction, tick: Fraction) -> Fraction:
    """The time of the nearest frame of a steady `rate` if `time` is that but for rounding to `tick`, else `time`.

    Matroska rounds times to milliseconds; written as they stand, 30 frames a second would become 30.003.
    """
    steady = round(time * rate) / rate
    return steady if abs(time - steady) < tick else time
