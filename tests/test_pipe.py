"""`replace` between other programs: pictures and raw frames through standard input and output."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from figureground.arrays import Frame
from figureground.compositor import composite
from figureground.engine import Engine
from figureground.errors import SettingError, VideoError
from figureground.images import read_image, write_image
from figureground.rawvideo import RawFormat, RawSource
from picturefiles import content_of, person, photograph, sure
from scenes import GREEN, RED, plain

COMMAND = [sys.executable, "-m", "figureground", "replace"]
SIZE = "rgb24:96x64"
NO_ROOM = ["--background", "#008040"]


def run(folder: Path, content: bytes, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, input=content, capture_output=True, timeout=120, check=False)


# ---- one picture


@pytest.mark.parametrize(
    ("arguments", "format", "mode"),
    [
        (["--kind", "cutout"], "PNG", "RGBA"),
        (["--kind", "alpha"], "PNG", "L"),
        (["--kind", "cutout", "--format", "webp"], "WEBP", "RGBA"),
        (NO_ROOM, "TIFF", "RGB"),  # as it came
        ([*NO_ROOM, "--format", "jpg"], "JPEG", "RGB"),
    ],
)
def test_a_picture_goes_through(tmp_path: Path, red_finder: Path, arguments: list[str], format: str, mode: str) -> None:
    content = photograph(tmp_path / "in.tif", person(), profile=None).read_bytes()
    done = run(tmp_path, content, "-", "--output", "-", "--model", red_finder, *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert (picture.format, picture.mode, picture.size) == (format, mode, (96, 64))
        assert picture.getexif()[271] == "Acme"
        got = np.asarray(picture)
    if format != "JPEG":
        np.testing.assert_array_equal(got[sure()][..., :3], 255 if mode == "L" else person()[sure()])
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_a_picture_from_a_file_and_one_into_a_file(tmp_path: Path, red_finder: Path) -> None:
    photograph(tmp_path / "in.png", plain(9, 9, GREEN))
    out = run(tmp_path, b"", "in.png", "--output", "-", "--kind", "cutout", "--crop", "--model", red_finder)
    assert (out.returncode, out.stderr) == (
        1,
        b"figureground: in.png: nobody is seen in it, so there is nothing to crop to; leave --crop out\n",
    )
    photograph(tmp_path / "in.png", person())
    out = run(tmp_path, b"", "in.png", "--output", "-", "--kind", "cutout", "--crop", "--model", red_finder)
    into = run(
        tmp_path,
        (tmp_path / "in.png").read_bytes(),
        "-",
        "--output",
        "new/b.png",
        "--kind",
        "cutout",
        "--crop",
        "--model",
        red_finder,
    )
    assert (out.returncode, out.stderr, into.returncode, into.stdout, into.stderr) == (0, b"", 0, b"", b"")
    assert (tmp_path / "new" / "b.png").read_bytes() == out.stdout


def test_the_first_of_several_pictures_is_taken_and_that_is_said(tmp_path: Path, red_finder: Path) -> None:
    pages = [Image.fromarray(person()), Image.fromarray(plain(96, 64, GREEN))]
    content = content_of(lambda file: pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:]))
    done = run(tmp_path, content, "-", "--output", "-", "--kind", "alpha", "--model", red_finder)
    assert (done.returncode, done.stderr) == (0, b"figureground: -: the first of its 2 pictures\n")
    assert done.stdout.startswith(b"\x89PNG")


def test_a_picture_through_is_the_one_of_files(tmp_path: Path, astronaut: Frame, engine: Engine) -> None:
    content = content_of(lambda file: Image.fromarray(astronaut).save(file, "PNG"))
    done = run(tmp_path, content, "-", "--output", "-", "--background", "#00ff00")
    (tmp_path / "out.png").write_bytes(done.stdout)
    want = composite(astronaut, engine(astronaut), plain(256, 256, GREEN))
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), want)


@pytest.mark.parametrize(
    "content", [b"", b"Dear all,", content_of(lambda file: Image.new("RGB", (99, 99)).save(file, "PNG"))[:-40]]
)
def test_what_is_no_picture_is_told_and_nothing_comes_out(tmp_path: Path, content: bytes) -> None:
    done = run(tmp_path, content, "-", "--output", "-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"figureground: picture: ")
    assert done.stderr.count(b"\n") == 1


# ---- raw video


def film(count: int) -> list[Frame]:
    """The red person walks to the right; every frame's own blue tells it from the others."""
    frames = []
    for number in range(count):
        frame = plain(96, 64, (0, 0, 8 * number))
        frame[16:, 8 + 4 * number : 48 + 4 * number] = RED
        frames.append(frame)
    return frames


