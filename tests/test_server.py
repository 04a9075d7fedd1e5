"""The server of the page: what it answers, and the function that runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from figureground.errors import FigureGroundError, OutputError
from figureground.images import write_image
from figureground.live import Live, Settings
from figureground.web import server
from figureground.web.server import LOOPBACK, make_app, serve
from scenes import GREEN, plain
from serving import error_of, make_camera, open_picture, picture, serving, upload, wait_until
from videos import VP9, counting, make_video

TOKEN = "a token that nobody guesses"


def wait_for_light(client: httpx.Client, light: str) -> dict[str, Any]:
    """The first state with this light."""
    for state in islice(states(client), 120):
        if state["light"] == light:
            return state
    raise AssertionError(f"the light does not become {light}: {state['light']}, {state['reason']}")


def states(client: httpx.Client) -> Iterator[dict[str, Any]]:
    with client.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line:
                assert line.startswith("data: ")
                yield json.loads(line[6:])


def test_state_is_that_of_live_without_paths(client: httpx.Client, live: Live, folder: Path) -> None:
    state = client.get("/api/state").json()
    assert set(live.state()) == set(state) - {"can_overlay"}
    assert state["settings"]["camera"] == "given"
    assert state["settings"]["background"] == "blur:20"
    assert not state["can_overlay"]
    assert str(folder.parent) not in json.dumps(state["settings"])


def wait_for_reason(client: httpx.Client, part: str) -> str:
    """The first reason that holds `part`."""
    for state in islice(states(client), 120):
        if part in state["reason"]:
            return str(state["reason"])
    raise AssertionError(f"{part!r} does not become the reason: {state['light']}, {state['reason']}")


@pytest.mark.parametrize("is_whole", [False, True])
def test_a_background_that_goes_away_while_it_is_shown_is_called_by_its_name(
    client: httpx.Client, folder: Path, tmp_path: Path, is_whole: bool
) -> None:
    film = make_video(tmp_path / "film.webm", counting(5), look=VP9)
    id = upload(client, film.read_bytes(), "video/webm", "waves").json()["id"]
    client.post("/api/settings", json={"background": id}).raise_for_status()
    assert wait_for_light(client, "live")["settings"]["background"] == id
    if is_whole:
        shutil.rmtree(folder / id)
    else:
        (folder / id / "background.webm").unlink()
    name = "background" if is_whole else "waves"
    assert wait_for_reason(client, "no such file") == f"{name}: no such file"


def test_what_is_wrong_with_a_background_is_said_without_its_path(
    client: httpx.Client, folder: Path, tmp_path: Path
) -> None:
    id = upload(client, picture(), name="beach").json()["id"]
    (folder / id / "background.jpg").write_bytes(b"no picture")
    refused = client.post("/api/settings", json={"background": id})
    assert error_of(refused).startswith("background beach: not a picture this can read")


def test_what_is_wrong_with_the_given_background_is_said_without_its_path(tmp_path: Path) -> None:
    room = tmp_path / "room.png"
    write_image(room, plain(64, 36, GREEN))
    with (
        Live(Settings(camera=str(make_camera(tmp_path)), background=str(room)), (64, 36)) as live,
        serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
        httpx.Client(base_url=address, headers={"Origin": address}) as client,
    ):
        client.post("/api/settings", json={"background": "blur"}).raise_for_status()
        room.write_text("no picture")
        broken = error_of(client.post("/api/settings", json={"background": "given"}))
        room.unlink()
        gone = error_of(client.post("/api/settings", json={"background": "given"}))
    assert broken.startswith("background room.png: not a picture this can read")
    assert gone.startswith("background 'room.png': no such file")


def test_no_path_of_what_the_command_line_names_is_told(tmp_path: Path, red_finder: Path) -> None:
    tag, home = tmp_path / "tag.png", str(tmp_path)
    model = shutil.copy(red_finder, tmp_path / "mine.onnx")
    write_image(tag, np.full((36, 64, 4), 255, np.uint8))
    settings = Settings(camera=str(tmp_path / "gone.mp4"), overlay=str(tag), model=str(model))
    with (
        Live(settings, (64, 36)) as live,
        serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
        httpx.Client(base_url=address, headers={"Origin": address}) as client,
    ):
        assert wait_for_reason(client, "gone.mp4")
        state = client.get("/api/state").json()
        assert home not in json.dumps(state)
        assert (state["settings"]["model"], state["models"]) == ("given", ["base", "small", "given"])
        for model_name in ("small", "given"):
            client.post("/api/settings", json={"model": model_name, "overlay": ""}).raise_for_status()
        assert live.state()["settings"]["model"] == str(model)  # type: ignore[index]
        tag.unlink()
        assert error_of(client.post("/api/settings", json={"overlay": "given"})) == "tag.png: no such file"


@pytest.mark.skipif(sys.platform != "linux", reason="a device of Linux")
def test_a_remedy_names_the_device_as_a_shell_does(tmp_path: Path) -> None:
    with (
        Live(Settings(camera="/dev/video97"), (64, 36)) as live,
        serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
        httpx.Client(base_url=address, headers={"Origin": address}) as client,
    ):
        assert "/dev/video97" in wait_for_reason(client, "video97")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_not_utf_8_are_shown_as_far_as_they_are(tmp_path: Path) -> None:
    bad = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff"))
    bad.mkdir()
    room = bad / os.fsdecode(b"r\xff.png")
    write_image(room, plain(64, 36, GREEN))
    camera = make_camera(bad).rename(bad / os.fsdecode(b"c\xff.mp4"))
    with (
        Live(Settings(camera=str(camera), background=str(room)), (64, 36)) as live,
        serving(make_app(live, tmp_path / "kept", None, LOOPBACK)) as address,
        httpx.Client(base_url=address, headers={"Origin": address}) as client,
    ):
        assert wait_for_light(client, "live")["camera"]["name"] == "c?.mp4"
        assert client.get("/api/state").json()["camera"]["name"] == "c?.mp4"
        assert client.get("/api/backgrounds").json() == [{"id": "given", "name": "r?.png", "kind": "picture"}]
        room.write_text("no picture")
        client.post("/api/settings", json={"background": "blur"}).raise_for_status()
        refused = client.post("/api/settings", json={"background": "given"})
        assert refused.status_code == 400
        assert "r?.png" in error_of(refused)


def test_events_follow_what_happens(client: httpx.Client, live: Live) -> None:
    assert wait_for_light(client, "live")["reason"] == ""
    live.cover(True)
    assert wait_for_light(client, "covered")["reason"] == "covered by hand"


def test_start_stop_and_cover(client: httpx.Client) -> None:
    assert client.post("/api/stop", json={}).json()["settings"]["background"] == "blur:20"
    assert wait_for_light(client, "stopped")["reason"] == "stopped"
    client.post("/api/start", json={}).raise_for_status()
    wait_for_light(client, "live")
    client.post("/api/cover", json={"on": True}).raise_for_status()
    wait_for_light(client, "covered")
    client.post("/api/cover", json={"on": False}).raise_for_status()
    wait_for_light(client, "live")
    for body in ({}, [], "on", {"on": 1}, {"on": "false"}):
        assert client.post("/api/cover", json=body).status_code == 400


def test_settings_reach_live(client: httpx.Client, live: Live) -> None:
    answer = client.post("/api/settings", json={"mirror": True, "background": "#336699", "people": "largest"})
    assert answer.json()["settings"]["background"] == "#336699"
    now = live.state()["settings"]
    assert isinstance(now, dict)
    assert (now["mirror"], now["background"], now["people"]) == (True, "#336699", "largest")
    client.post("/api/settings", json={"people": "everyone"}).raise_for_status()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"background": __file__}, "not one of those the page offers"),
        ({"background": "../../etc/passwd"}, "not one of those"),
        ({"background": "f" * 32}, "not one of those"),
        ({"background": "given"}, "not one of those"),
        ({"background": "blur:0"}, "1 to 100"),
        ({"background": 7}, "want text"),
        ({"camera": "/dev/zero"}, "not one of those"),
        ({"camera": "http://127.0.0.1:1/"}, "not one of those"),
        ({"model": "/tmp/other.onnx"}, "not one of those"),
        ({"overlay": __file__}, "not one of those"),
        ({"fit": "sideways"}, "cover, contain"),
        ({"fps": 0}, "1 to 240"),
        ({"fps": True}, "want a number"),
        ({"mirror": 1}, "want true or false"),
        ({"cpu": "all"}, "want a number or null"),
        ({"colour": "red"}, "no setting is called"),
        ({"mirror": True, "fit": "sideways"}, "cover, contain"),
        ({}, "want a JSON object"),
        (["mirror"], "want a JSON object"),
    ],
)
def test_a_wrong_setting_changes_nothing(client: httpx.Client, live: Live, changes: object, said: str) -> None:
    before = live.state()["settings"]
    answer = client.post("/api/settings", json=changes)
    assert answer.status_code == 400
    assert said in error_of(answer)
    assert live.state()["settings"] == before


def test_numbers_beyond_json_are_refused(client: httpx.Client) -> None:
    for number in ("NaN", "Infinity", "1e999", "9" * 5000, "1" + "0" * 400):
        body = f'{{"fps": {number}}}'
        answer = client.post("/api/settings", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, number


def test_preview_is_a_stream_of_small_jpegs(client: httpx.Client) -> None:
    seen = b""
    with client.stream("GET", "/api/preview") as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        for piece in answer.iter_bytes():
            seen += piece
            if seen.count(b"--frame\r\n") > 3:
                break
    parts = seen.split(b"--frame\r\n")[1:4]
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        assert int(re.search(rb"Content-Length: (\d+)", head)[1]) == len(body) - 2  # type: ignore[index]
        assert body.startswith(b"\xff\xd8")
        assert open_picture(body).size == (320, 180)
    assert len(set(parts)) == 3, "a new picture each time"


def test_a_wide_preview_is_made_smaller() -> None:
    class Wide:
        def preview(self, after: int, timeout: float) -> tuple[int, Any]:
            return 1, plain(1921, 1080, (1, 2, 3))

    from figureground.web.streams import Preview

    number, jpeg = Preview(Wide()).newest(0) or (0, b"")  # type: ignore[arg-type]
    assert number == 1
    assert open_picture(jpeg).size == (960, 540)


def open_preview(client: httpx.Client) -> httpx.Response:
    """A preview as soon as there is a place: the server may not have noticed yet that another one was left."""
    for _ in range(200):
        answer = client.send(client.build_request("GET", "/api/preview"), stream=True)
        if answer.status_code == 200:
            return answer
        answer.close()
        time.sleep(0.02)
    raise AssertionError("no place came free")


def test_as_many_previews_as_there_are_places(client: httpx.Client) -> None:
    watching = [open_preview(client) for _ in range(4)]
    refused = client.get("/api/preview")
    assert refused.status_code == 503
    assert "close one" in error_of(refused)
    for answer in watching:
        answer.close()
    open_preview(client).close()


def test_metrics_are_what_prometheus_reads(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    sample = re.compile(r'figureground_[a-z_]+(\{[a-z]+="[a-z0-9_.]+"\})? -?[0-9.]+(e[+-]\d+)?')
    assert all(
        line.startswith(("# HELP figureground_", "# TYPE figureground_")) or sample.fullmatch(line) for line in lines
    )
    assert sum(float(line.split()[-1]) for line in lines if line.startswith("figureground_light")) == 1
    assert 'figureground_latency_seconds{quantile="0.95"}' in answer.text
    assert float(re.search(r"^figureground_frames_total (\S+)", answer.text, re.MULTILINE)[1]) > 0  # type: ignore[index]


def test_page_not_built_says_how(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STATIC", tmp_path)
    with serving(make_app(live, tmp_path, None, LOOPBACK)) as address:
        answer = httpx.get(address)
        assert (answer.status_code, answer.text.count("\n")) == (503, 1)
        assert "make web" in answer.text
        assert httpx.get(f"{address}/api/state").status_code == 200


def test_what_is_not_there(client: httpx.Client) -> None:
    for path in ("/api/none", "/nothing.html", "/%00", "/..%2f..%2fserver.py", "/api/backgrounds/..%2f/thumbnail"):
        assert client.get(path).status_code == 404, path
    assert client.delete(f"/api/backgrounds/{'0' * 32}").status_code == 404
    assert client.get("/api/settings").status_code == 404


def test_beyond_this_computer_it_wants_a_token(live: Live) -> None:
    with pytest.raises(FigureGroundError, match="--token-file"):
        serve(live, "0.0.0.0", 0, None)
    with pytest.raises(FigureGroundError, match="5 characters"):
        serve(live, "127.0.0.1", 0, "short")


def test_a_port_in_use_is_named(live: Live) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OutputError, match=rf"127.0.0.1 port {port}: .*--port"):
            serve(live, "127.0.0.1", port, None)
    with pytest.raises(OutputError, match=r"192.0.2.1 port 0: .* --host"):
        serve(live, "192.0.2.1", 0, TOKEN)  # of nobody: RFC 5737


SCRIPT = """
import sys
from figureground.live import Live, Settings
from figureground.web.server import serve
with Live(Settings(camera=sys.argv[1]), (64, 36)) as live:
    serve(live, "127.0.0.1", int(sys.argv[2]), None)
