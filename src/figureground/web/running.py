"""uvicorn as it is run here: a client that dawdles is left, and what is in hand when the end comes is finished.

uvicorn itself waits for ever for the rest of a request's head, and for a client that does not take its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_SECONDS = 10.0  # for the head of a request, from its first byte or the connection's begin
TAKE_SECONDS = 120.0  # in which a client must take an answer, or what is sent of a stream at once
CONNECTIONS = 256  # what comes beyond is answered with uvicorn's own 503
MESSAGE_BYTES = 25_000_000  # of one WebSocket message; a raw picture of 3840x2160 has 24.9 million


def make_server(app: Starlette, busy: Callable[[], bool] = lambda: False) -> Server:
    """A server for `app`, which learns by `app.state.is_ending` when it ends; `busy` tells of work to be finished."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=_Http,
        ws=_WebSocket,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,  # pictures are compressed already
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # what a client says of itself is not believed
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
    )
    server = Server(config, busy)
    app.state.is_ending = lambda: server.is_draining or server.should_exit
    return server


class Server(uvicorn.Server):
    """A first signal while work is in hand only lets no more in; the last work done, or a second signal, ends it."""

    def __init__(self, config: uvicorn.Config, busy: Callable[[], bool]) -> None:
        super().__init__(config)
        self.busy = busy
        self.is_draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.busy() and not self.is_draining:
            self.is_draining = True
        else:
            self.force_exit = self.is_draining
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self.is_draining and not self.busy():
            self.should_exit = True
        return await super().on_tick(counter)


class _Taking(asyncio.Protocol):
    """Leaves a client that does not take what is sent to it."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _untaken: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._taken()

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None


class _WebSocket(_Taking, WebSocketsSansIOProtocol):
    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # by a refusal, of which uvicorn would log that there was none


class _Http(_Taking, H11Protocol):
    """Leaves a client that does not come to the end of its request's head, too."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()

    def _watch_head(self) -> None:
        """While a request is in hand its own limits count, and those of a WebSocket once it is one."""
        is_between = self.cycle is None or self.cycle.response_complete
        if not is_between or self.transport.get_protocol() is not self:
            self._stop_watching()
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