def raw(frames: list[Frame]) -> bytes:
    return b"".join(frame.tobytes() for frame in frames)


@pytest.mark.parametrize(("kind", "channels"), [("composite", 3), ("cutout", 4), ("alpha", 1)])
def test_a_frame_comes_out_for_each_that_goes_in(tmp_path: Path, red_finder: Path, kind: str, channels: int) -> None:
    frames = film(8)
    done = run(tmp_path, raw(frames), "-", "--pipe", SIZE, "--kind", kind, "--model", red_finder, *NO_ROOM)
    assert (done.returncode, done.stderr) == (0, b"")
    got = np.frombuffer(done.stdout, np.uint8).reshape(8, 64, 96, channels)
    for number, picture in enumerate(got):
        middle, room = picture[40, 28 + 4 * number], picture[4, 4]
        assert middle.tolist() == {"composite": [*RED], "cutout": [*RED, 255], "alpha": [255]}[kind]
        assert room.tolist() == {"composite": [0, 128, 64], "cutout": [0] * 4, "alpha": [0]}[kind]


@pytest.mark.parametrize("more", [1, 96 * 64 * 3 - 1])
def test_a_last_frame_that_is_not_whole_is_told(tmp_path: Path, red_finder: Path, more: int) -> None:
    done = run(tmp_path, raw(film(2)) + bytes(more), "-", "--pipe", SIZE, "--model", red_finder, *NO_ROOM)
    assert done.returncode == 1
    assert len(done.stdout) == 2 * 96 * 64 * 3, "those before it are there"
    said = f"figureground: standard input: frame 3 has {more} bytes; want 18432 for 96x64 in rgb24\n"
    assert done.stderr.decode() == said


def test_no_frame_at_all_is_told(tmp_path: Path, red_finder: Path) -> None:
    done = run(tmp_path, b"", "-", "--pipe", SIZE, "--model", red_finder, *NO_ROOM)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"frame 1 has 0 bytes" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no head")
