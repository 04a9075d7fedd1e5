"""A video made in spans is the same however it was made, whole, and shows no seam."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.batch import Job, plan, replace, spans
from figureground.batch.join import join
from figureground.batch.options import Options
from figureground.batch.spans import replace_span, split, work_folder
from figureground.batch.video import replace_video
from figureground.engine import Engine
from figureground.errors import VideoError
from figureground.sources import VideoSource
from scenes import plain
from videos import MPEG4, Look, make_video, read_film, read_sound

SHORT = Look(pixels="yuv420p", gop=10)
GREY = Options(background="#000000")


@pytest.fixture
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of a second, with half a second before each."""
    monkeypatch.setattr(spans, "SPAN", Fraction(1))
    monkeypatch.setattr(spans, "OVERLAP", Fraction(1, 2))


def walking(frames: int, width: int = 64, height: int = 48) -> list[Frame]:
    """Red pictures, for `red_finder` to take whole; picture n is n % 13 * 16 green."""
    return [plain(width, height, (255, n % 13 * 16, 0)) for n in range(frames)]


def numbers(pictures: Sequence[NDArray[np.uint8]]) -> list[int]:
    return [round(float(picture[:, :, 1].mean()) / 16) for picture in pictures]


def options(model: Path, **more: object) -> Options:
    return Options("composite", "#000000", str(model), **more)  # type: ignore[arg-type]


CONTAINERS = [
    ("in.mp4", SHORT),
    ("in.mkv", SHORT),
    ("in.ts", SHORT),
    ("in.webm", Look(codec="libvpx-vp9", pixels="yuv420p")),
    ("in.avi", MPEG4),
    ("in.flv", Look(codec="flv", pixels="yuv420p", tagged=False)),
]


@pytest.mark.usefixtures("short_spans")
@pytest.mark.parametrize(("name", "look"), CONTAINERS)
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.webm", "out.mov"])
def test_no_frame_is_missing_or_double_and_each_has_its_time(
    tmp_path: Path, red_finder: Path, name: str, look: Look, target: str
) -> None:
    made = make_video(tmp_path / name, walking(45), 10, look)
    wanted = options(red_finder)
    parts = split(made, wanted)
    assert sum(part.frames for part in parts) == 45
    if name != "in.webm":  # libvpx chooses its key frames itself
        assert len(parts) > 2
    replace_video(Job(made, tmp_path / target), Engine(red_finder), wanted, None)
    film, before = read_film(tmp_path / target), read_film(made)
    assert numbers(film.pictures) == [n % 13 for n in range(45)]
    assert film.rate == 10
    # FLV says nothing of what is cut from its beginning.
    wanted_times = (
        [time - before.times[0] for time in before.times] if name != "in.avi" else [Fraction(n, 10) for n in range(45)]
    )
    got = [time - film.times[0] for time in film.times]
    assert [float(time) for time in got] == pytest.approx([float(time) for time in wanted_times], abs=0.0006)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, target])


@pytest.mark.usefixtures("short_spans")
def test_open_groups_of_pictures_lose_nothing(tmp_path: Path, red_finder: Path) -> None:
    """Pictures shown before a key frame but stored behind it belong to the span before."""
    made = tmp_path / "open.mp4"
    look = Look(
        pixels="yuv420p", gop=10, more=(("preset", "medium"), ("x264-params", "open-gop=1:bframes=3:scenecut=0"))
    )
    make_video(made, walking(60), 10, look)
    with VideoSource(made) as source:
        times = list(source.times())
    keys = [number for number, (_, key) in enumerate(times) if key]
    assert len(keys) > 3
    assert any(times[number + 1][0] < times[number][0] for number in keys[1:]), "no open group: the test is void"
    wanted = options(red_finder)
    assert len(split(made, wanted)) > 3
    replace_video(Job(made, tmp_path / "out.mp4"), Engine(red_finder), wanted, None)
    film = read_film(tmp_path / "out.mp4")
    assert numbers(film.pictures) == [n % 13 for n in range(60)]
    assert film.times == [Fraction(n, 10) for n in range(60)]


