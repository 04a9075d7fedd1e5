"""Every frame of a video file, upright, at its time and in its colours; or a named error, never fewer frames."""

from __future__ import annotations

import gc
import os
import struct
import weakref
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from figureground.arrays import Frame
from figureground.errors import VideoError
from figureground.sources import VideoSource
from scenes import RED, largest_difference, patches, plain
from videos import BT601, BT709, H264, MPEG4, VP9, Look, count, counting, make_sound, make_video, open_files

NTSC, CINEMA = Fraction(30_000, 1001), Fraction(24_000, 1001)
WMV = Look(codec="wmv2", pixels="yuv420p", tagged=False)
FLV = Look(codec="flv", pixels="yuv420p", tagged=False)
MPEG2 = Look(codec="mpeg2video", pixels="yuv420p")
GIF = Look(codec="gif", pixels="rgb8", tagged=False)
CONTAINERS: dict[str, Look] = {
    "a.mp4": H264,
    "a.mov": Look(),
    "a.m4v": H264,
    "a.mkv": H264,
    "a.webm": VP9,
    "a.avi": MPEG4,
    "a.ts": H264,
    "a.m2ts": H264,
    "a.mpg": MPEG2,
    "a.vob": MPEG2,
    "a.3gp": H264,
    "a.flv": FLV,
    "a.wmv": WMV,
    "a.gif": GIF,
}


def read(path: Path) -> tuple[list[Frame], list[Fraction]]:
    frames, times = [], []
    with VideoSource(path) as source:
        for frame in source:
            frames.append(frame)
            times.append(source.time)
    return frames, times


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_of_every_container_comes_once_and_in_order(tmp_path: Path, name: str) -> None:
    frames, times = read(make_video(tmp_path / name, counting(14), 25, CONTAINERS[name]))
    assert count(frames) == list(range(14))
    assert all(frame.shape == (32, 48, 3) and frame.dtype == np.uint8 for frame in frames)
    assert [round(float(time), 2) for time in times] == [round(n / 25, 2) for n in range(14)]


