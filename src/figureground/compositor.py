"""Putting the person of a frame on another background, or cutting it out.

A pixel that is less than half person takes none of its colour from the camera: at a soft edge the camera's
pixel is a mixture of person and room, and the room's share would show as a fringe. Its colour comes from the
sure pixels of the person nearby instead, and mixes with the frame's own as alpha goes from 0.5 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Colours, Deep, Frame, Matte, check_alpha, check_frame, check_matte
from figureground.errors import ArrayError
from figureground.preprocess import to_matte
from figureground.profiles import strips
from figureground.smoothing import weighted_blur

GUIDE_SIDE = 160  # pixels; the person's nearby colours are smooth, so they are found on a small copy
GUIDE_SIGMA = 2.0
_LEVELS = np.arange(256)
# How sure a pixel of each 8-bit alpha is of the person: 0 up to the half (0.5 is rounded to 128), 1 at 255.
_SURE = np.maximum(_LEVELS - 128, 0) / 127
# The share of a pixel's colour that comes from the frame itself, and the share from the person's nearby colours.
_TRUST = np.round(_LEVELS * _SURE).astype(np.uint8)
_NEARBY = (_LEVELS - _TRUST).astype(np.uint8)
# A pixel's weight among the nearby colours. A nearly sure one still holds some of the room: the high power leaves
# it a voice only where no sure one is near, as in thin hair.
_VOICE = np.where(_SURE > 0, np.maximum(_SURE**16, 1e-6), 0).astype(np.float32)


def composite(frame: Frame, alpha: Alpha, background: Frame) -> Frame:
    """Put the person of `frame` on `background`.

    Args:
        frame: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32 in [0, 1], computed from this very frame.
        background: (H, W, 3) uint8 RGB.

    Returns:
        (H, W, 3) uint8 RGB; where alpha is 0 exactly the background, where it is 1 exactly the frame.

    Raises:
        ArrayError: wrong shape, dtype or range.
    """
    check_alpha(alpha, like=check_frame(frame))
    if check_frame(background, "background").shape != frame.shape:
        raise ArrayError(f"background must have the frame's shape {frame.shape}, got {background.shape}")
    return Compositor()(frame, to_matte(alpha), background)


def cutout(frame: Frame, alpha: Alpha) -> NDArray[np.uint8]:
    """The person of `frame` on transparency: (H, W, 4) uint8 RGBA, straight alpha, colours freed of the room's.

    Where alpha is 0 the colour is black: nothing of the room is left in the file.

    Raises:
        ArrayError: wrong shape, dtype or range.
    """
    check_alpha(alpha, like=check_frame(frame))
    return on_transparency(frame, to_matte(alpha))


def on_transparency(frame: Frame, matte: Matte) -> NDArray[np.uint8]:
    """`cutout` with an alpha in 8 bits."""
    out = np.empty((*matte.shape, 4), np.uint8)
    nearby = _Nearby.of(frame, matte)
    for rows in strips(*matte.shape):
        cv2.cvtColor(_cut(frame[rows], matte[rows], nearby, rows.start), cv2.COLOR_RGB2RGBA, dst=out[rows])
        cv2.insertChannel(matte[rows], out[rows], 3)
    return out


def deep_on_transparency(frame: Deep, levels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """`cutout` in 16 bits: (H, W, 3) RGB and (H, W) alpha, both 0 to 65535, to (H, W, 4) RGBA.

    Alphas that are 0 in 8 bits are 0, and the colour under those that are 255 in 8 bits is the frame's own.
    """
    out = np.empty((*levels.shape, 4), np.uint16)
    matte = cv2.convertScaleAbs(levels, alpha=1 / 257)
    nearby = _Nearby.of(frame, matte)
    for rows in strips(*levels.shape):
        out[rows, :, :3] = _cut(frame[rows], matte[rows], nearby, rows.start)
        out[rows, :, 3] = levels[rows] * (matte[rows] > 0)
    return out


def composite_in_place(frame: Frame, matte: Matte, background: Frame) -> None:
    """`composite` written over `frame`, strip by strip, for pictures too large to be held twice."""
    nearby = _Nearby.of(frame, matte)
    for rows in strips(*matte.shape):
        part, soft = background[rows].copy(), _Soft.of(matte[rows])
        cv2.copyTo(frame[rows], _whole(matte[rows]), dst=part)
        if nearby is not None and len(soft.where):
            colours = nearby.at(soft.rows + rows.start, soft.columns)
            soft.put(part, _mixed(soft.take(frame[rows]), colours, soft.take(background[rows]), soft.matte))
        frame[rows] = part


def _cut(frame: Colours, matte: Matte, nearby: _Nearby | None, top: int) -> Colours:
    """The colours of a strip of a cut-out that begins at row `top` of what `nearby` is of; black where nobody is."""
    rgb = cv2.copyTo(frame, _whole(matte))
    soft = _Soft.of(matte)
    if nearby is None or not len(soft.where):
        return rgb
    own, around = soft.take(frame), nearby.at(soft.rows + top, soft.columns)
    if frame.dtype == np.uint8:
        sure = cv2.LUT(soft.matte, np.round(255 * _SURE).astype(np.uint8))
        colours = cv2.add(_weighed(np.asarray(own, np.uint8), sure), _weighed(around, 255 - sure))
        soft.put(rgb, np.asarray(colours, frame.dtype))
    else:
        share = np.asarray(_SURE, np.float32)[soft.matte][:, :, None]
        soft.put(rgb, np.rint(own * share + around * (257 * (1 - share))).astype(frame.dtype))
    return rgb


@dataclass(slots=True)
class Compositor:
    """`composite` for a stream, in memory kept from frame to frame: `picture = compositor(frame, matte, background)`.

    The matte is the frame's alpha in 8 bits. Whole pixels of person and background are copied; only the soft ones, a
    few in a hundred, are computed. Frame and background may both have 16 bits; the picture has as many then. The array
    it returns is overwritten by the next call.
    """

    _out: NDArray[Any] | None = None
    _behind: NDArray[Any] | None = None  # what `_out` holds outside of `_box`, where that is known
    _box: tuple[slice, slice] = (slice(0), slice(0))

    def __call__(self, frame: Colours, matte: Matte, background: Colours) -> Colours:
        check_matte(matte, like=frame)
        if self._out is None or (self._out.shape, self._out.dtype) != (frame.shape, frame.dtype):
            self._out = np.empty(frame.shape, frame.dtype)
            self._behind = None
        self._lay(background, self._out)
        soft = _Soft.of(matte)
        if soft.box[0].stop:
            cv2.copyTo(frame[soft.box], _whole(matte[soft.box]), dst=self._out[soft.box])
        if len(soft.where):
            colours = _Nearby.within(soft.box, frame, matte).at(soft.rows, soft.columns)
            mixed: Colours = _mixed(soft.take(frame), colours, soft.take(background), soft.matte)
            soft.put(self._out, mixed)
        self._behind, self._box = background, soft.box
        return self._out

    def _lay(self, background: NDArray[Any], out: NDArray[Any]) -> None:
        """The background over all of `out`; one that cannot be written to lies there still, but for the last person."""
        known, self._behind = self._behind, None  # whatever fails before the picture is done, nothing is known then
        if known is background and not background.flags.writeable:
            out[self._box] = background[self._box]
        else:
            np.copyto(out, background)


def _mixed(frame: Colours, nearby: Frame, background: Colours, matte: Matte) -> Colours:
    """Pixels of the composite, (H, W, 3), from pixels of all that is in it."""
    trust, near, rest = cv2.LUT(matte, _TRUST), cv2.LUT(matte, _NEARBY), 255 - matte
    if frame.dtype == np.uint8:
        person = cv2.add(_weighed(np.asarray(frame, np.uint8), trust), _weighed(nearby, near))
        return np.asarray(cv2.add(person, _weighed(np.asarray(background, np.uint8), rest)), frame.dtype)
    own, around, behind = (np.asarray(share, np.float32)[:, :, None] / 255 for share in (trust, near, rest))
    return np.rint(frame * own + nearby * (257 * around) + background * behind).astype(frame.dtype)


def _whole(matte: Matte) -> NDArray[np.uint8]:
    """Not 0 where the matte is 255."""
    return np.asarray(cv2.threshold(matte, 254, 255, cv2.THRESH_BINARY)[1], np.uint8)


@dataclass(frozen=True, slots=True)
class _Soft:
    """The pixels of a matte strictly between 0 and 255.

    Attributes:
        box: rows and columns that hold the person, none of them if nobody is there.
        rows, columns: of each soft one.
        where: its place in the flattened picture.
        matte: its value, (N, 1).
    """

    box: tuple[slice, slice]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    where: NDArray[np.intp]
    matte: Matte

    @classmethod
    def of(cls, matte: Matte) -> _Soft:
        box = _box(matte)
        left, width, top = box[1].start, box[1].stop - box[1].start, box[0].start
        inside = np.flatnonzero(cv2.inRange(matte[box], 1, 254) != 0) if width else np.empty(0, np.intp)
        rows = inside // max(1, width)
        columns = inside - rows * width + left
        rows += top
        where = rows * matte.shape[1] + columns
        return cls(box, rows, columns, where, np.take(matte, where)[:, None])

    def take(self, picture: Colours) -> Colours:
        """These pixels of `picture`, (N, 1, 3)."""
        return _taken(picture, self.where)[:, None]

    def put(self, picture: NDArray[Any], colours: NDArray[Any]) -> None:
        """Write `colours`, (N, 1, 3), to these pixels of `picture`."""
        _pixels(picture)[self.where] = _pixels(colours)


def _box(matte: Matte) -> tuple[slice, slice]:
    """Rows and columns that hold the person, none of them if nobody is there."""
    left, top, width, height = cv2.boundingRect(matte)
    return slice(top, top + height), slice(left, left + width)


@dataclass(frozen=True, slots=True)
class _Nearby:
    """The mean colour of the sure pixels of the person around every pixel, on a small copy of the person's box."""

    small: Frame
    down: _Guide
    right: _Guide

    @classmethod
    def of(cls, frame: Colours, matte: Matte) -> _Nearby | None:
        """None if nobody is there."""
        box = _box(matte)
        return cls.within(box, frame, matte) if box[0].stop else None

    @classmethod
    def within(cls, box: tuple[slice, slice], frame: Colours, matte: Matte) -> _Nearby:
        down, right = (_Guide.of(part, side, max(matte.shape)) for part, side in zip(box, matte.shape, strict=True))
        # Single pixels, no means: a mean with a pixel of the room would let its colour in.
        places = down.pixels()[:, None] * matte.shape[1] + right.pixels()
        voice = cv2.LUT(np.take(matte, places), _VOICE)
        colours = _taken(frame, places)
        if colours.dtype != np.uint8:
            colours = (colours >> 8).astype(np.uint8)
        return cls(weighted_blur(np.asarray(colours, np.uint8), voice, GUIDE_SIGMA), down, right)

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Frame:
        """At N pixels of the frame, read linearly: (N, 1, 3)."""
        # OpenCV takes no more than 32767 points in a row.
        shape = -(-len(rows) // 1024), 1024
        x, y = np.resize(self.right.places(columns), shape), np.resize(self.down.places(rows), shape)
        found = cv2.remap(self.small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found.reshape(-1, 1, 3)[: len(rows)], np.uint8)


@dataclass(frozen=True, slots=True)
class _Guide:
    """One side of a small copy of a part of the frame: its pixels from `low` to before `high`.

    `step`: how many pixels of the frame each stands for.
    """

    step: float
    low: int
    high: int

    @classmethod
    def of(cls, part: slice, side: int, longest: int) -> _Guide:
        """Of `part` of a `side`, with the pixel around it that keeps the filter's border clear of the person."""
        count = max(1, round(side * min(1.0, GUIDE_SIDE / longest)))
        step = side / count
        return cls(step, max(0, int(part.start / step) - 1), min(count, int((part.stop - 1) / step) + 2))

    def pixels(self) -> NDArray[np.intp]:
        """The frame's pixel in the middle of each of these."""
        return ((np.arange(self.low, self.high) + 0.5) * self.step).astype(np.intp)

    def places(self, pixels: NDArray[np.intp]) -> NDArray[np.float32]:
        """Where the middle of each of some pixels of the frame lies among these."""
        return pixels.astype(np.float32) * np.float32(1 / self.step) + np.float32(0.5 / self.step - 0.5 - self.low)


def _taken(picture: Colours, places: NDArray[np.intp]) -> Colours:
    """Some pixels: (*places.shape, 3)."""
    return np.take(_pixels(np.ascontiguousarray(picture)), places).view(picture.dtype).reshape(*places.shape, 3)


def _pixels(picture: NDArray[Any]) -> NDArray[np.void]:
    """A picture's pixels in a row, each as one value: those are moved in a fifth of the time."""
    return picture.reshape(-1).view(f"V{3 * picture.itemsize}")


def _weighed(colours: Frame, share: NDArray[np.uint8]) -> Frame:
    """(H, W, 3) colours times (H, W) shares of 255."""
    return np.asarray(cv2.multiply(colours, cv2.merge((share,) * 3), scale=1 / 255), np.uint8)
