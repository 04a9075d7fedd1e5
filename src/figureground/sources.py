"""Where frames come from. A source iterates Frames, is a context manager, and knows the newest frame's `time`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av import Packet
from av.video.reformatter import VideoReformatter

from figureground.arrays import Colours, Deep, Frame
from figureground.errors import VideoError, reason
from figureground.frames import (
    FFMPEG_ERRORS,
    colorspace,
    is_deep,
    main_video,
    progressive,
    to_deep,
    to_frame,
    upright_size,
)
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
    ".mts",
    ".m2ts",
    ".vob",
    ".3gp",
    ".wmv",
    ".flv",
    ".ogv",
    ".gif",
)


class VideoSource:
    """Every frame of a video file, upright and deinterlaced, in order.

    Args:
        path: any container and codec PyAV's FFmpeg reads.
        start: only the frames from this key frame on, by its time as `times` gives it.
        end: only the frames before this time.

    Attributes:
        width, height: of the frames as given, in pixels (a turned phone video is already upright).
        aspect: width of a pixel over its height; 1 but for old formats such as DV.
        rate: frames per second as a Fraction.
        time: presentation time of the newest frame, in seconds from the file's beginning.
        begin: what the file's own clock says at its beginning, in seconds; a recorded broadcast starts anywhere.
        tick: the length of one unit of the file's clock, in seconds; times are rounded to it.
        length: the number of frames the file says or suggests it has; 0 if it does not.
        deep: whether its pictures have more than 8 bits a channel, all of which `deep_frame` gives.

    Raises:
        VideoError: no such file, no video in it, damaged, or cut short.
    """

    def __init__(self, path: Path, start: Fraction | None = None, end: Fraction | None = None) -> None:
        self.path = path
        self.time = Fraction(0)
        self._start, self._end = start, end
        self._reformatter, self._deep_reformatter = VideoReformatter(), VideoReformatter()
        self._newest: av.VideoFrame | None = None
        self._decoded: Iterator[av.VideoFrame]
        if not os.path.exists(path):
            raise VideoError(f"{path}: no such file")
        if not os.path.isfile(path):
            raise VideoError(f"{path}: not a regular file")  # to open a pipe could take for ever
        self._open()
        try:
            self._probe()
            if start is not None:
                self._decoded = self._decode(self._from(start))
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            self._container = av.open(str(self.path.absolute()))  # FFmpeg takes "10:30.mkv" for a protocol
        except FFMPEG_ERRORS as error:
            raise VideoError(f"{self.path}: not a video this can read ({reason(error)})") from error
        stream = main_video(self._container)
        if stream is None:
            self._container.close()
            raise VideoError(f"{self.path}: there is no video in this file")
        self._stream = stream
        self._stream.thread_type = "AUTO"

    def _probe(self) -> None:
        """Decode the first frame: only it knows the true size, rotation and colours."""
        if self._container.format.name.startswith("matroska") and _segment_end(self.path) > self.path.stat().st_size:
            raise VideoError(f"{self.path}: cut short, the file ends before the video does")
        if self._stream.codec_context is None:
            raise VideoError(f"{self.path}: its video is of a kind that this FFmpeg does not know")
        # AVI has no presentation times: what FFmpeg makes up goes back and forth where there are B-frames.
        self._counted = self._container.format.name == "avi"
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        self.tick = Fraction(self._stream.time_base or Fraction(1, 90_000))
        self.begin = Fraction(self._container.start_time or 0, av.time_base)
        self.length = self._stream.frames or round(float(self.rate) * (self._container.duration or 0) / av.time_base)
        self._decoded = self._decode(self._packets())
        self._check_size(self._stream.codec_context)  # before anything that large is decoded
        first = next(self._decoded, None)
        if first is None:
            raise VideoError(f"{self.path}: the video holds no frames")
        self._check_size(first)
        # Put back rather than sought back to: some containers (FLV) cannot seek.
        self._decoded = chain((first,), self._decoded)
        turned = first.rotation % 360 in (90, 270)
        self.width, self.height = upright_size(first)
        self.deep = is_deep(first)
        self.colorspace, self.primaries, self.transfer = colorspace(first), first.color_primaries, first.color_trc
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self.aspect = 1 / aspect if turned else aspect

    def _check_size(self, of: av.VideoFrame | av.VideoCodecContext) -> None:
        if of.width * of.height > MAX_PIXELS:
            raise VideoError(f"{self.path}: {of.width}x{of.height} is over the limit of 100 megapixels")

    def times(self) -> Iterator[tuple[Fraction, bool]]:
        """Read the file through without decoding it, instead of its frames; it can be read once.

        Yields:
            The time of each frame, in the file's order, and whether a source can start there.

        Raises:
            VideoError: damaged, or cut short.
        """
        self._reopen()
        with self._naming_damage():
            for number, packet in enumerate(self._packets()):
                if packet.size == 0 or packet.is_discard:
                    continue
                if self._counted or packet.pts is None:
                    yield number / self.rate, packet.is_keyframe and self._counted
                else:
                    yield packet.pts * self.tick - self.begin, packet.is_keyframe

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    def _packets(self) -> Iterator[Packet[Any]]:
        """All packets of the video, and then a look whether that was all."""
        packets, end = 0, Fraction(0)
        for packet in self._container.demux(self._stream):
            packets += packet.size > 0
            if packet.is_corrupt:
                raise VideoError(f"{self.path}: the video is damaged or cut short in packet {packets}")
            end = max(end, ((packet.pts or 0) + (packet.duration or 0)) * self.tick)
            yield packet
        # Too few packets alone are no damage: a trimmed MP4 still counts what was cut off, AVI what was dropped.
        whole = (self._stream.duration or 0) * self.tick if "mp4" in self._container.format.name else 0
        if packets < self._stream.frames and end + 1 / self.rate < whole:
            raise VideoError(f"{self.path}: cut short, it holds {float(end):.2f} of {float(whole):.2f} seconds")

    def _from(self, start: Fraction) -> Iterator[Packet[Any]]:
        """The packets from the key frame at `start` on: sought, else read up to; all where frames are counted."""
        self._reopen()
        if self._counted:
            return self._packets()
        pts = round((start + self.begin) / self.tick)
        with suppress(*FFMPEG_ERRORS):
            self._container.seek(pts, stream=self._stream)
            sought = iter(self._container.demux(self._stream))
            # A seek lands there or before; where times are in disorder, or it cannot seek, anywhere.
            landed = next((packet for packet in sought if packet.is_keyframe and (packet.pts or 0) >= pts), None)
            if landed is not None and landed.pts == pts:
                return chain((landed,), sought)
        self._reopen()
        return dropwhile(lambda packet: not packet.is_keyframe or packet.pts != pts, self._packets())

    def _decode(self, packets: Iterator[Packet[Any]]) -> Iterator[av.VideoFrame]:
        with self._naming_damage():
            for packet in packets:
                if packet.is_corrupt:
                    raise VideoError(f"{self.path}: the video is damaged near {float(self.time):.2f} s")
                yield from packet.decode()

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(progressive(self._decoded, self._stream)):
            if self._counted or frame.pts is None:
                self.time = number / self.rate
            else:
                self.time = frame.pts * Fraction(frame.time_base or self.tick) - self.begin
            if self._end is not None and self.time >= self._end:
                return
            if self._start is not None and self.time < self._start:
                continue  # shown before the key frame, though stored behind it
            self._newest = frame
            with self._naming_damage():
                picture = to_frame(frame, self.colorspace, self._reformatter)
            yield self._sized(picture)

    def deep_frame(self) -> Deep:
        """The newest frame once more, in 16 bits."""
        assert self._newest is not None
        with self._naming_damage():
            return self._sized(to_deep(self._newest, self.colorspace, self._deep_reformatter))

    def _sized(self, picture: Colours) -> Colours:
        if picture.shape[:2] == (self.height, self.width):
            return picture
        # Recordings of a call change their size on the way.
        return np.asarray(cv2.resize(picture, (self.width, self.height)), picture.dtype)

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except FFMPEG_ERRORS as error:
            where = f"damaged at {float(self.time):.2f} s"
            raise VideoError(f"{self.path}: the video is {where} ({reason(error)})") from error

    def close(self) -> None:
        self._container.close()
        self._newest = None
        self._decoded = iter(())  # the generator holds this and is held by it: nothing would be freed for long

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
