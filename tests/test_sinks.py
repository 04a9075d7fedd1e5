"""What is written holds every picture at its time, in its size and colours, with the sound; or does not exist."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.encodings import encoding_for
from figureground.errors import OutputError
from figureground.sinks import on_grid, video_sink
from figureground.sources import VideoSource
from scenes import GREEN, RED, figure_alpha, largest_difference, make_scene, patches, plain
from videos import (
    BT601,
    BT709,
    H264,
    MPEG4,
    SAMPLE_RATE,
    VP9,
    Film,
    Look,
    count,
    counting,
    make_video,
    read_film,
    read_rgba,
    read_sound,
)

NTSC, CINEMA = Fraction(30_000, 1001), Fraction(24_000, 1001)


def copy(source: Path, target: Path) -> Path:
    """Every frame as it is."""
    with VideoSource(source) as frames, video_sink(target, like=frames) as sink:
        for frame in frames:
            sink.send(frame, frames.time)
    return target


def since_first(film: Film) -> list[Fraction]:
    return [time - film.times[0] for time in film.times]


@pytest.mark.parametrize("rate", [Fraction(30), NTSC, CINEMA, Fraction(25)])
@pytest.mark.parametrize(
    ("source", "target"), [("in.mp4", "out.mp4"), ("in.mkv", "out.mp4"), ("in.mp4", "out.mov"), ("in.mov", "out.mp4")]
)
def test_frames_size_rate_and_duration_are_kept_exactly(
    tmp_path: Path, source: str, target: str, rate: Fraction
) -> None:
    made = make_video(tmp_path / source, counting(15), rate)
    film = read_film(copy(made, tmp_path / target))
    assert count(film.pictures) == list(range(15))
    assert film.size == (48, 32)
    assert film.rate == rate
    assert film.times == [n / rate for n in range(15)]
    assert film.duration == pytest.approx(15 / rate, abs=0.001)


@pytest.mark.parametrize("rate", [Fraction(30), CINEMA])
@pytest.mark.parametrize("source", ["in.mp4", "in.mkv"])
@pytest.mark.parametrize("target", ["out.webm", "out.mkv"])
def test_times_are_kept_to_the_millisecond_where_the_container_knows_no_better(
    tmp_path: Path, source: str, target: str, rate: Fraction
) -> None:
    film = read_film(copy(make_video(tmp_path / source, counting(15), rate, H264), tmp_path / target))
    assert count(film.pictures) == list(range(15))
    assert all(abs(time - n / rate) <= Fraction(1, 2000) for n, time in enumerate(film.times))
    assert film.duration == pytest.approx(15 / rate, abs=0.002)


@pytest.mark.parametrize("name", ["in.avi", "in.ts", "in.webm"])
def test_other_containers_become_mp4(tmp_path: Path, name: str) -> None:
    look = {"in.avi": MPEG4, "in.ts": H264, "in.webm": VP9}[name]
    film = read_film(copy(make_video(tmp_path / name, counting(15), 25, look), tmp_path / "out.mp4"))
    assert count(film.pictures) == list(range(15))
    assert film.codec == "h264"
    assert film.rate == 25
    assert since_first(film) == [Fraction(n, 25) for n in range(15)]


UNSTEADY = [Fraction(n, 1000) for n in (0, 40, 50, 150, 400, 407, 500, 900)]


@pytest.mark.parametrize("source", ["in.mp4", "in.mkv"])
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.webm"])
def test_unsteady_times_are_kept(tmp_path: Path, source: str, target: str) -> None:
    made = make_video(tmp_path / source, counting(8), 30, H264, UNSTEADY)
    film = read_film(copy(made, tmp_path / target))
    assert count(film.pictures) == list(range(8))
    assert [float(time) for time in film.times] == pytest.approx([float(time) for time in UNSTEADY], abs=0.0011)


def test_a_time_that_comes_twice_loses_no_picture(tmp_path: Path) -> None:
    made = make_video(tmp_path / "in.mp4", counting(4))
    with VideoSource(made) as frames, video_sink(tmp_path / "out.mp4", like=frames) as sink:
        for frame in frames:
            sink.send(frame, Fraction(0))
    film = read_film(tmp_path / "out.mp4")
    assert count(film.pictures) == [0, 1, 2, 3]
    assert len(set(film.times)) == 4


def test_a_steady_rate_stays_steady_where_sound_begins_before_the_picture(tmp_path: Path) -> None:
    """In Matroska the start of AAC sound pushes the picture off the grid of milliseconds that a rate of 30 has."""
    made = make_video(tmp_path / "in.mp4", counting(15), 30, H264, sound="aac")
    between = copy(made, tmp_path / "between.mkv")
    assert read_film(between).times[0] > 0
    film = read_film(copy(between, tmp_path / "out.mp4"))
    assert since_first(film) == [Fraction(n, 30) for n in range(15)]
    assert film.rate == 30


@given(st.integers(0, 10_000), st.sampled_from([Fraction(30), NTSC, CINEMA, Fraction(25), Fraction(60)]))
def test_a_time_rounded_to_milliseconds_is_put_back_on_the_grid(number: int, rate: Fraction) -> None:
    tick = Fraction(1, 1000)
    assert on_grid(Fraction(round(number / rate * 1000), 1000), rate, tick) == number / rate


@given(st.fractions(0, 1000), st.sampled_from([Fraction(30), NTSC]), st.sampled_from([1000, 90_000]))
def test_a_time_is_moved_by_less_than_a_tick(time: Fraction, rate: Fraction, ticks: int) -> None:
    assert abs(on_grid(time, rate, Fraction(1, ticks)) - time) < Fraction(1, ticks)


# ---- sound


def packets(path: Path) -> list[bytes]:
    sound = read_sound(path)
    assert sound is not None
    return sound.packets


@pytest.mark.parametrize(
    ("source", "target", "codec"),
    [
        ("in.mp4", "out.mp4", "aac"),
        ("in.mp4", "out.mov", "aac"),
        ("in.mkv", "out.mp4", "aac"),
        ("in.mp4", "out.mkv", "aac"),
        ("in.mkv", "out.webm", "libopus"),
        ("in.mkv", "out.mp4", "libopus"),
        ("in.mkv", "out.mp4", "mp3"),
        ("in.mkv", "out.mov", "pcm_s16le"),
        ("in.mkv", "out.mkv", "flac"),
    ],
)
def test_sound_is_copied_bit_for_bit_where_the_container_holds_it(
    tmp_path: Path, source: str, target: str, codec: str
) -> None:
    made = make_video(tmp_path / source, counting(15), sound=codec, look=H264)
    copied = packets(copy(made, tmp_path / target))
    assert b"".join(copied) == b"".join(packets(made))
    assert len(set(copied)) > 5


@pytest.mark.parametrize(
    ("source", "target", "codec", "becomes"),
    [
        ("in.mp4", "out.webm", "aac", "opus"),
        ("in.mkv", "out.webm", "mp3", "opus"),
        ("in.mkv", "out.mp4", "pcm_s16le", "aac"),
        ("in.avi", "out.mp4", "pcm_s16le", "aac"),
        ("in.mkv", "out.mov", "libopus", "aac"),
        ("in.mkv", "out.mov", "flac", "aac"),
    ],
)
def test_sound_is_encoded_anew_where_the_container_does_not_hold_it(
    tmp_path: Path, source: str, target: str, codec: str, becomes: str
) -> None:
    look = MPEG4 if source.endswith("avi") else H264
    made = make_video(tmp_path / source, counting(15), sound=codec, look=look)
    sound = read_sound(copy(made, tmp_path / target))
    assert sound is not None
    assert sound.codec == becomes
    assert len(read_film(tmp_path / target).pictures) == 15


def delay(heard: NDArray[np.float32], meant: NDArray[np.float32]) -> float:
    """By how many seconds `heard` comes later, where the two match best."""
    size = 1 << 17
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(meant, size)), size)
    at = int(np.argmax(match))
    return (at if at < size // 2 else at - size) / SAMPLE_RATE


@pytest.mark.parametrize(
    ("source", "target", "codec"),
    [
        ("in.mp4", "out.mp4", "aac"),
        ("in.mp4", "out.mkv", "aac"),
        ("in.mp4", "out.webm", "aac"),
        ("in.mkv", "out.mp4", "pcm_s16le"),
        ("in.mkv", "out.webm", "libopus"),
        ("in.ts", "out.mp4", "aac"),
        ("in.ts", "out.webm", "aac"),
    ],
)
def test_sound_keeps_its_length_and_stays_with_the_picture(
    tmp_path: Path, source: str, target: str, codec: str
) -> None:
    made = make_video(tmp_path / source, counting(15), sound=codec, look=H264)
    before, after = read_sound(made), read_sound(copy(made, tmp_path / target))
    assert before is not None
    assert after is not None
    late = [float(read_film(path).times[0]) for path in (made, tmp_path / target)]
    assert len(after.wave) / SAMPLE_RATE == pytest.approx(0.5 + late[1], abs=0.045)
    assert delay(after.wave, before.wave) - (late[1] - late[0]) == pytest.approx(0, abs=0.012)


def test_a_recording_that_starts_late_keeps_its_sound_with_the_picture(tmp_path: Path) -> None:
    """Broadcasts start anywhere by their own clock: the result starts at 0, picture and sound alike."""
    made = tmp_path / "late.ts"
    with (
        av.open(str(make_video(tmp_path / "in.mkv", counting(15), sound="aac", look=H264))) as whole,
        av.open(str(made), "w", options={"mpegts_copyts": "1"}) as late,
    ):
        streams = {stream.index: late.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                shift = round(1000 / packet.time_base)
                packet.pts, packet.dts, packet.stream = (
                    packet.pts + shift,
                    packet.dts + shift,
                    streams[packet.stream_index],
                )
                late.mux(packet)
    for target in ("out.mp4", "out.webm"):
        film, sound = read_film(copy(made, tmp_path / target)), read_sound(tmp_path / target)
        assert count(film.pictures) == list(range(15))
        assert film.times[0] < Fraction(1, 20)
        assert film.duration < 0.6
        assert sound is not None
        assert len(sound.wave) / SAMPLE_RATE == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize(("layout", "rate", "name"), [("5.1(side)", 48_000, "ac3"), ("mono", 192_000, "flac")])
@pytest.mark.parametrize("target", ["out.webm", "out.mov"])
def test_sound_of_any_layout_and_rate_is_taken_along(
    tmp_path: Path, layout: str, rate: int, name: str, target: str
) -> None:
    made = tmp_path / "in.mkv"
    with av.open(str(made), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream(name, rate=rate, layout=layout)
        for picture in counting(15):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
        waves = np.zeros((sound.channels, rate // 2), np.float32)
        resampler = av.AudioResampler(sound.format, layout, rate, sound.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(waves, "fltp", layout)
        frame.sample_rate, frame.pts = rate, 0
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    heard = read_sound(copy(made, tmp_path / target))
    assert heard is not None
    assert len(heard.wave) / SAMPLE_RATE == pytest.approx(0.5, abs=0.05)


def test_a_silent_video_stays_silent(tmp_path: Path) -> None:
    assert read_sound(copy(make_video(tmp_path / "in.mp4", counting(3)), tmp_path / "out.mp4")) is None


# ---- pictures


@pytest.mark.parametrize(("size", "matrix"), [((320, 240), BT601), ((1280, 720), BT709)])
@pytest.mark.parametrize("target", ["out.mp4", "out.webm"])
def test_colours_are_kept(tmp_path: Path, size: tuple[int, int], matrix: int, target: str) -> None:
    made = make_video(tmp_path / "in.mp4", [patches(*size)] * 2, look=Look(matrix=matrix))
    film = read_film(copy(made, tmp_path / target))
    inner = (slice(size[1] // 4, None, size[1] // 2), slice(size[0] // 8, None, size[0] // 4))
    assert film.matrix == matrix
    assert largest_difference(film.pictures[0][inner], patches(*size)[inner]) <= 6


def test_a_full_range_video_keeps_its_black_and_white(tmp_path: Path) -> None:
    made = np.hstack([plain(32, 32, (0, 0, 0)), plain(32, 32, (255, 255, 255))])
    source = make_video(tmp_path / "in.mp4", [made] * 2, look=Look(full=True))
    got = read_film(copy(source, tmp_path / "out.mp4")).pictures[0]
    assert got[:, :28].max() <= 3
    assert got[:, 36:].min() >= 252


@pytest.mark.parametrize(("width", "height"), [(47, 33), (48, 33), (47, 32), (2, 2), (17, 160)])
@pytest.mark.parametrize("target", ["out.mp4", "out.webm", "out.mkv"])
def test_odd_sizes_are_kept(tmp_path: Path, width: int, height: int, target: str) -> None:
    made = make_video(tmp_path / "in.mp4", [plain(width, height, (200, 60, 90))] * 3)
    film = read_film(copy(made, tmp_path / target))
    assert film.size == (width, height)
    assert largest_difference(film.pictures[1], plain(width, height, (200, 60, 90))) <= 6


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_written_upright(tmp_path: Path, degrees: int) -> None:
    made = make_video(tmp_path / "in.mp4", [patches(64, 32)] * 3, look=Look(rotation=degrees))
    with VideoSource(made) as source:
        (upright, *_) = source
    assert upright.shape[:2] == ((32, 64) if degrees == 180 else (64, 32))
    film = read_film(copy(made, tmp_path / "out.mp4"))
    assert film.rotation == 0
    assert film.size == upright.shape[1::-1]
    assert largest_difference(film.pictures[0][8::16, 8::16], upright[8::16, 8::16]) <= 6


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    made = make_video(tmp_path / "in.mp4", counting(3), look=Look(aspect=Fraction(16, 11)))
    assert read_film(copy(made, tmp_path / "out.mp4")).aspect == Fraction(16, 11)


def rgba_pictures(width: int, height: int, number: int) -> list[NDArray[np.uint8]]:
    scene = make_scene(width, height, blur=2)
    alphas = [figure_alpha(width, height, 2 + n) for n in range(number)]
    return [np.dstack([scene.figure, np.rint(alpha * 255).astype(np.uint8)]) for alpha in alphas]


@pytest.mark.parametrize(("width", "height"), [(96, 64), (97, 63), (854, 48)])
@pytest.mark.parametrize(("target", "bound", "mean"), [("out.mov", 4, 1), ("out.webm", 24, 2)])
def test_a_transparent_video_keeps_its_alpha(
    tmp_path: Path, width: int, height: int, target: str, bound: int, mean: float
) -> None:
    pictures = rgba_pictures(width, height, 5)
    made = make_video(tmp_path / "in.mp4", [plain(width, height, GREEN)] * 5, sound="aac")
    with VideoSource(made) as frames, video_sink(tmp_path / target, like=frames, transparent=True) as sink:
        for _, picture in zip(frames, pictures, strict=True):
            sink.send(picture, frames.time)
    got = read_rgba(tmp_path / target)
    assert len(got) == 5
    for picture, want in zip(got, pictures, strict=True):
        difference = np.abs(picture[:, :, 3].astype(int) - want[:, :, 3])
        assert difference.max() <= bound
        assert difference.mean() <= mean
        sure = want[:, :, 3] > 250
        assert np.abs(picture[sure][:, :3].astype(int) - want[sure][:, :3]).mean() <= 4
    assert read_sound(tmp_path / target) is not None


# ---- whole or not at all


@pytest.mark.parametrize(
    ("name", "transparent", "reason"),
    [
        ("out.avi", False, r"cannot write \.avi; use \.mp4 \.mov \.mkv \.webm$"),
        ("out", False, "cannot write a file without suffix"),
        ("out.mp4", True, r"\.mp4 holds no transparent video; use \.mov \(ProRes 4444\), \.webm \(VP9\) or \.mkv"),
        ("out", True, "this holds no transparent video"),
    ],
)
def test_a_name_that_cannot_hold_the_video_is_refused(name: str, transparent: bool, reason: str) -> None:
    with pytest.raises(OutputError, match=reason):
        encoding_for(Path(name), transparent)


@pytest.mark.parametrize("name", ["OUT.MP4", "out.WebM", "out.Mov", "out.mkv"])
def test_the_suffix_may_be_in_capitals(tmp_path: Path, name: str) -> None:
    copy(make_video(tmp_path / "in.mp4", counting(2)), tmp_path / name)
    assert len(read_film(tmp_path / name).pictures) == 2


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("target", ["out.mp4", "out.webm"])
def test_an_interrupted_video_leaves_nothing(tmp_path: Path, target: str, interruption: type[BaseException]) -> None:
    made = make_video(tmp_path / "in.mp4", counting(10), sound="aac")
    (tmp_path / "results").mkdir()

    def write() -> None:
        with VideoSource(made) as frames, video_sink(tmp_path / "results" / target, like=frames) as sink:
            for frame in frames:
                sink.send(frame, frames.time)
                if frames.time > Fraction(1, 5):
                    raise interruption

    with pytest.raises(interruption):
        write()
    assert os.listdir(tmp_path / "results") == []


def test_nothing_stands_at_the_name_until_the_video_is_done(tmp_path: Path) -> None:
    made, target = make_video(tmp_path / "in.mp4", counting(5)), tmp_path / "out.mp4"
    target.write_bytes(b"what stood here before")
    with VideoSource(made) as frames, video_sink(target, like=frames) as sink:
        for frame in frames:
            sink.send(frame, frames.time)
        assert target.read_bytes() == b"what stood here before"
    assert len(read_film(target).pictures) == 5


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    made = make_video(tmp_path / "in.mp4", counting(5))

    def write(frame: Frame) -> None:
        with VideoSource(made) as frames, video_sink(tmp_path / "out.mp4", like=frames) as sink:
            sink.send(frame, frames.time)

    with pytest.raises(OutputError, match=r"out\.mp4: cannot be written"):
        write(np.zeros((32, 48, 3), np.float64))  # type: ignore[arg-type]
    assert sorted(os.listdir(tmp_path)) == ["in.mp4"]


def test_a_red_picture_is_written_red(tmp_path: Path) -> None:
    made = make_video(tmp_path / "in.mp4", [plain(48, 32, RED)] * 2)
    for target in ("out.mp4", "out.webm"):
        got = read_film(copy(made, tmp_path / target)).pictures[0]
        assert got[:, :, 0].min() > 240
        assert got[:, :, 1:].max() < 15


class Careless:
    """An encoder that says of one or two pictures that they are decoded a year before they are shown, as x265 may."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def encode(self, frame: av.VideoFrame | None) -> list[av.Packet]:
        packets = self._stream.encode(frame)
        for packet in packets:
            packet.dts = packet.pts - 10**12
        return list(packets)


@pytest.mark.parametrize("pictures", [1, 2])
def test_pictures_whose_encoder_says_nonsense_of_them(tmp_path: Path, pictures: int) -> None:
    made = make_video(tmp_path / "in.mp4", counting(pictures))
    with VideoSource(made) as frames, video_sink(tmp_path / "out.mp4", like=frames) as sink:
        sink._stream = Careless(sink._stream)  # type: ignore[assignment]
        for frame in frames:
            sink.send(frame, frames.time)
    assert len(read_film(tmp_path / "out.mp4").pictures) == pictures
