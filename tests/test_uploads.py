"""The backgrounds that the page keeps: what is taken, what of it is kept, and what is not."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

from figureground.images import write_image
from figureground.live import Live
from figureground.web import safety, server, uploads
from figureground.web.server import LOOPBACK, make_app
from figureground.web.uploads import Backgrounds
from serving import error_of, living, open_picture, picture, serving, upload
from videos import H264, VP9, counting, make_video


def test_a_background_from_upload_to_removal(client: httpx.Client, live: Live, folder: Path) -> None:
    answer = upload(client, picture(size=(400, 300)), name="Büro am See.png")
    assert answer.status_code == 201
    kept = answer.json()
    assert re.fullmatch("[0-9a-f]{32}", kept["id"])
    assert kept == {"id": kept["id"], "name": "Büro am See.png", "kind": "picture"}
    assert client.get("/api/backgrounds").json() == [kept]
    thumbnail = client.get(f"/api/backgrounds/{kept['id']}/thumbnail")
    assert open_picture(thumbnail.content).size == (320, 180)

    state = client.post("/api/settings", json={"background": kept["id"]}).json()
    assert state["settings"]["background"] == kept["id"]
    shown = live.state()["settings"]
    assert isinstance(shown, dict)
    assert Path(shown["background"]).parent == folder / kept["id"]

    in_use = client.delete(f"/api/backgrounds/{kept['id']}")
    assert in_use.status_code == 409
    assert "choose another one first" in error_of(in_use)
    client.post("/api/settings", json={"background": "blur:20"}).raise_for_status()
    assert client.delete(f"/api/backgrounds/{kept['id']}").status_code == 204
    assert client.get("/api/backgrounds").json() == []
    assert client.get(f"/api/backgrounds/{kept['id']}/thumbnail").status_code == 404
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("suffix", "look"), [("mp4", H264), ("webm", VP9)])
def test_a_video_as_background(client: httpx.Client, tmp_path: Path, suffix: str, look: Any) -> None:
    film = make_video(tmp_path / f"film.{suffix}", counting(5), look=look)
    kept = upload(client, film.read_bytes(), f"video/{suffix}", "waves").json()
    assert kept["kind"] == "video"
    assert client.post("/api/settings", json={"background": kept["id"]}).status_code == 200


def test_avif_is_taken_under_the_type_of_another_picture(client: httpx.Client) -> None:
    """As docs/serve.md says."""
    assert upload(client, picture("AVIF"), "image/jpeg").status_code == 201
    assert upload(client, picture("AVIF"), "image/avif").status_code == 415


def test_of_a_picture_only_pixels_are_kept(client: httpx.Client, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    exif[0x0112] = 6  # lies on its side
    data = picture("JPEG", (64, 36), exif=exif) + b"PK\x03\x04 another file"
    id = upload(client, data, "image/jpeg").json()["id"]
    file = folder / id / "background.jpg"
    assert b"taken at home" not in file.read_bytes()
    assert b"another file" not in file.read_bytes()
    assert open_picture(file).size == (36, 64)


def test_a_large_picture_is_made_smaller(client: httpx.Client, folder: Path) -> None:
    data = BytesIO()
    Image.new("RGB", (4000, 200), "navy").save(data, "PNG")
    id = upload(client, data.getvalue()).json()["id"]
    assert open_picture(folder / id / "background.jpg").size == (3840, 192)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\room.jpg", "room.jpg"),
        ("a\x00b\r\nX: y\u202egpj.exe", "a b X: y gpj.exe"),
        ("", "background"),
        ("///", "background"),
        ("n" * 500, "n" * 80),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_a_name_is_a_label(client: httpx.Client, name: str, kept: str) -> None:
    assert upload(client, picture(), name=name).json()["name"] == kept


def png_of(width: int, height: int) -> bytes:
    """A PNG of black pixels, written by hand: as small as its size is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\x00" * (1 + width // 8 + 1)) for _ in range(min(height, 2000))) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (png_of(8000, 7000), "image/png", "50 megapixels"),
        (png_of(60_000, 60_000), "image/png", "megapixels"),
        (picture()[:200], "image/png", "cannot be read"),
        (b"", "image/png", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "image/jpeg", "not a picture"),
        (b"", "video/mp4", "not a video"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "video/mp4", "not a video of the type video/mp4"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "video/webm", "not a video of the type video/webm"),
        (b"\x00\x00\x00\x20ftypisom" + b"\x00" * 100, "video/mp4", "not a video"),
        (b"\x1a\x45\xdf\xa3" + b"\x00" * 100, "video/webm", "not a video"),
    ],
)
def test_what_is_no_background_is_not_kept(
    client: httpx.Client, folder: Path, data: bytes, kind: str, said: str
) -> None:
    answer = upload(client, data, kind, "trick.bin")
    assert answer.status_code == 400
    assert said in error_of(answer)
    assert str(folder.parent) not in error_of(answer), "the user never saw that path"
    assert client.get("/api/backgrounds").json() == []
    assert list(folder.iterdir()) == []


