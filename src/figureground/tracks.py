"""What a video holds beside its pictures, on its way into another file: sound, subtitles, chapters, names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import count
from typing import Any

from av import AudioFrame, AudioStream, Packet
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from figureground.frames import FFMPEG_ERRORS, main_video

# Sound that FFmpeg counts among a container's codecs but then does not write.
_REFUSED = {"mp4": ("pcm_",), "mov": ("flac", "opus", "vorbis")}
# By number of channels, for sound that is encoded anew: encoders know few layouts, and AVI names none.
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# What a file says of its own making, not of what it shows.
_OWN = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "bps", "number_of_", "_statistics")
_OWN_VIDEO = ("rotate", "timecode", "alpha_mode", "vendor_id")
# As what text stands in a container that does not hold the kind it was.
_TEXT = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_NO_TAG = re.compile(rb"<(?!/?[biu]>)")
_NEEDED = ("language", "title", "alpha_mode", "filename", "mimetype")  # the last two name attached fonts
LATE = 10  # seconds that sound may stand behind the pictures of its time in a file, when only a part of it is read


class Tracks:
    """The other tracks of `source`, packet for packet where `into` holds them; else sound and text are converted.

    Attributes:
        notes: what was re-encoded, converted or could not be kept, a few words each.

    Args:
        source: the file with the sound; read from here on.
        into: the file that is being written; nothing has been written to it yet.
        begin: what the source's clock says at the beginning of the result, in seconds.
        length: of the result in seconds; None: to the source's end.
        cut: whether `begin` is within the source, so that what comes before is left out.
    """

    def __init__(
        self,
        source: InputContainer,
        into: OutputContainer,
        begin: Fraction,
        length: Fraction | None = None,
        cut: bool = False,
    ) -> None:
        self._into, self._begin, self._length, self._cut = into, begin, length, cut
        self.notes: list[str] = []
        self._tracks: dict[int, _Track] = {}
        for stream in source.streams:
            self._add(stream, source)
        _name(source, into, begin, length)
        kept = [stream for stream in source.streams if stream.index in self._tracks]
        self._packets: Iterator[Packet[Any]] = source.demux(kept) if kept else iter(())
        self._waiting: Packet[Any] | None = None

    def _add(self, stream: Stream, source: InputContainer) -> None:
        if stream is main_video(source):
            return
        track: _Track | None = None
        if stream.type in ("audio", "subtitle") and stream.codec_context is None:
            self.notes.append(f"{_called(stream)} not kept: of a kind that this FFmpeg does not know")
            return
        if isinstance(stream, AudioStream):
            track = _Copied(stream, self._into) if _holds(self._into, stream) else _Encoded(stream, self._into)
            if isinstance(track, _Encoded):
                self.notes.append(f"{_called(stream)} re-encoded to {track.codec}")
        elif isinstance(stream, SubtitleStream):
            if _holds(self._into, stream):
                track = _Copied(stream, self._into)
            elif _is_text(stream):
                track = (_InTurn if _TEXT[self._into.format.name] == "mov_text" else _Converted)(stream, self._into)
                self.notes.append(f"{_called(stream)} converted to {_TEXT[self._into.format.name]}")
        elif stream.type == "attachment" and self._into.format.name == "matroska":
            self._into.add_attachment(stream.name or "", stream.mimetype or "", stream.data)  # type: ignore[attr-defined]
            return
        if track is not None:
            self._tracks[stream.index] = track
        elif not _holds_chapters(stream, source):
            self.notes.append(f"{_called(stream)} not kept: {self._into.format.name} does not hold it")

    def copy_until(self, time: Fraction | None) -> None:
        """Move the packets up to `time` seconds, all that are left if None."""
        while True:
            packet = self._next() if self._waiting is None else self._waiting
            if packet is None:
                return
            self._waiting = packet
            if time is not None and packet.pts is not None and packet.pts * Fraction(packet.time_base) > time:
                return
            self._waiting = None
            self._tracks[packet.stream_index].take(packet)

    def finish(self) -> None:
        """Move all that is left, and what encoders still hold."""
        self.copy_until(None)
        for track in self._tracks.values():
            track.finish()
            if isinstance(track, _Copied):
                if track.moved:
                    self.notes.append(f"{track.called}: times that went back put right: {track.moved}")
            elif track.unread:
                self.notes.append(f"{track.called}: {track.unread} that cannot be read left out")

    def _next(self) -> Packet[Any] | None:
        for packet in self._packets:
            if not packet.size:
                continue
            if packet.pts is None:  # nobody knows where it belongs but behind the one before
                return packet
            base = Fraction(packet.time_base)
            shift = round(self._begin / base)
            packet.pts, packet.dts = packet.pts - shift, None if packet.dts is None else packet.dts - shift
            at = packet.pts * base
            if self._length is not None and at > self._length + LATE:
                return None
            if self._within(packet, at):
                return packet
        return None

    def _within(self, packet: Packet[Any], at: Fraction) -> bool:
        """Whether it belongs to the part that is wanted; a subtitle that reaches into it is shortened."""
        base, long = Fraction(packet.time_base), packet.duration or 0
        if self._length is not None and at >= self._length:
            return False
        if packet.stream.type == "subtitle":
            if self._length is not None:
                long = min(long, round((self._length - at) / base))
            if self._cut and at < 0:
                long, packet.pts, packet.dts = long + (packet.pts or 0), 0, 0
            packet.duration = max(long, 0)
            return long > 0 or not self._cut
        return at >= 0 or not self._cut


class _Copied:
    """A track packet for packet.

    Attributes:
        called: the track, as its owner knows it.
        moved: how many packets came before the one before them, which no container holds: they come right after it.
    """

    def __init__(self, stream: Any, into: OutputContainer) -> None:
        self._into, self.called, self.moved = into, _called(stream), 0
        self._stream = into.add_stream_from_template(stream)
        describe(stream, self._stream)
        self._may_meet = into.format.name in ("matroska", "webm")  # two packets of one time
        self._last: int | None = None

    def take(self, packet: Packet[Any]) -> None:
        if packet.dts is not None:
            last = packet.dts - 1 if self._last is None else self._last
            if packet.dts < last or (packet.dts == last and not self._may_meet):
                self._move(packet, last)
            self._last = packet.dts
        packet.stream = self._stream
        self._into.mux(packet)

    def _move(self, packet: Packet[Any], last: int) -> None:
        at = last + (max(1, packet.duration or 0) if self._stream.type == "audio" else 1)
        packet.pts, packet.dts = (packet.pts or 0) + at - (packet.dts or 0), at
        self.moved += 1

    def finish(self) -> None:
        """Nothing is held back."""


class _Encoded:
    """Sound that is encoded anew; where a packet cannot be read there is silence.

    Attributes:
        called: the track, as its owner knows it.
        unread: how many packets could not be read.
    """

    def __init__(self, stream: AudioStream, into: OutputContainer) -> None:
        self._into, self.called, self.unread = into, _called(stream), 0
        codec = "libopus" if into.format.name == "webm" else "aac"
        self.codec = codec.removeprefix("lib")
        # Of AAC's rates those up to this; a camera's 11024 Hz, say, is none.
        rate = stream.rate if codec == "aac" and stream.rate in _RATES else 48_000
        added = into.add_stream(codec, rate=rate, layout=_LAYOUTS.get(stream.channels, "stereo"))
        assert isinstance(added, AudioStream)
        describe(stream, added)
        self._source, self._stream, self._rate = stream, added, rate
        self._kind: tuple[str, str, int] | None = None  # of the sound that `_alike` takes
        self._alike = self._resampler()
        self._pieces = self._resampler(added.frame_size)

    def take(self, packet: Packet[Any]) -> None:
        try:
            frames = packet.decode()
        except FFMPEG_ERRORS:
            self.unread += 1
            return
        self._encode(frames)

    def finish(self) -> None:
        with suppress(*FFMPEG_ERRORS):
            self._encode(self._source.decode(None))
        self._write(self._alike.resample(None))
        self._write([None])
        self._into.mux(self._stream.encode(None))

    def _resampler(self, frame_size: int | None = None) -> AudioResampler:
        stream = self._stream
        return AudioResampler(format=stream.format, layout=stream.layout, rate=self._rate, frame_size=frame_size)

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            assert isinstance(frame, AudioFrame)
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if kind != self._kind and self._kind is not None:  # a broadcast's sound changes from film to advertisement
                self._write(self._alike.resample(None))
                self._alike = self._resampler()
            self._kind = kind
            self._write(self._alike.resample(frame))

    def _write(self, frames: Sequence[AudioFrame | None]) -> None:
        for frame in frames:
            for piece in self._pieces.resample(frame):
                self._into.mux(self._stream.encode(piece))


class _Converted:
    """Subtitles that are text, as text of another kind; what only the old kind can say (fonts, places) goes.

    Attributes:
        called: the track, as its owner knows it.
        unread: how many could not be read.
    """

    def __init__(self, stream: SubtitleStream, into: OutputContainer) -> None:
        self._into, self._read, self.called = into, stream.codec_context, _called(stream)
        self._stream = into.add_stream(_TEXT[into.format.name])
        assert isinstance(self._stream, SubtitleStream)
        describe(stream, self._stream)
        self._read.open(strict=False)
        self._write = self._stream.codec_context
        self._write.subtitle_header = self._read.subtitle_header
        self._write.time_base = Fraction(1, 1000)
        self.unread = 0

    def take(self, packet: Packet[Any]) -> None:
        try:
            said = self._read.decode2(packet)
            if said is not None:
                self._say(said, packet)
        except FFMPEG_ERRORS:
            self.unread += 1

    def _say(self, said: SubtitleSet, packet: Packet[Any]) -> None:
        self._put(said, packet.pts or 0, packet.duration or 0, packet.time_base)

    def _put(self, said: SubtitleSet, at: int, long: int, base: Fraction) -> None:
        content = bytes(self._write.encode_subtitle(said))
        if self._write.name == "webvtt":  # FFmpeg forgets to write it so
            content = _NO_TAG.sub(b"&lt;", content.replace(b"&", b"&amp;"))
        if not content:
            return  # as MP4 has between two
        made = Packet(content)
        made.stream, made.time_base = self._stream, base
        made.pts = made.dts = at
        made.duration = long
        self._into.mux(made)

    def finish(self) -> None:
        """Nothing is held back."""


class _InTurn(_Converted):
    """The same for MP4 and MOV, which show one after the other: while several are to be seen, one says them all."""

    def __init__(self, stream: SubtitleStream, into: OutputContainer) -> None:
        super().__init__(stream, into)
        self._shown: list[tuple[int, bytes]] = []  # until when, and the words
        self._at, self._base = 0, Fraction(1)

    def _say(self, said: SubtitleSet, packet: Packet[Any]) -> None:
        begin, self._base = packet.pts or 0, packet.time_base
        self._show(begin)
        self._at = max(self._at, begin)
        # Before the words FFmpeg has eight other fields, as ASS does.
        lines = [rect.ass.split(b",", 8)[-1] for rect in said if isinstance(rect, AssSubtitle)]
        if words := b"\\N".join(line for line in lines if line):
            self._shown.append((begin + (packet.duration or 0), words))

    def finish(self) -> None:
        self._show(max((end for end, _ in self._shown), default=0))

    def _show(self, until: int) -> None:
        """Write what is seen up to a time."""
        while self._shown and self._at < until:
            to = min(until, *(end for end, _ in self._shown))
            if to > self._at:
                words = b"\\N{\\r}".join(words for _, words in self._shown)
                said = SubtitleSet.create(b"0,0,Default,,0,0,0,," + words, 0, to - self._at)
                self._put(said, self._at, to - self._at, self._base)
            self._at = max(self._at, to)
            self._shown = [(end, words) for end, words in self._shown if end > to]


_Track = _Copied | _Encoded | _Converted


def _is_text(stream: SubtitleStream) -> bool:
    """Whether they are letters, not pictures of letters, and of a kind that is known here."""
    return stream.codec_context is not None and stream.codec_context.codec.text_sub


def _holds(into: OutputContainer, stream: Stream) -> bool:
    codec, container = stream.codec_context.codec, into.format.name
    names = {codec.name, codec.canonical_name}  # as FFmpeg calls pictures of text pgssub and hdmv_pgs_subtitle
    return bool(names & into.supported_codecs) and not codec.canonical_name.startswith(_REFUSED.get(container, ()))


def describe(stream: Stream, added: Stream) -> None:
    """Give a track the language, title and so on of another one, and whether players choose it."""
    own = _OWN_VIDEO + _OWN if stream.type == "video" else _OWN
    added.metadata.update({key: value for key, value in stream.metadata.items() if not key.lower().startswith(own)})
    if "name" in stream.metadata:  # as which MP4 and MOV give a title that they were given
        added.metadata.setdefault("title", stream.metadata["name"])
    added.disposition = stream.disposition


def strip(into: OutputContainer) -> None:
    """Leave nothing in a file, before anything is written to it, that says when, where and by whom it was made.

    Languages and titles of tracks stay, for one chooses by them, and chapters.
    """
    into.metadata.clear()
    for stream in into.streams:
        kept = {key: is_ for key, is_ in stream.metadata.items() if key.lower() in _NEEDED}
        stream.metadata.clear()
        stream.metadata.update(kept)


def _called(stream: Stream) -> str:
    """A track as its owner knows it: its kind, number, codec and language."""
    if stream.disposition & Disposition.attached_pic:
        return "cover picture"
    kind = {"audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
    codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else stream.type
    what = ", ".join(word for word in (codec, stream.metadata.get("language")) if word not in (None, "und"))
    return f"{kind} track {stream.index} ({what})"


def _holds_chapters(stream: Stream, source: InputContainer) -> bool:
    """Whether a track of MP4 and MOV only names the chapters, which are kept."""
    return stream.type == "data" and bool(source.chapters()) and "mp4" in source.format.name


def _name(source: InputContainer, into: OutputContainer, begin: Fraction, length: Fraction | None) -> None:
    """Title, date, place and so on; the chapters, as far as they are within the result."""
    into.metadata.update({key: value for key, value in source.metadata.items() if not key.lower().startswith(_OWN)})
    chapters, numbers = [], count()
    for chapter in source.chapters():
        base = Fraction(chapter["time_base"] or 1)
        start, end = max(Fraction(0), chapter["start"] * base - begin), chapter["end"] * base - begin
        if length is not None:
            end = min(end, length)
        if start < end:
            times = {"start": round(start * 1000), "end": round(end * 1000), "time_base": Fraction(1, 1000)}
            chapters.append({"id": next(numbers), **times, "metadata": dict(chapter["metadata"])})
    if chapters:
        into.set_chapters(chapters)  # type: ignore[arg-type]
