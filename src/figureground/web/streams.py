"""What the page is sent as long as it stays: the state, and the pictures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import cv2
from anyio import to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from figureground.images import encode_jpeg
from figureground.web.answers import to_json
from figureground.web.control import Control
from figureground.web.safety import Places

if TYPE_CHECKING:
    from figureground.live import Live

PREVIEW_WIDTH = 960
PREVIEW_RATE = 25.0
STATE_SECONDS = 0.25
_WAIT = 0.5  # how long to wait for a picture before looking whether the server ends


class Held(StreamingResponse):
    """An answer that lasts as long as its client, which has one of `places` for that time."""

    def __init__(self, content: AsyncIterator[bytes], media_type: str, places: Places) -> None:
        super().__init__(content, media_type=media_type)
        self.places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.places.one():
            await super().__call__(scope, receive, send)


class Preview:
    """The newest finished picture as a JPEG, made once however many watch, and only while somebody does."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._lock = threading.Lock()
        self._number = 0
        self._jpeg = b""

    def newest(self, after: int) -> tuple[int, bytes] | None:
        """The number of the picture and its JPEG, at most 960 pixels wide; None if none came for half a second."""
        found = self.live.preview(after, _WAIT)
        if found is None:
            return None
        number, frame = found
        with self._lock:
            if number != self._number:
                scale = PREVIEW_WIDTH / frame.shape[1]
                if scale < 1:
                    size = (PREVIEW_WIDTH, max(1, round(frame.shape[0] * scale)))
                    frame = cv2.resize(frame, size)  # a fifth of what INTER_AREA takes, at the factors that occur
                self._number, self._jpeg = number, encode_jpeg(frame)
            return self._number, self._jpeg


async def pictures(preview: Preview, is_ending: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Parts of a multipart/x-mixed-replace answer, at most 25 a second; a slow client gets fewer, never old ones."""
    number = 0
    yield b"--frame\r\n"
    while not is_ending():
        begun = time.monotonic()
        found = await to_thread.run_sync(preview.newest, number)
        if found is None:
            continue
        number, jpeg = found
        # The boundary comes right after the picture: browsers show it once they know that it has ended.
        yield b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n--frame\r\n" % (len(jpeg), jpeg)
        await asyncio.sleep(max(0.0, begun + 1 / PREVIEW_RATE - time.monotonic()))


async def states(control: Control, is_ending: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The state as server-sent events, four times a second."""
    while not is_ending():
        state = await to_thread.run_sync(control.state)
        yield b"data: %b\n\n" % to_json(state)
        await asyncio.sleep(STATE_SECONDS)
