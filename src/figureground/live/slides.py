"""A slideshow for the live picture, which waits for no file: each picture is read before its time comes."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Thread

from figureground.arrays import Frame, Matte
from figureground.backgrounds import Slideshow, Still, cover


@dataclass(frozen=True, slots=True)
class _Slide:
    """A picture of the show; `still` is there once it is read and scaled."""

    number: int
    still: Future[Still] = field(default_factory=Future)


class Slides:
    """The pictures of `show` at width x height; while the next one is not ready the one before stays.

    Only the first one is waited for. One that cannot be read is told of as long as it would be shown.
    """

    def __init__(self, show: Slideshow, width: int, height: int) -> None:
        self._show, self._width, self._height = show, width, height
        self._shown: _Slide | None = None
        self._ahead: _Slide | None = None

    def __call__(self, frame: Frame, matte: Matte, time: Fraction) -> Frame:
        wanted = self._show.number(time)
        if self._shown is None or self._ahead is None:
            self._shown = self._ahead = self._begin(wanted)
        elif self._ahead.number == wanted and self._ahead.still.done():
            self._shown = self._ahead
        if self._ahead.still.done() and self._ahead.number != (due := self._due(wanted)):
            self._ahead = self._begin(due)
        return self._shown.still.result()(frame, matte, time)

    def _due(self, wanted: int) -> int:
        """The one to read: the next, or where reading took longer than a picture stays, the one whose time it is."""
        is_late = self._shown is not None and self._shown.number != wanted
        return wanted if is_late else (wanted + 1) % len(self._show.paths)

    def _begin(self, number: int) -> _Slide:
        slide = _Slide(number)
        # Its own thread, not a pool's: at the end of the program nobody waits for a picture that is not shown.
        Thread(target=self._read, args=(slide,), name="live-slide", daemon=True).start()
        return slide

    def _read(self, slide: _Slide) -> None:
        try:
            slide.still.set_result(Still(cover(self._show.read(slide.number), self._width, self._height)))
        except Exception as error:  # raised again where the picture is to be shown
            slide.still.set_exception(error)
