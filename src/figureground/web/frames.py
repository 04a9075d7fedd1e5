"""A stream of frames over a WebSocket: a hello that says what is wanted, then one answer a frame, in order.

An answer is the finished picture of that very frame, or a text that says why there is none: the frame itself is never
sent back, whatever fails.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from figureground.arrays import Frame
from figureground.backgrounds import make_background
from figureground.batch import KINDS, make_compose
from figureground.engine import Engine, shipped_models
from figureground.errors import FigureGroundError, LargeImageError, SettingError
from figureground.images import encode_image, picture_size, read_image
from figureground.live.matting import Matting
from figureground.web.requests import Requests
from figureground.web.wanted import FORMATS, check_background, check_choice

MAX_PIXELS = 3840 * 2160  # of a frame
HELLO_SECONDS = 10.0
IDLE_SECONDS = 60.0  # without a frame
FRAME_SECONDS = 30.0
_LOOK = 0.5  # how long to wait for a frame before looking whether the server ends
GOING_AWAY, WRONG = 1001, 1008  # close codes (RFC 6455, 7.4.1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hello:
    """What is wanted of a stream.

    Attributes:
        format: of the answers: png, webp, jpeg or raw.
        size: width and height of raw rgb24 frames; None: each frame is a picture's file.
        fps: the stream's own rate; None: a frame's time is when it comes.
    """

    kind: str = "composite"
    background: str = "blur"
    model: str = "small"
    format: str = "jpeg"
    size: tuple[int, int] | None = None
    fps: float | None = None

    @classmethod
    def read(cls, text: str) -> Hello:
        """The hello in a JSON text.

        Raises:
            SettingError: it is none, or asks for what there is not.
        """
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            raise SettingError("hello: want a text message with a JSON object") from None
        if not isinstance(told, dict):
            raise SettingError("hello: want a JSON object")
        for name in told.keys() - set(cls.__slots__):
            raise SettingError(f"hello: nothing is called {name[:40]!r}; there are {', '.join(cls.__slots__)}")
        return cls(**_checked(told))


def _checked(told: dict[str, Any]) -> dict[str, Any]:
    for name in ("kind", "background", "model", "format", "size"):
        if not isinstance(told.get(name, ""), str):
            raise SettingError(f"hello: {name}: want text")
    background = told.get("background", "blur")
    kind = told.get("kind", "cutout" if background == "transparent" else "composite")
    kind = "cutout" if background == "transparent" and kind == "composite" else kind
    format = told.get("format", "png" if kind == "cutout" else "jpeg")
    try:
        check_background(background)
        check_choice("kind", kind, KINDS)
        check_choice("model", told.get("model", "small"), tuple(shipped_models()))
        check_choice("format", format, (*FORMATS, "raw"))
    except HTTPException as error:
        raise SettingError(f"hello: {error.detail}") from error
    if kind == "cutout" and format == "jpeg":
        raise SettingError("hello: format 'jpeg': holds no transparency; want png, webp or raw")
    fps = told.get("fps")
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, int | float) or not 1 <= fps <= 240):
        raise SettingError("hello: fps: want a number from 1 to 240")
    return {**told, "kind": kind, "format": format, "size": _size(told.get("size"))}


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch("([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None or int(match[1]) * int(match[2]) > MAX_PIXELS:
        raise SettingError(f"hello: size {text[:40]!r}: want WIDTHxHEIGHT, as 1280x720, at most 3840x2160 pixels")
    return int(match[1]), int(match[2])


class Stream:
    """The frames of one client: `answer = stream(data, at)`, one after the other; it has the stream's memory."""

    def __init__(self, hello: Hello, engine: Engine) -> None:
        self.hello = hello
        self._matting = Matting(engine)
        background = make_background(hello.background) if hello.kind == "composite" else None
        self._compose = make_compose(hello.kind, background)
        self._count = 0

    def __call__(self, data: bytes, at: float) -> bytes:
        """The answer to a frame that came `at` so many seconds.

        Raises:
            FigureGroundError: the frame cannot be read, or nothing safe can be made of it.
        """
        time = self._count / self.hello.fps if self.hello.fps else at
        self._count += 1
        try:
            frame = self._read(data)
            picture = self._compose(frame, self._matting(frame, time), Fraction(round(time * 1_000_000), 1_000_000))
        except BaseException:
            self._matting.reset()  # what was wrong with one frame must not tell what the next ones show
            raise
        if self.hello.format == "raw":
            return picture.tobytes()
        file = BytesIO()
        encode_image(file, picture, f".{self.hello.format}")
        return file.getvalue()

    def _read(self, data: bytes) -> Frame:
        if self.hello.size is not None:
            width, height = self.hello.size
            if len(data) != width * height * 3:
                raise SettingError(
                    f"a frame of {len(data)} bytes: want {width * height * 3}, rgb24 of {width}x{height}"
                )
            return np.frombuffer(data, np.uint8).reshape(height, width, 3)
        file = BytesIO(data)
        width, height = picture_size(file)
        if width * height > MAX_PIXELS:
            raise LargeImageError(f"a frame of {width}x{height}: over the limit of 3840x2160 pixels; shrink it")
        return read_image(file)


