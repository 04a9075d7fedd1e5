"""Folders: every file accounted for, whatever is in them, whoever is killed, and however often it is run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.arrays import Frame
from figureground.batch import Options, Result, plan, replace, results
from figureground.batch.manifest import NAME, Entry, Manifest, read_manifest
from figureground.batch.plan import result_names
from figureground.errors import InputError, OutputError
from figureground.images import read_image, write_image
from networks import Shape, save_network
from scenes import BLUE, RED, noise, plain
from terminals import as_in_a_terminal
from trees import tree
from videos import H264, counting, make_video

COMMAND = [sys.executable, "-m", "figureground", "replace"]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Six small pictures in three folders."""
    folder = tmp_path / "album"
    for number, name in enumerate(("a.png", "b.jpg", "trip/c.png", "trip/d.webp", "trip/home/e.png", "z.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, noise(40 + number, 30, seed=number))
    return folder


@pytest.fixture
def again(album: Path, red_finder: Path) -> Callable[..., dict[str, str]]:
    """Runs it over the album and gives each input's status."""

    def run(**changes: Any) -> dict[str, str]:
        asked: dict[str, Any] = {"background": "#0000ff", "output": album.parent / "out", "model": red_finder}
        found = replace([album], **asked | changes)
        return {str(Path(result.input).relative_to(album)): result.status for result in found}

    return run


def manifest(folder: Path) -> dict[str, Entry]:
    entries = [*read_manifest(folder / NAME)]
    assert len({entry.input for entry in entries}) == len(entries), "one line an input"
    return {entry.input: entry for entry in entries}


# ---- the manifest, and what is done again


def test_the_manifest_tells_what_became_of_each(album: Path, again: Callable[..., dict[str, str]]) -> None:
    (album / "bad.jpg").write_text("Dear all,")
    make_video(album / "clip.mp4", counting(3), look=H264)
    again()
    entries = manifest(album.parent / "out")
    assert set(entries) == set(tree(album))
    for name, entry in entries.items():
        assert entry.bytes == (album / name).stat().st_size
        assert (entry.status, bool(entry.reason)) == (("failed", True) if name == "bad.jpg" else ("done", False))
        if entry.status == "done":
            assert entry.output_bytes == (album.parent / "out" / entry.output).stat().st_size
            assert entry.frames == (3 if name == "clip.mp4" else 1)
    assert len({entry.options for entry in entries.values()}) == 1


def test_run_again_it_does_what_is_missing_or_changed(album: Path, again: Callable[..., dict[str, str]]) -> None:
    out = album.parent / "out"
    assert set(again().values()) == {"done"}
    before = tree(out)
    assert set(again().values()) == {"kept"}
    os.utime(album / "a.png", (1, 1))  # touched, but the same
    write_image(album / "b.jpg", noise(44, 30, seed=9))
    (out / "trip" / "c.png").unlink()
    (out / "trip" / "d.webp").write_bytes(b"cut")
    write_image(album / "new.png", noise(20, 20))
    assert again() == {
        "a.png": "kept",
        "b.jpg": "done",
        "new.png": "done",
        "trip/c.png": "done",
        "trip/d.webp": "done",
        "trip/home/e.png": "kept",
        "z.png": "kept",
    }
    after = tree(out)
    assert {name for name in before if after[name] != before[name]} == {"b.jpg"}
    assert set(manifest(out)) == set(after)


def test_what_is_no_slide_of_the_background_changes_nothing(tmp_path: Path, red_finder: Path) -> None:
    """macOS leaves such files wherever somebody looks."""
    write_image(tmp_path / "walls" / "wall.png", plain(9, 9, BLUE))
    write_image(tmp_path / "album" / "a.png", noise(20, 20))
    seen = []
    for left in (None, ".DS_Store", "._wall.png", "notes.txt"):
        if left is not None:
            (tmp_path / "walls" / left).write_bytes(b"\0\5\x16\7")
        (result,) = replace(tmp_path / "album", tmp_path / "walls", tmp_path / "out", model=red_finder)
        seen.append(result.status)
    assert seen == ["done", "kept", "kept", "kept"]


def test_what_stands_beside_a_result_is_made_again_too(tmp_path: Path, red_finder: Path) -> None:
    clip, sheet = make_video(tmp_path / "clip.mp4", counting(5), look=H264), tmp_path / "sheet.png"
    asked: dict[str, Any] = {"output": tmp_path / "out", "model": red_finder, "matte": True, "sheet": sheet}
    seen = []
    for lost in (None, None, tmp_path / "out" / "clip-matte.mp4", sheet):
        if lost is not None:
            lost.unlink()
        (result,) = replace([clip], "#0000ff", **asked)
        seen.append((result.status, lost is None or lost.exists()))
    assert seen == [("done", True), ("kept", True), ("done", True), ("done", True)]


def test_a_folder_of_pictures_counts_with_all_that_is_in_it(tmp_path: Path, red_finder: Path) -> None:
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "clip.mp4", counting(5), look=H264)
    asked: dict[str, Any] = {"output": tmp_path / "out", "model": red_finder, "codec": "png"}
    left = tmp_path / "out" / ".clip.abcd1234.part"  # as a run leaves it that is killed while it joins them
    seen = []
    for lost in (None, None, tmp_path / "out" / "clip" / "000003.png"):
        left.mkdir(parents=True)
        (left / "000001.png").touch()
        if lost is not None:
            lost.unlink()
        (result,) = replace([tmp_path / "in"], "#0000ff", **asked)
        seen.append((result.status, len([*(tmp_path / "out" / "clip").iterdir()]), left.exists()))
    assert seen == [("done", 5, False), ("kept", 5, False), ("done", 5, False)]


def test_what_is_asked_for_counts_and_where_it_lies_does_not(
    album: Path, again: Callable[..., dict[str, str]], tmp_path: Path, red_finder: Path
) -> None:
    write_image(tmp_path / "wall.png", plain(20, 20, BLUE))
    shutil.copy(red_finder, tmp_path / "mine.onnx")
    asked = {"background": str(tmp_path / "wall.png"), "model": tmp_path / "mine.onnx"}
    assert set(again(**asked).values()) == {"done"}
    shutil.move(tmp_path / "wall.png", tmp_path / "elsewhere.png")
    assert set(again(**asked | {"background": str(tmp_path / "elsewhere.png")}).values()) == {"kept"}
    write_image(tmp_path / "elsewhere.png", plain(20, 20, RED))
    assert set(again(**asked | {"background": str(tmp_path / "elsewhere.png")}).values()) == {"done"}
    assert set(again(**asked | {"background": "#102030"}).values()) == {"done"}
    save_network(tmp_path / "mine.onnx", Shape(divisor=100))
    assert set(again(**asked | {"background": "#102030"}).values()) == {"done"}


def test_what_failed_is_tried_again(album: Path, again: Callable[..., dict[str, str]]) -> None:
    (album / "bad.jpg").write_text("Dear all,")
    assert again()["bad.jpg"] == "failed"
    assert again()["bad.jpg"] == "failed"
    write_image(album / "bad.jpg", noise(20, 20))
    assert again()["bad.jpg"] == "done"
    assert manifest(album.parent / "out")["bad.jpg"].status == "done"


ENTRIES = [Entry("a.jpg", "a.jpg", "done"), Entry("ü/\udcff b.jpg", "b.jpg", "failed", "why"), Entry("c", "c", "done")]


def test_a_torn_last_line_is_mended_wherever_it_is_torn(tmp_path: Path) -> None:
    path = tmp_path / NAME
    whole = Manifest(path)
    for entry in ENTRIES:
        whole.add(entry)
    whole.close()
    content = path.read_bytes()
    last = content[:-1].rfind(b"\n") + 1
    for cut in range(last, len(content)):
        path.write_bytes(content[:cut])
        torn = Manifest(path)
        assert [torn.find(entry.input) for entry in ENTRIES] == [*ENTRIES[:2], None]
        torn.add(ENTRIES[2])
        torn.close()
        assert path.read_bytes() == content


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=20), st.binary(max_size=30))
def test_the_last_line_of_an_input_counts(written: list[tuple[str, int]], garbage: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(garbage + b"\n")
        kept = Manifest(path)
        for name, ms in written:
            kept.add(Entry(name, name, "done", ms=ms))
        want = {name: Entry(name, name, "done", ms=ms) for name, ms in written}
        assert {name: kept.find(name) for name in "abcd"} == {name: want.get(name) for name in "abcd"}
        kept.close()
        found = [*read_manifest(path)] if path.exists() else []
        assert {entry.input: entry for entry in found} == want
        assert len(found) == len(want)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_two_runs_do_not_write_into_one_folder(album: Path, again: Callable[..., dict[str, str]]) -> None:
    busy = Manifest(album.parent / "out" / NAME)
    with pytest.raises(OutputError, match="another run is at work here"):
        again()
    busy.close()
    assert set(again().values()) == {"done"}


# ---- names


def names(*inputs: str, kind: str = "cutout", old: dict[str, str] | None = None) -> list[str]:
    given = result_names(inputs, Options(kind), lambda name: (old or {}).get(name, ""))
    return [given[name] for name in inputs]


NAMES = st.builds(
    str.__add__,
    st.sampled_from(["a", "A", "b", "a.jpg", "ä"]),
    st.sampled_from([".jpg", ".png", ".JPG", ".mp4", ".mov"]),
)


def test_who_wants_the_same_name_gets_a_longer_one() -> None:
    assert names("a.jpg", "a.png") == ["a.jpg.png", "a.png"]
    assert names("a.bmp", "a.jpg", "b.jpg") == ["a.png", "a.jpg.png", "b.png"]
    assert names("A.jpg", "a.jpg", kind="composite") == ["A.jpg", "a.jpg.jpg"]
    assert names("a.jpg", "a.jpg.png", "a.png") == ["a.jpg-2.png", "a.jpg.png", "a.png"]


def test_names_stay_when_files_are_added(album: Path, again: Callable[..., dict[str, str]]) -> None:
    again(kind="cutout")
    out = album.parent / "out"
    assert (out / "b.png").exists()
    first = tree(out)
    write_image(album / "b.png", noise(10, 10))
    assert again(kind="cutout")["b.jpg"] == "kept"
    assert set(tree(out)) - set(first) == {"b.png.png"}
    assert {name: content for name, content in tree(out).items() if name in first} == first


@given(st.lists(NAMES, unique=True), st.data())
def test_names_never_meet_and_the_old_ones_stay(inputs: list[str], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["cutout", "composite", "alpha"]))
    some = data.draw(st.lists(st.sampled_from(inputs), unique=True)) if inputs else []
    before = dict(zip(sorted(some), names(*sorted(some), kind=kind), strict=True))
    after = dict(zip(sorted(inputs), names(*sorted(inputs), kind=kind, old=before), strict=True))
    assert len({name.casefold() for name in after.values()}) == len(inputs)
    assert {name: after[name] for name in some} == before


