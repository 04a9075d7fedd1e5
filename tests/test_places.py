"""URLs: what lies on other machines is read and written as files here are. fsspec's own stores stand in for those."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from figureground.batch import Options, Result, manifest, places, plan, replace
from figureground.batch.manifest import NAME, manifest_of, read_manifest
from figureground.errors import InputError, OutputError
from figureground.images import write_image
from scenes import noise
from videos import H264, count, counting, make_video, read_film

fsspec = pytest.importorskip("fsspec", reason="URLs need pip install 'figureground[cluster]'")


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for number, name in enumerate(("a.png", "trip/b.jpg", "trip/bad.png", ".hidden.png", "trip/notes.txt")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / "x.png", noise(30 + number, 20, seed=number))
        os.replace(folder / "x.png", folder / name)
    (folder / "trip" / "bad.png").write_bytes(b"Dear all,")
    make_video(folder / "clip.mp4", counting(5), look=H264)
    return folder


def made(files: fsspec.AbstractFileSystem, folder: str) -> dict[str, bytes]:
    paths = [path for path in files.find(folder) if not path.endswith(NAME)]
    return {path.partition(folder)[2].lstrip("/"): files.cat_file(path) for path in paths}


def test_a_tree_in_a_store_gives_what_the_same_tree_here_gives(
    local: Path, memory: fsspec.AbstractFileSystem, red_finder: Path, tmp_path: Path
) -> None:
    memory.put(str(local), "/album", recursive=True)
    here = replace([local], "#102030", tmp_path / "out", model=red_finder)
    there = replace(["memory://album"], "#102030", "memory://results/new", model=red_finder)
    assert [result.status for result in there] == [result.status for result in here] == ["done"] * 3 + ["failed"]
    assert there[3].reason.startswith("memory://album/trip/bad.png: not a picture this can read")
    assert there[1] == Result("memory://album/clip.mp4", "memory://results/new/clip.mp4", "done", 5, there[1].seconds)
    want = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    del want[NAME]
    assert made(memory, "/results/new") == want


def test_in_a_store_too_only_what_changed_is_done_again(
    local: Path, memory: fsspec.AbstractFileSystem, red_finder: Path, tmp_path: Path
) -> None:
    def statuses() -> dict[str, str]:
        found = replace([local], "#102030", "memory://out", model=red_finder)
        return {Path(result.input).name: result.status for result in found}

    assert statuses() == {"a.png": "done", "clip.mp4": "done", "b.jpg": "done", "bad.png": "failed"}
    write_image(local / "a.png", noise(50, 50))
    memory.rm("/out/clip.mp4")
    assert statuses() == {"a.png": "done", "clip.mp4": "done", "b.jpg": "kept", "bad.png": "failed"}
    (tmp_path / NAME).write_bytes(memory.cat_file(f"/out/{NAME}"))
    assert sorted(entry.input for entry in read_manifest(tmp_path / NAME)) == [
        "a.png",
        "clip.mp4",
        "trip/b.jpg",
        "trip/bad.png",
    ]


def test_from_a_store_to_here_and_by_name(local: Path, red_finder: Path, tmp_path: Path) -> None:
    """`file://` is a store of fsspec's, too; results go over a name that is there."""
    url = f"file://{local}"
    (tmp_path / "clip.mp4").write_text("before")
    (result,) = replace(f"{url}/clip.mp4", "#102030", f"file://{tmp_path}/clip.mp4", model=red_finder)
    assert (result.status, result.frames) == ("done", 5)
    assert len(read_film(tmp_path / "clip.mp4").pictures) == 5
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "in"], "nothing half-written is left"
    done = replace([url], "#102030", tmp_path / "out", model=red_finder)
    assert [result.status for result in done] == ["done", "done", "done", "failed"]
    assert count(read_film(tmp_path / "out" / "clip.mp4").pictures)


