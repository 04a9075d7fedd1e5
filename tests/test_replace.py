"""The `replace` command as users run it: files in, files out, one line for each failure, and nothing half done."""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from figureground.arrays import Frame
from figureground.batch import Result
from figureground.batch.manifest import NAME
from figureground.compositor import composite
from figureground.engine import Engine
from figureground.images import EXTENSIONS, read_image, read_matte, write_image
from figureground.preprocess import to_matte
from networks import Shape, save_network
from scenes import BLUE, GREEN, RED, largest_difference, noise, plain
from terminals import as_in_a_terminal
from trees import tree
from videos import H264, Look, counting, make_sound, make_video, read_film, read_rgba, read_sound

COMMAND = [sys.executable, "-m", "figureground", "replace"]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def run(folder: Path, *arguments: str | Path, **options: Any) -> Ran:
    """The command, run in `folder` in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


# ---- what it makes


def test_one_photo_is_blurred_beside_itself(photo: Path, astronaut: Frame) -> None:
    ran = run(photo.parent, "astro.png")
    assert ran == Ran(0, "astro-composite.png  (1 frame)\n", "")
    got = read_image(photo.with_name("astro-composite.png"))
    np.testing.assert_array_equal(got[50:70, 100:120], astronaut[50:70, 100:120])
    assert got[:60, 190:].std() < 0.7 * astronaut[:60, 190:].std()
    assert sorted(tree(photo.parent)) == ["astro-composite.png", "astro.png"]


def test_several_photos_go_into_a_folder_before_a_colour(tmp_path: Path, astronaut: Frame, engine: Engine) -> None:
    names = ["a b.png", "ü.jpg", "c.webp"]
    for name in names:
        write_image(tmp_path / name, astronaut)
    ran = run(tmp_path, *names, "--background", "#00ff00", "--output", "new/folder")
    assert (ran.code, ran.err) == (0, "")
    assert sorted(tree(tmp_path / "new" / "folder")) == sorted(names)
    want = composite(astronaut, engine(astronaut), plain(256, 256, GREEN))
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "folder" / "a b.png"), want)
    for name in names[1:]:
        assert np.abs(read_image(tmp_path / "new" / "folder" / name).astype(int) - want).mean() < 6


def test_a_folder_keeps_its_tree(tmp_path: Path, astronaut: Frame) -> None:
    album = tmp_path / "album"
    for name in ("one.png", "trip/day 1/two.JPG", "trip/day 2/two.JPG", "trip/.hidden.png"):
        (album / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(astronaut[::2, ::2]).save(album / name)
    (album / "trip" / "notes.txt").write_text("not a picture")
    make_video(album / "trip" / "clip.mov", counting(4), look=H264)
    ran = run(tmp_path, "album", "--output", "out", "--background", "#336699", "--json")
    assert (ran.code, ran.err) == (0, "")
    made = ["one.png", "trip/clip.mov", "trip/day 1/two.jpg", "trip/day 2/two.jpg"]
    assert sorted(tree(tmp_path / "out")) == made
    document = json.loads(ran.out)
    assert (document["model"], document["licence"]) == ("small", "LicenseRef-figureground-weights")
    results = document["results"]
    assert [result["output"] for result in results] == [f"out/{name}" for name in made]
    assert [result["frames"] for result in results] == [1, 4, 1, 1]
    assert {result["status"] for result in results} == {"done"}
    assert all(set(result) == set(Result.__slots__) for result in results)


def test_a_video_keeps_its_frames_its_rate_and_its_sound(tmp_path: Path, astronaut: Frame) -> None:
    shown = np.ascontiguousarray(astronaut[:, :200])
    make_video(tmp_path / "talk.mp4", [shown] * 12, 25, H264, sound="aac")
    write_image(tmp_path / "wall.png", plain(40, 60, BLUE))
    ran = run(tmp_path, "talk.mp4", "--background", "wall.png", "--output", "done.mp4")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("done.mp4  (12 frames, ")
    film, before = read_film(tmp_path / "done.mp4"), read_sound(tmp_path / "talk.mp4")
    after = read_sound(tmp_path / "done.mp4")
    assert (len(film.pictures), film.rate, film.size) == (12, 25, (200, 256))
    assert before is not None
    assert after is not None
    assert after.packets == before.packets
    face = film.pictures[6][50:70, 100:120].astype(int)
    assert np.abs(face - shown[50:70, 100:120]).mean() < 5
    assert film.pictures[6][10:40, 165:180, 2].mean() > 200


def test_an_alpha_is_the_matte(photo: Path, engine: Engine, astronaut: Frame) -> None:
    make_video(photo.with_name("clip.mp4"), [astronaut] * 2)
    ran = run(photo.parent, "astro.png", "clip.mp4", "--kind", "alpha", "--output", "mattes")
    assert (ran.code, ran.err) == (0, "")
    matte = to_matte(engine(astronaut))
    np.testing.assert_array_equal(read_matte(photo.parent / "mattes" / "astro.png"), matte)
    with Image.open(photo.parent / "mattes" / "astro.png") as picture:
        assert picture.mode == "L"
    video = read_film(photo.parent / "mattes" / "clip.mp4").pictures[1]
    assert np.abs(video.astype(int) - matte[:, :, None]).mean() < 4


def test_a_transparent_background_is_a_cutout(photo: Path, engine: Engine, astronaut: Frame) -> None:
    make_video(photo.with_name("clip.mp4"), [astronaut] * 2)
    ran = run(photo.parent, "astro.png", "clip.mp4", "--background", "transparent", "--output", "cut")
    assert (ran.code, ran.err) == (0, "")
    matte = to_matte(engine(astronaut))
    with Image.open(photo.parent / "cut" / "astro.png") as picture:
        assert picture.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(picture)[:, :, 3], matte)
    rgba = read_rgba(photo.parent / "cut" / "clip.mov")[1]
    assert np.abs(rgba[:, :, 3].astype(int) - matte).mean() < 4


def test_a_photo_with_broken_exif_is_done_without_a_word(tmp_path: Path, astronaut: Frame) -> None:
    Image.fromarray(astronaut).save(tmp_path / "old.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12")
    ran = run(tmp_path, "old.jpg", "--background", "#000000")
    assert ran == Ran(0, "old-composite.jpg  (1 frame)\n", "")


def test_a_red_person_stays_red_from_file_to_file(tmp_path: Path, red_finder: Path) -> None:
    """The model finds the red channel: with red and blue swapped anywhere, another person stands there."""
    picture = np.hstack([plain(64, 96, (0, 0, 0)), plain(64, 96, RED), plain(64, 96, BLUE)])
    write_image(tmp_path / "two.png", picture)
    make_video(tmp_path / "two.mp4", [picture] * 3, look=H264)
    ran = run(tmp_path, "two.png", "two.mp4", "--model", red_finder, "--background", "#008040", "--output", "out")
    assert (ran.code, ran.err) == (0, "")
    want = np.array([[0, 128, 64], RED, [0, 128, 64]], np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "two.png")[48, 32::64], want)
    assert largest_difference(read_film(tmp_path / "out" / "two.mp4").pictures[2][48, 32::64], want) <= 12


# ---- when something is wrong with one of several


def test_a_broken_input_stops_no_other(photo: Path, astronaut: Frame) -> None:
    folder = photo.parent
    write_image(folder / "last.png", astronaut[::2, ::2])
    (folder / "letter.jpg").write_text("Dear all,")
    content = make_video(folder / "cut.mp4", [astronaut] * 8, look=Look(pixels="yuv420p", moov_first=True)).read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) // 2])
    ran = run(folder, "astro.png", "letter.jpg", "cut.mp4", "last.png", "--output", "out")
    assert ran.code == 1
    assert ran.out == "out/astro.png  (1 frame)\nout/last.png  (1 frame)\n"
    lines = ran.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("figureground: letter.jpg: not a picture this can read")
    assert lines[1].startswith("figureground: cut.mp4: ")
    assert sorted(tree(folder / "out")) == ["astro.png", "last.png"]


def test_a_broken_input_is_named_in_the_json(photo: Path) -> None:
    photo.with_name("empty.mp4").write_bytes(b"")
    ran = run(photo.parent, "empty.mp4", "astro.png", "--output", "out", "--json")
    assert (ran.code, ran.err) == (1, "")
    failed, done = json.loads(ran.out)["results"]
    assert (failed["input"], failed["status"], failed["frames"]) == ("empty.mp4", "failed", 0)
    assert failed["reason"].startswith("empty.mp4: not a video this can read")
    assert (done["output"], done["status"], done["reason"]) == ("out/astro.png", "done", "")
    assert sorted(tree(photo.parent / "out")) == ["astro.png"]


# ---- when the call is wrong


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory, astronaut: Frame, red_finder: Path) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    write_image(folder / "astro.png", astronaut)
    (folder / "none").mkdir()
    (folder / "none" / "notes.txt").write_text("nothing to see")
    (folder / "file").write_text("in the way")
    (folder / "letter.jpg").write_text("Dear all,")
    (folder / "letter.onnx").write_text("Dear all,")
    make_sound(folder / "sound.mp4")
    make_video(folder / "clip.mp4", counting(2), look=H264)
    shutil.copy(folder / "astro.png", folder / "astro.jpg")
    shutil.copy(red_finder, folder / "red.onnx")
    save_network(folder / "planes.onnx", Shape(input=("batch", 3, "height", "width")))
    save_network(folder / "float.onnx", Shape(input_type="FLOAT"))
    return folder


MISTAKES: dict[str, tuple[list[str], str]] = {
    "missing": (["gone.jpg"], "gone.jpg: no such file or folder"),
    "one missing": (["astro.png", "gone.jpg", "--output", "out"], "gone.jpg: no such file or folder"),
    "no pictures": (["none"], "none: no pictures or videos in this folder"),
    "itself": (["astro.png", "--output", "./astro.png"], "astro.png: is an input; choose another --output"),
    "another input": (["astro.png", "clip.mp4", "--output", "."], "is an input; choose another --output"),
    "its background": (
        ["astro.png", "--background", "astro.jpg", "--output", "astro.jpg"],
        "astro.jpg: is the background; choose another --output",
    ),
    "below a file": (["astro.png", "--output", "file/out"], "file/out: cannot be written"),
    "several below a file": (["astro.png", "clip.mp4", "--output", "file"], "file: cannot be written"),
    "background missing": (["astro.png", "--background", "gone.png"], "background 'gone.png': no such file"),
    "background broken": (["astro.png", "--background", "letter.jpg"], "background letter.jpg: not a picture"),
    "background silent": (["clip.mp4", "--background", "sound.mp4"], "background sound.mp4: there is no video"),
    "background empty": (["astro.png", "--background", "none"], "background 'none': no pictures in this folder"),
    "strength": (["astro.png", "--background", "blur:0"], "the strength must be a number from 1 to 100"),
    "kind": (["astro.png", "--kind", "cut"], "kind 'cut': want one of composite, cutout, alpha"),
    "model unknown": (["astro.png", "--model", "huge"], "huge: no such model; use small"),
    "model of no name": (["astro.png", "--model", ""], "not an .onnx file; make one with"),
    "model of this folder": (["astro.png", "--model", "."], "model.onnx: no such model; use small"),
    "background elsewhere": (["astro.png", "--background", "gs://a/b.png"], "background 'gs://a/b.png': no such file"),
    "background of no name": (["astro.png", "--background", ""], "background '': no such file; want blur"),
    "output of no name": (["none/../astro.png", "--output", ""], "--output '': want a file or folder; leave it out"),
    "model a letter": (["astro.png", "--model", "letter.onnx"], "letter.onnx: not a model ONNX Runtime can load"),
    "model of planes": (["astro.png", "--model", "planes.onnx"], "want input uint8 (1, height, width, 3)"),
    "model of floats": (["astro.png", "--model", "float.onnx"], "want input uint8 (1, height, width, 3)"),
    "twice the same": (["astro.png", "astro.png", "--output", "out"], "both astro.png and astro.png would go there"),
    "jpeg cutout": (["astro.png", "--kind", "cutout", "--output", "out.jpg"], "holds no transparency; use .png or"),
    "mp4 cutout": (["clip.mp4", "--kind", "cutout", "--output", "out.mp4"], "holds no transparent video; use .mov"),
    "picture to video": (["astro.png", "--output", "out.mp4"], "out.mp4: cannot hold a picture; use one of .jpg"),
    "codec of a picture": (["astro.png", "--codec", "hevc"], "--codec: only for videos, and no input is one"),
    "parts of pictures": (
        ["astro.png", "astro.jpg", "--output", "out", "--matte", "--from", "1", "--to", "0:02", "--frames", "3"],
        "--matte, --from, --to, --frames: only for videos, and no input is one; leave out what does nothing",
    ),
    "video to picture": (["clip.mp4", "--output", "out.png"], "out.png: cannot write .png; use .mp4"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_call_is_told_in_one_line_and_changes_nothing(mistakes: Path, name: str) -> None:
    arguments, reason = MISTAKES[name]
    before = tree(mistakes)
    ran = run(mistakes, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("figureground: ")
    assert ran.err.count("\n") == 1
    assert reason in ran.err
    assert tree(mistakes) == before


def test_what_is_for_videos_is_for_those_among_pictures(tmp_path: Path, red_finder: Path) -> None:
    """Named together, or found in a folder; one without any says that nothing came of the options."""
    for name in ("mixed", "still"):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "a.png", plain(8, 8, RED))
    make_video(tmp_path / "mixed" / "b.mp4", counting(4), look=H264)
    asked = ["--frames", "2", "--matte", "--model", red_finder, "--output", "out"]
    for inputs in (["mixed/a.png", "mixed/b.mp4"], ["mixed"]):
        ran = run(tmp_path, *inputs, *asked)
        assert (ran.code, ran.err) == (0, "")
        assert sorted(tree(tmp_path / "out")) == ["a.png", "b-matte.mp4", "b.mp4"]
        assert len(read_film(tmp_path / "out" / "b.mp4").pictures) == 2
        shutil.rmtree(tmp_path / "out")
    ran = run(tmp_path, "still", *asked)
    assert ran.code == 0
    assert ran.err == "figureground: --matte, --frames: only for videos, and none was among the inputs\n"
    assert sorted(tree(tmp_path / "out")) == ["a.png"]


def test_a_letter_named_jpg_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear all,")
    ran = run(tmp_path, "letter.jpg")
    assert ran.code == 1
    assert ran.err == f"figureground: letter.jpg: not a picture this can read; want {_endings()}\n"
    assert list(tree(tmp_path)) == ["letter.jpg"]


def _endings() -> str:
    return " ".join(EXTENSIONS)


@pytest.mark.parametrize("arguments", [[], ["astro.png", "--colour", "red"], ["astro.png", "--output"]])
def test_a_call_that_cannot_be_understood_shows_how_it_is_meant(photo: Path, arguments: list[str]) -> None:
    ran = run(photo.parent, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Error: " in ran.err
    assert "Traceback" not in ran.err


NOBODY = """
import contextlib, os
import figureground.cli, figureground.engine
if os.geteuid() == 0:  # who may read and write everything
    # Loads all that is loaded late: Python itself may lie where only root may read.
    with contextlib.suppress(figureground.cli.FigureGroundError):
        figureground.cli.app(["replace", "gone.jpg"], standalone_mode=False)
    figureground.engine.shipped_models()
    os.setuid(65534)
