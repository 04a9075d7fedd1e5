"""From a frame to what the network sees, and from what it says to an alpha of the frame's size.

The only place that resizes for the network. A picture keeps its own aspect ratio: it is scaled to about as many
pixels as a square of the model's `size` has, and the rest up to a multiple of `STRIDE` is filled by repeating its
last row and column. Where a model has one fixed size, the picture is scaled to fit into that and the rest filled alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import cv2
import numpy as np

from figureground.arrays import Alpha, Frame, Mask, Matte

STRIDE = 32
MOST = 4  # times `size`: no side of the input is longer, however thin the picture
LOW, HIGH = 0.25, 0.75
HOLE, SPECK = 0.003, 0.002  # parts of the picture
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


def tidy(alpha: Alpha) -> Alpha:
    """Fill small holes inside the person and drop specks outside, in place.

    A hole is enclosed by the person, touches no edge of the picture and covers less than HOLE of it: a badge or a
    fold is often one; the gap between arm and body is larger. A speck covers less than SPECK, or is nowhere half
    person.
    """
    if _has_holes(alpha >= 0.5):
        _fill(alpha)
    for top, left, bottom, right, inside in _patches(alpha > 0.1, connectivity=8):  # two and a half times as fast as 4
        part = alpha[top:bottom, left:right]
        if np.count_nonzero(inside) < SPECK * alpha.size or part[inside].max() < 0.5:
            part[inside] = 0
    return alpha


def _has_holes(mask: Mask) -> bool:
    """Whether anything is enclosed by `mask`: contours tell in a thirtieth of the time that labelling takes."""
    _, tree = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return tree is not None and bool((tree.reshape(-1, 4)[:, 3] >= 0).any())


def _fill(alpha: Alpha) -> None:
    height, width = alpha.shape
    holes = np.zeros(alpha.shape, np.uint8)
    for top, left, bottom, right, inside in _patches(alpha < 0.5):
        enclosed = left > 0 and top > 0 and right < width and bottom < height
        if enclosed and np.count_nonzero(inside) < HOLE * alpha.size:
            holes[top:bottom, left:right][inside] = 1
    if holes.any():
        alpha[cv2.dilate(holes, np.ones((5, 5), np.uint8)) > 0] = 1  # with their soft rim


def _patches(mask: Mask, connectivity: int = 4) -> Iterator[tuple[int, int, int, int, Mask]]:
    """The connected parts of `mask`: their boxes (top, left, bottom, right), and which pixels of them they are."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask.view(np.uint8), connectivity, cv2.CV_32S, cv2.CCL_GRANA
    )
    for label in range(1, len(boxes)):
        left, top, width, height, _ = boxes[label].tolist()
        bottom, right = top + height, left + width
        yield top, left, bottom, right, labels[top:bottom, left:right] == label