@pytest.mark.parametrize("rate", [Fraction(30), NTSC, CINEMA, Fraction(25), Fraction(10)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_rate_and_times_are_exact(tmp_path: Path, name: str, rate: Fraction) -> None:
    path = make_video(tmp_path / name, counting(9), rate)
    with VideoSource(path) as source:
        assert source.rate == rate
        assert (source.width, source.height, source.length) == (48, 32, 9)
    assert read(path)[1] == [n / rate for n in range(9)]


UNSTEADY = [Fraction(n, 1000) for n in (0, 40, 50, 150, 400, 407, 500)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_unsteady_times_are_kept(tmp_path: Path, name: str) -> None:
    frames, times = read(make_video(tmp_path / name, counting(7), 30, H264, UNSTEADY))
    assert times == UNSTEADY
    assert count(frames) == list(range(7))


@pytest.mark.parametrize(("name", "look"), [("a.ts", H264), ("a.mpg", MPEG2), ("a.mp4", H264)])
def test_a_recording_that_starts_late_by_its_clock_starts_at_0(tmp_path: Path, name: str, look: Look) -> None:
    path = make_video(tmp_path / name, counting(5), 25, look, [Fraction(90_000 + n, 25) for n in range(5)])
    times = read(path)[1]
    assert times[0] == 0
    assert [float(time) for time in times] == pytest.approx([n / 25 for n in range(5)], abs=0.0011)


def test_a_source_is_read_once(tmp_path: Path) -> None:
    with VideoSource(make_video(tmp_path / "a.mp4", counting(4))) as source:
        assert len(list(source)) == 4
        assert list(source) == []


CLOCKWISE = {0: 0, 90: -1, 180: 2, 270: 1}  # a display matrix's turn, in quarter turns of numpy.rot90


def turn(path: Path, degrees: int) -> None:
    """Write the turn a player must make, clockwise, into the matrix of an MP4's track header (ISO 14496-12)."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # version 0
    one = 1 << 16
    values = (cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *values)
    path.write_bytes(content)


@pytest.mark.parametrize("degrees", CLOCKWISE)
def test_a_video_of_a_turned_phone_is_upright(tmp_path: Path, degrees: int) -> None:
    path = make_video(tmp_path / "phone.mp4", [patches(64, 32)] * 3)
    turn(path, degrees)
    upright = np.rot90(patches(64, 32), CLOCKWISE[degrees])
    with VideoSource(path) as source:
        frames = list(source)
        assert (source.height, source.width) == upright.shape[:2]
    assert all(largest_difference(frame, upright) <= 6 for frame in frames)


def test_a_pixel_that_is_not_square_keeps_its_shape(tmp_path: Path) -> None:
    path = make_video(tmp_path / "dv.mp4", counting(2), look=Look(aspect=Fraction(16, 11)))
    with VideoSource(path) as source:
        assert source.aspect == Fraction(16, 11)
    turn(path, 90)
    with VideoSource(path) as source:
        assert source.aspect == Fraction(11, 16)


COLOURS = [
    ((64, 48), Look(matrix=BT601)),
    ((64, 48), Look(matrix=BT601, tagged=False)),
    ((64, 48), Look(matrix=BT709)),
    ((64, 48), Look(matrix=BT601, full=True)),
    ((64, 48), Look(codec="libvpx-vp9", matrix=BT601, full=True)),
    ((1280, 720), Look(matrix=BT709)),
    ((1280, 720), Look(matrix=BT709, tagged=False)),
    ((1280, 720), Look(matrix=BT601)),
    ((1280, 720), Look(matrix=BT709, full=True)),
]


@pytest.mark.parametrize(("size", "look"), COLOURS)
def test_colours_are_those_the_file_means(tmp_path: Path, size: tuple[int, int], look: Look) -> None:
    """A wrong matrix shifts green by 20 levels and more, a wrong range black by 16."""
    made = patches(*size)
    made[: size[1] // 8, : size[0] // 8] = 0
    made[-size[1] // 8 :, -size[0] // 8 :] = 255
    frames, _ = read(make_video(tmp_path / "colours.mp4", [made], look=look))
    assert largest_difference(frames[0], made) <= 5


def test_red_comes_out_red(tmp_path: Path) -> None:
    frames, _ = read(make_video(tmp_path / "red.webm", [plain(48, 32, RED)] * 2, look=VP9))
    assert frames[0][16, 24, 0] > 240
    assert frames[0][16, 24, 1:].max() < 15


def test_a_trimmed_video_is_whole(tmp_path: Path) -> None:
    """Phones trim an MP4 by an edit list: the frames cut off are still counted, and must not be missed."""
    path = make_video(tmp_path / "trimmed.mp4", counting(12), 30, Look(pixels="yuv420p", gop=4))
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12
    assert struct.unpack(">Ii", content[entry : entry + 8]) == (400, 0)  # milliseconds, ticks
    content[entry : entry + 8] = struct.pack(">Ii", 100, 6 * 1000)
    path.write_bytes(content)
    frames, times = read(path)
    assert count(frames) == [6, 7, 8]
    assert times == [Fraction(n, 30) for n in range(3)]


TRUNCATED = {
    "last.mp4": H264,
    "first.mp4": Look(pixels="yuv420p", moov_first=True),
    "first.mov": Look(pixels="yuv420p", moov_first=True),
    "cut.mkv": H264,
    "cut.webm": VP9,
    "cut.avi": MPEG4,
    "cut.flv": FLV,
}


def noisy(frames: int) -> Sequence[Frame]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (32, 48, 3), np.uint8) for _ in range(frames)]


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("share", [0.5, 0.75, 0.97])
def test_a_truncated_video_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = make_video(tmp_path / name, noisy(20), 30, TRUNCATED[name])
    assert len(read(path)[0]) == 20
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(VideoError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_video_cut_between_two_frames_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "cut.mp4", noisy(20), 30, Look(pixels="yuv420p", moov_first=True))
    content = path.read_bytes()
    sizes = content.index(b"stsz") + 16
    start = content.index(b"mdat") + 4
    tenth = start + sum(struct.unpack(">10I", content[sizes : sizes + 40]))
    path.write_bytes(content[:tenth])
    with pytest.raises(VideoError, match=r"cut short, it holds 0\.33 of 0\.67 seconds"):
        read(path)


def test_damage_in_the_middle_is_named_with_its_place(tmp_path: Path) -> None:
    path = make_video(tmp_path / "hurt.mp4", noisy(20), 30, H264)
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"the video is damaged at 0\.\d\d s"):
        read(path)


def huge_gif(path: Path) -> None:
    """A GIF of a few bytes that claims 11000 x 11000 pixels: to be refused before any is decoded."""
    path.write_bytes(b"GIF89a" + struct.pack("<HHBBB", 11_000, 11_000, 0x80, 0, 0) + bytes(6) + b"\x3b")


def make_unreadable(folder: Path) -> None:
    (folder / "letter.mp4").write_text("Dear all,\nthis is no video.\n" * 40)
    (folder / "empty.mp4").write_bytes(b"")
    make_sound(folder / "sound.mp4")
    make_video(folder / "whole.mp4", counting(1))
    Image.fromarray(plain(8, 8, RED)).save(folder / "picture.png")
    (folder / "folder.mp4").mkdir()
    huge_gif(folder / "huge.gif")
    content = make_video(folder / "frameless.mp4", counting(3), 30, H264).read_bytes()
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    (folder / "frameless.mp4").write_bytes(content[:start] + bytes(end - start) + content[end:])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.mp4", "no such file$"),
        ("letter.mp4", "not a video this can read"),
        ("empty.mp4", "not a video this can read"),
        ("folder.mp4", "not a regular file"),
        ("sound.mp4", "there is no video in this file$"),
        ("frameless.mp4", "the video is damaged|holds no frames"),
        ("huge.gif", "11000x11000 is over the limit of 100 megapixels$"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    make_unreadable(tmp_path)
    with pytest.raises(VideoError, match=reason) as caught:
        VideoSource(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_that_nobody_writes_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"a\.mp4: not a regular file"):
        VideoSource(tmp_path / "a.mp4")


@pytest.mark.parametrize(("name", "reason"), [("a.mp4", "there is no video in this file"), ("a.mkv", "not a video")])
def test_a_video_without_frames_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match=reason):
        VideoSource(tmp_path / name)


def test_a_source_closes_its_file_however_it_ends(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", counting(4))
    with VideoSource(path) as source:
        assert open_files(path) == 1
        next(iter(source))
    assert open_files(path) == 0
    sound = make_sound(tmp_path / "sound.mp4")
    with pytest.raises(VideoError):
        VideoSource(sound)
    assert open_files(sound) == 0


def test_frames_are_not_overwritten_by_the_next(tmp_path: Path) -> None:
    frames, _ = read(make_video(tmp_path / "a.mp4", counting(6)))
    assert all(not np.shares_memory(a, b) for a, b in pairwise(frames))
    assert count(frames) == list(range(6))


def test_the_shared_clips_are_read_whole(shared_data: Path) -> None:
    clips = sorted((shared_data / "video" / "webcam").glob("*.mkv"))[:1]
    if not clips:
        pytest.skip(f"no clips in {shared_data / 'video' / 'webcam'}")
    with VideoSource(clips[0]) as source:
        frames = sum(frame.shape == (480, 640, 3) for frame in source)
        assert frames == pytest.approx(source.length, abs=1)
        assert frames > 30


def test_avi_with_b_frames_keeps_a_steady_rate(tmp_path: Path) -> None:
    """It has no presentation times; those FFmpeg makes up go back and forth."""
    with av.open(str(tmp_path / "b.avi"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "preset": "veryfast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            picture = np.full((48, 64, 3), 12 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with VideoSource(tmp_path / "b.avi") as source:
        times = [source.time for _ in source]
    assert times == [Fraction(number, 25) for number in range(20)]


def test_a_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "2024-05-01T10:30.mkv", counting(3))
    monkeypatch.chdir(tmp_path)
    with VideoSource(Path("2024-05-01T10:30.mkv")) as source:
        assert len(list(source)) == 3


def test_a_recording_that_changes_its_size_keeps_the_first(tmp_path: Path) -> None:
    """As browsers record a call whose bandwidth changes; found by fuzzing."""
    path = tmp_path / "call.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        container.start_encoding()
        for number, size in enumerate([(64, 48), (64, 48), (32, 24), (96, 72), (64, 48)]):
            coder = av.CodecContext.create("mjpeg", "w")
            coder.width, coder.height, coder.pix_fmt, coder.time_base = *size, "yuvj420p", Fraction(1, 10)
            frame = av.VideoFrame.from_ndarray(plain(*size, (0, 40 * number, 0)), "rgb24").reformat(format="yuvj420p")
            frame.pts = 0
            for packet in [*coder.encode(frame), *coder.encode(None)]:
                packet.pts = packet.dts = number
                packet.time_base, packet.stream = Fraction(1, 10), stream
                container.mux(packet)
    with VideoSource(path) as source:
        frames = list(source)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    for number, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - (0, 40 * number, 0)).max() <= 6


def test_a_codec_that_nobody_knows_is_told(tmp_path: Path) -> None:
    """Found by fuzzing."""
    path = make_video(tmp_path / "film.mp4", counting(3), 25, H264)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(VideoError, match=r"film\.mp4: its video is of a kind that this FFmpeg does not know"):
        VideoSource(path)


def test_a_closed_video_is_freed_at_once(tmp_path: Path) -> None:
    """Not when Python next looks for circles: a long video is opened for each of its parts, with buffers of its own."""
    source = VideoSource(make_video(tmp_path / "film.mp4", counting(6), 25, H264))
    next(iter(source))
    known = weakref.ref(source)
    gc.disable()
    try:
        source.close()
        del source
        assert known() is None
    finally:
        gc.enable()
