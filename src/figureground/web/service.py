"""Pictures in, pictures out, for other programs: docs/service.md says what is asked how."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from figureground.backgrounds import Background, Still, make_background
from figureground.batch.options import Options
from figureground.batch.picture import is_deep, make_picture
from figureground.engine import Engine, shipped_models
from figureground.errors import FigureGroundError, ImageError, LargeImageError, ModelError, NoImageError, OutputError
from figureground.images import format_suffix, picture_size, read_image
from figureground.pictures import encode_picture, read_picture
from figureground.version import __version__
from figureground.web.frames import exchange
from figureground.web.openapi import STYLE, document, reference
from figureground.web.requests import Requests
from figureground.web.safety import Places, refusal
from figureground.web.wanted import Wanted, reading
from figureground.web.work import Work

MAX_PIXELS = 50_000_000
LARGE = 16_000_000  # pixels; a picture of more takes up to 1.2 GB while it is made
STREAMS = 8
_OWN_FORMATS = {".jpg": "jpeg", ".png": "png", ".webp": "webp"}
_log = logging.getLogger(__name__)


class Service:
    """What stands behind `/v1`: engines of its own, and threads of its own for them.

    Attributes:
        device: what the models run on, as `Engine` takes it.
        work: the threads, and who has a place.
        requests: what is counted.
    """

    def __init__(self, device: str = "cpu", threads: int = 0) -> None:
        self.device = device
        self.work = Work(threads)
        self.requests = Requests()
        self.streams = Places(STREAMS, "streams")
        self._engines: dict[str, Engine] = {}
        self._loading = Lock()

    def busy(self) -> bool:
        """Whether anybody waits for a picture."""
        return self.work.in_hand > 0 or self.work.making > 0

    def making(self) -> bool:
        """Whether a picture is being made: what is in hand beyond that waits for its client."""
        return self.work.making > 0

    def engine(self, model: str) -> Engine:
        """The engine of a shipped model, loaded when it is first asked for."""
        with self._loading:
            if model not in self._engines:
                self._engines[model] = Engine(model, device=self.device)
            return self._engines[model]

    def make(self, wanted: Wanted) -> tuple[bytes, str]:
        """The picture that is wanted, as the content of a file, and its format: what `replace` would write.

        Raises:
            FigureGroundError: it cannot be made; the message says why.
        """
        options, format = Options(wanted.kind), wanted.format or _suitable(wanted)
        with _named("image"):
            wanted.image.seek(0)
            picture = read_picture(BytesIO(wanted.image.read()), is_deep(options, f".{format}"))
        made, metadata = make_picture(picture, self.engine(wanted.model), options, _background(wanted))
        file = BytesIO()
        try:
            encode_picture(file, made, metadata, f".{format}")
        except (ValueError, RuntimeError) as error:
            size = f"{made.shape[1]}x{made.shape[0]}"
            raise OutputError(f"{size} pixels cannot be written as {format} ({error})") from error
        return file.getvalue(), format

    def routes(self) -> list[BaseRoute]:
        """All under `/v1`."""
        routes = [
            Route("/alpha", _Endpoint(self, "alpha", "alpha"), methods=["POST"]),
            Route("/replace", _Endpoint(self, "replace"), methods=["POST"]),
            WebSocketRoute("/frames", self._frames),
            Route("/health", self._health),
            Route("/openapi.json", _openapi),
            Route("/docs", _docs),
            Route("/docs.css", _style),
        ]
        return [Mount("/v1", Router(routes, redirect_slashes=False))]

    async def _frames(self, websocket: WebSocket) -> None:
        try:
            if websocket.app.state.is_ending():
                raise HTTPException(503, "the server is ending: ask again when it is back")
            with self.streams.one():
                await exchange(websocket, self.engine, self.work.run, self.requests)
        except HTTPException as error:
            await websocket.send_denial_response(refusal(error.status_code, error.detail, error.headers))

    async def _health(self, request: Request) -> Response:
        if request.app.state.is_ending():
            return refusal(503, "the server is ending: ask again when it is back")
        return JSONResponse({"status": "ok", "version": __version__, "models": sorted(shipped_models())})


class _Endpoint:
    """The ASGI application of one route: whatever happens is made an answer, and counted."""

    def __init__(self, service: Service, name: str, kind: str = "") -> None:
        self.service, self.name, self.kind = service, name, kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, begun = Request(scope, receive), time.monotonic()
        with ExitStack() as places:  # left when the answer is taken: until then it is in memory
            try:
                places.enter_context(self.service.work.place(request))
                answer = await self._picture(request)
            except Exception as error:
                answer = _failure(error)
            self.service.requests.note(self.name, answer.status_code, time.monotonic() - begun)
            await answer(scope, receive, send)

    async def _picture(self, request: Request) -> Response:
        async with reading(request, self.kind) as wanted:
            content, format = await self.service.work.do(request, self._made(wanted))
        return Response(content, media_type=f"image/{format}")

    async def _made(self, wanted: Wanted) -> tuple[bytes, str]:
        run, make = self.service.work.run, self.service.make
        pixels = await run(partial(_pixels, wanted))
        return await run(partial(make, wanted), alone=pixels > LARGE)


def _failure(error: Exception) -> Response:
    match error:
        case HTTPException():
            return refusal(error.status_code, error.detail, error.headers)
        case ClientDisconnect():
            return refusal(400, "the client left")  # which nobody hears
        case LargeImageError():
            return refusal(413, str(error))
        case NoImageError():
            return refusal(415, str(error))
        case FigureGroundError() if not isinstance(error, ModelError):
            return refusal(422, str(error))
    _log.error("a picture could not be made", exc_info=error)
    return refusal(500, f"figureground failed ({type(error).__name__}); its log says more")


def _pixels(wanted: Wanted) -> int:
    """How many there are in the larger of its pictures; only their heads are read.

    Raises:
        ImageError: one of them is none, or over the limit.
    """
    found = 0
    for file, name in ((wanted.image, "image"), (wanted.behind, "background")):
        if file is not None:
            with _named(name):
                width, height = picture_size(file)
                if width * height > MAX_PIXELS:
                    limit = f"{MAX_PIXELS // 1_000_000} megapixels"
                    raise LargeImageError(f"picture: {width}x{height} is over the limit of {limit}; shrink it")
            found = max(found, width * height)
    return found


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors begin with the name of the part that they are about."""
    try:
        yield
    except ImageError as error:
        raise type(error)(f"{name}: {str(error).removeprefix('picture: ')}") from error


def _background(wanted: Wanted) -> Background | None:
    if wanted.kind != "composite":
        return None
    if wanted.behind is not None:
        with _named("background"):
            return Still(read_image(wanted.behind))
    return make_background(wanted.background)


def _suitable(wanted: Wanted) -> str:
    """The picture's own format for a composite where that is one of ours, as `replace` does."""
    return _OWN_FORMATS.get(format_suffix(wanted.image), "png") if wanted.kind == "composite" else "png"


async def _openapi(request: Request) -> Response:
    return JSONResponse(document())


async def _docs(request: Request) -> Response:
    return HTMLResponse(reference(document()))


async def _style(request: Request) -> Response:
    return PlainTextResponse(STYLE, media_type="text/css")
