"""Waiting for the next picture before showing this one: what it does not confirm was only a flicker."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from figureground.arrays import Frame, Mask, Matte
from figureground.live.matting import Found, Matting, changed, smooth


@dataclass(slots=True)
class Held:
    """A frame that waits, and when it was taken."""

    frame: Frame
    time: float
    captured: float


class LookAhead:
    """One stream shown a frame late.

    `exchange` takes the newest frame and gives the one before; calling this object gives that one's alpha.
    """

    def __init__(self, matting: Matting) -> None:
        self._matting = matting
        self._newest: Held | None = None
        self._before: Found | None = None
        self._found: tuple[float, Found] | None = None  # in the newest frame of the last call, and that one's time

    def reset(self) -> None:
        """Forget what was found, as `Matting.reset`."""
        self._before = self._found = None
        self._matting.reset()

    def exchange(self, newest: Held) -> Held | None:
        """The frame before `newest`, whose frame is copied; None before there is one."""
        before, self._newest = self._newest, replace(newest, frame=newest.frame.copy())
        return before

    def __call__(self, frame: Frame, time: float) -> Matte:
        """The matte, (H, W), of the frame that `exchange` gave.

        Raises:
            ModelError: as `Matting`.
        """
        assert self._newest is not None
        known, self._found = self._found, None  # whatever fails below, nothing is taken for another frame's
        this = known[1] if known is not None and known[0] == time else self._matting.find(frame, time)
        after = self._matting.find(self._newest.frame, self._newest.time)
        before, self._before, self._found = self._before, this, (self._newest.time, after)
        return self._matting.finish(frame, this if before is None else _agreed(before, this, after), time)


def _agreed(before: Found, this: Found, after: Found) -> Found:
    """Where the picture stands still, what most of three frames say; this frame's own word elsewhere."""
    if not before.fit == this.fit == after.fit:
        return this
    still = _same(this, before) & _same(this, after)
    low, high = np.minimum(before.alpha, after.alpha), np.maximum(before.alpha, after.alpha)
    return replace(this, alpha=np.where(still, np.clip(this.alpha, low, high), this.alpha))


def _same(one: Found, other: Found) -> Mask:
    return ~changed(smooth(one.picture), smooth(other.picture))