@pytest.mark.usefixtures("short_spans")
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
def test_unsteady_times_pass_the_seams(tmp_path: Path, red_finder: Path, target: str) -> None:
    rng = np.random.default_rng(3)
    steps = rng.choice([7, 40, 55, 200], 60)
    times = [Fraction(int(at), 1000) for at in np.concatenate([[0], np.cumsum(steps)[:-1]])]
    made = make_video(tmp_path / "in.mp4", walking(60), 25, SHORT, times)
    wanted = options(red_finder)
    assert len(split(made, wanted)) > 2
    replace_video(Job(made, tmp_path / target), Engine(red_finder), wanted, None)
    film = read_film(tmp_path / target)
    assert numbers(film.pictures) == [n % 13 for n in range(60)]
    assert [float(time) for time in film.times] == pytest.approx([float(time) for time in times], abs=0.0011)


@pytest.mark.usefixtures("short_spans")
def test_spans_cover_a_video_once_and_travel(tmp_path: Path) -> None:
    made = make_video(tmp_path / "in.mp4", walking(50), 10, SHORT)
    parts = split(made, GREY)
    assert pickle.loads(pickle.dumps(parts)) == parts
    assert [part.number for part in parts] == list(range(len(parts)))
    assert (parts[0].start, parts[0].key, parts[-1].end) == (0, None, None)
    for before, after in pairwise(parts):
        assert before.end == after.start
        assert after.key is not None
        assert after.key <= after.start - Fraction(1, 2)
        assert after.start - before.start >= 1


@pytest.mark.usefixtures("short_spans")
def test_a_span_that_is_there_is_not_made_again(tmp_path: Path, red_finder: Path) -> None:
    made = make_video(tmp_path / "in.mp4", walking(30), 10, SHORT)
    job, wanted, engine = Job(made, tmp_path / "out.mp4"), options(red_finder), Engine(red_finder)
    parts = split(made, wanted)
    paths = [replace_span(job, wanted, part, engine) for part in reversed(parts)]  # in any order
    stamps = [path.stat().st_mtime_ns for path in paths]
    again = [replace_span(job, wanted, part, engine) for part in reversed(parts)]
    assert (again, [path.stat().st_mtime_ns for path in again]) == (paths, stamps)
    assert join(job, wanted, parts).frames == 30
    assert not work_folder(job, wanted).exists()


def test_the_folder_of_spans_tells_inputs_and_options_apart(tmp_path: Path, red_finder: Path) -> None:
    first = make_video(tmp_path / "a.mp4", walking(3), 10, SHORT)
    other = make_video(tmp_path / "b.mp4", walking(4), 10, SHORT)
    (tmp_path / "copies").mkdir()
    copied = Path(shutil.copyfile(first, tmp_path / "copies" / "a.mp4"))
    out = tmp_path / "out.mp4"
    own = work_folder(Job(first, out), options(red_finder))
    assert work_folder(Job(copied, out), options(red_finder)) == own
    assert work_folder(Job(first, out), options(red_finder, resume=True, sheet="x.png")) == own
    different = [
        work_folder(Job(other, out), options(red_finder)),
        work_folder(Job(first, tmp_path / "else.mp4"), options(red_finder)),
        work_folder(Job(first, out), options(red_finder, codec="hevc")),
        work_folder(Job(first, out), options(red_finder, matte=True)),
        work_folder(Job(first, out), options(red_finder, start=Fraction(1, 10))),
        work_folder(Job(first, out), Options("composite", "#000001", str(red_finder))),
        work_folder(Job(first, out), Options("composite", "#000000")),
    ]
    assert len({own, *different}) == len(different) + 1