figureground.cli.main()
"""


def run_as_nobody(folder: Path, *arguments: str) -> Ran:
    command = [sys.executable, "-c", NOBODY, "replace", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def open_folder(astronaut: Frame) -> Iterator[Path]:
    """A folder that any user may enter, unlike `tmp_path`, with one that none may write and one that none may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_image(folder / "astro.png", astronaut)
        for name, mode in (("read-only", 0o555), ("closed", 0o000)):
            (folder / name).mkdir(mode=mode)
        yield folder
        (folder / "closed").chmod(0o700)


@pytest.mark.usefixtures("uncounted")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["astro.png", "--output", "read-only/new"], "read-only/new: cannot be written (Permission denied)"),
        (["astro.png"], ".: cannot be written (Permission denied)"),
        (["astro.png", "--output", "closed/new"], "closed/new: cannot be written (Permission denied)"),
        (["closed/photo.png", "--output", "/tmp"], "closed/photo.png: no such file or folder"),
        (["astro.png", "--output", "/tmp", "--background", "closed/b.png"], "background 'closed/b.png': no such file"),
        (["astro.png", "--output", "/tmp", "--model", "closed/m.onnx"], "closed/m.onnx: no such model"),
    ],
)
def test_what_may_not_be_read_or_written_is_told_before_the_work(
    open_folder: Path, arguments: list[str], reason: str
) -> None:
    open_folder.chmod(0o555)
    ran = run_as_nobody(open_folder, *arguments)
    open_folder.chmod(0o755)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"figureground: {reason}")
    assert ran.err.count("\n") == 1
    assert sorted(os.listdir(open_folder)) == ["astro.png", "closed", "read-only"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is the folder that not even root can write")
def test_a_folder_nobody_can_write_is_told_before_the_work(photo: Path) -> None:
    ran = run(photo.parent, "astro.png", "--output", "/proc/results")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("figureground: /proc/results: cannot be written")
    assert ran.err.count("\n") == 1


# ---- when it is cut off


@pytest.mark.usefixtures("uncounted")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the write fails in the middle just so."""
    import resource

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(60)]
    make_video(tmp_path / "noise.mp4", pictures, look=H264)
    write_image(tmp_path / "noise.png", rng.integers(0, 256, (300, 300, 3), np.uint8))
    before = tree(tmp_path)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    save_everything = save_network(tmp_path / "all.onnx", Shape(divisor=1e-3))
    options = {"preexec_fn": limit, "env": os.environ.copy()}
    ran = run(tmp_path, "noise.mp4", "noise.png", "--model", save_everything, "--output", "out", **options)
    (tmp_path / "all.onnx").unlink()
    assert ran.code == 1
    assert [line.split(" (")[0] for line in ran.err.splitlines()] == [
        f"figureground: out/noise.{kind}: cannot be written" for kind in ("mp4", "png")
    ]
    assert tree(tmp_path) == before


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Until a file of that name is there."""
    until = time.monotonic() + 60
    while not any(folder.glob(pattern)):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
def test_ctrl_c_in_the_middle_of_a_video_leaves_what_is_done_and_nothing_half_done(photo: Path) -> None:
    make_video(photo.with_name("long.mp4"), [plain(64, 48, GREEN)] * 600, look=H264, sound="aac")
    with subprocess.Popen(
        [*COMMAND, "astro.png", "long.mp4", "--output", "out"],
        cwd=photo.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_a_terminal,
    ) as process:
        wait_for(photo.parent / "out", ".long.*/.000000.*.part.mp4", process)
        time.sleep(0.3)  # about when the picture is done: a Ctrl-C was lost then, as the main thread fell asleep again
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out in ("", "out/astro.png  (1 frame)\n"), "finished before Ctrl-C or after it"
    assert err == "figureground: interrupted; what was finished is kept, nothing half-written is left\n"
    assert sorted(os.listdir(photo.parent / "out")) == ["astro.png", NAME]
    assert read_image(photo.parent / "out" / "astro.png").shape == (256, 256, 3)


def begun(*arguments: str | Path, unbuffered: str = "", **more: Any) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}  # which the tests may have from where they run
    return subprocess.Popen([*COMMAND, *map(str, arguments)], env=environment, stderr=subprocess.PIPE, **more)


