"""The service under clients that ask for pictures, for nonsense, and that break off: is it quick, right and steady?

python benchmarks/service.py [--seconds 90] [--clients 32] [--bad 0.3]

Starts `figureground serve` as it is, without a camera. Each answer to a good request must have the very bytes that
`figureground.replace` writes for the same picture. Memory and open files of the server are read every second; their
slopes are those of a straight line through the second half. The clients take their share of this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
from PIL import Image
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from figureground import replace
from scenes import make_scene

SIZES = ((256, 256), (640, 480), (480, 640), (1280, 720))
ASKED = (
    ("replace", {"kind": "composite", "background": "blur", "format": "jpeg"}),
    ("replace", {"kind": "composite", "background": "#336699", "format": "jpeg"}),
    ("replace", {"kind": "cutout", "format": "png"}),
    ("alpha", {"format": "png"}),
)


@dataclass(frozen=True)
class Good:
    """A request and the only right answer."""

    path: str
    fields: dict[str, str]
    image: bytes
    answer: bytes


@dataclass
class Seen:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)  # of good requests that were answered
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--bad", type=float, default=0.3, help="share of requests that are wrong or break off")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        goods = make_goods(Path(name))
        with serving(Path(name)) as (process, address):
            ask(address, goods[0], Seen())  # the model is loaded
            seen, samples = load(address, process.pid, goods, chosen)
            time.sleep(1.5)  # until the last to break off are noticed
            left = httpx.get(f"{address}/metrics").text
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
    tell(seen, samples, chosen.seconds, left, code)


def make_goods(folder: Path) -> list[Good]:
    """Pictures of several sizes, and what `replace` makes of each."""
    goods = []
    for size in SIZES:
        source = folder / f"{size[0]}x{size[1]}.jpg"
        Image.fromarray(make_scene(*size, blur=1.0).frame).save(source, quality=90)
        for path, fields in ASKED:
            output = folder / f"out.{fields['format']}"
            kind = fields.get("kind", "alpha")
            [done] = replace(source, fields.get("background", "blur"), output, kind)
            assert done.status == "done", done.reason
            goods.append(Good(path, fields, source.read_bytes(), output.read_bytes()))
    return goods


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    line = [sys.executable, "-m", "figureground", "serve", "--port", "0", "--camera", "none"]
    surroundings = os.environ | {"XDG_DATA_HOME": str(folder)}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=surroundings) as process:
        assert process.stderr is not None
        found = None
        while found is None:  # before it may stand what the picture does
            said = process.stderr.readline()
            assert said, "it does not start"
            found = re.search(r"figureground: (http://\S+)/", said)
        try:
            yield process, found[1]
        finally:
            process.kill()


def load(
    address: str, pid: int, goods: list[Good], chosen: argparse.Namespace
) -> tuple[Seen, list[tuple[float, float, int]]]:
    """All clients for the time, and (seconds, bytes, open files) of the server every second."""
    seen, until, begun = Seen(), time.monotonic() + chosen.seconds, time.monotonic()
    clients = [Thread(target=client, args=(address, goods, seen, n, until, chosen.bad)) for n in range(chosen.clients)]
    for each in clients:
        each.start()
    samples = []
    while time.monotonic() < until:
        samples.append((time.monotonic() - begun, *server_size(pid)))
        time.sleep(1)
    for each in clients:
        each.join()
    return seen, samples


def server_size(pid: int) -> tuple[float, int]:
    """Resident bytes and open files."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * float(os.sysconf("SC_PAGE_SIZE")), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def client(address: str, goods: list[Good], seen: Seen, number: int, until: float, bad: float) -> None:
    chance = random.Random(number)
    with httpx.Client(base_url=address, timeout=120) as session:
        while time.monotonic() < until:
            good = chance.choice(goods)
            try:
                if chance.random() < bad:
                    chance.choice(BAD)(session, address, good, seen)
                else:
                    ask(address, good, seen, session)
            except httpx.TransportError as error:
                seen.wrong.append(f"no answer: {type(error).__name__} {error}")


