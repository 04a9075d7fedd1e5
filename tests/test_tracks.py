"""What stands beside the pictures of a video is in the result too, at its time; what cannot be is named."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler
from av.stream import Disposition
from numpy.typing import NDArray

from figureground.batch import replace, spans
from figureground.batch.options import Options
from figureground.batch.plan import Job
from figureground.batch.video import replace_video
from figureground.engine import Engine
from scenes import plain
from videos import SAMPLE_RATE, read_sound

SAID = [(0.2, 0.8, "Good evening."), (1.2, 2.4, "And <i>welcome</i>."), (2.5, 2.9, "Good night.")]
CHAPTERS = [(0, 1000, "Beginning"), (1000, 3000, "End")]
ROOM = Options("composite", "#000000")


@dataclass(frozen=True)
class Tape:
    """What `make_tape` puts into a file."""

    sounds: Sequence[tuple[str, str, str]] = (("aac", "deu", "Ton"), ("aac", "fra", "Commentaire"))
    subtitles: bool = True
    seconds: int = 3
    rate: Fraction | int = 10
    samples: int = SAMPLE_RATE
    names: dict[str, str] = field(default_factory=lambda: {"title": "A wedding", "comment": "by the lake"})


def make_tape(path: Path, tape: Tape | None = None) -> Path:
    """Red pictures, sounds of several languages, subtitles, chapters, a font."""
    tape = tape or Tape()
    with av.open(str(path), "w") as container:
        container.metadata.update(tape.names)
        container.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for n, (start, end, title) in enumerate(CHAPTERS)
            ]
        )
        video = container.add_stream("libx264", rate=tape.rate, options={"g": "10", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        tracks = [_sound(container, tape.samples, *each) for each in tape.sounds]
        spoken = _subtitles(container, path) if tape.subtitles else None
        if path.suffix == ".mkv":
            container.add_attachment("letters.ttf", "font/ttf", b"no real font")
        for number in range(round(tape.seconds * tape.rate)):
            frame = av.VideoFrame.from_ndarray(plain(64, 48, (255, number % 13 * 16, 0)), format="rgb24")
            container.mux(video.encode(frame.reformat(format="yuv420p")))
        container.mux(video.encode(None))
        for number, track in enumerate(tracks):
            _tone(container, track, tape, 300 + 200 * number)
        if spoken is not None:
            _speak(container, spoken)
    return path


def _sound(container: Any, samples: int, codec: str, language: str, title: str) -> Any:
    stream = container.add_stream(codec, rate=samples, layout="mono")
    stream.metadata.update({"language": language, "title": title})
    stream.disposition = Disposition.default if language == "fra" else Disposition.comment
    return stream


def _tone(container: Any, stream: Any, tape: Tape, pitch: int) -> None:
    """It rises, so that no two packets are the same."""
    rate = tape.samples
    resampler = AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size)
    for second in range(tape.seconds):
        at = np.arange(rate) / rate
        wave = (0.3 * np.sin(2 * np.pi * (pitch + 7 * second + 40 * at) * at)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, second * rate, Fraction(1, rate)
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
    for piece in resampler.resample(None):
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def _subtitles(container: Any, path: Path) -> Any:
    codec = {".mkv": "subrip", ".webm": "webvtt"}.get(path.suffix, "mov_text")
    stream = container.add_mux_stream(codec, time_base=Fraction(1, 1000))
    stream.metadata.update({"language": "eng"})
    return stream


def _speak(container: Any, stream: Any) -> None:
    for start, end, text in SAID:
        content = text.encode()
        packet = av.Packet(
            len(content).to_bytes(2, "big") + content if container.format.name in ("mp4", "mov") else content
        )
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(start * 1000)
        packet.duration = round((end - start) * 1000)
        container.mux(packet)


@dataclass(frozen=True)
class Held:
    """A track as found in a file: its packets' content hashed, when they come and for how long."""

    kind: str
    codec: str
    language: str
    title: str
    default: bool
    content: str
    times: list[tuple[float, float]]


def held(path: Path) -> list[Held]:
    with av.open(str(path)) as container:
        return [_held(path, stream.index) for stream in container.streams if stream.type in ("audio", "subtitle")]