@pytest.mark.usefixtures("short_spans")
@pytest.mark.parametrize(("name", "other"), [("a.mp4", "a.mp4.mp4"), ("L" * 120 + "1.mp4", "L" * 120 + "2.mp4")])
def test_a_video_leaves_the_spans_of_one_with_a_like_name(
    tmp_path: Path, red_finder: Path, name: str, other: str
) -> None:
    """Another thread, or another run, may be making them at this moment."""
    made = make_video(tmp_path / "in.mp4", walking(20), 10, SHORT)
    job, wanted = Job(made, tmp_path / other), options(red_finder)
    part = replace_span(job, wanted, split(made, wanted)[0], Engine(red_finder))
    (result,) = replace(made, "#000000", tmp_path / name, model=red_finder)
    assert (result.status, part.exists()) == ("done", True)
    replace(made, "#000000", tmp_path / other, model=red_finder)
    assert not part.exists()


def test_a_name_as_long_as_names_may_be(tmp_path: Path, red_finder: Path) -> None:
    made = make_video(tmp_path / "in.mp4", walking(3), 10, SHORT)
    for name in ("結" * 83 + ".mp4", "😀" * 62 + ".mp4", "a" * 251 + ".mp4"):
        (result,) = replace(made, "#000000", tmp_path / name, model=red_finder)
        assert (result.status, result.reason) == ("done", "")


# ---- seams


