"""Pictures as FFmpeg decodes them, turned into Frames: matrix, range and turn."""

from __future__ import annotations

from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from figureground.arrays import Frame

FFMPEG_ERRORS = (av.error.FFmpegError, OSError, ValueError)
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
    turn = _TURNS.get(frame.rotation % 360)
    if turn is not None:
        return np.asarray(cv2.rotate(_pixels(rgb), turn), np.uint8)
    return _pixels(rgb).copy() if rgb is frame else np.ascontiguousarray(_pixels(rgb))


def _pixels(rgb: av.VideoFrame) -> Frame:
    """The memory of an rgb24 picture itself, which lives as long as this array does."""
    plane = rgb.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: rgb.height, : 3 * rgb.width]
    return lines.reshape(rgb.height, rgb.width, 3)


def reason(error: Exception) -> str:
    """What FFmpeg or the system says went wrong, in a few words."""
    return getattr(error, "strerror", None) or str(error)
