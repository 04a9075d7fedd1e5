"""Masks that hide nothing cannot be told from broken ones, and are taken for such."""

from __future__ import annotations

from figureground.errors import ModelError

FULL = 0.98  # of the picture: under such a mask there is nothing left to hide
SUDDEN = 0.9  # a mask that jumps beyond this from one picture to the next ...
BEFORE = 0.7  # ... and was below this is not believed until it is below SUDDEN again


class Plausible:
    """Looks at a stream's masks, one after another."""

    def __init__(self) -> None:
        self._covered = 1.0  # share of the picture under the last one that was believed; nothing is a jump at first

    def __call__(self, covered: float) -> None:
        """Let a mask pass that covers this share of the picture.

        Raises:
            ModelError: it hides nothing, or suddenly almost nothing.
        """
        if covered >= FULL:
            raise ModelError("the mask covers the whole picture")
        if covered > SUDDEN and self._covered < BEFORE:
            raise ModelError("the mask suddenly covers almost the whole picture")
        self._covered = covered