print("ended well")
"""


def test_it_says_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    film, data = str(make_camera(tmp_path)), str(tmp_path / "data")
    line = [sys.executable, "-c", SCRIPT, film, "0"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"XDG_DATA_HOME": data}
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        address = re.fullmatch(r"figureground: (http://127\.0\.0\.1:\d+)/\n", said)
        assert address, said
        with httpx.Client(base_url=address[1], headers={"Origin": address[1]}) as client:
            assert upload(client, picture()).status_code == 201
            with client.stream("GET", "/api/events") as events:  # which must not keep it from ending
                next(events.iter_lines())
                process.send_signal(signal.SIGINT)
                out, rest = process.communicate(timeout=60)
        assert (process.returncode, out, rest) == (0, "ended well\n", "")
    assert len(list((Path(data) / "figureground" / "backgrounds").iterdir())) == 1


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/state", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file here that is always full")
def test_nobody_needs_to_read_its_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    line = [sys.executable, "-c", SCRIPT, str(make_camera(tmp_path)), str(port)]
    surroundings = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=full, text=True, env=surroundings) as process,
    ):
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}"), 60)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
        assert (process.returncode, out) == (0, "ended well\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_serve_says_what_happens_as_live_does(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    line = [sys.executable, "-m", "figureground", "serve", "--camera", str(make_camera(tmp_path)), "--port", "0"]
    line += ["--token-file", str(tmp_path / "token"), *(["--json"] if as_json else [])]
    out, errors = tmp_path / "out", tmp_path / "errors"
    with (
        out.open("w") as stdout,
        errors.open("w") as stderr,
        subprocess.Popen(
            line, stdout=stdout, stderr=stderr, env=os.environ | {"XDG_DATA_HOME": str(tmp_path)}
        ) as process,
    ):
        try:
            wait_until(lambda: "http://" in errors.read_text())
            address = re.search(r"http://127\.0\.0\.1:\d+", errors.read_text())
            assert address
            headers = {"Origin": address[0], "Authorization": f"Bearer {TOKEN}"}
            with httpx.Client(base_url=address[0], headers=headers) as client:
                for act, light, reason in (("start", "live", ""), ("stop", "stopped", "stopped")):
                    assert client.post(f"/api/{act}", json={}).status_code == 200
                    spoken = f"figureground: {light}{reason and f': {reason}'}\n"
                    wanted = f'"light": "{light}", "reason": "{reason}"' if as_json else spoken
                    wait_until(lambda wanted=wanted: wanted in (out if as_json else errors).read_text())
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
    if as_json:
        assert {"light", "model"} <= {json.loads(said)["event"] for said in out.read_text().splitlines()}
    told = out.read_text() + errors.read_text()
    assert TOKEN not in told
    assert str(tmp_path) not in told
