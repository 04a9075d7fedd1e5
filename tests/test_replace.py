"""The `replace` command as users run it: files in, files out, one line for each failure, and nothing half done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from figureground.arrays import Frame
from figureground.batch import Item, Options, Result, plan, replace
from figureground.batch.manifest import NAME
from figureground.compositor import composite
from figureground.engine import Engine
from figureground.errors import BackgroundError, FigureGroundError, InputError, ModelError, OutputError
from figureground.images import EXTENSIONS, read_image, read_matte, write_image
from figureground.preprocess import to_matte
from networks import Shape, save_network
from scenes import BLUE, GREEN, RED, largest_difference, plain
from videos import H264, Look, count, counting, make_sound, make_video, read_film, read_rgba, read_sound

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


def tree(folder: Path) -> dict[str, bytes]:
    """The files below a folder but its manifest, which tests/test_folders.py looks at."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def photo(tmp_path: Path, astronaut: Frame) -> Path:
    write_image(tmp_path / "astro.png", astronaut)
    return tmp_path / "astro.png"


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
        # A process started in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        wait_for(photo.parent / "out", ".long.*/.000000.*.part.mp4", process)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out in ("", "out/astro.png  (1 frame)\n"), "finished before Ctrl-C or after it"
    assert err == "figureground: interrupted; what was finished is kept, nothing half-written is left\n"
    assert sorted(os.listdir(photo.parent / "out")) == ["astro.png", NAME]
    assert read_image(photo.parent / "out" / "astro.png").shape == (256, 256, 3)


# ---- from Python


def test_replace_gives_a_result_for_each_input_and_tells_its_progress(tmp_path: Path, red_finder: Path) -> None:
    write_image(tmp_path / "a.png", plain(20, 10, RED))
    make_video(tmp_path / "b.mp4", counting(3))
    (tmp_path / "c.png").write_bytes(b"")
    told: list[tuple[str, int, int]] = []
    inputs = [tmp_path / name for name in ("a.png", "b.mp4", "c.png")]
    results = replace(
        inputs,
        "#0000ff",
        tmp_path / "out",
        model=red_finder,
        progress=lambda path, *n: told.append((path.name, *n)),
        jobs=1,
    )
    assert [(result.input, result.status, result.frames) for result in results] == [
        (str(inputs[0]), "done", 1),
        (str(inputs[1]), "done", 3),
        (str(inputs[2]), "failed", 0),
    ]
    assert told == [("a.png", 1, 1), ("b.mp4", 1, 3), ("b.mp4", 2, 3), ("b.mp4", 3, 3)]


def test_every_video_begins_the_background_video_anew(tmp_path: Path, red_finder: Path) -> None:
    make_video(tmp_path / "back.mp4", counting(8, 64, 32), 30)
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, [plain(64, 32, BLUE)] * 5)
    results = replace(
        [tmp_path / "a.mp4", tmp_path / "b.mp4"], str(tmp_path / "back.mp4"), tmp_path / "out", model=red_finder
    )
    for result in results:
        assert count(read_film(Path(result.output)).pictures) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"background": "gone.png"}, BackgroundError),
        ({"kind": "other"}, OutputError),
        ({"model": "huge"}, ModelError),
        ({"output": "file/out"}, OutputError),
    ],
)
def test_replace_raises_before_anything_is_written(
    photo: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str], error: type[FigureGroundError]
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("file").write_text("in the way")
    before = tree(photo.parent)
    with pytest.raises(error):
        replace(["astro.png"], **arguments)  # type: ignore[arg-type]
    assert tree(photo.parent) == before


def outputs(folder: Path, inputs: Sequence[str], output: str | None, kind: str) -> list[str]:
    for name in inputs:
        (folder / name).touch()
    items = plan([folder / name for name in inputs], None if output is None else folder / output, Options(kind))
    return [str(Path(item.output).relative_to(folder)) for item in items]


@pytest.mark.parametrize(
    ("inputs", "output", "kind", "want"),
    [
        (["a.jpg"], None, "composite", ["a-composite.jpg"]),
        (["a.jpg"], None, "alpha", ["a-alpha.png"]),
        (["a.jpg"], None, "cutout", ["a-cutout.png"]),
        (["a.JPG"], "out", "composite", ["out/a.jpg"]),
        (["a.mp4"], None, "cutout", ["a-cutout.mov"]),
        (["a.webm"], None, "cutout", ["a-cutout.webm"]),
        (["a.avi"], None, "composite", ["a-composite.mp4"]),
        (["a.mkv"], "out", "alpha", ["out/a.mkv"]),
        (["a.gif"], None, "composite", ["a-composite.mp4"]),
        (["a.png"], "b.jpg", "composite", ["b.jpg"]),
        (["a.png", "b.mp4"], "out.d", "composite", ["out.d/a.png", "out.d/b.mp4"]),
        (["a.jpg", "a.png", "a.webp"], "out", "alpha", ["out/a.jpg.png", "out/a.png", "out/a.webp.png"]),
        (["a.jpg", "a.webp"], None, "cutout", ["a-cutout.png", "a.webp-cutout.png"]),
        (["a.JPG", "A.jpg"], "out", "composite", ["out/a.JPG.jpg", "out/A.jpg"]),
        (["a.jpg.png", "a.jpg", "a.png"], "out", "alpha", ["out/a.jpg.png", "out/a.jpg-2.png", "out/a.png"]),
    ],
)
def test_results_have_names_that_say_what_they_are(
    tmp_path: Path, inputs: list[str], output: str | None, kind: str, want: list[str]
) -> None:
    assert outputs(tmp_path, inputs, output, kind) == want


def test_a_link_to_an_input_is_that_input(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is an input"):
        plan([tmp_path / "a.png"], tmp_path / "link" / "a.png", Options())


def test_folders_of_the_same_tree_must_not_meet(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    first, second = plan([tmp_path / "x", tmp_path / "y"], tmp_path / "out", Options())
    assert (first.output, first.refused) == (str(tmp_path / "out" / "a.png"), "")
    assert "would go there; rename one or run twice" in second.refused
    assert [*plan([tmp_path], tmp_path / "out", Options())] == [
        Item(str(tmp_path / name), str(tmp_path / "out" / name), name, name) for name in ("x/a.png", "y/a.png")
    ]


def test_a_missing_input_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        plan([tmp_path / "gone"], None, Options())


def test_a_folder_needs_an_output(photo: Path) -> None:
    with pytest.raises(OutputError, match="a folder needs --output"):
        plan([photo.parent], None, Options())


def test_one_path_alone_is_one_input(photo: Path) -> None:
    (result,) = replace(str(photo), "#000000")
    assert result.status == "done"


def test_a_slide_of_the_background_is_not_overwritten(photo: Path, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    shutil.copy(photo, slides / photo.name)
    with pytest.raises(OutputError, match="is the background"):
        replace([photo], str(slides), slides)


def test_a_failure_nobody_foresaw_stops_no_other(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: Engine, picture: Frame) -> None:
        raise MemoryError("no memory for 1 GB")

    monkeypatch.setattr(Engine, "run", out_of_memory)
    (result,) = replace([photo])
    assert result.status == "failed"
    assert result.reason.endswith("there is not enough memory for it; free some, or do fewer at once (--jobs 1)")


def test_what_no_library_tells_by_name_is_told_all_the_same(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Engine, picture: Frame) -> None:
        raise ArithmeticError("two and two are five\nand more")

    monkeypatch.setattr(Engine, "run", broken)
    (result,) = replace([photo])
    assert result.reason == f"{photo}: ArithmeticError: two and two are five"
