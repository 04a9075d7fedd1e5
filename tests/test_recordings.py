"""Videos as recorders leave them: sound that is broken here and there or changes its kind, clocks that go back."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from figureground.batch import replace
from scenes import plain
from test_tracks import Tape, held, make_tape
from videos import SAMPLE_RATE, Look, counting, make_video, read_film

MPEG2 = Look(codec="mpeg2video", pixels="yuv420p")
SOUND = Tape(sounds=(("ac3", "deu", "Ton"),), subtitles=False)


def with_sound(source: Path, path: Path, change: Callable[[int, av.Packet], av.Packet]) -> Path:
    """The same file with other packets of sound."""
    with av.open(str(source)) as taken, av.open(str(path), "w") as container:
        streams = {stream.index: container.add_stream_from_template(stream) for stream in taken.streams}
        number = 0
        for packet in taken.demux():
            if packet.size:
                index = packet.stream_index
                if packet.stream.type == "audio":
                    times = packet.pts, packet.dts, packet.time_base, packet.duration
                    packet = change(number, packet)
                    packet.pts, packet.dts, packet.time_base, packet.duration = times
                    number += 1
                packet.stream = streams[index]
                container.mux(packet)
    return path


def loudness(path: Path) -> list[tuple[float, float]]:
    """When each piece of sound is heard, and how loud it is."""
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0)]
    return [(float((f.pts or 0) * f.time_base), float(np.abs(f.to_ndarray()).max())) for f in frames]


def test_a_broken_packet_of_sound_does_not_cost_the_video(tmp_path: Path, red_finder: Path) -> None:
    made = make_tape(tmp_path / "whole.mkv", SOUND)
    broken = with_sound(made, tmp_path / "in.mkv", lambda n, whole: av.Packet(b"\0\1torn") if n in (0, 40) else whole)
    (result,) = replace(broken, "#000000", tmp_path / "out.webm", model=red_finder)
    assert (result.status, result.reason) == ("done", "")
    assert "sound track 1 (ac3): 2 that cannot be read left out" in result.note
    heard = [time for time, loud in loudness(tmp_path / "out.webm") if loud > 0.1]
    assert heard[0] < 0.1
    assert heard[-1] > 2.9


def encoded(channels: str, into: Path) -> list[bytes]:
    with av.open(str(into), "w") as container:
        stream = container.add_stream("ac3", rate=SAMPLE_RATE, layout=channels)
        count = 1 if channels == "mono" else 2
        wave = 0.3 * np.sin(np.arange(3 * SAMPLE_RATE) / 20).astype(np.float32)
        for start in range(0, len(wave), 1536):
            piece = np.stack([wave[start : start + 1536]] * count)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=channels)
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(into)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_sound_that_changes_its_channels_is_kept_to_its_end(tmp_path: Path, red_finder: Path) -> None:
    stereo = encoded("stereo", tmp_path / "stereo.mkv")
    made = make_tape(tmp_path / "mono.mkv", SOUND)
    changing = with_sound(made, tmp_path / "in.mkv", lambda n, one: av.Packet(stereo[n]) if n >= 30 else one)
    (result,) = replace(changing, "#000000", tmp_path / "out.webm", model=red_finder)
    assert (result.status, result.reason) == ("done", "")
    heard = [time for time, loud in loudness(tmp_path / "out.webm") if loud > 0.1]
    assert heard[-1] > 2.9
    assert max(after - before for before, after in pairwise(heard)) < 0.1


def with_time(path: Path, packet: bytes, by: int) -> None:
    """Change the time of a packet in a Matroska file, by milliseconds; no muxer would write one that goes back."""
    content = bytearray(path.read_bytes())
    at = content.index(packet) - 3  # before a block's content: its track, its time in 16 bits, its flags
    time = int.from_bytes(content[at : at + 2], "big", signed=True) + by
    content[at : at + 2] = time.to_bytes(2, "big", signed=True)
    path.write_bytes(content)


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
def test_sound_whose_times_go_back_is_kept(tmp_path: Path, red_finder: Path, target: str) -> None:
    made = make_tape(tmp_path / "in.mkv", Tape(sounds=(("aac", "deu", "Ton"),), subtitles=False))
    with av.open(str(made)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    with_time(made, packets[60], -60)
    (result,) = replace(made, "#000000", tmp_path / target, model=red_finder)
    assert (result.status, result.reason) == ("done", "")
    assert "sound track 1 (aac, deu): times that went back put right: 1" in result.note
    (before,), (after,) = held(made), held(tmp_path / target)
    assert after.content == before.content
    late = [abs(now[0] - then[0]) for then, now in zip(before.times, after.times, strict=True)]
    assert max(late) < 0.07


@pytest.mark.parametrize("sound", [None, "mp2"])
def test_recordings_joined_byte_by_byte_are_told_before_the_work(
    tmp_path: Path, red_finder: Path, sound: str | None
) -> None:
    """The second one's clock begins anew; all of its pictures would stand within a millisecond."""
    pictures = counting(16) * 3
    made = make_video(tmp_path / "one.mpg", pictures, 25, MPEG2, sound=sound)
    made.write_bytes(made.read_bytes() * 2)
    (result,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder)
    assert result.status == "failed"
    assert "its clock goes back from 1.8" in result.reason
    assert "where recordings are joined; cut it there" in result.reason
    (part,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder, end=Fraction(1))
    assert part.status == "done"