@pytest.mark.parametrize("as_json", [False, True])
def test_who_reads_no_further_does_not_end_the_work(tmp_path: Path, red_finder: Path, as_json: bool) -> None:
    """As `| head -1`, or a pager that is left."""
    for number in range(30):
        write_image(tmp_path / "album" / f"{number:02}.png", noise(40, 30, seed=number))
    arguments = [tmp_path / "album", "--output", tmp_path / "out", "--model", red_finder, *["--json"] * as_json]
    with begun(*arguments, unbuffered="1", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
    assert len([*(tmp_path / "out").glob("*.png")]) == 30


@pytest.mark.skipif(os.name == "nt", reason="it takes a shell of Unix")
@pytest.mark.parametrize("name", ["a.png", "gone.png"])
def test_with_its_outputs_closed_it_works_all_the_same(tmp_path: Path, red_finder: Path, name: str) -> None:
    write_image(tmp_path / "a.png", noise(40, 30))
    line = shlex.join([*COMMAND, name, "--output", "out.png", "--model", str(red_finder)])
    done = subprocess.run(["sh", "-c", f"{line} >&- 2>&-"], cwd=tmp_path, check=False)
    assert (done.returncode, (tmp_path / "out.png").exists()) == ((0, True) if name == "a.png" else (2, False))


@pytest.mark.skipif(os.name == "nt", reason="it takes a shell of Unix")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("- --output out.png <&-", "picture: not a picture this can read"),
        ("- --pipe rgb24:64x64 <&-", "standard input: "),
        ("a.png --output - >&-", "standard output: cannot be written"),
        (". --output - >out", ".: a folder cannot go to standard output; give --output FOLDER"),
    ],
)
def test_what_is_closed_gives_and_takes_no_picture(tmp_path: Path, red_finder: Path, arguments: str, said: str) -> None:
    write_image(tmp_path / "a.png", noise(40, 30))
    line = f"{shlex.join(COMMAND)} {arguments} --model {shlex.quote(str(red_finder))}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"figureground: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows waits for no pipe")
def test_what_is_done_is_said_at_once(tmp_path: Path, red_finder: Path) -> None:
    write_image(tmp_path / "hot" / "a.png", noise(40, 30))
    arguments = [tmp_path / "hot", "--output", tmp_path / "out", "--model", red_finder, "--json", "--watch"]
    with begun(*arguments, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 60)[0], "nothing is said while it waits for more"
            assert b"results" in process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a file that is always full")
def test_what_cannot_be_printed_is_said_once_and_the_work_goes_on(tmp_path: Path, red_finder: Path) -> None:
    for number in range(3):
        write_image(tmp_path / "album" / f"{number}.png", noise(40, 30, seed=number))
    with (
        open("/dev/full", "wb") as full,
        begun(tmp_path / "album", "--output", tmp_path / "out", "--model", red_finder, stdout=full) as process,
    ):
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert (said.count("\n"), process.wait(60)) == (1, 0)
        assert said.startswith("figureground: standard output: cannot be written (No space left on device)")
    assert len([*(tmp_path / "out").glob("*.png")]) == 3
