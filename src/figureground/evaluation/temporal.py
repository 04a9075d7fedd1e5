"""How steady a model is over a stream: flicker, dtSSD, lag. One frame at a time, in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, Mask
from figureground.evaluation.metrics import boundary_f, iou

STILL = 6  # of 255, in every channel: what sensor noise and compression change after a 5 x 5 mean
SHIFTS = 8  # frames by which a prediction may come late or early
MOVING = 0.001  # of IoU: where all shifts agree that well with the truth, nothing moves and there is no lag to see


@dataclass(frozen=True, slots=True)
class FrameScores:
    """One frame: share of it that is person; share of the still pixels that flipped; IoU with the truth, if known."""

    coverage: float
    flipped: float | None
    iou: float | None


@dataclass(frozen=True, slots=True)
class StreamScores:
    """A stream of `frames` at `rate` a second.

    `flicker`: flips per still pixel and second, at least 0; `still` is the mean share of still pixels. Against the
    `truths` frames that have one: mean IoU and boundary F; `dtssd`; `lag` in frames, positive where the prediction
    comes late. A figure that cannot be told is None.
    """

    frames: int
    rate: float
    still: float | None
    flicker: float | None
    truths: int
    iou: float | None
    boundary_f: float | None
    dtssd: float | None
    lag: int | None
    by_frame: list[FrameScores]


def still_pixels(frame: Frame, before: Frame, truth: Alpha | None = None, truth_before: Alpha | None = None) -> Mask:
    """Where two (H, W, 3) frames hardly differ, nor what is true of them if that is known of both: (H, W) bool.

    After a mean over 5 x 5 pixels, against noise, no channel differs by more than `STILL`.
    """
    changed = cv2.absdiff(cv2.blur(frame, (5, 5)), cv2.blur(before, (5, 5))).max(axis=2)
    still: Mask = changed <= STILL
    if truth is not None and truth_before is not None:
        still &= (truth >= 0.5) == (truth_before >= 0.5)
    return still


def dtssd(alpha: Alpha, before: Alpha, truth: Alpha, truth_before: Alpha) -> float:
    """Difference of change, at least 0, of (H, W) float32 alphas of two consecutive frames (Erofeev et al. 2015).

    Root mean square over the pixels of (change of the alpha - change of the truth), times 100 as is usual.
    """
    change = np.subtract(alpha, before, dtype=np.float64) - np.subtract(truth, truth_before, dtype=np.float64)
    return float(np.sqrt(np.square(change).mean()) * 100)


class StreamMeter:
    """Takes frame after frame of one stream, then gives its scores.

    Flicker counts, between each frame and the next, the still pixels whose decision (alpha of at least 0.5) changes;
    where the truth is known, only those whose truth does not. A region that moves, a cut or a moving camera is not
    still and so counts nothing; a colour that creeps by less than `STILL` a frame counts as still.
    """

    def __init__(self) -> None:
        self._before: tuple[Frame, Alpha, Alpha | None] | None = None
        self._by_frame: list[FrameScores] = []
        self._boundaries: list[float] = []
        self._changes: list[float] = []
        self._still: list[float] = []
        self._flips = self._chances = 0
        self._window: deque[tuple[Mask, Mask]] = deque(maxlen=2 * SHIFTS + 1)
        self._agreement: list[NDArray[np.float64]] = []

    def add(self, frame: Frame, alpha: Alpha, truth: Alpha | None = None) -> None:
        """Take the next (H, W, 3) frame, its (H, W) alpha and its true one if that is known."""
        flipped = self._compare(frame, alpha, truth)
        self._before = (frame, alpha, truth)
        score = None if truth is None else self._score(alpha >= 0.5, truth >= 0.5)
        self._by_frame.append(FrameScores(float((alpha >= 0.5).mean()), flipped, score))
        if truth is None:
            self._window.clear()

    def _compare(self, frame: Frame, alpha: Alpha, truth: Alpha | None) -> float | None:
        """The share of still pixels that flipped since the frame before."""
        if self._before is None:
            return None
        frame_before, alpha_before, truth_before = self._before
        still = still_pixels(frame, frame_before, truth, truth_before)
        if truth is not None and truth_before is not None:
            self._changes.append(dtssd(alpha, alpha_before, truth, truth_before))
        chances = int(np.count_nonzero(still))
        flips = int(np.count_nonzero(still & ((alpha >= 0.5) != (alpha_before >= 0.5))))
        self._still.append(chances / still.size)
        self._flips, self._chances = self._flips + flips, self._chances + chances
        return flips / chances if chances else None

    def _score(self, guess: Mask, truth: Mask) -> float:
        self._boundaries.append(boundary_f(guess, truth))
        self._window.append((guess, truth))
        if len(self._window) == 2 * SHIFTS + 1:
            middle = self._window[SHIFTS][0]
            # A prediction that is late by 3 frames is like the truth of 3 frames earlier: newest truth first.
            self._agreement.append(np.array([iou(middle, each) for _, each in reversed(self._window)]))
        return iou(guess, truth)

    def result(self, rate: float) -> StreamScores:
        """The scores so far, of a stream of `rate` frames a second."""
        scores = [each.iou for each in self._by_frame if each.iou is not None]
        return StreamScores(
            frames=len(self._by_frame),
            rate=rate,
            still=_mean(self._still),
            flicker=self._flips / self._chances * rate if self._chances else None,
            truths=len(scores),
            iou=_mean(scores),
            boundary_f=_mean(self._boundaries),
            dtssd=_mean(self._changes),
            lag=self._lag(),
            by_frame=self._by_frame,
        )

    def _lag(self) -> int | None:
        """The shift of the truth with the highest mean IoU, the smallest of equals."""
        if not self._agreement:
            return None
        mean = np.mean(self._agreement, axis=0)
        if mean.max() - mean.min() < MOVING:
            return None
        best = np.flatnonzero(mean >= mean.max() - 1e-9) - SHIFTS
        return int(best[np.abs(best).argmin()])


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
