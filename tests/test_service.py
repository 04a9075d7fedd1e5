"""The service: its pictures are those of `replace`, and whatever else it is asked has its own answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette

from figureground import Engine, replace
from figureground.arrays import Frame
from figureground.errors import ModelError
from figureground.live import Live
from figureground.web import service, wanted
from figureground.web.server import LOOPBACK, make_app
from figureground.web.service import Service
from figureground.web.wanted import Wanted, accepted
from scenes import make_scene, noise
from serving import JPEG, error_of, open_picture, serving, stored

CAMERALESS = True  # for conftest.live
TOKEN = "a token that nobody guesses"


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """A program: it sends no Origin."""
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def photo(astronaut: Frame) -> bytes:
    return stored(astronaut, "JPEG", quality=92)


def turned(frame: Frame) -> bytes:
    """A picture's file that says it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return stored(frame, "JPEG", exif=exif)


def sixteen_bit(frame: Frame) -> bytes:
    file = BytesIO()
    Image.fromarray(frame[:, :, 1].astype(np.uint16) * 257).save(file, "PNG")
    return file.getvalue()


# What it makes.


@pytest.mark.parametrize("make", [lambda f: stored(f, "JPEG"), lambda f: stored(f, "WEBP"), turned, sixteen_bit])
@pytest.mark.parametrize(
    ("kind", "format", "background"),
    [
        ("composite", "jpeg", "blur:30"),
        ("composite", "png", "#336699"),
        ("composite", "webp", "blur"),
        ("cutout", "png", "blur"),
        ("cutout", "webp", "transparent"),
        ("alpha", "png", "blur"),
    ],
)
def test_the_bytes_are_those_of_replace(
    client: httpx.Client,
    tmp_path: Path,
    astronaut: Frame,
    make: Callable[[Frame], bytes],
    kind: str,
    format: str,
    background: str,
) -> None:
    data = make(astronaut)
    source = tmp_path / ("in.jpg" if data[:2] == b"\xff\xd8" else "in.png")
    source.write_bytes(data)
    output = tmp_path / f"out.{format}"
    [done] = replace(source, background, output, kind)
    assert done.status == "done", done.reason
    answer = client.post(
        "/v1/replace", files={"image": data}, data={"kind": kind, "format": format, "background": background}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{format}"
    assert answer.content == output.read_bytes()


@pytest.mark.parametrize("model", ["small", "base"])
def test_alpha_is_the_engines(client: httpx.Client, astronaut: Frame, model: str) -> None:
    data = stored(astronaut, "PNG")
    wanted = np.round(Engine(model)(astronaut) * 255)
    as_body = client.post(f"/v1/alpha?model={model}", content=data, headers={"Content-Type": "image/png"})
    as_part = client.post("/v1/alpha", files={"image": ("x.png", data)}, data={"model": model})
    assert as_body.content == as_part.content
    matte = np.asarray(open_picture(as_body.content))
    assert matte.shape == astronaut.shape[:2]
    assert np.abs(matte - wanted).max() <= 1
    assert 0.2 < matte.mean() / 255 < 0.9


def test_a_picture_as_background(client: httpx.Client, tmp_path: Path, astronaut: Frame) -> None:
    data, beach = stored(astronaut, "PNG"), stored(noise(64, 36), "PNG")
    (tmp_path / "in.png").write_bytes(data)
    (tmp_path / "beach.png").write_bytes(beach)
    replace(tmp_path / "in.png", str(tmp_path / "beach.png"), tmp_path / "out.png")
    answer = client.post("/v1/replace", files={"image": data, "background": beach})
    assert answer.content == (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize(
    ("fields", "mode", "format"),
    [
        ({}, "RGB", "JPEG"),
        ({"background": "transparent"}, "RGBA", "PNG"),
        ({"background": "transparent", "kind": "alpha"}, "L", "PNG"),
        ({"kind": "alpha", "format": "jpeg"}, "L", "JPEG"),
        ({"kind": "cutout", "format": "webp"}, "RGBA", "WEBP"),
    ],
)
def test_kinds_and_formats(client: httpx.Client, photo: bytes, fields: dict[str, str], mode: str, format: str) -> None:
    for answer in (
        client.post("/v1/replace", files={"image": photo}, data=fields),
        client.post("/v1/replace", content=photo, params=fields, headers=JPEG),
    ):
        assert answer.status_code == 200, answer.text
        picture = open_picture(answer.content)
        assert (picture.mode, picture.format, picture.size) == (mode, format, (256, 256))


def test_nothing_of_the_room_is_left_in_a_cutout(client: httpx.Client) -> None:
    data = stored(make_scene(room=(0, 255, 0)).frame, "PNG")
    answer = client.post("/v1/replace", files={"image": data}, data={"kind": "cutout"})
    picture = np.asarray(open_picture(answer.content))
    assert (picture[picture[:, :, 3] == 0] == 0).all()


@pytest.mark.parametrize(
    ("accept", "kind", "format"),
    [
        ("", "cutout", ""),
        ("*/*", "composite", ""),
        ("image/*", "composite", ""),
        ("text/html, */*;q=0.1", "alpha", ""),
        ("image/webp", "cutout", "webp"),
        ("IMAGE/JPEG", "composite", "jpeg"),
        ("image/jpeg, image/png;q=0.5", "cutout", "png"),
        ("image/png;q=0.2, image/webp;q=0.9", "alpha", "webp"),
        ("image/png;q=0, */*", "cutout", "webp"),
        ("image/avif,image/webp,*/*;q=0.8", "composite", "webp"),
        ("image/png;q=2", "composite", "png"),
    ],
)
def test_accept_is_heeded(accept: str, kind: str, format: str) -> None:
    assert accepted(accept, kind) == format


def test_accept_chooses_the_answer(client: httpx.Client, photo: bytes) -> None:
    answer = client.post("/v1/replace", content=photo, headers={**JPEG, "Accept": "image/webp"})
    assert answer.headers["content-type"] == "image/webp"
    answer = client.post("/v1/replace?format=png", content=photo, headers={**JPEG, "Accept": "image/webp"})
    assert answer.headers["content-type"] == "image/png"
    for accept, query in (("text/html", ""), ("image/jpeg", "?kind=cutout")):
        answer = client.post(f"/v1/replace{query}", content=photo, headers={**JPEG, "Accept": accept})
        assert answer.status_code == 406
        assert "image/webp" in error_of(answer)


# What it does not make.


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("replace", {"background": "/etc/passwd"}, "want blur"),
        ("replace", {"background": "http://127.0.0.1/x.png"}, "want blur"),
        ("replace", {"background": "blur:0"}, "1 to 100"),
        ("replace", {"background": "blur:101"}, "1 to 100"),
        ("replace", {"background": "blur:٣"}, "want blur"),
        ("replace", {"background": ""}, "want blur"),
        ("replace", {"model": "/tmp/model.onnx"}, "want one of"),
        ("replace", {"model": "../small"}, "want one of"),
        ("replace", {"kind": "sketch"}, "want one of composite, cutout, alpha"),
        ("replace", {"format": "tiff"}, "want one of png, webp, jpeg"),
        ("replace", {"kind": "cutout", "format": "jpeg"}, "holds no transparency"),
        ("replace", {"background": "transparent", "format": "jpeg"}, "holds no transparency"),
        ("replace", {"backgruond": "blur"}, "no field is called 'backgruond'"),
        ("alpha", {"kind": "cutout"}, "no field is called 'kind'"),
        ("alpha", {"background": "blur"}, "no field is called 'background'"),
    ],
)
def test_a_wrong_field_is_named(
    client: httpx.Client, photo: bytes, path: str, fields: dict[str, str], said: str
) -> None:
    for answer in (
        client.post(f"/v1/{path}", files={"image": photo}, data=fields),
        client.post(f"/v1/{path}", content=photo, params=fields, headers=JPEG),
    ):
        assert answer.status_code == 422
        assert said in error_of(answer)