@pytest.mark.parametrize(
    ("known", "unknown", "said"),
    [(b"A_AC3", b"A_XY3", "sound track 1 (audio, deu)"), (b"S_TEXT/UTF8", b"S_TEXT/XYZ1", "subtitles track 2 (sub")],
)
@pytest.mark.parametrize("target", ["out.mkv", "out.mp4"])
def test_a_track_of_an_unknown_kind_does_not_cost_the_video(
    tmp_path: Path, red_finder: Path, known: bytes, unknown: bytes, said: str, target: str
) -> None:
    """As a phone's newest sound."""
    made = make_tape(tmp_path / "in.mkv", Tape(sounds=(("ac3", "deu", "Ton"),)))
    made.write_bytes(made.read_bytes().replace(known, unknown))
    (result,) = replace(made, "#000000", tmp_path / target, model=red_finder)
    assert (result.status, result.reason) == ("done", "")
    note = next(note for note in result.note.split("; ") if note.startswith(said))
    assert note.endswith("not kept: of a kind that this FFmpeg does not know")
    assert len(held(tmp_path / target)) == 1


@pytest.mark.parametrize("rate", [4_000, 11_024, 96_000])
def test_sound_of_an_odd_rate_is_kept(tmp_path: Path, red_finder: Path, rate: int) -> None:
    """As of cameras whose clock divides that way; AAC knows few rates."""
    made = make_tape(tmp_path / "in.mkv", Tape(sounds=(("pcm_s16le", "deu", "Ton"),), subtitles=False, samples=rate))
    (result,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder)
    assert (result.status, result.reason) == ("done", "")
    heard = [time for time, loud in loudness(tmp_path / "out.mp4") if loud > 0.1]
    assert heard[0] < 0.1
    assert 2.9 < heard[-1] < 3.1


def boxes(content: bytes) -> list[bytes]:
    """The boxes of MP4, one after another (ISO 14496-12, 4.2)."""
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found.append(content[at : at + size])
        at += size
    return found


def test_a_cover_picture_is_not_the_video_though_it_comes_first(tmp_path: Path, red_finder: Path) -> None:
    made = tmp_path / "in.mp4"
    with av.open(str(made), "w") as container:
        video, cover = container.add_stream("mpeg4", rate=10), container.add_stream("mjpeg", rate=1)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        for stream, size, count in ((video, (64, 48), 5), (cover, (32, 32), 1)):
            for _ in range(count):
                frame = av.VideoFrame.from_ndarray(plain(*size, (255, 0, 0)), format="rgb24")
                container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            container.mux(stream.encode(None))
    *others, moov = boxes(made.read_bytes())
    head, *inner = boxes(moov[8:])
    # Some programs write what is said of a file, the cover with it, before its tracks.
    inner.sort(key=lambda box: box[4:8] != b"udta")
    made.write_bytes(b"".join([*others, moov[:8], head, *inner]))
    with av.open(str(made)) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic
    (result,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder)
    assert (result.status, result.frames, result.note) == (
        "done",
        5,
        "cover picture not kept: mp4 does not hold it",
    )
    assert read_film(tmp_path / "out.mp4").size == (64, 48)


def test_what_camcorders_and_phones_write_is_found_in_folders(tmp_path: Path, red_finder: Path) -> None:
    (tmp_path / "card").mkdir()
    for name in ("00001.mts", "00002.m2ts", "VTS_01_1.vob", "call.3gp"):
        written = tmp_path / "card" / (name if name != "00001.mts" else "00001.m2ts")  # FFmpeg's writer knows no .mts
        look = MPEG2 if name.endswith("vob") else Look(pixels="yuv420p")
        make_video(written, counting(5), 25, look).rename(tmp_path / "card" / name.upper())
    results = replace(tmp_path / "card", "#000000", tmp_path / "out", model=red_finder)
    assert [(result.status, result.frames) for result in results] == [("done", 5)] * 4
    assert all(result.output.endswith(".mp4") for result in results)
