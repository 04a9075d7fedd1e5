"""The loop over a file's or pipe's frames; a camera's, which waits for nobody, is `live.loop`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from figureground.arrays import Frame, Matte

Picture = NDArray[Any]  # uint8; uint16 of a source with as many bits, for sinks that take it
Compose = Callable[[Frame, Matte, Fraction], Picture]


class Source(Protocol):
    """Gives frames; `time` is the newest frame's, in seconds. Which frames are dropped is its business."""

    time: Fraction

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


class Sink(Protocol):
    """Takes finished pictures."""

    def send(self, picture: Picture, time: Fraction) -> None: ...


def run(
    source: Source,
    segment: Callable[[Frame], Matte],
    compose: Compose,
    sink: AbstractContextManager[Sink],
    sent: Callable[[int], Any] | None = None,
) -> int:
    """Send every frame of `source`, composed with the matte computed from that very frame, to `sink`.

    Source and sink are closed however this ends.

    Args:
        source: where frames come from.
        segment: frame to its alpha, in 8 bits.
        compose: frame, matte and time to the picture to send.
        sink: where pictures go, once entered.
        sent: called with the number of frames sent so far, after each.

    Returns:
        The number of frames.
    """
    count = 0
    with source, sink as out:
        for frame in source:
            out.send(compose(frame, segment(frame), source.time), source.time)
            count += 1
            if sent is not None:
                sent(count)
    return count
