"""Pictures as FFmpeg decodes them, turned into Frames: matrix, range and turn."""

from __future__ import annotations

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