def test_a_seam_shows_in_no_alpha(
    tmp_path: Path, shared_data: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real people, in one pass and in spans: two seconds before a seam are enough, none are not."""
    with VideoSource(shared_data / "video" / "webcam" / "walk.mkv") as clip:
        frames = [frame[::3, ::3].copy() for frame in clip]
    source = make_video(tmp_path / "clip.mkv", (frames + frames[::-1])[:120], 30, Look(pixels="yuv420p", gop=30))
    wanted = Options("alpha", codec="ffv1")

    def mattes(span: int, overlap: int) -> list[NDArray[np.uint8]]:
        monkeypatch.setattr(spans, "SPAN", Fraction(span))
        monkeypatch.setattr(spans, "OVERLAP", Fraction(overlap))
        replace_video(Job(source, tmp_path / "out.mkv"), engine, wanted, None)
        return read_film(tmp_path / "out.mkv").pictures

    one, several, careless = mattes(1000, 2), mattes(3, 2), mattes(3, 0)
    assert len(one) == len(several) == len(careless) == 120
    apart = [
        [np.abs(a.astype(int) - b).mean() / 255 for a, b in zip(one, other, strict=True)]
        for other in (several, careless)
    ]
    assert max(apart[0][:90]) == 0
    step = np.median([np.abs(a.astype(int) - b).mean() / 255 for a, b in pairwise(one)])
    assert max(apart[0]) < step / 10
    assert max(apart[1]) > 5 * max(apart[0])


@pytest.mark.usefixtures("short_spans")
def test_a_background_video_keeps_its_place(tmp_path: Path, red_finder: Path) -> None:
    """A loop of 7 frames behind 45: counted through, seams or not."""
    make_video(tmp_path / "back.mp4", [plain(64, 48, (0, 16 * n, 0)) for n in range(7)], 10)
    made = make_video(tmp_path / "in.mp4", [plain(64, 48, (0, 0, 255))] * 45, 10, SHORT)
    wanted = Options("composite", str(tmp_path / "back.mp4"), str(red_finder))
    assert len(split(made, wanted)) > 2
    replace_video(Job(made, tmp_path / "out.mp4"), Engine(red_finder), wanted, None)
    assert numbers(read_film(tmp_path / "out.mp4").pictures) == [n % 7 for n in range(45)]


# ---- killed


IN_SHORT_SPANS = """
from fractions import Fraction
from figureground.batch import spans
spans.SPAN, spans.OVERLAP = Fraction(1), Fraction(1, 2)
from figureground.cli import main
main()
"""


def killed_and_resumed(folder: Path, arguments: Sequence[str], seed: int) -> int:
    """Run the command, kill it soon after it has made a span, and again until it ends; how often it was killed."""
    rng, kills = random.Random(seed), 0
    while True:
        command = [sys.executable, "-c", IN_SHORT_SPANS, "replace", *arguments, "--resume"]
        before = spans_in(folder)
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None and (kills == 3 or spans_in(folder) <= before):
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.1))
            if process.poll() is not None:
                assert process.returncode == 0, process.stderr.read() if process.stderr else ""
                return kills
            process.send_signal(signal.SIGKILL)
            kills += 1


def spans_in(folder: Path) -> int:
    """How many spans are done of the video whose parts lie in `folder`/killed."""
    return len([name for each in folder.glob("killed/.*.spans") for name in os.listdir(each) if name[:1] != "."])


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
@pytest.mark.parametrize(("target", "more"), [("out.mp4", ["--matte"]), ("frames", ["--codec", "png"])])
def test_killed_and_gone_on_with_is_as_never_killed(
    tmp_path: Path, astronaut: Frame, target: str, more: list[str]
) -> None:
    moved = [np.ascontiguousarray(np.roll(astronaut, n % 9, axis=1)) for n in range(60)]
    make_video(tmp_path / "in.mp4", moved, 10, SHORT, sound="aac")
    arguments = ["in.mp4", "--background", "#203040", *more]
    whole = [sys.executable, "-c", IN_SHORT_SPANS, "replace", *arguments, "--output", f"whole/{target}"]
    subprocess.run(whole, cwd=tmp_path, check=True, capture_output=True)
    kills = killed_and_resumed(tmp_path, [*arguments, "--output", f"killed/{target}"], seed=len(target))
    assert kills > 0
    for path in sorted((tmp_path / "whole").rglob("*")):
        other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        if path.is_file():
            assert path.read_bytes() == other.read_bytes()  # more than was promised: not only the content
    assert sorted(os.listdir(tmp_path / "killed")) == sorted(os.listdir(tmp_path / "whole"))
    if target == "out.mp4":
        sounds = [read_sound(path) for path in (tmp_path / "killed" / target, tmp_path / "in.mp4")]
        assert sounds[0] is not None
        assert sounds[1] is not None
        assert sounds[0].packets == sounds[1].packets


@pytest.mark.usefixtures("short_spans")
def test_only_what_is_missing_is_made_and_only_when_asked(tmp_path: Path, red_finder: Path) -> None:
    made = make_video(tmp_path / "in.mp4", walking(40), 10, SHORT)
    job, wanted, engine = Job(made, tmp_path / "out.mp4"), options(red_finder), Engine(red_finder)
    parts = split(made, wanted)
    stale = replace_span(Job(made, job.output), options(red_finder, codec="hevc"), parts[0], engine)

    def fail_in_the_last(path: Path, done: int, total: int) -> None:
        if done > parts[-1].start * 10 + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_video(job, engine, wanted, fail_in_the_last)
    assert not stale.exists()
    assert len(list(work_folder(job, wanted).iterdir())) == len(parts) - 1
    told: list[int] = []
    resumed = options(red_finder, resume=True)
    replace_video(job, engine, resumed, lambda _, done, __: told.append(done))
    assert told == list(range(parts[-1].number and 41 - parts[-1].frames, 41))
    assert numbers(read_film(job.output).pictures) == [n % 13 for n in range(40)]
    with pytest.raises(KeyboardInterrupt):
        replace_video(job, engine, wanted, fail_in_the_last)
    told.clear()
    replace_video(job, engine, wanted, lambda _, done, __: told.append(done))
    assert told == list(range(1, 41))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("short_spans")
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out"])
@pytest.mark.parametrize("share", [0, 0.6])
def test_a_span_that_the_disk_never_wrote_is_made_again(
    tmp_path: Path, red_finder: Path, target: str, share: float
) -> None:
    """As after a power cut: the file has its name, and none or only a part of its content."""
    made = make_video(tmp_path / "in.mp4", walking(40), 10, SHORT)
    job, engine = Job(made, tmp_path / target), Engine(red_finder)
    wanted = options(red_finder, resume=True, codec="png" if target == "out" else None)
    span = split(made, wanted)[1]
    path = replace_span(job, wanted, span, engine)
    files = [path] if path.is_file() else sorted(path.iterdir())
    whole = [file.read_bytes() for file in files]
    if path.is_dir() and share:
        files[-1].unlink()
    else:
        files[-1].write_bytes(whole[-1][: round(share * len(whole[-1]))])
    told: list[int] = []
    replace_span(job, wanted, span, engine, told.append)
    assert len(told) == span.frames
    assert [file.stat().st_size for file in files] == [len(content) for content in whole]
    replace_span(job, wanted, span, engine, told.append)
    assert len(told) == span.frames


@pytest.mark.usefixtures("short_spans")
def test_a_damaged_video_leaves_nothing(tmp_path: Path, red_finder: Path) -> None:
    made = make_video(tmp_path / "in.mp4", walking(40), 10, Look(pixels="yuv420p", gop=10, moov_first=True))
    content = made.read_bytes()
    made.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(VideoError):
        replace_video(Job(made, tmp_path / "out.mp4"), Engine(red_finder), options(red_finder), None)
    assert os.listdir(tmp_path) == ["in.mp4"]


# ---- parts


@pytest.mark.usefixtures("short_spans")
@pytest.mark.parametrize(("name", "look"), CONTAINERS)
@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({"start": Fraction(2)}, range(20, 45)),
        ({"end": Fraction(7, 2)}, range(35)),
        ({"start": Fraction(12, 10), "end": Fraction(37, 10)}, range(12, 37)),
        ({"start": 0.1, "end": 0.3}, range(1, 3)),
        ({"frames": 7}, range(7)),
        ({"start": Fraction(19, 10), "frames": 14}, range(19, 33)),
        ({"frames": 1000}, range(45)),
    ],
)
def test_a_part_is_exactly_that(
    tmp_path: Path, red_finder: Path, name: str, look: Look, wanted: dict[str, object], kept: range
) -> None:
    made = make_video(tmp_path / name, walking(45), 10, look)
    (result,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder, **wanted)  # type: ignore[arg-type]
    assert (result.status, result.frames) == ("done", len(kept))
    film = read_film(tmp_path / "out.mp4")
    assert numbers(film.pictures) == [n % 13 for n in kept]
    assert [float(time - film.times[0]) for time in film.times] == pytest.approx(
        [n / 10 for n in range(len(kept))], abs=0.002
    )
    if "start" in wanted:
        assert film.times[0] == 0


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"start": Fraction(60)}, r"in\.mp4: no frames from 60 s on; it is 0\.40 seconds long"),
    ],
)
def test_a_part_that_is_not_there_is_named(
    tmp_path: Path, red_finder: Path, wanted: dict[str, object], reason: str
) -> None:
    made = make_video(tmp_path / "in.mp4", walking(5), 10, SHORT)
    with pytest.raises(VideoError, match=reason):
        split(made, options(red_finder, **wanted))


# ---- the matte beside


def test_a_matte_beside_is_the_one_that_was_used(tmp_path: Path, astronaut: Frame, engine: Engine) -> None:
    made = make_video(tmp_path / "in.mp4", [astronaut] * 4, 10, SHORT, sound="aac")
    (result,) = replace(made, "#000000", tmp_path / "out.mp4", matte=True, codec="hevc")
    assert result.status == "done"
    replace(made, output=tmp_path / "alpha.mp4", kind="alpha")
    beside, alone = (read_film(tmp_path / name) for name in ("out-matte.mp4", "alpha.mp4"))
    np.testing.assert_array_equal(beside.pictures[3], alone.pictures[3])
    assert beside.times == alone.times
    assert read_film(tmp_path / "out.mp4").codec == "hevc"
    assert read_sound(tmp_path / "out-matte.mp4") is None
    shutil.copy(made, tmp_path / "in-matte.mp4")
    items = plan([made, tmp_path / "in-matte.mp4"], tmp_path / "new", Options(matte=True))
    assert [Path(item.output).name for item in items] == ["in.mp4", "in-matte.mp4.mp4"], "beside in.mp4 is in-matte.mp4"