def test_what_cannot_be_put_leaves_what_was_there(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/out/a.png", b"before")
    (tmp_path / "a.png").write_bytes(b"after")

    def broken(*_: object, **__: object) -> None:
        raise ConnectionResetError("connection lost")

    monkeypatch.setattr(type(memory), "put_file", broken)
    with pytest.raises(OutputError, match=r"memory://out/a.png: cannot be written \(connection lost\)"):
        places.put(tmp_path / "a.png", "memory://out/a.png")
    assert made(memory, "/out") == {"a.png": b"before"}


def test_a_store_that_fails_for_a_moment_stops_nothing(
    memory: fsspec.AbstractFileSystem, local: Path, red_finder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time but the last that the manifest is copied there."""
    put, copied = places.put, list[str]()

    def moody(file: Path, url: str) -> None:
        if url.endswith(NAME):
            copied.append(url)
            if len(copied) < 4:
                raise OutputError(f"{url}: cannot be written (connection lost)")
        put(file, url)

    monkeypatch.setattr(manifest, "put", moody)
    monkeypatch.setattr(manifest, "PUT_AFTER", -1.0)
    found = replace([local], "#102030", "memory://out", model=red_finder)
    assert [result.status for result in found] == ["done"] * 3 + ["failed"]
    assert len(memory.cat_file(f"/out/{NAME}").splitlines()) == 4
    assert len(copied) > 3


def test_where_nothing_was_done_no_manifest_is_put(memory: fsspec.AbstractFileSystem) -> None:
    with manifest_of("memory://out"):
        pass
    assert made(memory, "/out") == {}
    assert not memory.exists(f"/out/{NAME}")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("memory://nowhere/a.png", "memory://nowhere/a.png: no such file or folder"),
        ("nonsense://x/a.png", "nonsense://x/a.png: not a URL that can be read here"),
        ("ftp://127.0.0.1:1/a.png", "ftp://127.0.0.1:1/a.png: "),
    ],
)
def test_what_is_not_there_or_cannot_be_reached(memory: object, place: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        plan([place], "memory://out", Options())
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_results_in_the_folder_of_a_store_that_is_the_input_are_refused(
    local: Path, memory: fsspec.AbstractFileSystem
) -> None:
    memory.put(str(local), "/album", recursive=True)
    with pytest.raises(OutputError, match="is an input"):
        plan(["memory://album"], "memory://album/", Options())


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("{0}", "file://{0}"),
        ("file://{0}", "{0}"),
        ("file://{0}", "local://{0}/"),
        ("{0}/a.png", "file://{0}/a.png"),
        ("memory://album", "memory:///album"),
        ("memory://album/a.png", "memory:///album/a.png"),
    ],
)
def test_an_input_by_another_spelling_is_an_input(
    local: Path, memory: fsspec.AbstractFileSystem, red_finder: Path, source: str, target: str
) -> None:
    memory.put(str(local), "/album", recursive=True)
    before = (local / "a.png").read_bytes()
    with pytest.raises(OutputError, match="is an input"):
        replace(source.format(local), "#102030", target.format(local), model=red_finder)
    assert (local / "a.png").read_bytes() == memory.cat_file("/album/a.png") == before


WITHOUT = """
import sys
sys.modules["fsspec"] = None
import figureground.cli
figureground.cli.main()
"""


def test_without_fsspec_the_command_to_install_it_is_told() -> None:
    line = [sys.executable, "-c", WITHOUT, "replace", "s3://bucket/a.png"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'figureground[cluster]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_matte_of_a_video_goes_to_the_store_too(
    local: Path, memory: fsspec.AbstractFileSystem, red_finder: Path, tmp_path: Path
) -> None:
    replace([local / "clip.mp4"], "#102030", tmp_path / "here.mp4", model=red_finder, matte=True)
    for target in ("memory://results/named.mp4", "memory://results/"):
        (there,) = replace([local / "clip.mp4"], "#102030", target, model=red_finder, matte=True)
        assert there.status == "done"
    want = (tmp_path / "here-matte.mp4").read_bytes()
    assert memory.cat_file("/results/named-matte.mp4") == memory.cat_file("/results/clip-matte.mp4") == want


@pytest.mark.parametrize("asked", [{"codec": "png"}, {"sheet": "memory://results/sheet.png"}])
def test_what_cannot_go_to_a_url_is_told_before_the_work(
    local: Path, memory: fsspec.AbstractFileSystem, red_finder: Path, asked: dict[str, str]
) -> None:
    with pytest.raises(OutputError, match="to no URL; choose a place on this machine"):
        replace([local / "clip.mp4"], "#102030", "memory://results/", model=red_finder, **asked)  # type: ignore[arg-type]
    assert memory.find("/results") == []
