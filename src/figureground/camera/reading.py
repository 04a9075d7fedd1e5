"""An opened camera, video file, named pipe or stream: its pictures as they come."""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from threading import Event, Thread
from typing import Any

import av
from av.container import InputContainer

from figureground.camera.devices import Place
from figureground.camera.faults import explain, silent
from figureground.errors import CameraError
from figureground.frames import FFMPEG_ERRORS
from figureground.images import MAX_PIXELS

HANG = 2.0  # seconds without a picture after which a device or stream is given up and opened anew
OPENING = 4.0  # seconds; a webcam takes up to two for its first picture
_PLAIN = 640 * 480  # pixels up to which USB 2 carries pictures that are not compressed at 30 a second
_NONBLOCK = {"fflags": "+4"}  # AVFMT_FLAG_NONBLOCK, which has no name here
_STREAMOFF, _CAPTURE = 0x40045613, b"\1\0\0\0"  # VIDIOC_STREAMOFF, V4L2_BUF_TYPE_VIDEO_CAPTURE
_BRIEF = {"analyzeduration": "1000000", "fpsprobesize": "0"}  # how much of a stream is looked at before it is shown
_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_REFUSALS = (errno.EINVAL, errno.EIO)  # how drivers say that a size, rate or format is not theirs


class CameraInput:
    """Pictures of `place` as FFmpeg decodes them. A context manager; everything blocks for moments only.

    A file begins anew at its end, for ever.

    Args:
        place: what to open.
        size: width and height to ask a device for; it may give another size.
        fps: pictures per second to ask a device for.
        paced: a file's pictures come at its own rate; otherwise as fast as they are taken.
        stop: once set, whatever waits here ends.

    Attributes:
        rate: pictures per second as the device or file says; 0 if it does not.
        damaged: pictures so far that could not be decoded.

    Raises:
        CameraError: it cannot be opened; so do `frames` where it fails later.
    """

    def __init__(self, place: Place, size: tuple[int, int] | None, fps: float | None, paced: bool, stop: Event) -> None:
        self.place, self._size, self._fps, self._paced, self._stop = place, size, fps, paced, stop
        self.damaged = 0
        self._pipe: _Pipe | None = None
        self._descriptor: int | None = None
        self._good = 0.0
        self._open()

    def _open(self) -> None:
        with self._explaining():
            self._container = self._opened()
        try:
            if not self._container.streams.video:
                raise CameraError(f"{self.place.name} holds no video", "give one that does")
            self._stream = self._container.streams.video[0]
            self._stream.codec_context.thread_count = 1  # several would hold pictures back, one each
            _check_size(self.place, self._stream.codec_context.width, self._stream.codec_context.height)
            self.rate = float(self._stream.average_rate or self._stream.guessed_rate or self._fps or 0)
        except BaseException:
            self.close()
            raise

    def _opened(self) -> InputContainer:
        if self.place.kind == "device":
            return self._device()
        if self.place.kind == "pipe":
            self._pipe = _Pipe(self.place.address, self._stop)
            return av.open(self._pipe, "r", options=_BRIEF)
        if self.place.kind == "stream":
            return av.open(self.place.address, options=_BRIEF | {"rtsp_transport": "tcp"}, timeout=(OPENING, HANG))
        return av.open(os.path.abspath(self.place.address))  # FFmpeg takes "10:30.mkv" for a protocol

    def _device(self) -> InputContainer:
        """The device, with as much of what is wished for as it does."""
        address = self.place.address
        url = {"darwin": f"{address}:none", "win32": f"video={address}"}.get(sys.platform, address)
        kind, linux = _FORMATS.get(sys.platform), sys.platform == "linux"
        refusal: Exception | None = None
        for wish in _wishes(self._size, self._fps):
            # As `options` the size would reach the decoder, too, which takes JPEGs of another one for interlaced.
            options = wish if linux else _NONBLOCK | wish
            try:
                with _Awakener(address, self._stop) as awakener:
                    container = av.open(url, format=kind, container_options=options, timeout=(OPENING, HANG))
            except FFMPEG_ERRORS as error:
                if awakener.late:
                    raise TimeoutError from error
                if getattr(error, "errno", None) not in _REFUSALS:
                    raise
                refusal = refusal or error
                continue
            if awakener.late:
                container.close()
                raise TimeoutError
            self._descriptor = awakener.descriptor
            return container
        assert refusal is not None
        raise refusal

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except CameraError:
            raise
        except FFMPEG_ERRORS as error:
            if self._pipe is not None:
                self._pipe.close()
                if self._pipe.silent:
                    raise silent(self.place) from error
            raise explain(error, self.place, self._size) from error

    def frames(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Each picture, with the time.monotonic() at which it was handed over; ends once `stop` is set.

        Raises:
            CameraError: unplugged, hanging, ended, or nothing in it can be decoded.
        """
        if self.place.kind == "file":
            yield from self._looped()
            return
        yield from self._decoded()
        if self._pipe is not None and self._pipe.silent:
            raise silent(self.place)
        if not self._stop.is_set():
            raise CameraError(f"{self.place.name} has ended", "start it again; it is taken up by itself")

    def _looped(self) -> Iterator[tuple[av.VideoFrame, float]]:
        due = time.monotonic()
        while not self._stop.is_set():
            came = 0
            for frame, at in self._timed():
                came += 1
                now = time.monotonic()
                due = max(due, now - at - 1)  # the machine slept, or is too slow for this file
                if self._paced and self._stop.wait(max(0.0, due + at - now)):
                    return
                yield frame, time.monotonic()
            if not came:
                raise CameraError(f"{self.place.name} holds no picture that can be decoded", "give another video")
            due += at + 1 / (self.rate or 25)
            self.close()
            self._open()

    def _timed(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """The file's pictures once, with their times in seconds from its first on."""
        counted = self._container.format.name == "avi"  # whose times go back and forth where there are B-frames
        first: Fraction | None = None
        for number, (frame, _) in enumerate(self._decoded()):
            if counted or frame.pts is None or frame.time_base is None:
                yield frame, number / (self.rate or 25)
                continue
            time_ = frame.pts * frame.time_base
            first = time_ if first is None else first
            yield frame, float(time_ - first)

    def _decoded(self) -> Iterator[tuple[av.VideoFrame, float]]:
        self._good = time.monotonic()
        with self._explaining():
            for packet, captured in self._packets():
                try:
                    frames = self._stream.codec_context.decode(packet)
                except av.error.InvalidDataError:
                    self.damaged += 1
                    continue
                for frame in frames:
                    _check_size(self.place, frame.width, frame.height)
                    if frame.is_corrupt:
                        self.damaged += 1
                        continue
                    self._good = captured
                    yield frame, captured

    def _packets(self) -> Iterator[tuple[av.Packet[Any] | None, float]]:
        """Each packet with the time it came; None at the end of what is no device."""
        device = self.place.kind == "device"
        while not self._stop.is_set():
            try:
                for packet in self._container.demux(self._stream):
                    captured, whole = time.monotonic(), packet.size > 0
                    # A copy: the driver's memory is gone once the device is closed, whoever still looks at it.
                    own = (_copy(packet) if device else packet) if whole else None
                    del packet
                    if whole or not device:
                        yield own, captured
                    else:  # how Video4Linux hands over a damaged picture
                        self.damaged += 1
                    self._give_up_if_silent()
                    if self._stop.is_set():
                        return
                return
            except BlockingIOError:  # no picture is there yet
                self._give_up_if_silent()
                self._wait()

    def _give_up_if_silent(self) -> None:
        if self.place.kind == "device" and time.monotonic() - self._good > HANG:
            raise silent(self.place)

    def _wait(self) -> None:
        """Sleep until the device has something, for a moment at most."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            if all(event == select.POLLIN for _, event in poll.poll(100)):
                return
        self._stop.wait(0.005)

    def close(self) -> None:
        self._container.close()
        if self._pipe is not None:
            self._pipe.close()

    def __enter__(self) -> CameraInput:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class _Awakener:
    """Around opening a Video4Linux device: FFmpeg waits in the driver for the first picture, but not for ever.

    Told not to wait, it would ask again and again without a pause. Switching the stream off after OPENING wakes it up.

    Attributes:
        late: whether that had to be done.
        descriptor: the device's open file, which no longer waits; None outside Linux.
    """

    def __init__(self, device: str, stop: Event) -> None:
        self._device, self._stop, self._before = device, stop, _descriptors(device)
        self._opened = Event()
        self._thread = Thread(target=self._watch, name="camera opening", daemon=True)
        self.late = False
        self.descriptor: int | None = None

    def _watch(self) -> None:
        end = time.monotonic() + OPENING
        while not self._opened.wait(0.1):
            if self._stop.is_set() or time.monotonic() > end:
                self.late = True
                for each in _descriptors(self._device) - self._before:
                    _stream_off(each)
                return

    def __enter__(self) -> _Awakener:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._opened.set()
        self._thread.join()
        self.descriptor = max(_descriptors(self._device) - self._before, default=None)
        if self.descriptor is not None:
            os.set_blocking(self.descriptor, False)


def _stream_off(descriptor: int) -> None:
    import fcntl  # which Windows lacks

    with suppress(OSError):
        fcntl.ioctl(descriptor, _STREAMOFF, _CAPTURE)


class _Pipe:
    """A named pipe as FFmpeg reads it: waits for a writer as long as it takes, but no longer than HANG for more.

    It then ends, and is `silent`: FFmpeg swallows an exception here.
    """

    def __init__(self, path: str, stop: Event) -> None:
        self._stop, self._begun, self.silent = stop, False, False
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without that it would wait for a writer here
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def read(self, size: int) -> bytes:
        since = time.monotonic()
        while not self._stop.is_set():
            if self._poll.poll(100):
                self._begun = True
                return os.read(self._file, size)
            if self._begun and time.monotonic() - since > HANG:
                self.silent = True
                break
        return b""

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _copy(packet: av.Packet[av.VideoStream]) -> av.Packet[Any]:
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    return copy


def _wishes(size: tuple[int, int] | None, fps: float | None) -> list[dict[str, str]]:
    """What to ask a device for, the best first, its own choice last."""
    if sys.platform == "darwin":
        fps = fps or 30.0  # AVFoundation's demuxer asks for 29.97 by itself, which cameras refuse
    rate = {"framerate": f"{fps:g}"} if fps else {}
    wish = rate | ({"video_size": f"{size[0]}x{size[1]}"} if size else {})
    compressed = [wish | {"input_format": "mjpeg"}] if size and size[0] * size[1] > _PLAIN else []
    return [*(compressed if sys.platform == "linux" else []), wish, rate, {}]


def _descriptors(device: str) -> set[int]:
    """This process's open file descriptors of a device, where the system lists them."""
    try:
        entries = os.listdir("/proc/self/fd")
    except OSError:
        return set()
    return {int(entry) for entry in entries if _link(f"/proc/self/fd/{entry}") == device}


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _check_size(place: Place, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise CameraError(f"{place.name}: {width}x{height} is over the limit of 100 megapixels", "ask for less")
