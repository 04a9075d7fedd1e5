"""What kinds of video there are in the world, through `replace`: colours, bits, shapes, fields, cuts; and its sheet."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from figureground.arrays import Frame
from figureground.batch import replace
from figureground.batch.options import Options
from figureground.batch.plan import Job
from figureground.batch.video import replace_video
from figureground.engine import Engine
from figureground.errors import FigureGroundError, OutputError, SettingError
from figureground.images import read_image, write_image
from figureground.sources import VideoSource
from figureground.terminal import parse_time
from scenes import BLUE, GREEN, RED, largest_difference, noise, plain
from videos import H264, Look, make_video, read_film

# Matrix, primaries and transfer as FFmpeg numbers them: BT.601 (PAL), BT.709, BT.2020 with PQ and with HLG.
COLOURS = [(5, 5, 6), (6, 6, 6), (1, 1, 1), (9, 9, 16), (9, 9, 18)]


def coloured(path: Path, tags: tuple[int, int, int], pixels: str, picture: Frame, codec: str = "libx264") -> Path:
    """Ten pictures of these tags in this pixel format, 8 or 10 bits."""
    with av.open(str(path), "w") as container:
        options = (
            {"crf": "4", "preset": "ultrafast"} if codec == "libx264" else {"x265-params": "log-level=error:crf=4"}
        )
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pixels
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = tags
        context.color_range = 1
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(
                stream.encode(frame.reformat(format=pixels, dst_colorspace=tags[0], dst_color_range=1, threads=1))
            )
        container.mux(stream.encode(None))
    return path


def tags_of(path: Path) -> tuple[int, int, int, int]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range


@pytest.mark.parametrize("tags", COLOURS)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(("target", "codec"), [("out.mp4", None), ("out.mp4", "hevc"), ("out.webm", None)])
def test_colours_are_tagged_as_before_and_the_person_is_untouched(
    tmp_path: Path, red_finder: Path, tags: tuple[int, int, int], pixels: str, target: str, codec: str | None
) -> None:
    """All red is person; compared as stored, in luma and chroma, so that a wrong matrix on both ways would show."""
    made = coloured(tmp_path / "in.mp4", tags, pixels, plain(64, 48, (255, 120, 40)))
    (result,) = replace(made, "#000000", tmp_path / target, model=red_finder, codec=codec)
    assert result.status == "done"
    matrix, *others = tags_of(tmp_path / target)
    assert (5 if matrix == 6 else matrix, *others) == (5 if tags[0] == 6 else tags[0], *tags[1:], 1)
    stored = []
    for path in (made, tmp_path / target):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            planes = frame.reformat(format="yuv444p16le", threads=1).to_ndarray()
            stored.append(planes[16:32, 16:48].mean((0, 1)) / 257)
    assert stored[1] == pytest.approx(stored[0], abs=2.5)


@pytest.mark.parametrize(
    ("target", "kept"), [("out.mp4", True), ("out.mkv", True), ("out.mov", True), ("out.webm", False)]
)
def test_pixels_that_are_not_square_stay_so_or_it_is_said(
    tmp_path: Path, red_finder: Path, target: str, kept: bool
) -> None:
    made = make_video(tmp_path / "in.mp4", [plain(64, 48, RED)] * 3, look=Look(aspect=Fraction(16, 11)))
    (result,) = replace(made, "#000000", tmp_path / target, model=red_finder)
    assert read_film(tmp_path / target).aspect == (Fraction(16, 11) if kept else 1)
    assert result.note == ("" if kept else "pixels of 16:11 shown square: use .mp4 or .mov to keep them")


# ---- fields


def interlaced(path: Path, width: int = 96, height: int = 64) -> Path:
    """A white bar that moves 4 pixels a field on black; each picture holds two fields, the upper one first."""
    with av.open(str(path), "w") as container:
        options = {"crf": "4", "preset": "ultrafast", "g": "5", "flags": "+ildct+ilme", "x264-params": "tff=1:keyint=5"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(10):
            picture = plain(width, height, (0, 0, 0))
            for field in (0, 1):
                left = 4 * (2 * number + field)
                picture[field::2, left : left + 16] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", interpolation="POINT"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def combs(picture: Frame) -> float:
    """How much rows differ from the mean of their neighbours."""
    rows = picture[:, :, 1].astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


def test_pictures_of_two_fields_become_pictures_of_one_moment(tmp_path: Path) -> None:
    made = interlaced(tmp_path / "in.mp4")
    with av.open(str(made)) as container:
        stored = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0) if frame.interlaced_frame]
    assert len(stored) == 10
    with VideoSource(made) as source:
        times, frames = [], []
        for frame in source:
            frames.append(frame)
            times.append(source.time)
    assert times == [Fraction(n, 25) for n in range(10)]
    assert np.mean([combs(frame) for frame in stored]) > 20
    assert np.mean([combs(frame) for frame in frames]) < 4
    for number, frame in enumerate(frames[1:-1], 1):
        bright = np.flatnonzero(frame[32, :, 1] > 128)
        assert (
            abs(bright.mean() - (8 * number + 9.5)) <= 2
        )  # where the bar was when the picture's upper field was taken


def test_an_interlaced_video_is_written_progressive(tmp_path: Path, red_finder: Path) -> None:
    replace(interlaced(tmp_path / "in.mp4"), "#000000", tmp_path / "out.mp4", model=red_finder)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 10
    assert not any(frame.interlaced_frame for frame in frames)


# ---- cuts


def test_nothing_of_the_scene_before_a_cut_is_left(tmp_path: Path, astronaut: Frame, engine: Engine) -> None:
    """After a cut to an empty room the matte is the network's own, not the memory of a person; and back again."""
    room = np.asarray(noise(256, 256, 5) // 8 + 100, np.uint8)
    made = make_video(tmp_path / "in.mp4", [*[astronaut] * 20, *[room] * 5, *[astronaut] * 5], 25)
    replace_video(Job(made, tmp_path / "out.mkv"), engine, Options("alpha", codec="ffv1"), None)
    mattes = [picture[:, :, 1] for picture in read_film(tmp_path / "out.mkv").pictures]
    assert np.mean(mattes[19] > 127) > 0.3
    assert np.mean(mattes[20] > 127) < 0.02
    assert np.mean((mattes[25] > 127) != (mattes[0] > 127)) < 0.01


# ---- the sheet


def test_a_sheet_shows_the_result_evenly_spaced(tmp_path: Path, red_finder: Path) -> None:
    made = make_video(tmp_path / "in.mp4", [plain(64, 48, (255, 10 * n, 0)) for n in range(24)], 24, Look(gop=5))
    replace(made, "#000000", tmp_path / "out.mp4", model=red_finder, sheet=tmp_path / "sheet.png")
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape == (8 + 3 * 248, 8 + 4 * 328, 3)
    middles = sheet[8 + 120 :: 248, 8 + 160 :: 328].reshape(12, 3).astype(int)
    assert np.abs(middles - [(255, 10 * (2 * n + 1), 0) for n in range(12)]).max() <= 8


@pytest.mark.parametrize("target", ["cut.webm", "cut.mov", "cut"])
def test_a_sheet_of_a_cutout_shows_what_is_transparent(tmp_path: Path, red_finder: Path, target: str) -> None:
    picture = np.hstack([plain(64, 96, (0, 0, 0)), plain(64, 96, RED)])
    made = make_video(tmp_path / "in.mp4", [picture] * 3, 25, H264)
    codec = None if "." in target else "png"
    replace(made, "transparent", tmp_path / target, model=red_finder, codec=codec, sheet=tmp_path / "sheet.png")
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape == (8 + 248, 8 + 3 * 328, 3)
    shown = sheet[8:248, 8:328]
    assert largest_difference(shown[40, 240:300:20], np.array([RED] * 3, np.uint8)) < 16
    assert {int(value) for value in np.unique(shown[10:100, 20:120, 1])} >= {120, 200}


def test_a_sheet_is_of_one_video(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, [plain(64, 48, BLUE)] * 2)
    with pytest.raises(OutputError, match=r"s\.png: a contact sheet is of one video"):
        replace([tmp_path / "a.mp4", tmp_path / "b.mp4"], output=tmp_path / "out", sheet=tmp_path / "s.png")
    with pytest.raises(OutputError, match=r"s\.mp3: cannot hold a picture"):
        replace(tmp_path / "a.mp4", output=tmp_path / "out", sheet=tmp_path / "s.mp3")


# ---- the command


def test_a_sheet_is_not_written_over_the_background(tmp_path: Path, red_finder: Path) -> None:
    made, wall = make_video(tmp_path / "in.mp4", [plain(64, 48, (255, 0, 0))] * 3, 10), tmp_path / "walls" / "wall.png"
    wall.parent.mkdir()
    write_image(wall, plain(64, 48, (0, 0, 255)))
    before = wall.read_bytes()
    for background in (wall, wall.parent):
        with pytest.raises(OutputError, match=r"wall\.png: is the background"):
            replace(made, str(background), tmp_path / "out.mp4", model=red_finder, sheet=wall)
    assert wall.read_bytes() == before


def test_a_sheet_is_none_of_the_results_pictures(tmp_path: Path, red_finder: Path) -> None:
    made, out = make_video(tmp_path / "in.mp4", [plain(64, 48, (255, 0, 0))] * 3, 10), tmp_path / "out"
    with pytest.raises(OutputError, match=r"000002\.png: is the video, or one of its pictures; choose another --sheet"):
        replace(made, "transparent", out, model=red_finder, codec="png", sheet=out / "000002.png")


def test_the_command_takes_a_part_with_a_matte_and_a_sheet(tmp_path: Path, red_finder: Path) -> None:
    make_video(tmp_path / "in.mp4", [plain(64, 48, GREEN)] * 50, 10, Look(gop=10), sound="aac")
    command = [sys.executable, "-m", "figureground", "replace", "in.mp4", "--model", red_finder, "--output", "out.mkv"]
    more = ["--from", "0:01", "--to", "0:00:03.5", "--codec", "hevc", "--matte", "--sheet", "s.png", "--resume"]
    done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out-matte.mkv", "out.mkv", "s.png"]
    films = [read_film(tmp_path / name) for name in ("out.mkv", "out-matte.mkv")]
    assert [(len(film.pictures), film.codec) for film in films] == [(25, "hevc"), (25, "h264")]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), ("0:01:30", 90), ("1:00:00.5", Fraction(7201, 2)), ("90.25", 90.25)]
)
def test_times_are_seconds_or_clocks(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1:2:3:4", "1:", "1e3", "1:00:000:1", "٣"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(FigureGroundError, match="want seconds or h:mm:ss"):
        parse_time(text)


@pytest.mark.parametrize("wanted", [{"start": Fraction(2), "end": Fraction(1)}, {"start": Fraction(-1)}, {"frames": 0}])
def test_a_part_that_cannot_be_is_refused(wanted: dict[str, Fraction]) -> None:
    with pytest.raises(SettingError, match="want "):
        Options(**wanted)  # type: ignore[arg-type]