async def exchange(
    websocket: WebSocket,
    engine: Callable[[str], Engine],
    run: Callable[[Callable[[], Any]], Awaitable[Any]],
    requests: Requests,
) -> None:
    """Serve one client until it leaves, dawdles, or the server ends; `run` calls in a thread of the service's."""
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            hello = Hello.read(message.get("text") or "")
            stream = await run(lambda: Stream(hello, engine(hello.model)))
        except TimeoutError:
            await _end(websocket, f"hello: none within {HELLO_SECONDS:.0f} seconds")
            return
        except FigureGroundError as error:
            await _end(websocket, str(error))
            return
        await websocket.send_text(json.dumps({"ready": True}))
        await _answer_frames(websocket, stream, run, requests)


async def _answer_frames(
    websocket: WebSocket, stream: Stream, run: Callable[[Callable[[], Any]], Awaitable[Any]], requests: Requests
) -> None:
    number = 0
    while True:
        message = await _next(websocket)
        if message is None:
            return
        data = message.get("bytes")
        if data is None:
            await _end(websocket, "want frames as binary messages; a new hello needs a new connection")
            return
        try:
            async with asyncio.timeout(FRAME_SECONDS):
                answer = await run(partial(stream, data, time.monotonic()))
        except Exception as error:
            requests.failed_frames += 1
            await websocket.send_text(json.dumps({"frame": number, "error": _reason(error)}))
            if isinstance(error, TimeoutError):  # its thread still has the stream's memory
                await websocket.close(GOING_AWAY, "busy")
                return
        else:
            requests.frames += 1
            await websocket.send_bytes(answer)
        number += 1


async def _next(websocket: WebSocket) -> dict[str, Any] | None:
    """The client's next message; None once there will be none, the connection closed then."""
    receiving = asyncio.ensure_future(websocket.receive())
    until = time.monotonic() + IDLE_SECONDS
    try:
        while True:
            await asyncio.wait((receiving,), timeout=_LOOK)
            message = dict(receiving.result()) if receiving.done() else {}
            if message.get("type") == "websocket.disconnect":
                return None
            if websocket.app.state.is_ending():  # looked at also where the next frame is always there already
                await websocket.close(GOING_AWAY, "the server is ending")
                return None
            if message:
                return message
            if time.monotonic() > until:
                await _end(websocket, f"no frame for {IDLE_SECONDS:.0f} seconds")
                return None
    finally:
        receiving.cancel()


async def _end(websocket: WebSocket, reason: str) -> None:
    await websocket.send_text(json.dumps({"error": reason}))
    await websocket.close(WRONG)


def _reason(error: Exception) -> str:
    if isinstance(error, FigureGroundError):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"not done within {FRAME_SECONDS:.0f} seconds: the server is busy"
    _log.error("a frame could not be made", exc_info=error)
    return f"figureground failed ({type(error).__name__}); its log says more"
