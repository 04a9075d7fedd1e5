"""The server of the page and of the service: Starlette routes; docs/serve.md says what they are and why so."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from figureground.errors import FigureGroundError, InputError, OutputError, reason
from figureground.web import metrics
from figureground.web.answers import Json
from figureground.web.control import GIVEN, Control
from figureground.web.running import CONNECTIONS, Server, make_server
from figureground.web.safety import Guard, Places, check_type, read_body, read_json, refusal
from figureground.web.service import Service
from figureground.web.streams import Held, Preview, pictures, states
from figureground.web.uploads import (
    MAX_BYTES,
    PICTURE_TYPES,
    VIDEO_TYPES,
    Backgrounds,
    Kept,
    data_folder,
    make_thumbnail,
)

if TYPE_CHECKING:
    from figureground.live import Live

STATIC = Path(__file__).parent / "static"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
SHORTEST_TOKEN = 16


def serve(live: Live, host: str, port: int, token: str | None) -> None:
    """Serve the page at `host`:`port` (0: a free one) until Ctrl-C, SIGTERM or the end of `live`.

    The address goes to stderr, in one line. The first signal closes the camera, a second one ends the process.

    Raises:
        FigureGroundError: no token, or a short one, for an address beyond this computer.
        OutputError: the address cannot be had.
    """
    if token is None and not _is_loopback(host):
        raise FigureGroundError(f"--host {host}: others can reach that; give the page a token with --token-file FILE")
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise FigureGroundError(f"the token has {len(token)} characters, want at least {SHORTEST_TOKEN}")
    listener = _listen(host, port)
    hosts = LOOPBACK if _is_loopback(host) else frozenset({_bracketed(host), socket.gethostname().lower()})
    app = make_app(live, data_folder(), token, hosts)
    service = app.state.service
    server = make_server(app, service.busy, service.making, live.stop)
    address = f"http://{_bracketed(host)}:{listener.getsockname()[1]}/"
    with suppress(OSError):  # nobody reads it
        # In one piece: other threads tell what happens in lines of their own.
        sys.stderr.write(f"figureground: {address}{'' if token is None else '?token=TOKEN'}\n")
        sys.stderr.flush()
    Thread(target=_end_with, args=(live, server), daemon=True).start()
    with listener:
        server.run(sockets=[listener])


def _end_with(live: Live, server: Server) -> None:
    live.ended.wait()
    server.should_exit = True


def make_app(live: Live, folder: Path, token: str | None, hosts: frozenset[str] | set[str]) -> Starlette:
    """The application: `folder` holds the backgrounds kept, `hosts` the names (no port) it may be asked for under."""
    control, preview = Control(live, Backgrounds(folder)), Preview(live)
    service = Service(control.state()["settings"]["device"])
    events, previews, uploads = Places(8, "pages"), Places(4, "previews"), Places(1, "uploads")

    def state(request: Request) -> Response:
        return Json(control.state())

    async def watch_state(request: Request) -> Response:
        return Held(states(control, request.app.state.is_ending), "text/event-stream", events)

    async def watch(request: Request) -> Response:
        parts = pictures(preview, request.app.state.is_ending)
        return Held(parts, "multipart/x-mixed-replace; boundary=frame", previews)

    def scrape(request: Request) -> Response:
        own = service.requests.metrics(service.work.in_hand, service.streams.taken)
        return Response(metrics.exposition(control.state(), own), media_type=metrics.CONTENT_TYPE)

    routes = [
        Route("/api/state", state),
        Route("/api/events", watch_state),
        Route("/api/preview", watch),
        Route("/metrics", scrape),
        *_control_routes(control),
        *_background_routes(control, uploads),
        *service.routes(),
        Mount("/", StaticFiles(directory=STATIC, html=True))
        if (STATIC / "index.html").is_file()
        else Route("/", _unbuilt),
    ]
    guard = Middleware(Guard, hosts=frozenset(hosts), token=token)
    app = Starlette(routes=routes, middleware=[guard], exception_handlers=_HANDLERS)
    app.state.is_ending = lambda: False
    app.state.service = service
    return app


def _control_routes(control: Control) -> list[Route]:
    async def settings(request: Request) -> Response:
        await to_thread.run_sync(control.change, await read_json(request))
        return Json(await to_thread.run_sync(control.state))

    async def cover(request: Request) -> Response:
        body = await read_json(request)
        if not isinstance(body, dict) or not isinstance(body.get("on"), bool):
            raise HTTPException(400, 'want {"on": true} or {"on": false}')
        await to_thread.run_sync(control.live.cover, body["on"])
        return Json(await to_thread.run_sync(control.state))

    def switch(act: Callable[[], None]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            await read_json(request)
            if request.app.state.is_ending():  # which has closed the camera
                raise HTTPException(503, "the server is ending: ask again when it is back")
            await to_thread.run_sync(act)
            return Json(await to_thread.run_sync(control.state))

        return endpoint

    return [
        Route("/api/settings", settings, methods=["POST"]),
        Route("/api/cover", cover, methods=["POST"]),
        Route("/api/start", switch(control.live.start), methods=["POST"]),
        Route("/api/stop", switch(control.live.stop), methods=["POST"]),
    ]


def _background_routes(control: Control, uploads: Places) -> list[Route]:
    backgrounds = control.backgrounds
    thumbnail_of = lru_cache(1)(make_thumbnail)  # of one that has none on disk, as that from the command line

    def find(request: Request) -> Kept:
        id = request.path_params["id"]
        kept = control.given if id == GIVEN else backgrounds.get(id)
        if kept is None:
            raise HTTPException(404, "no such background")
        return kept

    def index(request: Request) -> Response:
        given = control.given
        return Json([_entry(kept) for kept in ([given] if given else []) + backgrounds.all()])

    async def add(request: Request) -> Response:
        kind = check_type(request, *PICTURE_TYPES, *VIDEO_TYPES)
        with uploads.one(), backgrounds.workplace() as work:
            backgrounds.check_room()
            upload = work / "upload"
            with upload.open("wb") as file:
                async for piece in read_body(request, MAX_BYTES):
                    file.write(piece)
            keep = partial(backgrounds.keep, upload, kind, request.query_params.get("name", ""))
            return Json(_entry(await to_thread.run_sync(keep)), 201)

    def thumbnail(request: Request) -> Response:
        kept = find(request)
        if kept.thumbnail.is_file() and kept.id != GIVEN:
            return FileResponse(kept.thumbnail, headers={"Cache-Control": "private, max-age=86400, immutable"})
        return _made_thumbnail(kept, thumbnail_of)

    def remove(request: Request) -> Response:
        kept = find(request)
        if kept.id == GIVEN:
            raise HTTPException(409, "this background is the command line's, not the page's to remove")
        if control.is_shown(kept):
            raise HTTPException(409, "this background is in use: choose another one first")
        backgrounds.remove(kept)
        return Response(status_code=204)

    return [
        Route("/api/backgrounds", index, methods=["GET"]),
        Route("/api/backgrounds", add, methods=["POST"]),
        Route("/api/backgrounds/{id}/thumbnail", thumbnail),
        Route("/api/backgrounds/{id}", remove, methods=["DELETE"]),
    ]


def _made_thumbnail(kept: Kept, make: Callable[[Path], bytes]) -> Response:
    try:
        return Response(make(kept.path), media_type="image/jpeg")
    except (InputError, OSError) as error:  # whose text names the path
        raise HTTPException(404, "this background cannot be read any more") from error


def _entry(kept: Kept) -> dict[str, str]:
    return {"id": kept.id, "name": kept.name, "kind": kept.kind}


def _unbuilt(request: Request) -> Response:
    return PlainTextResponse("The page is not built: run  make web  in the checkout (the API works without).\n", 503)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, error.headers)


async def _on_wrong_call(request: Request, error: Exception) -> Response:
    return refusal(400, str(error))


async def _on_failure(request: Request, error: Exception) -> Response:
    return refusal(500, f"figureground failed ({type(error).__name__}); its log says more")


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return refusal(400, "the client left")  # which nobody hears


_HANDLERS = {
    HTTPException: _on_http_error,
    FigureGroundError: _on_wrong_call,
    ClientDisconnect: _on_disconnect,
    Exception: _on_failure,
}


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        why = reason(error).partition(" (while")[0]
        is_host = getattr(error, "errno", None) in (errno.EADDRNOTAVAIL, socket.EAI_NONAME)
        other = "--host" if is_host else "--port"
        raise OutputError(f"{host} port {port}: cannot be served from ({why}); choose another {other}") from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()
