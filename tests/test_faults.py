"""What goes wrong around `replace`: files being written, memory that is short, disks that fill, clocks that jump.

docs/reliability.md promises it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from figureground.batch import picture, replace
from figureground.batch.manifest import NAME, Entry, Manifest
from figureground.batch.plan import Item
from figureground.batch.watch import watch
from figureground.images import write_image
from figureground.pictures import read_picture
from scenes import GREEN, RED, noise, plain
from videos import H264, make_video

COMMAND = [sys.executable, "-m", "figureground", "replace"]
CHANGED = "changed or removed while it was read; run again when it is whole"


def grow(file: Path) -> None:
    with file.open("ab") as more:
        more.write(b"more")


def again(file: Path) -> None:
    """As long as before, and of the same content: who can say what stood there in between?"""
    file.write_bytes(file.read_bytes())
    os.utime(file, (1, 1))


# ---- an input that is being written


@pytest.mark.parametrize("happens", [grow, again, Path.unlink])
def test_a_video_that_changes_while_it_is_read_leaves_nothing(
    tmp_path: Path, red_finder: Path, happens: Callable[[Path], object]
) -> None:
    made = make_video(tmp_path / "in.mp4", [plain(64, 48, RED)] * 20, look=H264)

    def progress(_: Path, done: int, __: int) -> None:
        if done == 5:
            happens(made)

    (result,) = replace(made, "#000000", tmp_path / "out.mp4", model=red_finder, progress=progress)
    assert (result.status, result.reason) == ("failed", f"{made}: {CHANGED}")
    assert {path.name for path in tmp_path.iterdir()} <= {"in.mp4"}


def test_a_picture_that_changes_while_it_is_read_leaves_nothing_and_the_next_run_does_it(
    tmp_path: Path, red_finder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "in" / name, plain(8, 8, RED))

    def read_while_written(file: Path, **more: Any) -> Any:
        found = read_picture(file, **more)
        if file.name == "a.png":
            grow(file)
        return found

    monkeypatch.setattr(picture, "read_picture", read_while_written)
    first = replace(tmp_path / "in", "#000000", tmp_path / "out", model=red_finder)
    assert [result.status for result in first] == ["failed", "done"]
    assert first[0].reason == f"{tmp_path / 'in' / 'a.png'}: {CHANGED}"
    assert sorted(os.listdir(tmp_path / "out")) == ["b.png", NAME]
    monkeypatch.undo()
    second = replace(tmp_path / "in", "#000000", tmp_path / "out", model=red_finder)
    assert [result.status for result in second] == ["done", "kept"]


# ---- memory

SHORT_OF_MEMORY = """
import json, resource, sys
from dataclasses import asdict
from pathlib import Path
from figureground.batch import replace
asked = {"background": "#102030", "model": sys.argv[1], "jobs": 1}
replace("small.png", output="warm.png", **asked)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 200_000_000,) * 2)
print(json.dumps([asdict(result) for result in replace(["big.png", "small.png"], output="out", **asked)]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells under /proc what a process takes")
def test_a_picture_too_large_for_the_memory_is_told_and_the_others_are_done(tmp_path: Path, red_finder: Path) -> None:
    """95 megapixels are 285 MB; with another 200 no room is found for them."""
    Image.fromarray(np.zeros((9500, 10000, 3), np.uint8)).save(tmp_path / "big.png", compress_level=1)
    write_image(tmp_path / "small.png", noise(60, 80))
    line = [sys.executable, "-c", SHORT_OF_MEMORY, str(red_finder)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    big, small = json.loads(done.stdout)
    assert (big["status"], small["status"]) == ("failed", "done")
    assert big["reason"] == "big.png: there is not enough memory for it; free some, or do fewer at once (--jobs 1)"
    assert sorted(os.listdir(tmp_path / "out")) == [NAME, "small.png"]


# ---- a disk that fills

ON_A_SMALL_DISK = """
mount -t tmpfs -o size=200k small out || exit 77
"$@" > first.txt 2>&1
echo $? > first.code
ls -A out > first.list
mount -o remount,size=20m out
"$@" > second.txt 2>&1
echo $? > second.code
cp -a out kept
"""


@pytest.mark.usefixtures("uncounted")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no disk of its own can be had here")
def test_a_disk_that_fills_in_the_middle_of_a_folder_and_has_room_again(tmp_path: Path, red_finder: Path) -> None:
    """A disk of 200 kB: what finds room is done, the rest is named; with room the next run does that and no more."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    for number in range(10):
        write_image(tmp_path / "in" / f"{number}.png", noise(130, 100, seed=number))  # 39 kB each, as noise is
    line = [*COMMAND, "in", "--output", "out", "--model", str(red_finder), "--background", "#000000", "--jobs", "1"]
    write_image(tmp_path / "in" / "9.png", plain(4, 4, RED))
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", *line, "--kind", "cutout"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if not (tmp_path / "first.code").exists():
        pytest.skip(f"no disk of its own can be had here: {done.stderr}")
    assert (tmp_path / "first.code").read_text().strip() == "1"
    told = (tmp_path / "first.txt").read_text()
    lost = [number for number in range(10) if f"out/{number}.png: cannot be written" in told]
    assert 0 < len(lost) < 9
    assert "Traceback" not in told
    there = (tmp_path / "first.list").read_text().split()
    assert sorted(there) == sorted([*(f"{n}.png" for n in range(10) if n not in lost), NAME])
    assert (tmp_path / "second.code").read_text().strip() == "0"
    again = (tmp_path / "second.txt").read_text().splitlines()
    assert len([each for each in again if each.endswith("(1 frame)")]) == len(lost)
    assert f"{10 - len(lost)} kept: done before, and not changed since" in again
    assert len([*(tmp_path / "kept").glob("*.png")]) == 10
    for number in range(10):
        with Image.open(tmp_path / "kept" / f"{number}.png") as made:
            made.load()


class Full(FileIO):
    """A file on a disk that has room for `room` bytes more."""

    room = 300

    def write(self, line: Any) -> int:
        written = super().write(line[: self.room])
        self.room -= written
        return written


def test_lines_of_the_manifest_wait_for_room(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / NAME)
    manifest._file.close()
    manifest._file = full = Full(tmp_path / NAME, "a+b")
    for name in ("a", "b", "c"):
        manifest.add(Entry(name, name, "done"))
    assert [manifest.find(name) is not None for name in ("a", "b", "c")] == [True, False, False]
    full.room = 10_000
    manifest.add(Entry("d", "d", "done"))
    manifest.close()
    lines = (tmp_path / NAME).read_text().splitlines()
    assert [json.loads(line)["input"] for line in lines] == ["a", "b", "c", "d"]


# ---- clocks


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("figureground.batch.watch.EVERY", 0.0)


@pytest.mark.usefixtures("looks")
def test_a_hot_folder_takes_files_of_any_time(tmp_path: Path) -> None:
    """From before 1970, from the next century; set back while it is watched: what counts is that it is another."""
    files = [tmp_path / "old.png", tmp_path / "late.png", tmp_path / "now.png"]
    for file in files:
        file.write_bytes(b"some")
    os.utime(files[0], (-10_000, -10_000))
    os.utime(files[1], (7_000_000_000, 7_000_000_000))

    def items() -> Iterator[Item]:
        return (Item(str(file), "", file.name) for file in files)

    given = watch(items, lambda _: None, "")

    def look() -> list[str]:
        found = []
        while (item := next(given)) is not None:
            found.append(item.name)
        return found

    assert look() == []
    assert look() == [file.name for file in files]
    assert look() == look() == []
    os.utime(files[2], (1_000_000_000, 1_000_000_000))  # the clock was set back, and the file written again
    files[2].write_bytes(b"same")
    os.utime(files[2], (1_000_000_000, 1_000_000_000))
    assert look() == []
    assert look() == ["now.png"]


def test_a_folder_is_done_anew_where_a_file_is_older_than_its_result(tmp_path: Path, red_finder: Path) -> None:
    """Another file put in the place of the first, by its time years older."""
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", plain(8, 8, RED))
    asked = {"background": "#000000", "output": tmp_path / "out", "model": red_finder}
    assert [each.status for each in replace(tmp_path / "in", **asked)] == ["done"]  # type: ignore[arg-type]
    write_image(tmp_path / "in" / "a.png", plain(8, 8, GREEN))
    os.utime(tmp_path / "in" / "a.png", (1_000_000_000, 1_000_000_000))
    assert [each.status for each in replace(tmp_path / "in", **asked)] == ["done"]  # type: ignore[arg-type]
    assert [each.status for each in replace(tmp_path / "in", **asked)] == ["kept"]  # type: ignore[arg-type]
