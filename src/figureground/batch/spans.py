"""A long video in spans: each a file of its own, made one after the other, by a run that goes on, or on many machines.

Every video is made this way, so that the result is the same however it was made: in one go, killed and gone on with, or
by a cluster. `split` says which spans there are, `replace_span` makes the file of one, `join.join` makes the result of
them and removes them; all three find the files by `work_folder`, which follows from the job, the options and the
input's content alone.

**Why no seam shows.** A span begins at a key frame of the source. Before its first frame the last OVERLAP seconds of
the span before go through the network again, and through its stabiliser and refiner, decoded from a key frame on: what
these remember, most of it for less than temporal.PATIENCE, is then much what it was. So a seam is not bit for bit what
one pass without spans gives; `tests/test_spans.py` bounds the difference. A background video is put where it would be.
Frames are chosen by their times, never by packets: none is missing or double where groups of pictures are open.
"""

from __future__ import annotations

import glob
import hashlib
import heapq
import json
import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from figureground.arrays import Frame, Matte
from figureground.atomic import atomic_path
from figureground.backgrounds import Background, make_background, slides
from figureground.batch.compose import Deepened, grey_as_rgb, make_compose, of_deep_frames
from figureground.batch.content import model_hashes
from figureground.batch.folder import frames_folder
from figureground.batch.options import Options
from figureground.batch.plan import Job, matte_path
from figureground.encodings import FORMATS, Encoding, encoding_for
from figureground.engine import Model
from figureground.errors import VideoError
from figureground.pipeline import Compose, Picture, Sink, Source, run
from figureground.refine import Refiner
from figureground.sinks import Clock, VideoSink, writing
from figureground.sources import VideoSource
from figureground.temporal import Stabiliser
from figureground.version import __version__