def test_wrong_files_are_named(client: httpx.Client, photo: bytes) -> None:
    for path, files, said in (
        ("replace", [("image", photo), ("image", photo)], "one file as image"),
        ("replace", [("image", photo), ("other", photo)], "'other'"),
        ("replace", [("background", photo)], "image: want"),
        ("alpha", [("image", photo), ("background", photo)], "a matte has none"),
        ("replace", [("image", photo), ("background", b"no picture")], "background: not a picture"),
    ):
        answer = client.post(f"/v1/{path}", files=[(name, ("x", data)) for name, data in files])
        assert answer.status_code == (415 if "not a picture" in said else 422)
        assert said in error_of(answer)
    answer = client.post("/v1/replace", files={"image": photo, "background": photo}, params={"background": "blur"})
    assert (answer.status_code, "got both" in error_of(answer)) == (422, True)
    answer = client.post("/v1/replace?model=base", files={"image": photo}, data={"model": "small"})
    assert (answer.status_code, "given twice" in error_of(answer)) == (422, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"--x", b"--y\r\n\r\n--y--", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", b"\0" * 100],
)
def test_a_broken_form(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/replace", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (400, 422)
    error_of(answer)


def test_a_form_of_too_much(client: httpx.Client, photo: bytes) -> None:
    parts = [("image", ("x", photo))] * 3
    for answer in (
        client.post("/v1/replace", files=parts),
        client.post("/v1/replace", files={"image": photo}, data={"background": "b" * 2000}),
        client.post("/v1/replace", files={"image": photo}, data={f"f{n}": "1" for n in range(9)}),
        client.post("/v1/replace", content=photo, headers={"Content-Type": "multipart/form-data"}),
    ):
        assert answer.status_code == 400
        assert "the form cannot be read" in error_of(answer)


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Type": "text/plain"}, None),
        ({"Content-Type": "application/x-www-form-urlencoded"}, None),
        ({}, None),
        ({**JPEG, "Content-Encoding": "gzip"}, None),
        (JPEG, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        (JPEG, b"GIF89a" + bytes(100)),
        (JPEG, b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        (JPEG, b""),
    ],
)
def test_what_is_no_picture(client: httpx.Client, photo: bytes, headers: dict[str, str], data: bytes | None) -> None:
    answer = client.post("/v1/alpha", content=photo if data is None else data, headers=headers)
    assert answer.status_code == 415
    error_of(answer)


def test_a_broken_picture(client: httpx.Client, photo: bytes) -> None:
    answer = client.post("/v1/alpha", content=photo[: len(photo) // 2], headers=JPEG)
    assert answer.status_code == 422
    assert error_of(answer).startswith("image: cannot be read")


def test_too_many_bytes(client: httpx.Client, monkeypatch: pytest.MonkeyPatch, photo: bytes) -> None:
    monkeypatch.setattr(wanted, "MAX_BYTES", 1000)
    for answer in (
        client.post("/v1/alpha", content=photo, headers=JPEG),
        client.post("/v1/alpha", content=iter([photo[:600], photo[600:]]), headers=JPEG),  # it does not say how many
        client.post("/v1/alpha", files={"image": photo}),
    ):
        assert answer.status_code == 413
        assert "over the limit of" in error_of(answer)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has these many pixels."""
    data = bytearray(stored(noise(1, 1), "PNG"))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def test_too_many_pixels(client: httpx.Client, photo: bytes) -> None:
    for size in ((10_000, 5_001), (10_001, 10_000), (60_000, 60_000)):
        answer = client.post("/v1/alpha", content=bomb(*size), headers={"Content-Type": "image/png"})
        assert answer.status_code == 413
        assert "megapixels; shrink it" in error_of(answer)
    answer = client.post("/v1/replace", files={"image": photo, "background": bomb(10_000, 5_001)})
    assert answer.status_code == 413
    assert error_of(answer).startswith("background: ")


def test_more_pixels_than_the_format_holds(client: httpx.Client) -> None:
    data = stored(noise(17_000, 8), "PNG")
    answer = client.post("/v1/replace?format=webp", content=data, headers={"Content-Type": "image/png"})
    assert answer.status_code == 422
    assert "webp" in error_of(answer)


def test_other_methods_and_paths(client: httpx.Client) -> None:
    answer = client.get("/v1/alpha")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    for path in ("/v1", "/v1/", "/v1/none", "/v1/alpha/", "/v1/..%2f..%2fserver.py"):
        answer = client.get(path)
        assert answer.status_code in (404, 405), path
    assert client.post("/v1/health").status_code == 405


def test_a_failure_of_ours_says_so_and_no_more(
    client: httpx.Client, own: Service, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(wanted: Wanted) -> tuple[bytes, str]:
        raise ModelError("/secret/path/small.onnx: the network gave a value that is no number")

    monkeypatch.setattr(own, "make", broken)
    answer = client.post("/v1/alpha", content=photo, headers=JPEG)
    assert answer.status_code == 500
    assert "secret" not in error_of(answer)


# Who may ask.


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_is_refused(client: httpx.Client, photo: bytes, origin: str) -> None:
    assert client.post("/v1/alpha", content=photo, headers={**JPEG, "Origin": origin}).status_code == 403
    answer = client.post("/v1/alpha", content=photo, headers={**JPEG, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert client.post("/v1/alpha", content=photo, headers={**JPEG, "Host": "evil.example"}).status_code == 421


def test_the_token_is_asked_for(live: Live, folder: Path, photo: bytes) -> None:
    with serving(make_app(live, folder, TOKEN, LOOPBACK)) as address:
        for path in ("health", "docs", "openapi.json"):
            assert httpx.get(f"{address}/v1/{path}").status_code == 401
        refused = httpx.post(f"{address}/v1/alpha", content=photo, headers=JPEG)
        assert refused.status_code == 401
        assert "Bearer" in error_of(refused)
        headers = {**JPEG, "Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(f"{address}/v1/alpha", content=photo, headers=headers).status_code == 200


# What it says of itself.


def test_health(client: httpx.Client, app: Starlette) -> None:
    answer = client.get("/v1/health")
    assert answer.json()["status"] == "ok"
    assert set(answer.json()["models"]) == {"small", "base"}
    usual, app.state.is_ending = app.state.is_ending, lambda: True
    try:
        for answer in (client.get("/v1/health"), client.post("/v1/alpha", content=b"x", headers=JPEG)):
            assert answer.status_code == 503
            assert "ending" in error_of(answer)
    finally:
        app.state.is_ending = usual


def test_its_description_names_what_there_is(client: httpx.Client) -> None:
    api = client.get("/v1/openapi.json").json()
    assert api["openapi"].startswith("3.1")
    for path, operations in api["paths"].items():
        for method in operations:
            assert client.request(method, path).status_code not in (404, 405)
    limit = f"over {service.MAX_PIXELS // 1_000_000} megapixels"
    assert limit in api["paths"]["/v1/alpha"]["post"]["responses"]["413"]["description"]


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.links = set[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name == "style" or name.startswith("on") for name, _ in attrs)


def test_its_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    links = Links()
    links.feed(page.text)
    assert {"script", "style"} & links.tags == set()
    assert set(links.links) == {"docs.css", "openapi.json"}
    for link in links.links:
        assert client.get(f"/v1/{link}").status_code == 200
    assert client.get("/v1/docs.css").headers["content-type"].startswith("text/css")
    for word in ("/v1/alpha", "/v1/replace", "/v1/frames", "429"):
        assert word in page.text


def test_metrics_count_what_was_answered(client: httpx.Client, photo: bytes) -> None:
    def count(sample: str) -> float:
        found = re.search(rf"^figureground_{re.escape(sample)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    fine, wrong = (f'requests_total{{route="alpha",status="{status}"}}' for status in (200, 415))
    before = count(fine), count(wrong), count('request_seconds_bucket{route="alpha",le="+Inf"}')
    client.post("/v1/alpha", content=photo, headers=JPEG)
    client.post("/v1/alpha", content=b"no picture", headers=JPEG)
    after = count(fine), count(wrong), count('request_seconds_bucket{route="alpha",le="+Inf"}')
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 2]
    assert count("requests_in_hand") == 0
