"""Pictures as FFmpeg decodes them, turned into Frames: matrix, range and turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from figureground.arrays import Deep, Frame

FFMPEG_ERRORS = (av.error.FFmpegError, OSError, ValueError)
# What FFmpeg takes for white in RGB of 16 bits wherever it makes that of YUV, or YUV of it: 255 times 256, not 257.
DEEP_WHITE = 65280
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
_MATRICES = {
    1: Colorspace.ITU709,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}


def colorspace(frame: av.VideoFrame, camera: bool = False) -> int:
    """The matrix a picture names; where it names none, what players assume from the size. A `camera` means BT.601."""
    guess = Colorspace.ITU709 if frame.height >= 720 and not camera else Colorspace.ITU601
    return int(_MATRICES.get(int(frame.colorspace), guess))


def main_video(container: InputContainer) -> av.VideoStream | None:
    """The first video of a file that is no cover picture."""
    streams = container.streams.video
    return next((stream for stream in streams if not stream.disposition & Disposition.attached_pic), None)


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height once the turn that the picture asks for is made."""
    return (frame.height, frame.width) if frame.rotation % 360 in (90, 270) else (frame.width, frame.height)


def progressive(frames: Iterator[av.VideoFrame], stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The same pictures at the same times, those of two fields (interlaced) made one of one moment.

    A person who moves has combs for edges in a picture of two fields, which no network has learnt.
    """
    graph = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None:
            graph = av.filter.Graph()
            graph.link_nodes(
                graph.add_buffer(template=stream),
                graph.add("bwdif", "mode=send_frame:deint=interlaced"),
                graph.add("buffersink"),
            ).configure()
        graph.vpush(frame)
        yield from _pulled(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph)


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def to_frame(frame: av.VideoFrame, matrix: int, reformatter: VideoReformatter, threads: int = 0) -> Frame:
    """The picture as RGB in full range, upright, in memory of its own.

    Args:
        frame: as decoded, of any pixel format.
        matrix: `colorspace(frame)`, or the one its file names.
        reformatter: the same one for every picture of a stream; it keeps what it has worked out.
        threads: for the conversion; 0: one a core.
    """
    rgb = reformatter.reformat(
        frame,
        format="rgb24",
        src_colorspace=matrix,
        src_color_range=frame.color_range,
        dst_color_range=ColorRange.JPEG,
        threads=threads,
    )
    pixels = _upright(_pixels(rgb, np.uint8), frame)
    return pixels.copy() if rgb is frame else np.ascontiguousarray(pixels)


def is_deep(frame: av.VideoFrame) -> bool:
    """Whether it has more than 8 bits a channel."""
    return any(component.bits > 8 for component in frame.format.components)


def to_deep(frame: av.VideoFrame, matrix: int, reformatter: VideoReformatter) -> Deep:
    """`to_frame` in 16 bits, such that `sinks.as_pixels` makes the very same levels of it again.

    That is why pixels that share a colour get the very same one, and no mean of it and their neighbours'.
    """
    rgb = reformatter.reformat(
        frame,
        format="rgb48le",
        src_colorspace=matrix,
        src_color_range=frame.color_range,
        dst_color_range=ColorRange.JPEG,
        interpolation="POINT",
        threads=1,  # several write into each other's rows
    )
    pixels = np.ascontiguousarray(_upright(_pixels(rgb, np.dtype("<u2")), frame), np.uint16)
    return pixels.copy() if frame.format.is_rgb else _times(pixels, 65535 / DEEP_WHITE)


def from_deep(picture: Deep) -> Deep:
    """(H, W, 3) RGB or (H, W, 4) RGBA as FFmpeg wants it of which it is to make YUV."""
    return _times(picture, DEEP_WHITE / 65535)


def _times(picture: Deep, factor: float) -> Deep:
    """Its colours times `factor`."""
    return np.asarray(cv2.multiply(picture, (factor, factor, factor, 1.0)), np.uint16)


def _upright(pixels: NDArray[Any], frame: av.VideoFrame) -> NDArray[Any]:
    turn = _TURNS.get(frame.rotation % 360)
    return pixels if turn is None else np.asarray(cv2.rotate(pixels, turn), pixels.dtype)


def _pixels(rgb: av.VideoFrame, depth: Any) -> NDArray[Any]:
    """The memory of a packed RGB picture itself, which lives as long as this array does."""
    plane = rgb.planes[0]
    lines = np.frombuffer(memoryview(plane), depth).reshape(-1, plane.line_size // np.dtype(depth).itemsize)
    return lines[: rgb.height, : 3 * rgb.width].reshape(rgb.height, rgb.width, 3)