SPAN = Fraction(30)  # seconds at least: what a kill loses, and what a machine takes at a time
OVERLAP = Fraction(3)  # seconds: a tenth of the work, for what the stabiliser remembers
BACK = Fraction(1)  # seconds by which a clock may go back: the pictures of that time stand close together in the result
SAMPLE = 1 << 20  # bytes that are read of a file at its beginning, middle and end to tell it from others


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video.

    Attributes:
        number: from 0 on.
        key: the time of the key frame where decoding begins; None: the file's beginning.
        start: the time of its first frame.
        end: the time of the next span's first frame; None: the video's end.
        frames: how many it has, as far as packets tell.
        first: the time of the result's first frame. All times are in seconds from the source's beginning.
        origin: the time that is 0 in the result.
    """

    number: int
    key: Fraction | None
    start: Fraction
    end: Fraction | None
    frames: int
    first: Fraction
    origin: Fraction


def split(path: Path, options: Options) -> list[Span]:
    """The spans of what is wanted of a video, found by reading it through once without decoding it.

    Raises:
        VideoError: it is damaged, cut short, begins anew in the middle, or has nothing where `options` want a part.
    """
    with VideoSource(path) as source:
        found = _Found(options)
        for time, key in source.times():
            if key and found.passed(time):
                break
            if key and time < found.last - BACK:
                back = f"goes back from {float(found.last):.2f} to {float(time):.2f} s"
                raise VideoError(f"{path}: its clock {back}, as where recordings are joined; cut it there")
            found.add(time, key)
    if not found.count:
        where = f"from {float(options.start):g} s on" if found.last < options.start else "in that part"
        raise VideoError(f"{path}: no frames {where}; it is {float(found.last):.2f} seconds long")
    return found.spans()


class _Found:
    """What is found out about a video while its packets pass."""

    def __init__(self, options: Options) -> None:
        self._start, self._end, self._limit = options.start, options.end, options.frames
        self._ordered = True
        self._keys: list[Fraction] = []  # the latest, one of them at least OVERLAP ago
        self._first: Fraction | None = None
        self._key: Fraction | None = None  # where decoding of the first span begins
        self._seams: list[tuple[Fraction, Fraction | None]] = []  # where a span begins, and where its decoding does
        self._counts = [0]
        self._earliest: list[Fraction] = []  # a heap, of negative times: as many frames as are wanted, and one
        self.count, self.last = 0, Fraction(0)

    def passed(self, key: Fraction) -> bool:
        """Whether nothing that is wanted can come from this key frame on."""
        full = self._limit is not None and len(self._earliest) > self._limit and key > -self._earliest[0]
        return self._ordered and (full or (self._end is not None and key >= self._end))

    def add(self, time: Fraction, key: bool) -> None:
        self.last = max(self.last, time)
        if key:
            self._add_key(time)
        if time < self._start or (self._end is not None and time >= self._end):
            return
        self.count += 1
        if self._first is None and self._start and self._keys:
            self._key = self._keys[0]
        self._first = time if self._first is None else min(self._first, time)
        self._counts[bisect_right(self._seams, time, key=lambda seam: seam[0])] += 1
        if self._limit is not None:
            heapq.heappush(self._earliest, -time)
            if len(self._earliest) > self._limit + 1:
                heapq.heappop(self._earliest)

    def _add_key(self, time: Fraction) -> None:
        if self._keys and time <= self._keys[-1]:
            self._ordered = False
        self._keys.append(time)
        while len(self._keys) > 1 and self._keys[1] <= max(time, self._start) - OVERLAP:
            self._keys.pop(0)
        begun = self._seams[-1][0] if self._seams else self._first
        if begun is not None and time >= begun + SPAN and self._keys[0] <= time - OVERLAP:
            self._seams.append((time, self._keys[0]))
            self._counts.append(0)

    def spans(self) -> list[Span]:
        assert self._first is not None
        end, first = self._end, self._first
        if self._limit is not None and len(self._earliest) > self._limit:
            end = -self._earliest[0]
        origin = first if self._start else Fraction(0)
        seams = [seam for seam in self._seams if end is None or seam[0] < end] if self._ordered else []
        starts = [(first, self._key if self._ordered else None), *seams]
        ends = [*(seam[0] for seam in seams), end]
        counts = self._counts[: len(starts)] if seams else [sum(self._counts)]
        counts[-1] = min(counts[-1], (self._limit or self.count) - sum(counts[:-1]))
        return [
            Span(number, key, start, until, frames, first, origin)
            for number, ((start, key), until, frames) in enumerate(zip(starts, ends, counts, strict=True))
        ]


def replace_span(
    job: Job, options: Options, span: Span, model: Model, sent: Callable[[int], object] | None = None
) -> Path:
    """Make the file of one span, pictures only; one that is there already, and whole, is left as it is.

    The file appears whole or not at all, so several may try the same one.

    Args:
        job: the video and where its result is to be.
        options: as for all spans of it.
        span: one of `split(job.input, options)`.
        model: `options.model`, opened.
        sent: called with the number of the span's frames done, after each.

    Raises:
        VideoError: the source is damaged.
        OutputError: the file cannot be written.
    """
    path = work_folder(job, options) / segment_name(job, span)
    if _is_whole(path, span) and (not options.matte or _is_whole(matte_path(path), span)):
        return path
    if path.is_dir():
        shutil.rmtree(path)  # a file is replaced by the new one, a folder is not
    with VideoSource(job.input, span.key, span.end) as source, ExitStack() as sinks:
        # Closed in reverse: the picture's file comes last, and says that the span is done.
        encoding = encoding_of(job, options, source)
        sink = sinks.enter_context(_segment(job.output, path, encoding, source, span))
        compose = _compose(options, span, source)
        if options.matte:
            matte = matte_path(job.output)
            mattes = _segment(matte, matte_path(path), encoding_for(matte, False), source, span)
            compose = _keeping(compose, sinks.enter_context(mattes))
        warmed = _Warmed(source, span, steady(model, source))
        run(warmed, warmed.segment, compose, nullcontext(sink), sent)
    return path


def _is_whole(path: Path, span: Span) -> bool:
    """Whether a file has all pictures of its span: after a power cut it may be one that the disk never wrote."""
    if path.is_dir():
        sizes = [file.stat().st_size for file in path.iterdir()]
        return len(sizes) == span.frames and all(sizes)
    try:
        with av.open(str(path)) as opened:
            pictures = opened.demux(video=0) if opened.streams.video else ()
            return sum(packet.size > 0 for packet in pictures) == span.frames
    except av.FFmpegError:  # one that is not there, too
        return False


class _Warmed:
    """The frames of a span, after those before it have gone through what segments them."""

    def __init__(self, source: VideoSource, span: Span, segment: Callable[[Frame], Matte]) -> None:
        self._source, self._span, self.segment = source, span, segment
        self.time = span.start

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            self.time = self._source.time
            if self.time >= self._span.start:
                yield frame
            elif self.time >= self._span.start - OVERLAP:
                self.segment(frame)

    def __enter__(self) -> _Warmed:
        return self

    def __exit__(self, *args: object) -> None:
        """The source is closed by who opened it."""


@contextmanager
def _segment(result: Path, path: Path, encoding: Encoding, like: VideoSource, span: Span) -> Iterator[Sink]:
    """The file of a span, a part of `result`."""
    if encoding.codec == "png":
        with frames_folder(path) as folder, writing(result):
            yield folder
        return
    kind, clock = FORMATS[path.suffix.lower()], Clock(like, span.first, span.origin)
    with (
        atomic_path(path) as temporary,
        writing(result),
        av.open(str(temporary), "w", format=kind) as container,
    ):
        sink = VideoSink(container, encoding, like, clock, base_of(path, clock, span))
        yield sink
        sink.finish()


def base_of(path: Path, clock: Clock, span: Span) -> int:
    """What is to be added to the times in a span's file.

    MP4 and MOV are exact only if they begin at 0; Matroska rounds to milliseconds, and rounding twice must not add up.
    """
    return clock(span.start) if FORMATS[path.suffix.lower()] in ("mp4", "mov") else 0


def encoding_of(job: Job, options: Options, source: VideoSource) -> Encoding:
    """How the result is encoded; a matte has 8 bits whatever the source has."""
    return encoding_for(job.output, options.transparent, options.codec, source.deep and options.kind != "alpha")


def _compose(options: Options, span: Span, source: VideoSource) -> Compose:
    if options.kind == "alpha":
        return lambda _, matte, __: grey_as_rgb(matte)
    # A background keeps its place from frame to frame, so every span gets its own.
    background = make_background(options.background) if options.kind == "composite" else None
    if background is not None:
        background = _placed(Deepened(background, source) if source.deep else background, span.first)
    compose = make_compose(options.kind, background)
    return of_deep_frames(compose, source) if source.deep else compose


def _placed(background: Background, first: Fraction) -> Background:
    """The same as if it had been shown since `first`."""
    begun = False

    def shown(frame: Frame, matte: Matte, time: Fraction) -> Frame:
        nonlocal begun
        if not begun:
            background(frame, matte, first)
            begun = True
        return background(frame, matte, time)

    return shown


def _keeping(compose: Compose, mattes: Sink) -> Compose:
    """The same, which sends the matte to `mattes` besides."""

    def composed(frame: Frame, matte: Matte, time: Fraction) -> Picture:
        mattes.send(grey_as_rgb(matte), time)
        return compose(frame, matte, time)

    return composed


def steady(model: Model, source: Source) -> Callable[[Frame], Matte]:
    """What `model` does, for the frames of a video: steady where the picture stands still."""
    stabiliser, refiner = Stabiliser(), Refiner()

    def segment(frame: Frame) -> Matte:
        return refiner(frame, stabiliser(*model.look(frame), source.time), source.time)

    return segment


def work_folder(job: Job, options: Options) -> Path:
    """Where the files of the spans stand until they are joined: hidden, beside the result.

    Its name tells what goes into them, so that no file of another input or of other options is ever taken for one.
    """
    made = {
        "input": _content(job.input),
        "model": model_hashes(options.model),
        "background": _content(Path(options.background)) or options.background,
        "options": [options.kind, options.codec, options.matte, options.frames, str(options.start), str(options.end)],
        "spans": [str(SPAN), str(OVERLAP)],
        "by": [__version__, av.__version__],
    }
    return job.output.parent / f"{_spans_of(job.output)}{_digest(json.dumps(made).encode())[:16]}.spans"


def work_folders(output: Path) -> list[Path]:
    """Those of all calls for this result, and of no other."""
    return [*output.parent.glob(f"{glob.escape(_spans_of(output))}{'[0-9a-f]' * 16}.spans")]


def _spans_of(output: Path) -> str:
    """What their names begin with: long ones may differ at their end only, and have 255 bytes in all."""
    return f".{output.name[:40]}.{_digest(os.fsencode(output.name))[:8]}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def segment_name(job: Job, span: Span) -> str:
    """What the file of a span is called there."""
    return f"{span.number:06}{job.output.suffix.lower()}"


def _content(path: Path) -> str:
    """Tells a file from others by its size and a good part of its content; not by its time, which copies change."""
    if path.is_dir():
        return " ".join(f"{child.name} {_content(child)}" for child in slides(path))
    if not path.is_file():
        return ""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for at in (0, size // 2, max(0, size - SAMPLE)):
            file.seek(at)
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()