def _held(path: Path, index: int) -> Held:
    with av.open(str(path)) as container:
        stream = container.streams[index]
        # MP4 fills the silence between subtitles with empty ones, of two bytes.
        packets = [packet for packet in container.demux(stream) if packet.size > 2]
        content = hashlib.sha256(b"".join(bytes(packet) for packet in packets)).hexdigest()
        times = [
            (float((packet.pts or 0) * packet.time_base), float((packet.duration or 0) * packet.time_base))
            for packet in packets
        ]
        codec = stream.codec_context.codec.canonical_name
        title = stream.metadata.get("title") or stream.metadata.get("name") or ""
        default = bool(stream.disposition & Disposition.default)
        return Held(stream.type, codec, stream.metadata.get("language", ""), title, default, content, times)


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (
                float(each["start"] * each["time_base"]),
                float(each["end"] * each["time_base"]),
                each["metadata"]["title"],
            )
            for each in container.chapters()
        ]


def names(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_all_tracks_chapters_and_names_are_kept(tmp_path: Path, red_finder: Path, suffix: str) -> None:
    made = make_tape(tmp_path / f"in{suffix}")
    (result,) = replace(made, "#000000", tmp_path / f"out{suffix}", model=red_finder)
    assert (result.status, result.note) == ("done", "")
    before, after = held(made), held(tmp_path / f"out{suffix}")
    assert [each.kind for each in before] == ["audio", "audio", "subtitle"]
    for was, is_ in zip(before, after, strict=True):
        assert (is_.kind, is_.codec, is_.language, is_.title) == (was.kind, was.codec, was.language, was.title)
        assert (is_.default, is_.content) == (was.default, was.content)
        assert np.array(is_.times) == pytest.approx(np.array(was.times), abs=0.002)
    if suffix != ".mov":  # whose languages are a short list of its own
        assert [each.language for each in after] == ["deu", "fra", "eng"]
    assert chapters(tmp_path / f"out{suffix}") == chapters(made) == [(0, 1, "Beginning"), (1, 3, "End")]
    assert names(tmp_path / f"out{suffix}").items() >= {"title": "A wedding", "comment": "by the lake"}.items()
    if suffix == ".mkv":
        with av.open(str(tmp_path / "out.mkv")) as container:
            assert [(each.name, each.data) for each in container.streams.attachments] == [
                ("letters.ttf", b"no real font")
            ]


def test_what_another_container_does_not_hold_is_named(tmp_path: Path, red_finder: Path) -> None:
    made = make_tape(tmp_path / "in.mkv", Tape(sounds=(("flac", "deu", "Ton"), ("mp3", "fra", "Voix"))))
    (result,) = replace(made, "#000000", tmp_path / "out.webm", model=red_finder)
    assert result.note.split("; ") == [
        "sound track 1 (flac, deu) re-encoded to opus",
        "sound track 2 (mp3, fra) re-encoded to opus",
        "subtitles track 3 (subrip, eng) converted to webvtt",
        "attachment track 4 (attachment) not kept: webm does not hold it",
    ]
    after = held(tmp_path / "out.webm")
    assert [(each.codec, each.language) for each in after] == [("opus", "deu"), ("opus", "fra"), ("webvtt", "eng")]
    assert chapters(tmp_path / "out.webm")[1][2] == "End"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_part_has_the_sound_subtitles_and_chapters_of_that_part(
    tmp_path: Path, red_finder: Path, suffix: str
) -> None:
    made = make_tape(tmp_path / f"in{suffix}")
    out = tmp_path / f"out{suffix}"
    (result,) = replace(made, "#000000", out, model=red_finder, start=Fraction(2), end=Fraction(14, 5))
    assert (result.status, result.frames) == ("done", 8)
    sound, _, spoken = held(out)
    assert spoken.times == pytest.approx(np.array([(0, 0.4), (0.5, 0.3)]), abs=0.003)
    start, (last, long) = sound.times[0][0], sound.times[-1]
    assert 0 <= start < 0.025
    assert 0.75 < last + long < 0.83
    before, after = read_sound(made), read_sound(out)
    assert before is not None
    assert after is not None
    assert after.packets[2:5] == before.packets[before.packets.index(after.packets[2]) :][:3]
    # The packet that is heard first is the one that was heard then.
    at = before.packets.index(after.packets[0])
    shown = held(made)[0].times[at][0] - 2
    assert start == pytest.approx(shown, abs=0.002)
    ((begins, ends, title),) = chapters(out)
    assert (begins, ends, title) == (0, pytest.approx(0.8), "End")


def test_a_part_of_sound_that_is_encoded_anew_keeps_its_time(tmp_path: Path, red_finder: Path) -> None:
    made = make_tape(tmp_path / "in.mkv", Tape(sounds=(("flac", "deu", "Ton"),)))
    replace(made, "#000000", tmp_path / "out.webm", model=red_finder, start=Fraction(1), end=Fraction(2))
    sound, _ = held(tmp_path / "out.webm")
    assert -0.01 <= sound.times[0][0] < 0.1
    assert 0.97 < sound.times[-1][0] + sound.times[-1][1] < 1.1


@pytest.mark.parametrize(("source", "target", "seconds"), [("in.mkv", "out.mp4", 3600), ("in.mkv", "out.webm", 300)])
def test_after_long_sound_and_picture_are_together(
    tmp_path: Path, red_finder: Path, source: str, target: str, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture every ten seconds and real sound: an hour packet for packet, five minutes encoded anew."""
    monkeypatch.setattr(spans, "SPAN", Fraction(seconds, 4))
    hour = Tape(sounds=(("flac", "deu", "Ton"),), subtitles=False, seconds=seconds, rate=Fraction(1, 10), samples=8000)
    made = make_tape(tmp_path / source, hour)
    joined = replace_video(
        Job(made, tmp_path / target), Engine(red_finder), Options("composite", "#000000", str(red_finder)), None
    )
    assert joined.frames == seconds // 10
    film_before, film_after = ([*_picture_times(path)] for path in (made, tmp_path / target))
    (before,), (after,) = held(made), held(tmp_path / target)
    late = [film_after[n] - film_before[n] - (film_after[0] - film_before[0]) for n in (0, seconds // 20, -1)]
    assert late == pytest.approx([0, 0, 0], abs=0.002)
    waves = [
        _last_seconds(path, film[0] + seconds - 8)
        for path, film in ((made, film_before), (tmp_path / target, film_after))
    ]
    match = np.fft.irfft(np.fft.rfft(waves[1]) * np.conj(np.fft.rfft(waves[0])))
    at = int(np.argmax(match))
    delay = (at if at < len(match) / 2 else at - len(match)) / 8000
    assert abs(delay) < 0.04 * seconds / 3600  # one frame of 25 a second, in an hour
    if target.endswith("mp4"):
        assert (delay, after.content) == (0, before.content)


def _picture_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return sorted(float((packet.pts or 0) * packet.time_base) for packet in container.demux(video=0) if packet.size)


def _last_seconds(path: Path, begin: float) -> NDArray[np.float32]:
    """Eight seconds of sound from `begin` on, 8000 samples a second, and as much silence."""
    wave = np.zeros(16 * 8000, np.float32)
    resampler = AudioResampler(format="fltp", layout="mono", rate=8000)
    with av.open(str(path)) as container:
        container.seek(round((begin - 5) * 1_000_000))
        at = None
        for frame in container.decode(audio=0):
            if at is None:
                at = round((float((frame.pts or 0) * Fraction(frame.time_base or 0)) - begin) * 8000)
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray()[0]
                kept = samples[max(0, -at) :][: max(0, len(wave) // 2 - max(at, 0))]
                if at + len(samples) > 0:
                    wave[max(at, 0) : max(at, 0) + len(kept)] = kept
                at += len(samples)
    return wave


# ---- subtitles of another kind


def read_aloud(path: Path) -> list[tuple[float, float, str]]:
    """When subtitles come, for how long, and what they say, freed of what a kind adds to it."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        return [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base), rect.dialogue.decode())
            for packet in container.demux(stream)
            if packet.size
            for rect in stream.codec_context.decode2(packet) or ()
        ]


STYLED = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def subtitled(path: Path, codec: str, said: Sequence[tuple[float, float, bytes]], header: bytes = b"") -> Path:
    """Three seconds of red with subtitles whose packets hold just that."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix != ".webm" else "libvpx-vp9", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if header:
            stream: Any = container.add_stream(codec)
            stream.codec_context.subtitle_header, stream.codec_context.time_base = header, Fraction(1, 1000)
        else:
            stream = container.add_mux_stream(codec, time_base=Fraction(1, 1000))
        stream.metadata.update({"language": "por", "title": "Legendas"})
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(plain(64, 48, (255, 0, 0)), format="rgb24")
            container.mux(video.encode(frame.reformat(format="yuv420p")))
        container.mux(video.encode(None))
        for start, end, content in said:
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            container.mux(packet)
    return path


PLAIN = [(0.2, 0.8, "Olá.\nTudo bem?"), (1.2, 2.4, "日本語 & <3")]


def boxed(text: str) -> bytes:
    content = text.encode()
    return len(content).to_bytes(2, "big") + content


def escaped(text: str) -> bytes:
    return text.replace("&", "&amp;").replace("<", "&lt;").encode()


KINDS = [
    (".mkv", "subrip", ".mp4", "mov_text"),
    (".mkv", "subrip", ".mov", "mov_text"),
    (".mkv", "subrip", ".webm", "webvtt"),
    (".mp4", "mov_text", ".mkv", "subrip"),
    (".mp4", "mov_text", ".webm", "webvtt"),
    (".webm", "webvtt", ".mp4", "mov_text"),
    (".mkv", "webvtt", ".mov", "mov_text"),
]


@pytest.mark.parametrize(("source", "codec", "target", "becomes"), KINDS)
def test_subtitles_become_what_the_other_container_holds(
    tmp_path: Path, red_finder: Path, source: str, codec: str, target: str, becomes: str
) -> None:
    write = {"mov_text": boxed, "webvtt": escaped}.get(codec, str.encode)
    said = [(start, end, write(text)) for start, end, text in PLAIN]
    made = subtitled(tmp_path / f"in{source}", codec, said)
    (result,) = replace(made, "#000000", tmp_path / f"out{target}", model=red_finder)
    assert (result.status, result.note) == ("done", f"subtitles track 1 ({codec}, por) converted to {becomes}")
    (track,) = held(tmp_path / f"out{target}")
    assert (track.codec, track.language, track.title) == (becomes, "por", "Legendas")
    heard = read_aloud(tmp_path / f"out{target}")
    assert [text for *_, text in heard] == [text for *_, text in PLAIN]
    assert np.array([times for *times, _ in heard]) == pytest.approx(
        np.array([(start, end - start) for start, end, _ in PLAIN]), abs=0.002
    )


def test_styled_subtitles_keep_their_words_and_what_letters_can_show(tmp_path: Path, red_finder: Path) -> None:
    said = [
        (0.2, 0.8, b"0,0,Default,,0,0,0,,{\\i1}Boa{\\i0} noite"),
        (1.0, 2.0, b"1,0,Default,,0,0,0,,{\\pos(9,9)}Fim"),
    ]
    made = subtitled(tmp_path / "in.mkv", "ass", said, STYLED)
    (kept,) = replace(made, "#000000", tmp_path / "same.mkv", model=red_finder)
    assert kept.note == ""
    (result,) = replace(made, "#000000", tmp_path / "out.webm", model=red_finder)
    assert result.note == "subtitles track 1 (ass, por) converted to webvtt"
    with av.open(str(tmp_path / "out.webm")) as container:
        assert [bytes(packet) for packet in container.demux(subtitles=0) if packet.size] == [
            b"<i>Boa</i> noite",
            b"Fim",
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_subtitles_that_overlap_are_seen_together_where_one_is_seen_at_a_time(
    tmp_path: Path, red_finder: Path, suffix: str
) -> None:
    said = [(0.2, 0.8, "One"), (0.2, 0.8, "Two"), (0.5, 1.5, "<i>Three</i>"), (1.0, 2.0, "Four"), (2.5, 2.8, "Five")]
    made = subtitled(tmp_path / "in.mkv", "subrip", [(start, end, text.encode()) for start, end, text in said])
    (result,) = replace(made, "#000000", tmp_path / f"out{suffix}", model=red_finder)
    assert (result.status, result.note) == ("done", "subtitles track 1 (subrip, por) converted to mov_text")
    heard = read_aloud(tmp_path / f"out{suffix}")
    assert [text for *_, text in heard if text] == [
        "One\nTwo",
        "One\nTwo\n{\\i1}Three",
        "{\\i1}Three",
        "{\\i1}Three{\\r}\nFour",
        "Four",
        "Five",
    ]
    times = [(begin, begin + long) for begin, long, text in heard if text]
    want = [(0.2, 0.5), (0.5, 0.8), (0.8, 1.0), (1.0, 1.5), (1.5, 2.0), (2.5, 2.8)]
    assert np.array(times) == pytest.approx(np.array(want), abs=0.002)


def test_a_part_of_converted_subtitles_is_cut_like_any(tmp_path: Path, red_finder: Path) -> None:
    made = subtitled(tmp_path / "in.mkv", "subrip", [(start, end, text.encode()) for start, end, text in PLAIN])
    replace(made, "#000000", tmp_path / "out.mp4", model=red_finder, start=Fraction(2), end=Fraction(3))
    assert read_aloud(tmp_path / "out.mp4") == [(0.0, pytest.approx(0.4, abs=0.002), "日本語 & <3")]


def test_pictures_of_text_are_kept_where_they_can_be_and_named_elsewhere(tmp_path: Path, red_finder: Path) -> None:
    """Blu-ray's: a segment that says what is shown, nothing here, and one that ends it."""
    empty = b"\x16\x00\x0b" + bytes([0, 64, 0, 48, 16, 0, 1, 128, 0, 0, 0]) + b"\x80\x00\x00"
    made = subtitled(tmp_path / "in.mkv", "hdmv_pgs_subtitle", [(0.2, 0.8, empty), (1.0, 2.0, empty)])
    (kept,) = replace(made, "#000000", tmp_path / "out.mkv", model=red_finder)
    assert (kept.status, kept.reason, kept.note) == ("done", "", "")
    assert [each.content for each in held(tmp_path / "out.mkv")] == [each.content for each in held(made)]
    (result,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder)
    assert result.status == "done"
    assert result.note == "subtitles track 1 (hdmv_pgs_subtitle, por) not kept: mp4 does not hold it"


def test_subtitles_that_are_broken_do_not_cost_the_video(tmp_path: Path, red_finder: Path) -> None:
    said = [(0.2, 0.8, boxed("Good evening.")), (1.0, 2.0, b"\xff"), (2.2, 2.8, boxed("Good night."))]
    made = subtitled(tmp_path / "in.mp4", "mov_text", said)
    (result,) = replace(made, "#000000", tmp_path / "out.mkv", model=red_finder)
    assert (result.status, result.note) == (
        "done",
        "subtitles track 1 (mov_text, por) converted to subrip; "
        "subtitles track 1 (mov_text, por): 1 that cannot be read left out",
    )
    assert [text for *_, text in read_aloud(tmp_path / "out.mkv")] == ["Good evening.", "Good night."]


# ---- names that go

PHONE = {
    "title": "At home",
    "comment": "by the lake",
    "creation_time": "2026-11-28T05:00:00Z",
    "location": "+53.5500+009.9900/",
    "com.apple.quicktime.make": "Acme",
    "com.apple.quicktime.location.ISO6709": "+53.5500+009.9900/",
}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_stripped_of_metadata_nothing_says_where_and_when(tmp_path: Path, red_finder: Path, suffix: str) -> None:
    made = make_tape(tmp_path / f"in{suffix}", Tape(names=PHONE))
    for name, stripped in (("kept", False), ("bare", True)):
        replace(made, "#000000", tmp_path / f"{name}{suffix}", model=red_finder, strip_metadata=stripped)
    said = [(tmp_path / f"{name}{suffix}").read_bytes() for name in ("kept", "bare")]
    for word in (b"At home", b"by the lake"):
        assert [word in content for content in said] == [True, False]
    assert b"+53.5500" not in said[1]  # MP4 has no room for it anyway
    before, after = held(made), held(tmp_path / f"bare{suffix}")
    assert [(each.language, each.title) for each in after] == [(each.language, each.title) for each in before]
    assert chapters(tmp_path / f"bare{suffix}") == chapters(made)
    assert names(tmp_path / f"bare{suffix}").keys() <= {
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "duration",
    }
