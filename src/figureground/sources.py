"""Where frames come from. A source iterates Frames, is a context manager, and knows the newest frame's `time`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from figureground.arrays import Frame
from figureground.errors import VideoError
from figureground.images import MAX_PIXELS

VIDEO_EXTENSIONS = (
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".wmv",
    ".flv",
    ".ogv",
    ".gif",
)
_FFMPEG_ERRORS = (av.error.FFmpegError, OSError, ValueError)
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class VideoSource:
    """Every frame of a video file, upright, in order.

    Args:
        path: any container and codec PyAV's FFmpeg reads.

    Attributes:
        width, height: of the frames as given, in pixels (a turned phone video is already upright).
        rate: frames per second as a Fraction.
        time: presentation time of the newest frame, in seconds.
        tick: the length of one unit of the file's clock, in seconds; times are rounded to it.
        length: the number of frames the file says or suggests it has; 0 if it does not.

    Raises:
        VideoError: no such file, no video in it, damaged, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.time = Fraction(0)
        if not path.exists():
            raise VideoError(f"{path}: no such file")
        try:
            self._container = av.open(str(path))
        except _FFMPEG_ERRORS as error:
            raise VideoError(f"{path}: not a video this can read ({_reason(error)})") from error
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{path}: there is no video in this file")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._decoded = self._decode()
        try:
            self._probe()
        except BaseException:
            self.close()
            raise

    def _probe(self) -> None:
        """Decode the first frame: only it knows the true size, rotation and colours."""
        first = next(self._decoded, None)
        if first is None:
            raise VideoError(f"{self.path}: the video holds no frames")
        if first.width * first.height > MAX_PIXELS:
            raise VideoError(f"{self.path}: {first.width}x{first.height} is over the limit of 100 megapixels")
        # Put back rather than sought back to: some containers (FLV) cannot seek.
        self._decoded = chain((first,), self._decoded)
        turned = first.rotation % 360 in (90, 270)
        self.width, self.height = (first.height, first.width) if turned else (first.width, first.height)
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        self.tick = Fraction(self._stream.time_base or Fraction(1, 90_000))
        self.begin = Fraction(self._container.start_time or 0, av.time_base)
        self.length = self._stream.frames or round(float(self.rate) * (self._container.duration or 0) / av.time_base)
        self.colorspace = _colorspace(first)

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = 0
        with self._naming_damage():
            for packet in self._container.demux(self._stream):
                packets += packet.size > 0
                if packet.is_corrupt:
                    raise VideoError(f"{self.path}: the video is damaged or cut short in packet {packets}")
                yield from packet.decode()
        if packets < self._stream.frames:
            raise VideoError(f"{self.path}: cut short, it holds {packets} of {self._stream.frames} frames")

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._decoded:
            if frame.pts is not None:
                self.time = frame.pts * self.tick - self.begin
            with self._naming_damage():
                picture = self._upright(frame)
            yield picture

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except _FFMPEG_ERRORS as error:
            reason = f"the video is damaged at {float(self.time):.2f} s ({_reason(error)})"
            raise VideoError(f"{self.path}: {reason}") from error

    def _upright(self, frame: av.VideoFrame) -> Frame:
        rgb = frame.reformat(
            format="rgb24",
            src_colorspace=self.colorspace,
            src_color_range=frame.color_range,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
        turn = _TURNS.get(frame.rotation % 360)
        return np.asarray(rgb if turn is None else cv2.rotate(rgb, turn), np.uint8)

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _colorspace(frame: av.VideoFrame) -> int:
    """The matrix the file names; where it names none, what players assume from the size."""
    named = {
        1: Colorspace.ITU709,
        5: Colorspace.ITU601,
        6: Colorspace.ITU601,
        7: Colorspace.SMPTE240M,
        9: Colorspace.BT2020,
    }
    return int(named.get(int(frame.colorspace), Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
