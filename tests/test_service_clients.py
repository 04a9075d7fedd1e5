"""Clients of the service that stay: streams of frames, those that dawdle or leave, and the end of the server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect

from figureground.arrays import Frame
from figureground.backgrounds import make_background
from figureground.batch import make_compose
from figureground.engine import Engine
from figureground.errors import FigureGroundError
from figureground.live import Live
from figureground.live.matting import Matting
from figureground.web import frames, running, safety, work
from figureground.web.frames import Hello
from figureground.web.safety import LARGEST_BODY
from figureground.web.server import LOOPBACK, make_app
from figureground.web.service import STREAMS, Service
from figureground.web.wanted import Wanted
from scenes import make_scene, noise
from serving import JPEG, open_picture, picture, serving, started, stored, wait_until

CAMERALESS = True  # for conftest.live
TOKEN = "a token that nobody guesses"
SIZE = (160, 96)


@contextmanager
def streaming(address: str, **hello: object) -> Iterator[ClientConnection]:
    """A client whose hello was taken."""
    with connect(f"ws{address[4:]}/v1/frames", max_size=None) as client:
        client.send(json.dumps(hello))
        assert json.loads(client.recv(30)) == {"ready": True}
        yield client


def film(count: int = 6) -> list[Frame]:
    """A figure whose light changes."""
    return [make_scene(*SIZE, figure=(200, 150 - 10 * step, 120)).frame for step in range(count)]


def expected(pictures: list[Frame], kind: str, background: str) -> list[np.ndarray[Any, Any]]:
    """What a stream makes of them at 25 frames a second."""
    matting = Matting(Engine("small"))
    compose = make_compose(kind, make_background(background) if kind == "composite" else None)
    return [compose(frame, matting(frame, n / 25), 0).copy() for n, frame in enumerate(pictures)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "background", "shape"),
    [("composite", "#00ff00", (3,)), ("composite", "blur:30", (3,)), ("cutout", "blur", (4,)), ("alpha", "blur", ())],
)
def test_each_frame_has_its_answer(address: str, kind: str, background: str, shape: tuple[int, ...]) -> None:
    pictures = film()
    hello = {"kind": kind, "background": background, "size": f"{SIZE[0]}x{SIZE[1]}", "format": "raw", "fps": 25}
    with streaming(address, **hello) as client:
        for frame in pictures:  # all before the first answer is read
            client.send(frame.tobytes())
        answers = [np.frombuffer(client.recv(30), np.uint8).reshape(SIZE[1], SIZE[0], *shape) for _ in pictures]  # type: ignore[arg-type]
    for answer, wanted in zip(answers, expected(pictures, kind, background), strict=True):
        assert np.array_equal(answer, wanted)


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_frames_as_files(address: str, format: str) -> None:
    [frame] = film(1)
    with streaming(address, format=format, background="#00ff00") as client:
        for sent in ("PNG", "WEBP", "JPEG"):
            client.send(stored(frame, sent, **({"lossless": True} if sent == "WEBP" else {})))
            picture = open_picture(client.recv(30))  # type: ignore[arg-type]
            assert (picture.format, picture.size) == (format.upper(), SIZE)
    if format == "png":
        with streaming(address, format=format, background="#00ff00", fps=25) as client:
            client.send(stored(frame, "PNG"))
            answer = np.asarray(open_picture(client.recv(30)))  # type: ignore[arg-type]
        assert np.array_equal(answer, expected([frame], "composite", "#00ff00")[0])


def test_streams_have_their_own_memory(address: str) -> None:
    pictures = film()
    hello: dict[str, object] = {"kind": "alpha", "size": f"{SIZE[0]}x{SIZE[1]}", "format": "raw", "fps": 25}
    other = [noise(*SIZE, seed=n) for n in range(len(pictures))]
    with streaming(address, **hello) as one, streaming(address, **hello) as two:
        got = []
        for frame, distraction in zip(pictures, other, strict=True):
            one.send(frame.tobytes())
            two.send(distraction.tobytes())
            got.append(np.frombuffer(one.recv(30), np.uint8).reshape(frame.shape[:2]))  # type: ignore[arg-type]
            two.recv(30)
    for answer, wanted in zip(got, expected(pictures, "alpha", "blur"), strict=True):
        assert np.array_equal(answer, wanted)


def test_a_bad_frame_has_an_error_for_an_answer(address: str) -> None:
    [frame] = film(1)
    good = stored(frame, "PNG")
    with streaming(address, format="png") as client:
        for data in (good, b"no picture", good[:60], stored(noise(3841, 2161), "JPEG"), good):
            client.send(data)
        answers = [client.recv(30) for _ in range(5)]
    assert [isinstance(answer, bytes) for answer in answers] == [True, False, False, False, True]
    told = [json.loads(answer) for answer in answers[1:4]]
    assert [each["frame"] for each in told] == [1, 2, 3]
    assert "not a picture" in told[0]["error"]
    assert "over the limit of 3840x2160" in told[2]["error"]
    with streaming(address, size="160x96", format="raw") as client:
        client.send(bytes(100))
        assert "want 46080" in json.loads(client.recv(30))["error"]


@pytest.mark.parametrize("kind", ["composite", "cutout", "alpha"])
def test_a_failing_model_lets_nothing_through(address: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    [frame] = film(1)
    hello = {"kind": kind, "size": f"{SIZE[0]}x{SIZE[1]}", "format": "raw"}

    def full(engine: Engine, picture: Frame) -> np.ndarray[Any, Any]:
        return np.ones(picture.shape[:2], np.float32)

    def fails(engine: Engine, picture: Frame) -> np.ndarray[Any, Any]:
        raise RuntimeError("of /secret/place")

    with streaming(address, **hello) as client:
        for broken, said in ((full, "covers the whole picture"), (fails, "figureground failed (RuntimeError)")):
            with monkeypatch.context() as patch:
                patch.setattr(Engine, "run", broken)
                client.send(frame.tobytes())
                answer = client.recv(30)
            assert isinstance(answer, str), "a picture, of which the mask hides nothing"
            assert said in json.loads(answer)["error"]
            assert "secret" not in answer
        client.send(frame.tobytes())
        assert isinstance(client.recv(30), bytes)


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ("", "JSON object"),
        ("[]", "JSON object"),
        ("[" * 100_000, "JSON object"),
        ('{"colour": "red"}', "nothing is called 'colour'"),
        ('{"background": "/etc/passwd"}', "want blur"),
        ('{"background": 7}', "want text"),
        ('{"model": "/tmp/x.onnx"}', "want one of"),
        ('{"kind": "sketch"}', "want one of"),
        ('{"format": "gif"}', "want one of"),
        ('{"kind": "cutout", "format": "jpeg"}', "no transparency"),
        ('{"size": "0x10"}', "want WIDTHxHEIGHT"),
        ('{"size": "99999x99999"}', "want WIDTHxHEIGHT"),
        ('{"fps": true}', "1 to 240"),
        ('{"fps": NaN}', "1 to 240"),
        ('{"fps": 0}', "1 to 240"),
        (b"\xff\xd8\xff", "want a text message"),
    ],
)
def test_a_wrong_hello(address: str, hello: str | bytes, said: str) -> None:
    with connect(f"ws{address[4:]}/v1/frames") as client:
        client.send(hello)
        assert said in json.loads(client.recv(30))["error"]
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == frames.WRONG


def test_hello_is_small() -> None:
    assert Hello.read('{"background": "transparent"}') == Hello("cutout", "transparent", format="png")
    with pytest.raises(FigureGroundError):
        Hello.read('{"background": "transparent", "format": "jpeg"}')


def test_who_says_nothing_is_left(address: str, monkeypatch: pytest.MonkeyPatch, own: Service) -> None:
    monkeypatch.setattr(frames, "HELLO_SECONDS", 0.1)
    monkeypatch.setattr(frames, "IDLE_SECONDS", 0.1)
    with connect(f"ws{address[4:]}/v1/frames") as client:
        assert "none within" in json.loads(client.recv(30))["error"]
    with connect(f"ws{address[4:]}/v1/frames") as client:
        client.send("{}")
        assert json.loads(client.recv(30)) == {"ready": True}
        assert "no frame for" in json.loads(client.recv(30))["error"]
    wait_until(lambda: own.streams.taken == 0)


def test_streams_have_so_many_places(address: str, own: Service) -> None:
    wait_until(lambda: own.streams.taken == 0)
    with ExitStack() as opened:
        clients = [opened.enter_context(streaming(address)) for _ in range(STREAMS)]
        refused = refusal_of(address)
        assert refused.status_code == 503
        assert b"are the limit" in refused.body
        clients[0].close()
        clients[1].socket.shutdown(socket.SHUT_RDWR)  # without a word
        wait_until(lambda: own.streams.taken == STREAMS - 2)
    wait_until(lambda: own.streams.taken == 0)


def refusal_of(address: str, path: str = "/v1/frames", **options: Any) -> Response:
    """The answer to a client that gets no stream."""
    with pytest.raises(InvalidStatus) as refused, connect(f"ws{address[4:]}{path}", **options):
        pass
    return refused.value.response


def test_a_message_without_end_is_refused(address: str) -> None:
    with streaming(address) as client:
        with suppress(ConnectionClosed):  # it may say so before all is sent
            client.send(bytes(running.MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(30)
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


def test_who_may_open_a_stream(address: str, live: Live, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert refusal_of(address, origin="http://evil.example").status_code == 403
    assert refusal_of("http://evil.example", sock=dial(address), proxy=None).status_code == 421
    with connect(f"ws{address[4:]}/v1/frames", origin=address):  # type: ignore[arg-type]  # as the page would
        pass
    assert refusal_of(address, "/api/state").status_code in (403, 404)
    with serving(make_app(live, folder, TOKEN, LOOPBACK)) as guarded:
        assert refusal_of(guarded, f"/v1/frames?token={TOKEN.replace(' ', '+')}").status_code == 401
        with connect(f"ws{guarded[4:]}/v1/frames", additional_headers={"Authorization": f"Bearer {TOKEN}"}):
            pass
    assert caplog.records == [], "who is refused leaves no line in the log"


# Those that dawdle.


def dial(address: str) -> socket.socket:
    host, _, port = address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_a_head_that_does_not_come_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "HEAD_SECONDS", 0.5)
    begun = time.monotonic()
    with dial(address) as silent, dial(address) as slow:
        for letter in b"POST /v1/alpha HTTP/1.1\r\n":
            try:
                slow.send(bytes([letter]))
            except OSError:
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"it is still there after {time.monotonic() - begun:.1f} seconds")
        assert read_all(silent) == b""


def read_all(connection: socket.socket) -> bytes:
    data = b""
    try:
        while piece := connection.recv(65_536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def read_one(connection: socket.socket) -> bytes:
    """An answer that ends with a JSON object."""
    data = b""
    while not data.endswith(b"}"):
        data += connection.recv(65_536)
    return data


def test_a_second_head_on_the_same_connection(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "HEAD_SECONDS", 0.5)
    request = f"GET /v1/health HTTP/1.1\r\nHost: {address.removeprefix('http://')}\r\n\r\n".encode()
    with dial(address) as client:
        client.send(request)
        assert read_one(client).startswith(b"HTTP/1.1 200")
        client.send(request[:20])
        time.sleep(0.1)
        client.send(request[20:])
        assert read_one(client).startswith(b"HTTP/1.1 200")
        client.send(request[:20])
        assert read_all(client) == b""


def post(address: str, data: bytes, declared: int | None = None, kind: str = "image/png") -> bytes:
    head = (
        f"POST /v1/alpha HTTP/1.1\r\nHost: {address.removeprefix('http://')}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(data) if declared is None else declared}\r\n\r\n"
    )
    return head.encode() + data


def test_who_does_not_take_the_answer_is_left(address: str, own: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Event()

    def make(wanted: Wanted) -> tuple[bytes, str]:
        made.set()
        return bytes(30_000_000), "png"

    monkeypatch.setattr(running, "TAKE_SECONDS", 0.5)
    monkeypatch.setattr(own, "make", make)
    with dial(address) as client:
        client.send(post(address, picture()))
        assert made.wait(30)
        time.sleep(1.5)  # three times as long as it is given
        wait_until(lambda: own.work.in_hand == 0)
        taken = read_all(client)
        assert taken.startswith(b"HTTP/1.1 200")
        assert len(taken) < 30_000_000


def test_who_is_refused_while_sending_hears_why(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To hang up on an upload takes the answer with it: what comes after is answered with a reset."""
    monkeypatch.setattr(work, "EACH", 0)
    request = post(address, bytes(1_000_000))
    with dial(address) as client:
        client.sendall(request[:100_000])
        time.sleep(0.3)  # the answer is there
        for start in range(100_000, len(request), 100_000):
            client.sendall(request[start : start + 100_000])
            time.sleep(0.02)
        assert read_one(client).startswith(b"HTTP/1.1 429")


