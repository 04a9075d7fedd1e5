"""The service against requests that nobody thought of: made from its own description, and from nothing."""

from __future__ import annotations

import gc
import json
from collections import Counter
from io import BytesIO

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from figureground.batch import KINDS
from figureground.errors import SettingError
from figureground.web.frames import Hello
from serving import error_of, picture

CAMERALESS = True  # for conftest.live
ANSWERS = {200, 400, 406, 413, 415, 422}


def of_size(format: str, width: int, height: int) -> bytes:
    return picture(format, (width, height))


sides = st.integers(1, 70)
for format in ("jpeg", "png", "webp", "bmp", "tiff"):
    schemathesis.openapi.media_type(f"image/{format}", st.builds(of_size, st.just(format.upper()), sides, sides))
pictures = st.builds(of_size, st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP"]), sides, sides)
schemathesis.openapi.media_type("application/octet-stream", pictures)


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        ("/v1/alpha", "POST", GenerationMode.POSITIVE),
        ("/v1/alpha", "POST", GenerationMode.NEGATIVE),
        ("/v1/replace", "POST", GenerationMode.POSITIVE),
        ("/v1/replace", "POST", GenerationMode.NEGATIVE),
        ("/v1/health", "GET", GenerationMode.POSITIVE),
    ],
)
def test_it_is_as_it_describes_itself(address: str, path: str, method: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_url(f"{address}/v1/openapi.json")[path][method]
    seen = Counter[int]()

    @settings(max_examples=40, suppress_health_check=[*HealthCheck], database=None, derandomize=True)
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(base_url=address)
        seen[answer.status_code] += 1
        # What no schema says: that JPEG holds no cut-out, that a field comes once.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])

    ask()
    if mode == GenerationMode.POSITIVE:
        assert seen[200] > 0, "what the description allows is never taken"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture's file of which some bytes are others, or missing."""
    data = bytearray(draw(pictures))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=8)):
        data[place] = byte
    return bytes(data[: draw(st.integers(0, len(data)))])


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged() | st.binary(max_size=200), st.sampled_from(["image/png", "image/jpeg", "application/octet-stream"]))
def test_any_body(address: str, body: bytes, kind: str) -> None:
    answer = httpx.post(f"{address}/v1/alpha", content=body, headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code in ANSWERS
    if answer.status_code == 200:
        with Image.open(BytesIO(answer.content)) as matte:
            assert matte.mode == "L"
    else:
        assert "\n" not in answer.json()["error"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [
                b"--x",
                b"--x--",
                b"\r\n",
                b'Content-Disposition: form-data; name="image"; filename="a"',
                b'Content-Disposition: form-data; name="background"',
                b"Content-Disposition: form-data; name*=utf-8''%FF",
                b"Content-Type: image/png",
                b"blur",
                picture("PNG", (8, 8)),
            ]
        )
        | st.binary(max_size=20),
        max_size=20,
    )
)
def test_any_form(address: str, pieces: list[bytes]) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{address}/v1/replace", content=b"\r\n".join(pieces), headers=headers, timeout=60)
    assert answer.status_code in ANSWERS


def test_a_form_cut_short_in_a_file_leaves_none_open(address: str) -> None:
    """A file left open is an error of whichever test is running when Python finds it: this one."""
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nbeginning'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{address}/v1/replace", content=part, headers=headers, timeout=60)
    assert (answer.status_code, error_of(answer)) == (422, "image: want a picture's file in the part of this name")
    gc.collect()


names = st.sampled_from(["kind", "background", "model", "format", "size", "fps", "else"])
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just([])
words = st.sampled_from(["composite", "cutout", "alpha", "blur", "blur:5", "transparent", "small", "raw", "png", "8x8"])


@settings(max_examples=300)
@given(st.dictionaries(names, values | words).map(json.dumps) | st.text(max_size=40))
def test_any_hello(text: str) -> None:
    try:
        hello = Hello.read(text)
    except SettingError:
        return
    assert hello.kind in KINDS
    assert (hello.kind, hello.format) != ("cutout", "jpeg")
    assert hello.fps is None or 1 <= hello.fps <= 240
