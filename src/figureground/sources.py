"""Where frames come from. A source iterates Frames, is a context manager, and knows the newest frame's `time`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from figureground.arrays import Frame
from figureground.errors import VideoError
from figureground.frames import FFMPEG_ERRORS, colorspace, reason, to_frame, upright_size
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


class VideoSource:
    """Every frame of a video file, upright, in order.

    Args:
        path: any container and codec PyAV's FFmpeg reads.

    Attributes:
        width, height: of the frames as given, in pixels (a turned phone video is already upright).
        aspect: width of a pixel over its height; 1 but for old formats such as DV.
        rate: frames per second as a Fraction.
        time: presentation time of the newest frame, in seconds from the file's beginning.
        begin: what the file's own clock says at its beginning, in seconds; a recorded broadcast starts anywhere.
        tick: the length of one unit of the file's clock, in seconds; times are rounded to it.
        length: the number of frames the file says or suggests it has; 0 if it does not.

    Raises:
        VideoError: no such file, no video in it, damaged, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.time = Fraction(0)
        self._reformatter = VideoReformatter()
        if not os.path.exists(path):
            raise VideoError(f"{path}: no such file")
        try:
            self._container = av.open(str(path.absolute()))  # FFmpeg takes "10:30.mkv" for a protocol
        except FFMPEG_ERRORS as error:
            raise VideoError(f"{path}: not a video this can read ({reason(error)})") from error
        try:
            self._probe()
        except BaseException:
            self.close()
            raise

    def _probe(self) -> None:
        """Decode the first frame: only it knows the true size, rotation and colours."""
        if not self._container.streams.video:
            raise VideoError(f"{self.path}: there is no video in this file")
        if self._container.format.name.startswith("matroska") and _segment_end(self.path) > self.path.stat().st_size:
            raise VideoError(f"{self.path}: cut short, the file ends before the video does")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise VideoError(f"{self.path}: its video is of a kind that this FFmpeg does not know")
        self._stream.thread_type = "AUTO"
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        self.tick = Fraction(self._stream.time_base or Fraction(1, 90_000))
        self.begin = Fraction(self._container.start_time or 0, av.time_base)
        self.length = self._stream.frames or round(float(self.rate) * (self._container.duration or 0) / av.time_base)
        self._decoded: Iterator[av.VideoFrame] = self._decode()
        self._check_size(self._stream.codec_context)  # before anything that large is decoded
        first = next(self._decoded, None)
        if first is None:
            raise VideoError(f"{self.path}: the video holds no frames")
        self._check_size(first)
        # Put back rather than sought back to: some containers (FLV) cannot seek.
        self._decoded = chain((first,), self._decoded)
        turned = first.rotation % 360 in (90, 270)
        self.width, self.height = upright_size(first)
        self.colorspace, self.primaries, self.transfer = colorspace(first), first.color_primaries, first.color_trc
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self.aspect = 1 / aspect if turned else aspect

    def _check_size(self, of: av.VideoFrame | av.VideoCodecContext) -> None:
        if of.width * of.height > MAX_PIXELS:
            raise VideoError(f"{self.path}: {of.width}x{of.height} is over the limit of 100 megapixels")

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets, end = 0, Fraction(0)
        with self._naming_damage():
            for packet in self._container.demux(self._stream):
                packets += packet.size > 0
                if packet.is_corrupt:
                    raise VideoError(f"{self.path}: the video is damaged or cut short in packet {packets}")
                end = max(end, ((packet.pts or 0) + (packet.duration or 0)) * self.tick)
                yield from packet.decode()
        # Too few packets alone are no damage: a trimmed MP4 still counts what was cut off, AVI what was dropped.
        whole = (self._stream.duration or 0) * self.tick if "mp4" in self._container.format.name else 0
        if packets < self._stream.frames and end + 1 / self.rate < whole:
            raise VideoError(f"{self.path}: cut short, it holds {float(end):.2f} of {float(whole):.2f} seconds")

    def __iter__(self) -> Iterator[Frame]:
        # AVI has no presentation times: what FFmpeg makes up goes back and forth where there are B-frames.
        counted = self._container.format.name == "avi"
        for number, frame in enumerate(self._decoded):
            if counted or frame.pts is None:
                self.time = number / self.rate
            else:
                self.time = frame.pts * self.tick - self.begin
            with self._naming_damage():
                picture = to_frame(frame, self.colorspace, self._reformatter)
            if picture.shape[:2] != (self.height, self.width):  # recordings of a call change their size on the way
                picture = np.asarray(cv2.resize(picture, (self.width, self.height)), np.uint8)
            yield picture

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except FFMPEG_ERRORS as error:
            where = f"damaged at {float(self.time):.2f} s"
            raise VideoError(f"{self.path}: the video is {where} ({reason(error)})") from error

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _segment_end(path: Path) -> int:
    """Where a Matroska file says it ends, in bytes; 0 if it does not say, as in one that was still being recorded."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(b"\x18\x53\x80\x67") + 4  # the segment that holds everything, behind a short header
    if at < 4 or not head[at : at + 1].strip(b"\0"):
        return 0
    length = 9 - head[at].bit_length()  # of the number that follows: as many bytes as its leading zeros say
    size = int.from_bytes(head[at : at + length], "big") - (1 << 7 * length)
    return 0 if size == (1 << 7 * length) - 1 else at + length + size