def chunked(address: str, piece: bytes) -> tuple[bytes, bytes]:
    """The head of a request that does not say how long it is, and a piece of its body."""
    head = post(address, b"").partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    return head, b"%x\r\n%s\r\n" % (len(piece), piece)


def test_who_sends_too_much_hears_why(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a moment; the answer comes whole, and then the end."""
    monkeypatch.setattr("figureground.web.wanted.MAX_BYTES", 1000)
    head, chunk = chunked(address, bytes(100_000))
    declared = post(address, b"", LARGEST_BODY + 1)
    for request, piece, end in ((head, chunk, b"0\r\n\r\n"), (declared, bytes(100_000), b"")):
        with dial(address) as client:
            client.sendall(request + piece)
            time.sleep(0.3)  # the answer is there
            for _ in range(10):
                client.sendall(piece)
                time.sleep(0.02)
            client.sendall(end)
            assert read_one(client).startswith(b"HTTP/1.1 413")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b"", "no reset"


def test_who_sends_for_ever_is_left(address: str, own: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("figureground.web.wanted.MAX_BYTES", 1000)
    monkeypatch.setattr(safety, "LINGER_SECONDS", 0.5)
    head, piece = chunked(address, bytes(1000))
    with dial(address) as client:
        client.sendall(head)
        for _ in range(1000):
            try:
                client.sendall(piece)
            except OSError:
                break
            time.sleep(0.02)
        else:
            raise AssertionError("it is still there")
    wait_until(lambda: own.work.in_hand == 0)


def test_an_upload_that_breaks_off_frees_its_place(address: str, own: Service) -> None:
    for end in ("close", "half"):
        clients = [dial(address) for _ in range(5)]
        for client in clients:
            client.send(post(address, b"\x89PNG", declared=1_000_000))
        wait_until(lambda: own.work.in_hand == 5)
        for client in clients:
            client.shutdown(socket.SHUT_WR) if end == "half" else client.close()
        wait_until(lambda: own.work.in_hand == 0)
        for client in clients:
            client.close()


# A server in a process of its own.


def served(folder: Path) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """`figureground serve`, on a machine without a camera, and its address."""
    return started(folder, "serve", "--camera", "none-of-this-name")


def test_sigterm_finishes_what_is_in_hand(tmp_path: Path, astronaut: Frame) -> None:
    data = stored(astronaut, "PNG")
    with served(tmp_path) as (process, address):
        with dial(address) as slow, streaming(address) as stream, httpx.Client(base_url=address) as other:
            assert other.get("/v1/health").status_code == 200
            request = post(address, data)
            slow.send(request[:-1000])
            for _ in range(200):  # until its head is read
                if "figureground_requests_in_hand 1\n" in other.get("/metrics").text:
                    break
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                stream.recv(30)
            for refused in (other.get("/v1/health"), httpx.post(f"{address}/v1/alpha", content=data, headers=JPEG)):
                assert refused.status_code == 503
                assert "ending" in refused.json()["error"]
            slow.send(request[-1000:])
            answer = read_all(slow)
        assert answer.startswith(b"HTTP/1.1 200")
        with Image.open(BytesIO(answer.partition(b"\r\n\r\n")[2])) as picture:
            assert picture.size == (256, 256)
            picture.load()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_with_nothing_in_hand_it_ends_at_once(tmp_path: Path, sign: signal.Signals) -> None:
    with served(tmp_path) as (process, address):
        assert httpx.get(f"{address}/v1/health").status_code == 200
        process.send_signal(sign)
        assert process.wait(30) == 0


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with served(tmp_path) as (process, address), dial(address) as slow, httpx.Client(base_url=address) as other:
        slow.send(post(address, b"\x89PNG", declared=1_000_000))
        while "figureground_requests_in_hand 1\n" not in other.get("/metrics").text:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        while other.get("/v1/health").status_code == 200:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_files_stay(tmp_path: Path, astronaut: Frame) -> None:
    good, broken = stored(astronaut, "JPEG"), stored(astronaut, "JPEG")[:5000]
    with served(tmp_path) as (process, address), httpx.Client(base_url=address, timeout=60) as client:

        def ask(times: int) -> tuple[int, int]:
            for n in range(times):
                assert client.post("/v1/replace", files={"image": good}).status_code == 200
                assert client.post("/v1/alpha", content=broken, headers=JPEG).status_code == 422
                if n % 10 == 0:
                    with streaming(address) as stream:
                        stream.send(good)
                        stream.recv(30)
            pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{process.pid}/fd").iterdir()))

        before, after = ask(40), ask(80)
    assert after[0] < before[0] + 15e6, "it grows"
    assert after[1] <= before[1] + 2, "files stay open"


def examples() -> list[str]:
    page = (Path(__file__).parents[1] / "docs" / "service.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_the_examples_of_its_page_work(
    address: str, astronaut: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [["photo.jpg"], ["frame1.jpg", "frame2.jpg"]][number]
    for name in names:
        Path(name).write_bytes(stored(astronaut, "JPEG"))
    script = examples()[number].replace("127.0.0.1:8000", address.removeprefix("http://"))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in names:
        made = open_picture(Path("out.jpg" if name == "photo.jpg" else f"out-{name}"))
        assert (made.format, made.size) == ("JPEG", (256, 256))
