"""Where the live picture goes besides the page: opened, sent to and closed together; and the file among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from figureground.atomic import atomic_path
from figureground.encodings import FORMATS, encoding_for
from figureground.errors import OutputError
from figureground.pipeline import Sink
from figureground.sinks import VideoSink, writing

# In parts of a second: a file can be played up to wherever its writing ended.
_FRAGMENTS = {"movflags": "delay_moov+default_base_moof", "frag_duration": "1000000"}
_CLUSTERS = {"cluster_time_limit": "1000"}


class Outputs:
    """Every sink of a live picture. All threads may use it; after `close` nothing is sent to anybody.

    Args:
        sinks: each is entered by `open`, in this order.
    """

    def __init__(self, sinks: Sequence[AbstractContextManager[Sink]]) -> None:
        self._contexts, self._sinks, self._opened = sinks, list[Sink](), ExitStack()
        self._lock = Lock()

    def open(self) -> None:
        """All of them; where one cannot be, those before it are left as if nothing had been."""
        with ExitStack() as opened:
            self._sinks = [opened.enter_context(each) for each in self._contexts]
            self._opened = opened.pop_all()

    def send(self, picture: NDArray[np.uint8], at: Fraction) -> None:
        """To all of them; waits as long as they do."""
        with self._lock:
            for sink in self._sinks:
                sink.send(picture, at)

    def close(self, error: Exception | None, patience: float) -> None:
        """Finish what was written. With an `error` as if it had come up in between: a file is left as it was before.

        Args:
            error: why what was written is worth nothing.
            patience: seconds to wait for a sink that is being sent to, then it is left to itself.
        """
        if not self._lock.acquire(timeout=patience):
            return
        try:
            opened, self._opened, self._sinks = self._opened, ExitStack(), []
            if error is None:
                opened.close()
            else:
                opened.__exit__(type(error), error, error.__traceback__)
        finally:
            self._lock.release()


@dataclass(frozen=True, slots=True)
class Stream:
    """What a video file needs to know of pictures that come from no file."""

    width: int
    height: int
    rate: Fraction
    path: None = None
    aspect: Fraction = Fraction(1)
    tick: Fraction = Fraction(1, 1_000_000)
    begin: Fraction = Fraction(0)
    colorspace: int = int(Colorspace.ITU709)
    primaries: int = 1  # BT.709
    transfer: int = 1


class Recording:
    """A sink that writes a video. What a failure (a full disk) ends can be played up to there."""

    def __init__(self, sink: VideoSink, path: Path) -> None:
        self._sink, self._path = sink, path
        self.failed = False

    def send(self, picture: NDArray[np.uint8], at: Fraction) -> None:
        """Write one picture.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with writing(self._path):
                self._sink.send(picture, at)
        except OutputError as error:
            self.failed = True
            raise OutputError(f"{error}; what was recorded before is kept") from error

    def finish(self) -> None:
        self._sink.finish()


@contextmanager
def recording(path: Path, width: int, height: int, fps: float) -> Iterator[Recording]:
    """A video file of the live picture; it stands at `path` once this ends.

    Raises:
        OutputError: the suffix does not fit, or the file cannot be written.
    """
    encoding = encoding_for(path, transparent=False)
    format = FORMATS[path.suffix.lower()]
    options = _FRAGMENTS if format in ("mp4", "mov") else _CLUSTERS
    with atomic_path(path) as temporary, writing(path):
        container = av.open(str(temporary), "w", format=format, options=options)
        sink = Recording(
            VideoSink(container, encoding, Stream(width, height, Fraction(fps).limit_denominator(1001))), path
        )
        try:
            yield sink
            if not sink.failed:
                sink.finish()
        finally:
            try:
                container.close()
            except (av.error.FFmpegError, OSError):
                if not sink.failed:
                    raise
