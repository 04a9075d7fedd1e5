"""The spans of a video joined: their packets as they are, with the source's sound, subtitles, chapters and names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import Packet, VideoStream
from av.container import OutputContainer

from figureground.atomic import atomic_path
from figureground.batch.folder import join_folders
from figureground.batch.options import Options
from figureground.batch.places import unchanged
from figureground.batch.plan import Job, matte_path
from figureground.batch.spans import Span, base_of, encoding_of, segment_name, work_folder
from figureground.encodings import FORMATS
from figureground.frames import main_video
from figureground.sinks import Clock, writing
from figureground.sources import VideoSource
from figureground.tracks import Tracks, describe, strip


@dataclass(frozen=True, slots=True)
class Joined:
    """A finished video: how many frames it has, and what of the source could not be kept, a few words each."""

    frames: int
    notes: tuple[str, ...]


def join(job: Job, options: Options, spans: Sequence[Span]) -> Joined:
    """Make the result of the files of all spans, and remove those; the result appears whole or not at all.

    Raises:
        VideoError: the source is damaged.
        OutputError: the result cannot be written.
    """
    folder = work_folder(job, options)
    parts = [folder / segment_name(job, span) for span in spans]
    with VideoSource(job.input) as like:
        if options.matte:
            mattes = [matte_path(part) for part in parts]
            _join(matte_path(job.output), mattes, spans, like, None)
        if job.output.suffix:
            made = _join(job.output, parts, spans, like, job.input, options.strip_metadata)
            made = Joined(made.frames, (*_shallow(job, options, like), *made.notes))
        else:
            with writing(job.output):
                made = Joined(join_folders(job.output, parts), _lost(job.input))
    shutil.rmtree(folder, ignore_errors=True)
    return made


def _join(
    path: Path,
    parts: Sequence[Path],
    spans: Sequence[Span],
    like: VideoSource,
    heard: Path | None,
    stripped: bool = False,
) -> Joined:
    clock = Clock(like, spans[0].first, spans[0].origin)
    bases = [base_of(path, clock, span) * clock.unit for span in spans]
    with atomic_path(path) as temporary, writing(path), ExitStack() as opened:
        if heard is not None:
            opened.enter_context(unchanged(heard))
        sound = None if heard is None else opened.enter_context(av.open(str(heard.absolute())))
        container = opened.enter_context(av.open(str(temporary), "w", format=FORMATS[path.suffix.lower()]))
        stream = _stream(container, parts[0], like)
        tracks = None
        if sound is not None:
            origin, end = spans[0].origin, spans[-1].end
            length = None if end is None else end - origin
            if (source := main_video(sound)) is not None:
                describe(source, stream)
            tracks = Tracks(sound, container, like.begin + origin, length, cut=origin > 0)
            if stripped:
                strip(container)
        count = 0
        for packet in _packets(parts, bases):
            time = (packet.pts or 0) * Fraction(packet.time_base)
            packet.stream = stream
            container.mux(packet)
            count += 1
            if tracks is not None:
                tracks.copy_until(time)
        if tracks is not None:
            tracks.finish()
        notes = [] if tracks is None else [*_square(parts[0], like), *tracks.notes]
        return Joined(count, tuple(notes))


def _shallow(job: Job, options: Options, like: VideoSource) -> Iterator[str]:
    """Where the source has more than 8 bits a channel: a word if the codec has not."""
    if like.deep and options.kind != "alpha" and not encoding_of(job, options, like).deep:
        other = "prores or ffv1" if options.transparent else "hevc or av1"
        yield f"colours of more than 8 bits written in 8: use --codec {other} to keep them"


def _square(part: Path, like: VideoSource) -> Iterator[str]:
    """Where pixels are not square: a word if codec and container have not kept that, as VP9 in WebM does not."""
    with av.open(str(part)) as opened:
        aspect = opened.streams.video[0].sample_aspect_ratio or Fraction(1)
    if abs(aspect / like.aspect - 1) > Fraction(1, 100):
        yield f"pixels of {like.aspect.numerator}:{like.aspect.denominator} shown square: use .mp4 or .mov to keep them"


def _stream(container: OutputContainer, part: Path, like: VideoSource) -> VideoStream:
    """The result's video, like that of its first part."""
    with av.open(str(part)) as opened:
        template = opened.streams.video[0]
        stream = container.add_stream_from_template(template, opaque=True)
        stream.codec_context.framerate = like.rate
        if container.format.name in ("mp4", "mov"):
            stream.codec_context.codec_tag = template.codec_context.codec_tag
        # By this Matroska tells that there is an alpha.
        stream.metadata.update({key: is_ for key, is_ in template.metadata.items() if key.lower() == "alpha_mode"})
        return stream


def _packets(parts: Sequence[Path], bases: Sequence[Fraction]) -> Iterator[Packet[Any]]:
    """The packets of all parts, decoded in their order: their decoding times are made anew, for those of a part begin
    before it, which is within the part before."""
    delay = max(_delay(_times(part)) for part in parts)
    before: list[int] | None = None  # the times of the `delay` frames before the part, in the order of their showing
    for part, base in zip(parts, bases, strict=True):
        with av.open(str(part)) as opened:
            stream = opened.streams.video[0]
            shift = round(base / Fraction(stream.time_base or 1))
            shown = sorted(time + shift for time in _times(part))
            if before is None:
                step = shown[1] - shown[0] if len(shown) > 1 else 1
                before = [shown[0] - number * step for number in range(delay, 0, -1)]
            decoded = iter(before + shown)
            for packet in opened.demux(stream):
                if packet.size:
                    packet.pts, packet.dts = (packet.pts or 0) + shift, next(decoded)
                    yield packet
            before = (before + shown)[len(shown) :]


def _times(part: Path) -> list[int]:
    """When the pictures of a file are shown, in the order they are stored in."""
    with av.open(str(part)) as opened:
        return [packet.pts or 0 for packet in opened.demux(video=0) if packet.size]


def _delay(times: Sequence[int]) -> int:
    """How many pictures a decoder holds back: by how many places the latest is stored behind its place in time."""
    places = {time: place for place, time in enumerate(sorted(times))}
    return max((number - places[time] for number, time in enumerate(times)), default=0)


def _lost(path: Path) -> tuple[str, ...]:
    with av.open(str(path.absolute())) as opened:
        others = len(opened.streams) - 1
        tracks = "track" if others == 1 else "tracks"
        return () if not others else (f"{others} other {tracks} not kept: a folder holds only pictures",)
