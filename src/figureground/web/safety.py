"""Who may ask for what: Host, Origin and token of every request, limits on bodies and streams, headers of every answer.

What each check is against: Host, a page whose name was rebound to this address (DNS rebinding); Origin and
Sec-Fetch-Site, a page of another site that the same browser shows (CSRF); the token, anyone else on the network.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from figureground.web.answers import Json

COOKIE = "figureground"
BODY_SECONDS = 60.0
LINGER_SECONDS = 2.0
LARGEST_BODY = 25_000_000  # bytes
_HEADERS = {
    # 'wasm-unsafe-eval' lets WebAssembly be compiled and nothing be evaluated; blob: is what the user gave the page.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Figureground": "pipeline",  # tells the page that there is one behind it
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:/@\s\[\]]+)(:\d{1,5})?")


class Guard:
    """ASGI middleware that answers by itself whoever may not ask; 421 wrong Host, 401 no token, 403 another site.

    Requests and WebSockets alike.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], token: str | None) -> None:
        self.app = app
        self.hosts = hosts
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        is_taken = is_hanging_up = False

        async def receive_noting() -> Message:
            nonlocal is_taken
            message = await receive()
            is_taken = not message.get("more_body")
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal is_hanging_up
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if is_hanging_up := message["status"] >= 400 and not is_taken and _is_long(request):
                    headers["Connection"] = "close"
                headers.setdefault("Cache-Control", "no-cache" if is_page(request) else "no-store")
            elif is_hanging_up and not message.get("more_body"):
                await send({**message, "more_body": True})
                await _linger(receive)
                message = {"type": message["type"], "body": b""}
            await send(message)

        answer = self._refusal(request) or self._login(request) or self.app
        await answer(scope, receive_noting, send_with_headers)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        host = request.headers.get("host", "").lower()
        if not self._is_own(host, request.scope.get("server")):
            return refusal(421, "this address is not served here: open the one that figureground printed")
        origin = request.headers.get("origin")
        # Programs send no Origin, and browsers send one with whatever changes something. Behind /v1/ nothing does.
        must = request.scope.get("method", "GET") not in ("GET", "HEAD") and not request.url.path.startswith("/v1/")
        if (origin is None and must) or (origin is not None and not _is_same(origin, host)):
            return refusal(403, "only the page itself may ask for this: its Origin must equal its Host")
        if not is_page(request) and request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
            return refusal(403, "only the page itself may ask for this, no other site")
        return None

    def _is_own(self, host: str, server: tuple[str, int | None] | None) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        # The address that the connection came to, in figures, is no name that somebody could have rebound.
        return match[1] in self.hosts or (server is not None and _is_address(match[1].strip("[]"), server[0]))

    def _login(self, request: HTTPConnection) -> Response | None:
        """None for whoever has the token; else how to give it, or, where the address holds it, a cookie for later."""
        if self.token is None:
            return None
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(bearer.strip(), self.token):
            return None
        if _equal(request.cookies.get(COOKIE, ""), _cookie(self.token)):
            return None
        if request.scope.get("method") == "GET" and _equal(request.query_params.get("token", ""), self.token):
            return self._with_cookie(request)
        return refusal(
            401,
            "this needs the token of --token-file: open the address once as  /?token=TOKEN, or send it as  "
            "Authorization: Bearer TOKEN",
        )

    def _with_cookie(self, request: HTTPConnection) -> Response:
        assert self.token is not None
        rest = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        # One slash: "//elsewhere" would lead to another site.
        path = "/" + request.url.path.lstrip("/\\")
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        answer.set_cookie(COOKIE, _cookie(self.token), httponly=True, samesite="strict")
        return answer


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Json:
    """Every answer but a good one looks like this: one line for the user under `error`."""
    return Json({"error": message}, status, headers)


def is_page(request: HTTPConnection) -> bool:
    """Whether a request is for the page's own files."""
    return not request.url.path.startswith(("/api/", "/v1/", "/metrics"))


def _is_long(request: HTTPConnection) -> bool:
    """Whether a refused client is hung up on; one that sends no more than is allowed may finish its body."""
    length = request.headers.get("content-length", "0")
    return "transfer-encoding" in request.headers or not length.isdecimal() or int(length[:20]) > LARGEST_BODY


async def _linger(receive: Receive) -> None:
    """Reads on for a moment: to hang up on what is still being sent resets the connection, and may take the answer.

    A client that sends fast could send gigabytes in that moment: after as much as the largest body it is left too.
    """
    left = LARGEST_BODY
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0 and (message := await receive()).get("more_body"):
                left -= len(message.get("body", b""))


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())


def _cookie(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()  # a token may hold what a cookie cannot


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == host


def _is_address(name: str, server: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(server)
    except ValueError:
        return False


@dataclass
class Places:
    """So many of something at once; one more is refused."""

    limit: int
    what: str
    taken: int = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for as long as the block lasts.

        Raises:
            HTTPException: 503, all are taken.
        """
        if self.taken >= self.limit:
            raise HTTPException(
                503, f"{self.what}: {self.limit} at once are the limit; close one", {"Retry-After": "5"}
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def check_type(request: Request, *wanted: str) -> str:
    """The content type of a body, one of `wanted`.

    Raises:
        HTTPException: 415, it is another.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in wanted:
        raise HTTPException(415, f"content type {kind or 'missing'}: want {' or '.join(wanted)}")
    return kind


async def read_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """A body in pieces; no more of it is read than `limit` bytes, nor for longer than a minute.

    Raises:
        HTTPException: 413 too large, 408 too slow.
    """
    too_large = HTTPException(413, f"over the limit of {limit / 1e6:g} MB")
    declared, total = request.headers.get("content-length", ""), 0
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise too_large
    stream, until = request.stream(), asyncio.get_running_loop().time() + BODY_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(until):  # around no yield: it would strike whoever uses the piece
                piece = await anext(stream, None)
        except TimeoutError as error:
            raise HTTPException(408, f"the upload took over {BODY_SECONDS:.0f} seconds") from error
        if piece is None:
            return
        total += len(piece)
        if total > limit:
            raise too_large
        yield piece


async def read_json(request: Request, limit: int = 16_384) -> object:
    """A JSON body.

    Raises:
        HTTPException: 415 not said to be JSON, 400 not JSON, or as `read_body`.
    """
    check_type(request, "application/json")
    body = b"".join([piece async for piece in read_body(request, limit)])
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