def ask(address: str, good: Good, seen: Seen, session: httpx.Client | None = None) -> None:
    begun = time.monotonic()
    post = session.post if session is not None else httpx.post
    url = f"{address}/v1/{good.path}"
    answer = post(url, files={"image": ("x.jpg", good.image)}, data=good.fields)
    seen.answers[str(answer.status_code)] += 1
    if answer.status_code == 200:
        seen.seconds.append(time.monotonic() - begun)
        if answer.content != good.answer:
            seen.wrong.append(f"{good.path} {good.fields}: other bytes than replace writes")
    elif answer.status_code not in (429, 503):
        seen.wrong.append(f"{good.path} {good.fields}: {answer.status_code} {answer.text}")


def expect(answer: httpx.Response, seen: Seen, *statuses: int) -> None:
    seen.answers[str(answer.status_code)] += 1
    if answer.status_code not in (*statuses, 429, 503) or "error" not in answer.json():
        seen.wrong.append(f"{answer.status_code}, want {statuses}: {answer.text[:200]}")


def truncated(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    expect(session.post("/v1/alpha", files={"image": good.image[: len(good.image) // 2]}), seen, 422)


def no_picture(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    expect(session.post("/v1/alpha", content=os.urandom(2000), headers={"Content-Type": "image/png"}), seen, 415)


def wrong_field(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    data = {"background": "/etc/passwd"}
    expect(session.post("/v1/replace", files={"image": good.image}, data=data), seen, 422)


def bomb(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    file = BytesIO()
    Image.new("1", (9000, 9000)).save(file, "PNG")
    expect(session.post("/v1/alpha", files={"image": file.getvalue()}), seen, 413)


def breaks_off(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    """Leaves in the middle of its upload."""
    with dial(address) as connection:
        connection.sendall(head(address, len(good.image)) + good.image[: len(good.image) // 2])
    seen.answers["broke off"] += 1


def leaves(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    """Leaves before the answer comes."""
    with dial(address) as connection:
        connection.sendall(head(address, len(good.image)) + good.image)
    seen.answers["left"] += 1


def stream(session: httpx.Client, address: str, good: Good, seen: Seen) -> None:
    """Three frames, one of them broken."""
    try:
        with connect(f"ws{address[4:]}/v1/frames", open_timeout=60) as connection:
            connection.send("{}")
            connection.recv(60)
            for data in (good.image, b"nonsense", good.image):
                connection.send(data)
            kinds = [type(connection.recv(60)) for _ in range(3)]
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        seen.answers[f"stream {status}"] += 1
        if status != 503:
            seen.wrong.append(f"stream: {type(error).__name__} {error}")
        return
    seen.answers["stream"] += 1
    if kinds != [bytes, str, bytes]:
        seen.wrong.append(f"stream: answered by {kinds}")


BAD: tuple[Callable[[httpx.Client, str, Good, Seen], None], ...] = (
    truncated,
    no_picture,
    wrong_field,
    bomb,
    breaks_off,
    leaves,
    stream,
)


def dial(address: str) -> socket.socket:
    host, _, port = address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def head(address: str, length: int) -> bytes:
    host = address.removeprefix("http://")
    text = f"POST /v1/alpha HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    return text.encode()


def tell(seen: Seen, samples: list[tuple[float, float, int]], seconds: float, left: str, code: int) -> None:
    at, memory, files = np.array(samples[len(samples) // 2 :]).T
    in_hand = re.search(r"^figureground_requests_in_hand (\S+)$", left, re.MULTILINE)
    found = {
        "good_answers_per_second": round(len(seen.seconds) / seconds, 1),
        "all_per_second": round(seen.answers.total() / seconds, 1),
        "p50_ms": round(float(np.percentile(seen.seconds, 50)) * 1000),
        "p95_ms": round(float(np.percentile(seen.seconds, 95)) * 1000),
        "answers": dict(sorted(seen.answers.items())),
        "memory_mb": [round(sample[1] / 1e6) for sample in samples[:: max(1, len(samples) // 12)]],
        "memory_slope_mb_per_minute": round(float(np.polyfit(at, memory, 1)[0]) * 60 / 1e6, 2),
        "open_files": [samples[0][2], int(max(files)), samples[-1][2]],
        "still_in_hand": float(in_hand[1]) if in_hand else None,
        "exit_code": code,
        "wrong": len(seen.wrong),
    }
    print(json.dumps(found, indent=1))
    for line in Counter(seen.wrong).most_common(10):
        print(line)
    sys.exit(bool(seen.wrong))


if __name__ == "__main__":
    main()