def test_a_video_that_is_heavy_or_large_is_refused(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_video(tmp_path / "film.mp4", counting(5), look=H264).read_bytes()
    monkeypatch.setattr(uploads, "_MAX_VIDEO", 40 * 30)
    assert "48x32" in error_of(upload(client, film, "video/mp4"))
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "_DECODE_SECONDS", 0.0)
    assert "too long to decode" in error_of(upload(client, film, "video/mp4"))


def test_no_more_than_fifty_are_kept(client: httpx.Client, folder: Path) -> None:
    first = upload(client, picture()).json()["id"]
    for number in range(1, uploads.MAX_KEPT):
        shutil.copytree(folder / first, folder / f"{number:032x}")
    answer = upload(client, picture())
    assert answer.status_code == 400
    assert "remove one first" in error_of(answer)
    assert len(client.get("/api/backgrounds").json()) == uploads.MAX_KEPT


@contextmanager
def raw(address: str, path: str, head: str) -> Iterator[socket.socket]:
    """A connection on which the head of a POST was sent."""
    host = address.removeprefix("http://")
    name, port = host.split(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {address}\r\n{head}\r\n\r\n"
        connection.sendall(head.encode())
        yield connection


@pytest.mark.parametrize("path", ["/api/backgrounds", "/api/settings"])
def test_too_large_a_body_is_refused_before_it_comes(address: str, path: str) -> None:
    kind = "image/png" if path == "/api/backgrounds" else "application/json"
    with raw(address, path, f"Content-Type: {kind}\r\nContent-Length: {uploads.MAX_BYTES + 1}") as connection:
        answer = b"".join(iter(lambda: connection.recv(4000), b""))  # until the server hangs up
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"over the limit of" in answer


@pytest.mark.parametrize("kind", ["image/png", "text/plain"])
def test_a_body_without_end_is_not_read_for_ever(address: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_BYTES", 300_000)
    sent = 0
    with raw(address, "/api/backgrounds", f"Content-Type: {kind}\r\nTransfer-Encoding: chunked") as connection:
        try:
            while sent < 1 << 30:
                connection.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
                sent += 65_536
        except ConnectionError:  # the server hung up
            pass
    assert sent < 50_000_000  # the system's own buffers are large


def test_a_body_that_does_not_come_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "BODY_SECONDS", 0.2)
    with raw(address, "/api/settings", "Content-Type: application/json\r\nContent-Length: 100") as slow:
        slow.sendall(b"{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_one_upload_at_a_time(address: str, client: httpx.Client) -> None:
    head = "Content-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: 100"
    with raw(address, "/api/backgrounds", head) as slow:
        assert slow.recv(1000).startswith(b"HTTP/1.1 100")  # it waits for the body now
        assert upload(client, picture()).status_code == 503
    for _ in range(200):  # the client left: the place is free as soon as the server notices
        if upload(client, picture()).status_code == 201:
            return
        time.sleep(0.02)
    raise AssertionError("no place came free")


def test_what_a_killed_upload_left_is_removed_at_the_next_start(live: Live, tmp_path: Path) -> None:
    kept = Backgrounds(tmp_path)
    with kept.workplace() as fresh, kept.workplace() as old:
        for work in (fresh, old):
            (work / "upload").write_bytes(picture())
        long_ago = time.time() - 7200
        os.utime(old, (long_ago, long_ago))
        make_app(live, tmp_path, None, LOOPBACK)
        assert list(tmp_path.iterdir()) == [fresh]  # another program may be writing to it


def test_a_video_and_a_folder_are_shown_by_their_first_picture(tmp_path: Path) -> None:
    make_video(tmp_path / "film.mp4", [np.full((36, 64, 3), (200, 30, 30), np.uint8)] * 3, look=H264)
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "0.txt").write_text("no picture")
    Image.new("RGB", (64, 36), (200, 30, 30)).save(tmp_path / "slides" / "1.png")
    for background in ("film.mp4", "slides"):
        with (
            living(tmp_path, str(tmp_path / background)) as live,
            serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
        ):
            thumbnail = httpx.get(f"{address}/api/backgrounds/given/thumbnail").content
        assert abs(np.asarray(open_picture(thumbnail)).mean((0, 1)) - (200, 30, 30)).max() < 6


def test_a_picture_without_a_suffix_is_one_here_too(tmp_path: Path) -> None:
    room = tmp_path / "room"
    Image.new("RGB", (64, 36), (200, 30, 30)).save(room, "JPEG")
    with (
        living(tmp_path, str(room)) as live,
        serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
    ):
        listed = httpx.get(f"{address}/api/backgrounds").json()
        thumbnail = httpx.get(f"{address}/api/backgrounds/given/thumbnail")
        assert listed == [{"id": "given", "name": "room", "kind": "picture"}]
        assert abs(np.asarray(open_picture(thumbnail.content)).mean((0, 1)) - (200, 30, 30)).max() < 6


def test_a_thumbnail_that_is_gone_is_made_anew(client: httpx.Client, folder: Path) -> None:
    id = upload(client, picture(size=(400, 300))).json()["id"]
    (folder / id / "thumbnail.jpg").unlink()
    assert open_picture(client.get(f"/api/backgrounds/{id}/thumbnail").content).size == (320, 180)
    other = upload(client, picture(size=(400, 300))).json()["id"]
    (folder / other / "thumbnail.jpg").unlink()
    (folder / other / "background.jpg").write_bytes(b"no picture")
    answer = client.get(f"/api/backgrounds/{other}/thumbnail")
    assert answer.status_code == 404
    assert error_of(answer) == "this background cannot be read any more"


def test_one_that_is_damaged_hides_no_other(client: httpx.Client, folder: Path) -> None:
    names = ["first.png", "second.png", "third.png"]
    first, second, _ = (upload(client, picture(), name=name).json()["id"] for name in names)
    (folder / first / "name.txt").write_bytes(b"\xff\x00.png")
    (folder / second / "name.txt").unlink()
    (folder / ("0" * 32)).symlink_to(folder / "gone")
    listed = [one["name"] for one in client.get("/api/backgrounds").json()]
    assert sorted(listed) == ["background", "third.png", "\ufffd .png"]
    assert client.delete(f"/api/backgrounds/{second}").status_code == 204


def test_a_folder_that_is_none_keeps_nothing_and_says_so(client: httpx.Client, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    try:
        assert client.get("/api/backgrounds").json() == []
        assert "cannot be written" in error_of(upload(client, picture()))
    finally:
        folder.unlink()


def test_what_the_command_line_named_can_be_chosen_again(tmp_path: Path) -> None:
    room, tag = tmp_path / "my room.png", tmp_path / "tag.png"
    Image.new("RGB", (64, 36), (200, 30, 30)).save(room)
    Image.new("RGBA", (64, 36), (0, 0, 0, 0)).save(tag)
    with (
        living(tmp_path, str(room), str(tag)) as live,
        serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
        httpx.Client(base_url=address, headers={"Origin": address}) as client,
    ):
        settings = client.get("/api/state").json()["settings"]
        assert (settings["background"], settings["overlay"], settings["camera"]) == ("given", "given", "given")
        assert client.get("/api/backgrounds").json() == [{"id": "given", "name": "my room.png", "kind": "picture"}]
        thumbnail = np.asarray(open_picture(client.get("/api/backgrounds/given/thumbnail").content))
        assert abs(thumbnail.mean((0, 1)) - (200, 30, 30)).max() < 4
        assert client.delete("/api/backgrounds/given").status_code == 409
        for change, now in (
            ({"background": "#000000", "overlay": ""}, "#000000"),
            ({"background": "given", "overlay": "given"}, "given"),
        ):
            settings = client.post("/api/settings", json=change).json()["settings"]
            assert settings["background"] == now
            assert settings["overlay"] == change["overlay"]
        assert str(tmp_path) not in client.get("/api/state").text


UPLOADED = """
import sys
from pathlib import Path
from figureground.live.figures import resident_bytes
from figureground.live.memory import keep_freed_memory
from figureground.web.uploads import Backgrounds
keep_freed_memory()
backgrounds = Backgrounds(Path(sys.argv[1]))
before = resident_bytes()
with backgrounds.workplace() as work:
    (work / "upload").write_bytes(Path(sys.argv[2]).read_bytes())
    backgrounds.keep(work / "upload", "image/jpeg", "large.jpg")
print(resident_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' memory is their own affair")
def test_a_large_upload_leaves_no_memory_taken(tmp_path: Path) -> None:
    """As in the live program, which keeps what is freed at every picture."""
    rng = np.random.default_rng(0)
    large = cv2.resize(rng.integers(0, 256, (50, 75, 3), np.uint8), (6000, 4000))
    write_image(tmp_path / "large.jpg", np.asarray(large, np.uint8))
    command = [sys.executable, "-c", UPLOADED, str(tmp_path / "kept"), str(tmp_path / "large.jpg")]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert taken < 60_000_000  # bytes; 160 million without
