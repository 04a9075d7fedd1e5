"""Whom the server of the page does not answer, and what nobody can make it do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from figureground.live import Live
from figureground.web import uploads
from figureground.web.server import LOOPBACK, make_app
from serving import error_of, serving

TOKEN = "a token that nobody guesses"
GETS = ("/", "/api/state", "/api/backgrounds", "/metrics")


@pytest.mark.parametrize("path", GETS)
def test_every_answer_carries_its_armour(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:80", "localhost@evil.example", "127.0.0.2", "[::1", "", "a b", "::1"],
)
def test_another_name_for_this_address_is_refused(client: httpx.Client, host: str) -> None:
    for path in GETS:
        answer = client.get(path, headers={"Host": host, "Origin": f"http://{host}"})
        assert answer.status_code == 421
        assert "not served here" in error_of(answer)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:1", "[::1]:8000"])
def test_names_of_this_computer_are_taken_on_any_port(client: httpx.Client, host: str) -> None:
    # The port may be another one: that of a tunnel.
    answer = client.post("/api/cover", json={"on": False}, headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "file://", "http://[", "ws://127.0.0.1"]
)
def test_a_page_of_another_origin_is_refused(client: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin}
    assert client.post("/api/stop", json={}, headers=headers).status_code == 403
    assert client.delete(f"/api/backgrounds/{'0' * 32}", headers=headers).status_code == 403
    assert client.get("/api/state", headers=headers).status_code == 403


def test_a_change_without_origin_is_refused(address: str) -> None:
    for path in ("settings", "start", "stop", "cover", "backgrounds"):
        assert httpx.post(f"{address}/api/{path}", json={}).status_code == 403
    assert httpx.get(f"{address}/api/state").status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_here_but_not_embed(address: str, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert httpx.get(address, headers=headers).status_code == 200
    assert httpx.get(f"{address}/api/preview", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["settings", "start", "stop", "cover", "backgrounds"])
def test_a_form_of_another_site_cannot_be_mistaken(client: httpx.Client, path: str) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = client.post(f"/api/{path}", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert "want" in error_of(answer)


def test_no_other_site_is_let_in_by_cors(client: httpx.Client, address: str) -> None:
    ask = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for headers in (ask, ask | {"Origin": address}):
        answer = client.options("/api/settings", headers=headers)
        assert answer.status_code in (403, 405)
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture(scope="module")
def guarded(live: Live, folder: Path) -> Iterator[str]:
    with serving(make_app(live, folder, TOKEN, LOOPBACK)) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("", {}),
        ("?token=", {}),
        ("?token=a%20token%20that%20nobody%20guesse", {}),
        ("?token=%ff%fe", {}),
        ("", {"Authorization": "Bearer"}),
        ("", {"Authorization": "Bearer wrong"}),
        ("", {"Authorization": f"Basic {TOKEN}"}),
        ("", {"Cookie": "figureground="}),
        ("", {"Cookie": f"figureground={'0' * 64}"}),
        ("", {"Cookie": "figureground=wrong"}),
    ],
)
def test_without_the_token_nothing_is_told(guarded: str, path: str, headers: dict[str, str]) -> None:
    for base in (*GETS, "/api/none"):
        answer = httpx.get(f"{guarded}{base}{path}", headers=headers)
        assert answer.status_code == 401
        assert TOKEN not in answer.text
    answer = httpx.post(f"{guarded}/api/stop{path}", json={}, headers=headers | {"Origin": guarded})
    assert answer.status_code == 401


def test_the_token_as_bearer(guarded: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert all(httpx.get(f"{guarded}{path}", headers=headers).status_code == 200 for path in GETS)
    assert httpx.post(f"{guarded}/api/start", json={}, headers=headers | {"Origin": guarded}).status_code == 200
    assert httpx.post(f"{guarded}/api/start", json={}, headers=headers).status_code == 403, "nor with it from elsewhere"


def test_the_token_in_the_address_becomes_a_cookie(guarded: str) -> None:
    with httpx.Client(base_url=guarded) as client:
        answer = client.get("/", params={"token": TOKEN, "x": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/?x=1")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/api/state").status_code == 200
        assert client.post("/api/start", json={}, headers={"Origin": guarded}).status_code == 200
        assert client.post("/api/start", json={}, params={"token": TOKEN}).status_code == 403


def test_a_login_leads_nowhere_else(guarded: str) -> None:
    for path in ("//evil.example/", "/%5cevil.example/", "///evil.example"):
        answer = httpx.get(f"{guarded}{path}", params={"token": TOKEN})
        assert re.match(r"/([^/\\]|$)", answer.headers["location"]), answer.headers["location"]


ROUTES = ["/api/settings", "/api/cover", "/api/start", "/api/stop", "/api/backgrounds", "/api/backgrounds/x", "/", "/x"]
KINDS = ["application/json", *uploads.PICTURE_TYPES, *uploads.VIDEO_TYPES, "text/plain", ";", "a" * 300]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["fps", "on"]), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"RIFF\x00\x00\x00\x00WEBP",
    b"BM",
    b"II*\x00",
    b"\x00\x00\x00\x20ftypmp42",
]
SETTINGS = ["camera", "background", "model", "mirror", "fit", "people", "refine", "overlay", "fps", "cpu"]
BODIES = (
    st.builds(lambda head, rest: head + rest, st.sampled_from(HEADS), st.binary(max_size=200))
    | JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    | st.dictionaries(st.sampled_from(SETTINGS), JSON, max_size=2).map(lambda value: json.dumps(value).encode())
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["POST", "PUT", "DELETE"]),
    path=st.sampled_from(ROUTES),
    kind=st.sampled_from(KINDS),
    body=BODIES,
)
@example(method="POST", path="/api/settings", kind="application/json", body=b"[" * 16_000)
@example(method="POST", path="/api/settings", kind="application/json", body=b'{"camera": "\\ud800"}')
@example(method="POST", path="/api/settings", kind="application/json", body=b'{"background": "a\\u0000b"}')
@example(method="POST", path="/api/settings", kind="application/json", body=b"\xff\xfe\x00")
def test_no_body_makes_it_fail(client: httpx.Client, method: str, path: str, kind: str, body: bytes) -> None:
    answer = client.request(method, path, content=body, headers={"Content-Type": kind})
    assert answer.status_code < 500, answer.text
