"""A camera, video file, pipe or stream that always has its newest picture ready, and comes back by itself."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Condition, Event, Thread

import av
from av.video.reformatter import VideoReformatter

from figureground.arrays import Frame
from figureground.camera.devices import Place, locate
from figureground.camera.faults import silent
from figureground.camera.reading import HANG, CameraInput
from figureground.errors import CameraError, NoCameraError
from figureground.frames import colorspace, to_frame, upright_size

_PAUSES = (0.5, 5.0)  # seconds before a camera is tried again; doubled each time it gives nothing
_CLOSING = 0.9  # seconds `close` waits for a thread that a driver may hold
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. `frame` is never written to while anybody holds it or a view of it.

    `number` counts what the camera gave, from 1; `captured` is the time.monotonic() of its being handed over.
    """

    frame: Frame
    number: int
    captured: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no pictures come, and what to do about it, each for people."""

    reason: str
    remedy: str


class Camera:
    """Opens a camera in a thread of its own and keeps the newest picture. A context manager.

    Whatever goes wrong (absent, busy, forbidden, unplugged, silent for two seconds) stands in `fault`, and the camera
    is tried again until `close`.

    Args:
        spec: what `camera.devices.locate` takes: a number, device, part of a name, video file (looped), named pipe,
            http or rtsp address. An address is opened as it stands: take it from the user only, never from a client.
        size: width and height to ask a device for; it may give others.
        fps: pictures per second to ask a device for.
        paced: False: a file's pictures as fast as they are asked for, none dropped.

    Attributes:
        name: for people; without passwords.
        width, height: of the newest picture, in pixels; 0 before the first.
        rate: pictures per second: a file's own, a device's as it was over the last second.
        dropped: pictures that came but were not asked for before the next one.
        damaged: pictures that came but could not be decoded, since the camera was last opened.
    """

    def __init__(
        self, spec: str, size: tuple[int, int] | None = None, fps: float | None = None, paced: bool = True
    ) -> None:
        self._spec, self._size, self._fps, self._paced = spec, size, fps, paced
        self.name = "a stream" if "://" in spec else spec  # which may hold a password
        self.width = self.height = self.dropped = self.damaged = 0
        self.rate = 0.0
        self._given = 0
        self._fault: Fault | None = None
        self._shot: Shot | None = None
        self._news = Condition()
        self._stop = Event()
        self._place: Place | None = None
        self._is_file = False
        self._silent_since = time.monotonic()
        self._reformatter = VideoReformatter()
        self._thread = Thread(target=self._run, name=f"camera {self.name}", daemon=True)
        self._thread.start()

    @property
    def fault(self) -> Fault | None:
        """Why no pictures come; None while they do."""
        fault, place = self._fault, self._place
        # The camera's thread cannot say so itself while a driver holds it.
        if fault is None and place is not None and time.monotonic() - self._silent_since > HANG + 0.5:
            fault = _fault(silent(place))
        return fault

    def newest(self, timeout: float) -> Shot | None:
        """The newest picture that was not given yet; None if none comes within `timeout` seconds."""
        with self._news:
            self._news.wait_for(lambda: self._shot is not None or self._stop.is_set(), timeout)
            shot, self._shot = self._shot, None
            self._news.notify_all()  # the thread of a file that is not paced waits for it
            return shot

    def close(self) -> None:
        """Let go of the camera, within a second; a thread that hangs in a driver ends when that lets it."""
        with self._news:
            self._stop.set()
            self._shot = None
            self._news.notify_all()
        self._thread.join(_CLOSING)

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _run(self) -> None:
        pause = _PAUSES[0]
        while not self._stop.is_set():
            given = self._given
            try:
                self._capture()
            except NoCameraError as error:
                self._fail(self._gone() if self._given else _fault(error))
            except CameraError as error:
                self._fail(_fault(error))
            except Exception as error:  # this thread must not end in silence
                _log.exception("camera %s", self.name)
                self._fail(Fault(f"{self.name}: {error}", "figureground doctor  tries every camera"))
            pause = _PAUSES[0] if self._given > given else min(2 * pause, _PAUSES[1])
            self._stop.wait(pause)

    def _gone(self) -> Fault:
        """Why something that gave pictures is not to be found any more."""
        if self._is_file:
            return Fault(f"{self.name} is gone", "put it back; it is taken up by itself")
        return Fault(f"{self.name} was unplugged", "plug it in again; it is taken up by itself")

    def _capture(self) -> None:
        """Open the camera and hand its pictures over, until it fails or is closed."""
        place = locate(self._spec)
        self.name, self._silent_since = place.name, time.monotonic()
        self._is_file = place.kind == "file"
        self._place = None if self._is_file else place
        try:
            with CameraInput(place, self._size, self._fps, self._paced, self._stop) as source:
                self.rate = source.rate
                since, given = time.monotonic(), self._given
                for frame, captured in source.frames():
                    self._give(frame, captured, place)
                    self.damaged = source.damaged
                    if place.kind != "file" and captured - since >= 1:
                        self.rate, since, given = (self._given - given) / (captured - since), captured, self._given
        finally:
            self._place = None

    def _give(self, decoded: av.VideoFrame, captured: float, place: Place) -> None:
        width, height = upright_size(decoded)
        if place.kind == "device" and self._size not in (None, (width, height)) and width != self.width:
            _log.warning("camera %s gives %dx%d pixels, not those asked for", self.name, width, height)
        matrix = colorspace(decoded, camera=place.kind == "device")
        frame = to_frame(decoded, matrix, self._reformatter, 1)
        with self._news:
            if place.kind == "file" and not self._paced:
                self._news.wait_for(lambda: self._shot is None or self._stop.is_set())
            if self._stop.is_set():
                return
            self._given += 1
            self.dropped += self._shot is not None
            self._shot = Shot(frame, self._given, captured)
            self.width, self.height, self._fault, self._silent_since = width, height, None, time.monotonic()
            self._news.notify_all()

    def _fail(self, fault: Fault) -> None:
        with self._news:
            self._fault = fault
            if self._paced:  # what was seen before the fault must not be taken for news after it
                self.dropped += self._shot is not None
                self._shot = None


def _fault(error: CameraError) -> Fault:
    return Fault(error.reason, error.remedy)
