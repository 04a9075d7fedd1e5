"""A contact sheet: what a video's result looks like, in one picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange

from figureground.arrays import Frame
from figureground.frames import colorspace
from figureground.images import write_image

COLUMNS, ROWS = 4, 3
WIDTH, GAP = 320, 8  # pixels: of a picture, and between two
_GREY, _WHITE = (24, 24, 24), (235, 235, 235)
_CHECKER = 12  # pixels of a square of the board behind what is transparent


def write_sheet(path: Path, video: Path) -> None:
    """Write COLUMNS x ROWS evenly spaced frames of a video, or of a folder of numbered pictures, with their times.

    Raises:
        OutputError: the sheet cannot be written.
    """
    shown = [_labelled(picture, label) for picture, label in (_from_folder if video.is_dir() else _from_file)(video)]
    height, width = shown[0].shape[:2]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    sheet = np.full((GAP + rows * (height + GAP), GAP + columns * (width + GAP), 3), _GREY, np.uint8)
    for number, picture in enumerate(shown):
        top, left = (
            GAP + place * (side + GAP) for place, side in zip(divmod(number, columns), (height, width), strict=True)
        )
        sheet[top : top + height, left : left + width] = picture
    write_image(path, sheet)


def _from_file(video: Path) -> Iterator[tuple[Frame, str]]:
    with av.open(str(video.absolute())) as container:
        stream = container.streams.video[0]
        base = Fraction(stream.time_base or 1)
        begin = Fraction(container.start_time or 0, av.time_base)
        long = Fraction(container.duration or 0, av.time_base)
        ratio = float(stream.sample_aspect_ratio or 1)
        last = None
        for number in range(COLUMNS * ROWS):
            at = begin + long * (2 * number + 1) / (2 * COLUMNS * ROWS)
            frame = _frame_at(container, round(at / base))
            if frame is None or frame.pts == last:
                continue  # there are fewer pictures than places
            last = frame.pts
            yield _fitted(_rgba(frame), ratio), _clock(float((frame.pts or 0) * base))


def _frame_at(container: InputContainer, pts: int) -> av.VideoFrame | None:
    """The picture that is shown then."""
    stream = container.streams.video[0]
    container.seek(pts, stream=stream)
    # FFmpeg's own VP9 decoder, its first choice, drops the alpha.
    alpha = any(name.lower() == "alpha_mode" for name in stream.metadata)
    context = av.codec.Codec("libvpx-vp9", "r").create("video") if alpha else None
    shown = None
    for packet in container.demux(stream):
        for frame in packet.decode() if context is None else context.decode(packet if packet.size else None):
            if shown is not None and (frame.pts or 0) > pts:
                return shown
            shown = frame
    return shown


def _rgba(frame: av.VideoFrame) -> Frame:
    """On a board of squares where it is transparent."""
    ranges = {"src_color_range": frame.color_range or ColorRange.MPEG, "dst_color_range": ColorRange.JPEG}
    if not frame.format.name.startswith("yuv"):
        ranges = {}
    picture = frame.reformat(format="rgba", src_colorspace=colorspace(frame), threads=1, **ranges).to_ndarray()
    return _on_board(np.asarray(picture, np.uint8))


def _on_board(rgba: Frame) -> Frame:
    alpha = rgba[:, :, 3]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[:, :, :3])
    rows, columns = (np.arange(side) // _CHECKER for side in alpha.shape)
    board = np.where((rows[:, None] + columns) % 2, np.uint8(200), np.uint8(120))
    share = alpha[:, :, None].astype(np.float32) / 255
    return np.rint(share * rgba[:, :, :3] + (1 - share) * board[:, :, None]).astype(np.uint8)


def _from_folder(folder: Path) -> Iterator[tuple[Frame, str]]:
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem))
    places = min(len(files), COLUMNS * ROWS)
    for number in range(places):
        file = files[(2 * number + 1) * len(files) // (2 * places)]
        picture = np.asarray(cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
        if picture.dtype == np.uint16:
            picture = cv2.convertScaleAbs(picture, alpha=1 / 257)
        rgba = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
        yield _fitted(_on_board(np.asarray(rgba, np.uint8)), 1), file.stem


def _fitted(picture: Frame, ratio: float) -> Frame:
    height = max(1, round(WIDTH * picture.shape[0] / (picture.shape[1] * ratio)))
    return np.asarray(cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def _labelled(picture: Frame, label: str) -> Frame:
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (width, height), below = cv2.getTextSize(label, font, size, 1)
    picture[-height - below - 4 :, : width + 8] = _GREY
    cv2.putText(picture, label, (4, picture.shape[0] - below - 1), font, size, _WHITE, 1, cv2.LINE_AA)
    return picture


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02}:{rest:05.2f}"
