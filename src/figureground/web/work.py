"""Pictures made for clients by a few threads: how many at once, for whom, and for how long."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST = 64  # requests at once, those that still upload or wait included
EACH = 32  # of these for one client
SECONDS = 60.0  # from the whole request to its result, waiting included
_NICE = 10  # the live loop, where one runs, comes first
_T = TypeVar("_T")


class Work:
    """Calls made in `threads` threads of their own (0: one a core), in the order in which they come.

    One more thread is for those that take much memory, so that never two of them are made at once.

    Attributes:
        in_hand: requests at this moment.
        making: calls that run, or wait for a thread.
    """

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self.threads, "pictures", _step_back)
        self._alone = ThreadPoolExecutor(1, "large-pictures", _step_back)
        self._clients: Counter[str] = Counter()
        self.making = 0

    @property
    def in_hand(self) -> int:
        return self._clients.total()

    @contextmanager
    def place(self, request: Request) -> Iterator[None]:
        """A place among the requests, for as long as the block lasts.

        Raises:
            HTTPException: 503 where the server ends or all are taken, 429 where this client has its share.
        """
        client = request.client.host if request.client else ""
        if request.app.state.is_ending():
            raise HTTPException(503, "the server is ending: ask again when it is back", {"Retry-After": "10"})
        if self.in_hand >= MOST:
            raise HTTPException(503, f"{MOST} pictures at once are the limit: ask again later", {"Retry-After": "2"})
        if self._clients[client] >= EACH:
            raise HTTPException(
                429, f"{EACH} pictures at once are the limit for one client: wait for answers", {"Retry-After": "1"}
            )
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            self._clients += Counter()  # drops clients that have none

    async def do(self, request: Request, making: Coroutine[Any, Any, _T]) -> _T:
        """What `making` gives or raises; it is cancelled once the client that wants it has left.

        Raises:
            ClientDisconnect: the client left.
            HTTPException: 503, it takes too long.
        """
        doing = asyncio.ensure_future(making)
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((doing, leaving), timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if leaving.done():
                raise ClientDisconnect
            raise HTTPException(
                503, f"not done within {SECONDS:.0f} seconds: ask again later, or for less", {"Retry-After": "5"}
            )
        finally:
            leaving.cancel()
            doing.cancel()
            del leaving, doing  # or an error's traceback and the future that it comes from keep each other

    async def run(self, call: Callable[[], _T], alone: bool = False) -> _T:
        """What `call` returns or raises, called in one of the threads; cancelled while it waits, it is not called."""
        self.making += 1
        try:
            return await asyncio.wrap_future((self._alone if alone else self._pool).submit(call))
        finally:
            self.making -= 1


async def _left(request: Request) -> None:
    """Returns once the client has left; the request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _step_back() -> None:
    """Only Linux has priorities of single threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