# ---- what else is in folders


@pytest.mark.skipif(os.name == "nt", reason="Windows has other links")
def test_links_hidden_files_and_loops(album: Path, again: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    write_image(tmp_path / "far.png", noise(20, 20))
    (album / "link.png").symlink_to(tmp_path / "far.png")
    (album / "lost.png").symlink_to(tmp_path / "gone.png")
    (album / "loop").symlink_to(album)
    (album / ".hidden").mkdir()
    write_image(album / ".hidden" / "x.png", noise(20, 20))
    write_image(album / ".y.png", noise(20, 20))
    os.mkfifo(album / "pipe.png")
    done = again()
    assert done.pop("lost.png") == "failed"
    assert set(done.values()) == {"done"}
    assert set(done) == {"a.png", "b.jpg", "link.png", "trip/c.png", "trip/d.webp", "trip/home/e.png", "z.png"}


def test_results_inside_the_input_folder_are_no_inputs(album: Path, again: Callable[..., dict[str, str]]) -> None:
    first = again(output=album / "out")
    assert again(output=album / "out") == dict.fromkeys(first, "kept")
    assert set(tree(album / "out")) == set(first)


def test_results_that_would_fall_on_inputs_are_refused(tmp_path: Path, red_finder: Path) -> None:
    for name in ("x/x/a.png", "x/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, noise(20, 20))
    before = (tmp_path / "x" / "x" / "a.png").read_bytes()
    done, refused = replace([tmp_path / "x"], "#000000", tmp_path, model=red_finder)
    assert (Path(done.input).name, done.status) == ("b.png", "done")
    assert refused.reason == f"{tmp_path / 'x' / 'a.png'}: is an input; choose another --output"
    assert (tmp_path / "x" / "x" / "a.png").read_bytes() == before
    with pytest.raises(OutputError, match="is an input"):
        plan([tmp_path / "x"], tmp_path / "x", Options())


def test_a_folder_that_cannot_be_read_is_told(
    album: Path, again: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the system's answer is planted."""
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "home":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    done = again()
    assert done.pop("trip/home") == "failed"
    assert set(done.values()) == {"done"}
    assert len(done) == 5
    monkeypatch.setattr(os, "scandir", lambda path: refusing("home"))
    with pytest.raises(InputError, match=r"album: cannot be read \(Permission denied\)"):
        again()


def test_the_first_is_done_before_the_last_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        (tmp_path / "in" / f"{number:03}").mkdir(parents=True)
        write_image(tmp_path / "in" / f"{number:03}" / "a.png", plain(8, 8, RED))
    listed, scandir = 0, os.scandir

    def counting_scandir(path: Any) -> Any:
        nonlocal listed
        listed += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting_scandir)
    first = [*islice(plan([tmp_path / "in"], tmp_path / "out", Options()), 3)]
    assert [item.name for item in first] == ["000/a.png", "001/a.png", "002/a.png"]
    assert listed < 10


# ---- many at once


def test_threads_make_the_same_files_as_one(tmp_path: Path, astronaut: Frame) -> None:
    """Pictures of many sizes and videos, so that sessions come and go and backgrounds are fitted anew."""
    rng = np.random.default_rng(0)
    for number in range(24):
        height, width = rng.integers(40, 250, 2)
        (tmp_path / "in" / str(number % 3)).mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "in" / str(number % 3) / f"{number}.png", astronaut[:height, :width])
    make_video(tmp_path / "in" / "clip.mp4", [astronaut] * 4, look=H264)
    write_image(tmp_path / "wall.png", noise(90, 60))
    for background in ("blur", str(tmp_path / "wall.png")):
        made = {}
        for jobs in (1, 4):
            out = tmp_path / f"out{jobs}{Path(background).stem}"
            found = replace([tmp_path / "in"], background, out, jobs=jobs)
            assert [result.status for result in found] == ["done"] * 25
            made[jobs] = (tree(out), [Path(result.output).relative_to(out) for result in found])
        assert made[1] == made[4]


def test_results_come_in_order_and_few_are_at_work(tmp_path: Path, red_finder: Path) -> None:
    for number in range(40):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_image(tmp_path / "in" / f"{number:02}.png", plain(8, 8, RED))
    taken = results([tmp_path / "in"], tmp_path / "out", Options(model=str(red_finder), background="#000000"), jobs=2)
    with closing(taken):
        assert [Path(next(taken).input).name for _ in range(3)] == ["00.png", "01.png", "02.png"]
        time.sleep(0.3)
        assert len(tree(tmp_path / "out")) <= 12, "nobody works ahead of who asks"


# ---- killed


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_killed_and_run_again_it_is_as_if_nothing_had_been(tmp_path: Path, astronaut: Frame) -> None:
    rng = np.random.default_rng(1)
    for number in range(30):
        (tmp_path / "in" / f"{number // 10}").mkdir(parents=True, exist_ok=True)
        shape = rng.integers(100, 256, 2)
        write_image(tmp_path / "in" / f"{number // 10}" / f"{number}.jpg", astronaut[: shape[0], : shape[1]])
    (tmp_path / "in" / "bad.jpg").write_bytes(b"")
    line = [*COMMAND, "in", "--background", "#00ff00", "--jobs", "2", "--output"]
    assert subprocess.run([*line, "whole"], cwd=tmp_path, capture_output=True).returncode == 1
    for made in (1, 5, 12):
        with subprocess.Popen(
            [*line, "out"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            until = time.monotonic() + 60
            already = len(finished(tmp_path / "out"))
            while len(finished(tmp_path / "out")) < already + made and run.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.005)
            run.kill()
    assert subprocess.run([*line, "out"], cwd=tmp_path, capture_output=True).returncode == 1
    assert tree(tmp_path / "out") == tree(tmp_path / "whole"), "no file more, none less, not a byte"
    assert told(tmp_path / "out") == told(tmp_path / "whole")


def finished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.jpg") if not path.name.startswith(".")]


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest without what depends on the machine's speed."""
    lines = [json.loads(line) for line in (folder / NAME).read_text(encoding="utf-8").splitlines()]
    assert len({line["input"] for line in lines}) == len(lines)
    return {line["input"]: line | {"ms": 0} for line in lines}


# ---- hot folders


@pytest.fixture
def hot(tmp_path: Path, red_finder: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "hot").mkdir()
    write_image(tmp_path / "hot" / "there.png", noise(20, 20))
    line = [*COMMAND, "hot", "--watch", "--output", "out", "--model", str(red_finder), "--background", "#000000"]
    with subprocess.Popen(
        line,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_a_terminal,
    ) as process:
        yield process
        process.kill()


def until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
def test_a_hot_folder(tmp_path: Path, hot: subprocess.Popen[str]) -> None:
    out = tmp_path / "out"
    until((out / "there.png").exists, hot)
    write_image(tmp_path / "whole.png", noise(300, 200))
    content = (tmp_path / "whole.png").read_bytes()
    slow = tmp_path / "hot" / "slow.png"
    for part in range(8):  # longer than between two looks, never still from one to the next
        slow.write_bytes(content[: len(content) * (part + 1) // 9])
        time.sleep(0.4)
    assert not (out / "slow.png").exists()
    assert "slow.png" not in (out / NAME).read_text(encoding="utf-8"), "nor tried"
    slow.write_bytes(content)
    (tmp_path / "hot" / "bad.jpg").write_text("Dear all,")
    until(lambda: len(lines(out)) == 3, hot)
    (out / "there.png").unlink()  # taken away by whom it is for
    time.sleep(2.5)
    assert len(lines(out)) == 3, "nothing is tried twice, nothing made twice"
    write_image(tmp_path / "hot" / "bad.jpg", noise(20, 20))
    until(lambda: len(lines(out)) == 4, hot)
    time.sleep(2.5)  # until the next look, when it is printed
    hot.send_signal(signal.SIGINT)
    printed, err = hot.communicate(timeout=30)
    assert hot.returncode == 1, "something failed"
    assert sorted(printed.split("\n")) == ["", *(f"out/{n}  (1 frame)" for n in ("bad.jpg", "slow.png", "there.png"))]
    assert err.startswith("figureground: hot/bad.jpg: not a picture this can read")
    assert err.count("\n") == 1
    assert sorted(os.listdir(out)) == ["bad.jpg", NAME, "slow.png"]
    assert set(manifest(out)) == {"there.png", "slow.png", "bad.jpg"}
    assert read_image(out / "slow.png").shape == (200, 300, 3)


def lines(folder: Path) -> list[str]:
    return (folder / NAME).read_text(encoding="utf-8").splitlines()


def test_watch_wants_a_folder_for_results(album: Path) -> None:
    with pytest.raises(OutputError, match="--watch"):
        results([album], None, Options(), watching=True)


def test_json_is_one_document_whatever_ends_it(album: Path) -> None:
    done = subprocess.run(
        [*COMMAND, str(album), "--output", str(album.parent / "out"), "--json"], capture_output=True, text=True
    )
    assert [Result(**result).status for result in json.loads(done.stdout)["results"]] == ["done"] * 6
