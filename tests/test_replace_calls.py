"""`replace` and `plan` as programs call them: a result for each input, names that fit, errors before the work."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from figureground.arrays import Frame
from figureground.batch import Item, Options, plan, replace
from figureground.engine import Engine
from figureground.errors import BackgroundError, FigureGroundError, InputError, ModelError, OutputError, SettingError
from figureground.images import write_image
from scenes import BLUE, RED, noise, plain
from trees import tree
from videos import count, counting, make_video, read_film


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


def test_a_name_that_ends_in_a_slash_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (item,) = plan([tmp_path / "a.png"], f"{tmp_path}/results.2026/", Options())
    assert Path(item.output) == tmp_path / "results.2026" / "a.png"


def test_an_input_under_another_name_in_its_folder_is_that_input(tmp_path: Path) -> None:
    """As A.png is a.png on some systems; here a second name of the same file stands in for that."""
    write_image(tmp_path / "a.png", noise(9, 9))
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(OutputError, match=r"b\.png: is an input"):
        plan([tmp_path / "a.png"], tmp_path / "b.png", Options())
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "a.png", tmp_path / "out" / "a.png")  # what takes its place leaves the input alone
    assert [item.result for item in plan([tmp_path / "a.png"], tmp_path / "out", Options())] == ["a.png"]


def test_files_named_one_by_one_are_looked_at_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not each beside each, where all have results from an earlier run: of ten thousand, that took half an hour."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
        for number in range(200):
            (tmp_path / folder / f"{number}.png").touch()
    looks, stat = itertools.count(), os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **more: (next(looks), stat(*args, **more))[1])
    assert len([*plan(sorted((tmp_path / "in").iterdir()), tmp_path / "out", Options())]) == 200
    assert next(looks) < 20 * 200


def test_folders_of_the_same_tree_must_not_meet(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    first, second = plan([tmp_path / "x", tmp_path / "y"], tmp_path / "out", Options())
    assert (first.output, first.refused) == (str(tmp_path / "out" / "a.png"), "")
    assert "would go there; rename one, or give each its own --output" in second.refused
    assert [*plan([tmp_path], tmp_path / "out", Options())] == [
        Item(str(tmp_path / name), str(tmp_path / "out" / name), name, name) for name in ("x/a.png", "y/a.png")
    ]


def test_a_named_file_and_one_of_a_folder_do_not_share_a_name(tmp_path: Path, red_finder: Path) -> None:
    """By its name a result is known the next time: of two, one would be kept in the place of the other."""
    for number, folder in enumerate(("one", "two")):
        write_image(tmp_path / folder / "a.bmp", noise(30, 20, seed=number))
        os.utime(tmp_path / folder / "a.bmp", (1, 1))
    write_image(tmp_path / "two" / "b.bmp", noise(30, 20))
    inputs, out = [tmp_path / "one" / "a.bmp", tmp_path / "two"], tmp_path / "out"
    results = [replace(inputs, "#102030", out, model=red_finder) for _ in range(3)]
    assert [[result.status for result in found] for found in results] == [
        ["done", "failed", "done"],
        *[["kept", "failed", "kept"]] * 2,
    ]
    assert "would go there; rename one, or give each its own --output" in results[0][1].reason
    twice = replace([tmp_path / "two" / "a.bmp", tmp_path / "two"], "#102030", tmp_path / "new", model=red_finder)
    assert [result.status for result in twice] == ["done", "done"], "the same file, named and in the folder"


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


@pytest.mark.parametrize("part", [{"start": float("nan")}, {"start": "soon"}, {"end": float("inf")}])
def test_a_part_from_no_time_is_refused(photo: Path, part: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="want seconds from a video's beginning"):
        replace([photo], "#000000", **part)


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