@pytest.mark.parametrize("arguments", [["--pipe", SIZE], ["--output", "-"]])
def test_a_reader_that_has_enough_ends_it_without_a_word(
    tmp_path: Path, red_finder: Path, arguments: list[str]
) -> None:
    rng = np.random.default_rng(0)
    many = raw(film(8)) * 40
    picture = content_of(lambda file: Image.fromarray(rng.integers(0, 256, (400, 400, 3), np.uint8)).save(file, "PNG"))
    (tmp_path / "in").write_bytes(many if "--pipe" in arguments else picture)
    command = [*COMMAND, "-", *arguments, "--model", str(red_finder), *NO_ROOM]
    with (
        (tmp_path / "in").open("rb") as file,
        subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no output": (["-"], "-: say where the result goes: --output FILE, or --output - for standard output"),
    "two inputs": (["-", "a.png", "--output", "-"], "-: standard input or output takes one input, not 2"),
    "format": (["-", "--output", "-", "--format", "gif"], "--format gif: want one of jpg, jpeg, png"),
    "format of a file": (["-", "--output", "a.png", "--format", "png"], "--format: is for --output -"),
    "format of files": (["a.png", "--format", "png"], "--format: is for --output -"),
    "jpeg cutout": (
        ["-", "--output", "-", "--kind", "cutout", "--format", "jpg"],
        "--format .jpg: JPEG holds no transparency",
    ),
    "json": (["-", "--output", "-", "--json"], "--json: says nothing of standard input and output"),
    "video": (["a.mp4", "--output", "-"], "a.mp4: a video cannot go to standard output"),
    "pipe": (["-", "--pipe", "yuv420p:8x8"], "--pipe yuv420p:8x8: want rgb24:WIDTHxHEIGHT"),
    "pipe into a file": (["-", "--pipe", SIZE, "--output", "a.mp4"], "--pipe: frames come from standard input and go"),
    "pipe from a file": (["a.mp4", "--pipe", SIZE], "--pipe: frames come from standard input and go"),
    "pipe cropped": (["-", "--pipe", SIZE, "--kind", "alpha", "--crop"], "--crop: is for pictures"),
    "pipe with a codec": (
        ["-", "--pipe", SIZE, "--codec", "hevc"],
        "--codec: only for video files, not for raw frames",
    ),
    "pipe in part": (
        ["-", "--pipe", SIZE, "--to", "2", "--frames", "9"],
        "--to, --frames: only for video files, not for",
    ),
    "pipe with a format": (["-", "--pipe", SIZE, "--format", "png"], "--format: is for a picture, raw frames have"),
    "watched": (
        ["-", "--output", "-", "--watch", "--jobs", "2", "--cluster", "local", "--resume"],
        "--jobs, --cluster, --watch, --resume: only for files and folders, not for what goes through -",
    ),
    "part of a picture": (
        ["-", "--output", "-", "--from", "2"],
        "--from: only for videos, not for a picture from or to -",
    ),
    "sheet of a picture": (["-", "--output", "-", "--sheet", "s.png"], "--sheet: only for videos, not for a picture"),
    "kind": (["-", "--output", "-", "--kind", "cut"], "kind 'cut': want one of"),
    "model": (["-", "--output", "-", "--model", "huge"], "huge: no such model"),
    "background": (["-", "--output", "-", "--background", "gone.png"], "background 'gone.png': no such file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_call_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    arguments, said = MISTAKES[name]
    done = run(tmp_path, b"", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"figureground: {said}")
    assert done.stderr.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_background_is_not_overwritten(tmp_path: Path) -> None:
    write_image(tmp_path / "room.png", plain(8, 8, GREEN))
    before = (tmp_path / "room.png").read_bytes()
    done = run(tmp_path, before, "-", "--background", "room.png", "--output", "./room.png")
    assert (done.returncode, (tmp_path / "room.png").read_bytes()) == (2, before)
    assert b"room.png: is the background; choose another --output" in done.stderr


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ("rgb24:1280x720", RawFormat(1280, 720, Fraction(25))),
        ("rgb24:1x16384@30000/1001", RawFormat(1, 16384, Fraction(30000, 1001))),
        ("rgb24:2x2@12.5", RawFormat(2, 2, Fraction(25, 2))),
    ],
)
def test_a_format_is_understood(spec: str, want: RawFormat) -> None:
    assert RawFormat.of(spec) == want


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "rgb24",
        "rgb24:0x8",
        "rgb24:8x16385",
        "rgb24:8x8@0",
        "rgb24:8x8@1/0",
        "rgb24:8x8@",
        "gray:8x8",
        "rgb24:8x8@1e3",
    ],
)
def test_another_format_is_refused(spec: str) -> None:
    with pytest.raises(SettingError, match="want rgb24:WIDTHxHEIGHT"):
        RawFormat.of(spec)


def test_frames_have_the_times_of_their_rate() -> None:
    class Trickle(io.BytesIO):
        """Gives no more than a few bytes at once, as a pipe may."""

        def readinto(self, room: object) -> int:
            return super().readinto(memoryview(room)[:7])  # type: ignore[arg-type]

    frames = film(3)
    source = RawSource(Trickle(raw(frames)), RawFormat(96, 64, Fraction(30000, 1001)))
    for number, frame in enumerate(source):
        np.testing.assert_array_equal(frame, frames[number])
        assert source.time == Fraction(1001 * number, 30000)
    with pytest.raises(VideoError, match="frame 1 has 0 bytes"):
        list(RawSource(io.BytesIO(), RawFormat(96, 64, Fraction(25))))
