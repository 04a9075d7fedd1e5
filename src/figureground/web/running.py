"""uvicorn as it is run here: a client that dawdles is left, and what is in hand when the end comes is finished.

uvicorn itself waits for ever for the rest of a request's head, and for a client that does not take its answer; at the
end too, and then a second SIGTERM is nothing to it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import HANDLED_SIGNALS

HEAD_SECONDS = 10.0  # for the head of a request, from its first byte or the connection's begin
TAKE_SECONDS = 120.0  # in which a client must take an answer, or what is sent of a stream at once
LEAVE_SECONDS = 5.0  # at the end, in which a client must bring the rest of its request or take its answer
CONNECTIONS = 256  # what comes beyond is answered with uvicorn's own 503
_LOOK = 0.1  # seconds between two looks at what has become of the end
_TIDY_SECONDS = 0.5  # for those who serve a client, to remove what it was uploading, say
MESSAGE_BYTES = 25_000_000  # of one WebSocket message; a raw picture of 3840x2160 has 24.9 million


def make_server(
    app: Starlette,
    busy: Callable[[], bool] = lambda: False,
    making: Callable[[], bool] = lambda: False,
    asked: Callable[[], object] = lambda: None,
) -> Server:
    """A server for `app`, which learns by `app.state.is_ending` when it ends.

    Args:
        busy: whether there is work to be finished.
        making: whether it is the server that this waits for, not a client.
        asked: called at the first signal, in its handler.
    """
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
    server = Server(config, busy, making, asked)
    app.state.is_ending = lambda: server.is_draining or server.should_exit
    return server


class Server(uvicorn.Server):
    """A first signal while work is in hand only lets no more in; the last work done ends it.

    Clients that dawdle then are left after `LEAVE_SECONDS`. A second signal leaves everybody and ends the process:
    threads that Python would wait for may be long in a picture, or for ever in a driver.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        busy: Callable[[], bool],
        making: Callable[[], bool],
        asked: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self.busy, self.making, self.asked = busy, making, asked
        self.is_draining = self._is_over = False
        self._signals = 0
        self._until = float("inf")  # when clients are left that have not brought or taken what they were to

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not only while it runs, as uvicorn's: what comes while the process winds up is no first signal."""
        if threading.current_thread() is threading.main_thread():
            for sign in HANDLED_SIGNALS:
                signal.signal(sign, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1:
            self._until = time.monotonic() + LEAVE_SECONDS
            self.asked()
            self.is_draining = self.busy()
            self.should_exit |= not self.is_draining
        elif self._signals == 2 and not self._is_over:
            self.should_exit = True
        else:
            os._exit(0)

    async def on_tick(self, counter: int) -> bool:
        if self.is_draining:
            now = time.monotonic()
            if self.making():
                self._until = now + LEAVE_SECONDS
            self.should_exit |= not self.busy() or now > self._until
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._until = min(self._until, time.monotonic() + LEAVE_SECONDS)
        leaving = asyncio.ensure_future(self._leave_dawdlers())
        await super().shutdown(sockets)
        leaving.cancel()
        self._is_over = True
        if self._signals > 1:
            os._exit(0)

    async def _leave_dawdlers(self) -> None:
        while self._signals < 2:
            if time.monotonic() > self._until:
                self._leave_clients()
            await asyncio.sleep(_LOOK)
        self._leave_clients()
        await asyncio.sleep(_TIDY_SECONDS)
        os._exit(0)

    def _leave_clients(self) -> None:
        """What serves them ends as if they had left; uvicorn would cancel it, each with a traceback in the log."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


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
