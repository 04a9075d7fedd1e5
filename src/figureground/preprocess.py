"""From a frame to what the network sees, and from what it says to an alpha of the frame's size.

The only place that resizes for the network. A picture keeps its own aspect ratio: it is scaled to about as many
pixels as a square of the model's `size` has, and the rest up to a multiple of `STRIDE` is filled by repeating its
last row and column. Where a model has one fixed size, the picture is scaled to fit into that and the rest filled alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, Mask, Matte

STRIDE = 32
MOST = 4  # times `size`: no side of the input is longer, however thin the picture
LOW, HIGH = 0.25, 0.75
HOLE, SPECK = 0.003, 0.002  # parts of the picture
SURE = 0.88  # of a network's output, in [0, 1]
FAINT = 1 / 510  # an alpha up to this is 0 in a matte
RIM = 2  # pixels around a hole that are soft
_AlphaOrMatte = TypeVar("_AlphaOrMatte", Alpha, Matte)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture of one size lies in the network's input; all in pixels."""

    frame_width: int
    frame_height: int
    width: int  # of the scaled picture inside the input
    height: int
    input_width: int  # of the network's input, a multiple of STRIDE
    input_height: int

    @classmethod
    def of(cls, frame_width: int, frame_height: int, size: int) -> Fit:
        """The fit of a picture into an input of about as many pixels as a square of `size`, a multiple of `STRIDE`.

        Scaled to a longest side of `size`, a wide picture would be seen with fewer pixels than a square one, and the
        people in it smaller: measured on `small`, a quarter of what it missed in 16:9 video.
        """
        longest, shortest = max(frame_width, frame_height), min(frame_width, frame_height)
        scale = _longest(size, longest / shortest) / longest
        width, height = (max(1, round(side * scale)) for side in (frame_width, frame_height))
        padded = [-(-side // STRIDE) * STRIDE for side in (width, height)]
        return cls(frame_width, frame_height, width, height, padded[0], padded[1])

    @classmethod
    def into(cls, frame_width: int, frame_height: int, input_width: int, input_height: int) -> Fit:
        """The fit of a picture into an input of one size: as large as fits at its own aspect ratio, at the top left."""
        scale = min(input_width / frame_width, input_height / frame_height)
        width, height = (max(1, round(side * scale)) for side in (frame_width, frame_height))
        return cls(frame_width, frame_height, width, height, input_width, input_height)


def _longest(size: int, aspect: float) -> int:
    """The longest side of the scaled picture: a multiple of the stride, so that only the other side is filled up."""
    return int(size * min(math.sqrt(aspect), MOST)) // STRIDE * STRIDE


def to_input(frame: Frame, fit: Fit) -> Frame:
    """Scale `frame` and fill the border: (input_height, input_width, 3) uint8 RGB, new at every call.

    In memory shared between threads one frame's alpha could become another's.
    """
    out = np.empty((fit.input_height, fit.input_width, 3), np.uint8)
    inside = out[: fit.height, : fit.width]
    if frame.shape[0] > 6 * fit.height or frame.shape[1] > 6 * fit.width:
        # Linear resize reads four pixels whatever the factor: beyond this it turns texture into noise.
        inside[:] = cv2.resize(frame, (fit.width, fit.height), interpolation=cv2.INTER_AREA)
    else:
        inside[:] = cv2.resize(frame, (fit.width, fit.height), interpolation=cv2.INTER_LINEAR)
    out[: fit.height, fit.width :] = out[: fit.height, fit.width - 1 : fit.width]
    out[fit.height :] = out[fit.height - 1 : fit.height]
    return out


def crisp(output: Alpha, fit: Fit) -> Alpha:
    """Cut the border off the network's `output`, (input_height, input_width), and make it crisp.

    [LOW, HIGH] is stretched to [0, 1]: a sigmoid never says exactly 0 or 1, and without this a faint ghost of
    the room shines through everywhere and the person is never quite opaque. 0.5 stays 0.5.

    Returns:
        (height, width) float32 in [0, 1], at the network's resolution, new at every call.
    """
    crisp = (output[: fit.height, : fit.width] - np.float32(LOW)) * np.float32(1 / (HIGH - LOW))
    return np.clip(crisp, 0, 1, out=crisp)


def enlarge(alpha: _AlphaOrMatte, fit: Fit) -> _AlphaOrMatte:
    """Scale an alpha or matte of (height, width) to the frame's size, linearly."""
    return cast(_AlphaOrMatte, cv2.resize(alpha, (fit.frame_width, fit.frame_height)))


def to_matte(alpha: Alpha) -> Matte:
    """An alpha in 8 bits, rounded; new at every call."""
    return np.asarray(cv2.convertScaleAbs(alpha, alpha=255.0), np.uint8)


def drop_doubtful(output: Alpha, share: float) -> Alpha:
    """Empty the parts of a network's output that it is hardly sure of, in place: chairs, coats and curtains, mostly.

    A part stays where over `share` of its person's pixels, those from 0.5, are above SURE.
    """
    there, person, sure = output > 0.1, output >= 0.5, output > SURE
    count, labels = cv2.connectedComponentsWithAlgorithm(there.view(np.uint8), 8, cv2.CV_32S, cv2.CCL_GRANA)
    persons, sures = _counts(labels, person, count), _counts(labels, sure, count)
    is_doubtful = sures <= share * persons
    is_doubtful[0] = False  # what is around the parts is 0 or nearly so
    if is_doubtful.any():
        output[is_doubtful[labels]] = 0
    return output


def _counts(labels: NDArray[np.int32], mask: Mask, count: int) -> NDArray[np.float32]:
    """How many pixels of `mask` each of `count` parts has."""
    return np.bincount(labels[mask], minlength=count).astype(np.float32)


def tidy(alpha: Alpha) -> Alpha:
    """Fill small holes inside the person and drop specks outside, in place.

    A hole is enclosed by the person, touches no edge of the picture and covers less than HOLE of it: a badge or a
    fold is often one; the gap between arm and body is larger. A speck covers less than SPECK, or is nowhere half
    person.
    """
    part = alpha[_around(alpha > 0, RIM)]
    _fill_holes(part, HOLE * alpha.size)
    _drop_specks(part, SPECK * alpha.size)
    return alpha


def _around(mask: Mask, pixels: int) -> tuple[slice, slice]:
    """Rows and columns of all that is in `mask` and some pixels more."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(0, top - pixels), top + height + pixels)
    return rows, slice(max(0, left - pixels), left + width + pixels)


def _fill_holes(alpha: Alpha, most: float) -> None:
    """Make holes of fewer than `most` pixels person, with their soft rim."""
    holes = np.zeros(alpha.shape, np.uint8)
    for contour, outer in _contours(alpha >= 0.5):
        if outer >= 0:
            x, y, width, height = cv2.boundingRect(contour)  # of the person's pixels around it
            around = slice(y, y + height), slice(x, x + width)
            _mark_holes(alpha[around] < 0.5, most, holes[around])
    if holes.any():
        alpha[cv2.dilate(holes, np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0] = 1


def _mark_holes(empty: Mask, most: float, holes: NDArray[np.uint8]) -> None:
    """Set `holes` to 1 in the parts of `empty` of fewer than `most` pixels that touch none of its sides."""
    labels, boxes, areas = _patches(empty)
    for label in np.flatnonzero(areas[1:] < most) + 1:
        rows, columns = boxes[label]
        if min(rows.start, columns.start) > 0 and rows.stop < empty.shape[0] and columns.stop < empty.shape[1]:
            holes[rows, columns][labels[rows, columns] == label] = 1


def _drop_specks(alpha: Alpha, least: float) -> None:
    """Empty the parts of fewer than `least` pixels, and those that are nowhere half person."""
    sure, there = alpha >= 0.5, alpha > 0.1
    parts = sum(outer < 0 for _, outer in _contours(there))
    if parts == 1 and sure.any() and np.count_nonzero(there) >= least:
        return
    labels, boxes, areas = _patches(there, connectivity=8)  # two and a half times as fast as 4
    drop = (areas < least) | (np.bincount(labels[sure], minlength=len(areas)) == 0)
    for label in np.flatnonzero(drop[1:]) + 1:
        alpha[boxes[label]][labels[boxes[label]] == label] = 0


def _contours(mask: Mask) -> list[tuple[NDArray[np.int32], int]]:
    """The outlines of the parts of `mask`, 8-connected, and of their holes: below 0, or the number of the part around.

    They are found in a thirtieth of the time that labelling takes.
    """
    contours, tree = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [] if tree is None else tree.reshape(-1, 4)[:, 3].tolist()
    return [(np.asarray(contour, np.int32), part) for contour, part in zip(contours, outer, strict=True)]


def _patches(
    mask: Mask, connectivity: int = 4
) -> tuple[NDArray[np.int32], list[tuple[slice, slice]], NDArray[np.int32]]:
    """The connected parts of `mask`: each pixel's part, from 1, 0 outside; the boxes and the pixels of the parts."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask.view(np.uint8), connectivity, cv2.CV_32S, cv2.CCL_GRANA
    )
    places = [(slice(y, y + h), slice(x, x + w)) for x, y, w, h, _ in boxes.tolist()]
    return np.asarray(labels, np.int32), places, boxes[:, cv2.CC_STAT_AREA]
