"""A camera has its newest picture ready, says what is wrong and comes back by itself.

Files, named pipes and local servers stand in for devices: they block, end and fail in the same places.
"""

from __future__ import annotations

import errno
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from figureground.arrays import Frame
from figureground.camera import Camera, CameraInfo, Shot, cameras, capture, devices, reading
from figureground.camera.devices import Place, locate
from figureground.camera.faults import explain, silent
from figureground.errors import NoCameraError
from figureground.sources import VideoSource
from scenes import largest_difference, patches, plain
from videos import BT601, BT709, H264, Look, count, counting, make_video

PATIENCE = 20.0  # seconds a busy machine may take for what needs a moment; no test waits that long where all is well
MJPEG = Look(codec="mjpeg", pixels="yuvj444p", matrix=BT601, full=True)


def eventually(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def shot(camera: Camera) -> Shot:
    taken = camera.newest(PATIENCE)
    assert taken is not None, camera.fault
    return taken


def jpeg(level: int = 128, width: int = 64, height: int = 48) -> bytes:
    file = io.BytesIO()
    Image.fromarray(plain(width, height, (level, level, level))).save(file, "JPEG")
    return file.getvalue()


def as_stream(pictures: Sequence[bytes]) -> bytes:
    """JPEG pictures as ffmpeg would send them on, 30 a second; their sizes may differ."""
    file = io.BytesIO()
    with av.open(file, "w", format="nut") as container:
        stream = container.add_stream("mjpeg", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.time_base = stream, Fraction(1, 30)
            packet.pts = packet.dts = number
            container.mux(packet)
    return file.getvalue()


class Feeder:
    """A program that writes JPEG pictures into a named pipe, from a thread, for writing waits for the reader."""

    def __init__(self, path: Path, *pictures: bytes) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, args=(path, as_stream(pictures)))
        self._thread.start()

    def _write(self, path: Path, content: bytes) -> None:
        try:
            with path.open("wb", buffering=0) as pipe:
                pipe.write(content)
                self._end.wait()
        except BrokenPipeError:
            pass

    def close(self) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture(autouse=True)
def slow_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not be taken for a camera that hangs, but where that is what is tested."""
    give_up_after(PATIENCE, monkeypatch)


def give_up_after(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reading, capture):
        monkeypatch.setattr(module, "HANG", seconds)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "camera.nut"
    os.mkfifo(path)
    return path


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    """A video whose eight pictures tell their number, 20 a second."""
    return make_video(tmp_path / "eight.mp4", counting(8), rate=20)


def test_a_file_is_looped_in_order_and_nothing_is_dropped_where_it_is_not_paced(eight: Path) -> None:
    with Camera(str(eight), paced=False) as camera:
        shots = [shot(camera) for _ in range(20)]
    assert count([each.frame for each in shots]) == [*range(8), *range(8), *range(4)]
    assert [each.number for each in shots] == list(range(1, 21))
    assert (camera.name, camera.width, camera.height, camera.rate) == ("eight.mp4", 48, 32, 20)
    assert (camera.dropped, camera.damaged, camera.fault) == (0, 0, None)


def test_a_file_that_is_not_paced_waits_until_it_is_asked(eight: Path) -> None:
    with Camera(str(eight), paced=False) as camera:
        first = shot(camera)
        time.sleep(0.3)
        assert shot(camera).number == first.number + 1


def test_a_file_comes_at_its_own_rate(eight: Path) -> None:
    with Camera(str(eight)) as camera:
        shots = [shot(camera) for _ in range(20)]  # more than two rounds
    seconds = shots[-1].captured - shots[0].captured
    pictures = shots[-1].number - shots[0].number
    assert pictures / 20 - 0.06 < seconds  # never faster, however busy the machine is


def test_of_what_was_not_asked_for_only_the_newest_is_kept(eight: Path) -> None:
    with Camera(str(eight)) as camera:
        eventually(lambda: camera.dropped >= 5)
        late = shot(camera)
        assert late.number >= 6
        assert time.monotonic() - late.captured < PATIENCE
        assert late.number == camera.dropped + 1


def test_no_picture_comes_twice(eight: Path) -> None:
    with Camera(str(eight)) as camera:
        numbers = [shot(camera).number for _ in range(5)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("held", [3, 10])
def test_what_is_held_is_not_written_to(eight: Path, held: int) -> None:
    with Camera(str(eight), paced=False) as camera:
        kept = [shot(camera).frame[4:, ::-1] for _ in range(held)]  # views hold their arrays, too
        copies = [frame.copy() for frame in kept]
        for _ in range(30):
            shot(camera)
    for frame, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(frame, copy)


def test_memory_is_used_again(eight: Path) -> None:
    with Camera(str(eight), paced=False) as camera:
        places = {shot(camera).frame.ctypes.data for _ in range(200)}
    assert len(places) <= 100


def test_a_webcams_jpegs_have_the_colours_they_were_taken_in(tmp_path: Path) -> None:
    picture = patches(160, 96)
    path = make_video(tmp_path / "webcam.avi", [picture], look=MJPEG)
    with Camera(str(path), paced=False) as camera:
        assert largest_difference(shot(camera).frame[8:40, 8:32], picture[8:40, 8:32]) <= 8


@pytest.mark.parametrize("look", [Look(matrix=BT709), Look(matrix=BT601, full=True), Look(rotation=90), MJPEG])
def test_pictures_are_those_of_a_video_source(tmp_path: Path, look: Look) -> None:
    path = make_video(tmp_path / "v.mkv" if look is MJPEG else tmp_path / "v.mp4", [patches(64, 48)], look=look)
    with VideoSource(path) as source, Camera(str(path), paced=False) as camera:
        expected = next(iter(source))
        np.testing.assert_array_equal(shot(camera).frame, expected)
        assert (camera.width, camera.height) == (source.width, source.height)


def test_an_avi_with_b_frames_goes_forward(tmp_path: Path) -> None:
    path = make_video(tmp_path / "b.avi", counting(8), rate=50, look=H264)
    with Camera(str(path), paced=False) as camera:
        assert count([shot(camera).frame for _ in range(8)]) == list(range(8))


def test_unsteady_times_are_kept(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 100), Fraction(1, 2)]
    path = make_video(tmp_path / "unsteady.mp4", counting(3), rate=100, times=times)
    with Camera(str(path)) as camera:
        before, last = shot(camera), shot(camera)
        while last.number % 3 or before.number != last.number - 1:  # a busy machine misses some
            before, last = last, shot(camera)
    assert last.captured - before.captured > 0.4


def test_a_pipe_gives_its_pictures_and_their_size_may_change(pipe: Path) -> None:
    with Camera(str(pipe)) as camera:
        feeder = Feeder(pipe, *[jpeg()] * 30, *[jpeg(200, 96, 80)] * 30)
        try:
            eventually(lambda: camera.width == 96)
            last = shot(camera)
            assert last.frame.shape == (80, 96, 3)
            assert abs(float(last.frame.mean()) - 200) < 2
            assert last.number > 30, "those of the first size came before, through the same opening"
            assert camera.fault is None
        finally:
            feeder.close()


def test_unplugged_and_plugged_in_again(pipe: Path) -> None:
    with Camera(str(pipe)) as camera:
        for round_ in range(2):
            feeder = Feeder(pipe, *[jpeg(100 + 50 * round_)] * 9)
            eventually(lambda: camera.newest(0.1) is not None)
            assert camera.fault is None
            feeder.close()
            eventually(lambda: camera.fault is not None)
            assert "has ended" in camera.fault.reason
            assert camera.newest(0) is None, "a picture of before the fault is no news"


def test_a_device_that_hangs_is_given_up_and_opened_anew(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_up_after(1.0, monkeypatch)
    with Camera(str(pipe)) as camera:
        feeder = Feeder(pipe, *[jpeg()] * 9)  # and then nothing, but the pipe stays open
        shot(camera)
        eventually(lambda: camera.fault is not None)
        assert camera.fault.reason == "nothing comes through the pipe camera.nut"
        assert camera.fault.remedy
        before = camera.dropped
        feeder.close()
        again = Feeder(pipe, *[jpeg()] * 9)
        eventually(lambda: camera.newest(0.1) is not None)
        assert camera.dropped >= before
        again.close()


def test_a_damaged_picture_is_skipped(pipe: Path) -> None:
    good, bad = jpeg(), bytearray(jpeg())
    tables = bad.index(b"\xff\xc4")
    bad[tables + 4 : tables + 20] = b"\xff" * 16  # a Huffman table that is none
    with Camera(str(pipe)) as camera:
        feeder = Feeder(pipe, *[good] * 5, bytes(bad), *[good] * 5)
        try:
            eventually(lambda: camera.dropped >= 8)
            assert camera.damaged == 1
            assert abs(float(shot(camera).frame.mean()) - 128) < 2
            assert camera.fault is None
        finally:
            feeder.close()


def test_waiting_takes_no_processor_time(pipe: Path) -> None:
    with Camera(str(pipe)) as camera:
        begin = time.process_time()
        assert camera.newest(1.0) is None
        assert time.process_time() - begin < 0.3


def test_a_missing_camera_is_named_and_taken_up_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "later.mp4"
    with Camera(str(path)) as camera:
        eventually(lambda: camera.fault is not None)
        assert camera.fault.reason == f"no camera or video file '{path}'"
        assert camera.fault.remedy
        assert camera.newest(0) is None
        make_video(tmp_path / "made.mp4", counting(3)).rename(path)
        shot(camera)
        assert camera.fault is None
        path.unlink()
        eventually(lambda: camera.fault is not None)
        assert camera.fault.reason == "later.mp4 is gone"


@contextmanager
def forbidden(folder: Path) -> Iterator[str]:
    """A file this process may not read, root or not."""
    write_only = Path("/proc/sys/vm/drop_caches")
    if os.geteuid() == 0:
        if not write_only.exists():
            pytest.skip("root may read everything here")
        yield str(write_only)
        return
    path = folder / "private.mp4"
    path.touch(mode=0)
    yield str(path)


def test_what_may_not_be_opened_says_how_to_allow_it(tmp_path: Path) -> None:
    with forbidden(tmp_path) as path, Camera(path) as camera:
        eventually(lambda: camera.fault is not None)
        assert "may not be opened" in camera.fault.reason
        assert "chmod u+r" in camera.fault.remedy


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video at all\n" * 100, encoding="utf-8")
    wanted = {
        str(text): "nothing that can be read as a video",
        str(tmp_path): "neither a camera nor a video",
        "/dev/null": "is no camera",
        "http://[broken": "no address",
    }
    for spec, reason in wanted.items():
        with Camera(spec) as camera:
            eventually(lambda camera=camera: camera.fault is not None)
            assert reason in camera.fault.reason
            assert camera.fault.remedy


@pytest.mark.parametrize(
    ("number", "reason", "remedy"),
    [
        (errno.EBUSY, "is in use by another program", "fuser -v /dev/video0"),
        (errno.EACCES, "may not be opened", "sudo usermod -aG video $USER"),
        (errno.ENODEV, "is gone", "plug it in again"),
        (errno.EINVAL, "cannot give 1920x1080", "another size"),
        (errno.ETIMEDOUT, "gives no pictures", "unplug it"),
        (errno.EIO, "cannot be read (Input/output error)", "figureground doctor"),
    ],
)
def test_the_systems_reasons_have_their_remedies(number: int, reason: str, remedy: str) -> None:
    place = Place("device", "HD Webcam", "/dev/video0")
    with pytest.raises((av.error.FFmpegError, OSError)) as caught:
        av.error.err_check(-number)
    fault = explain(caught.value, place, (1920, 1080))
    assert f"HD Webcam {reason}" in fault.reason
    assert remedy in fault.remedy


def test_a_snap_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP_NAME", "figureground")
    fault = explain(PermissionError(errno.EACCES, "denied"), Place("device", "HD Webcam", "/dev/video0"))
    assert fault.remedy == "sudo snap connect figureground:camera"


def test_every_kind_of_place_has_a_remedy_for_silence() -> None:
    for kind in ("device", "file", "pipe", "stream"):
        assert silent(Place(kind, "it", "it")).remedy


def test_a_camera_is_found_by_number_and_by_part_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [CameraInfo("HD Webcam", "/dev/video2"), CameraInfo("HD Webcam Pro", "/dev/video4")]
    monkeypatch.setattr(devices, "cameras", lambda: there)
    for spec, device in {"2": 2, "0": 2, "1": 4, "webcam": 2, "PRO": 4, "HD Webcam Pro": 4, "/dev/video4": 4}.items():
        assert locate(spec).address == f"/dev/video{device}"
    with pytest.raises(NoCameraError, match=r"no camera or video file '7': .*'HD Webcam' \(/dev/video2\), 'HD Webcam"):
        locate("7")


def test_real_cameras_are_listed_and_give_a_picture() -> None:
    there = cameras()
    if not there:
        pytest.skip("no camera is connected to this machine")
    for each in there:
        with Camera(each.device) as camera:
            taken = camera.newest(PATIENCE)
            assert taken is not None or camera.fault is not None


class Server:
    """Serves pictures as an IP camera does (multipart JPEG), each connection the same; then keeps silent."""

    def __init__(self, *pictures: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._pictures = pictures
        self._open: list[socket.socket] = []
        self.port = self._socket.getsockname()[1]
        self.served = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            connection.recv(4096)
            body = b"".join(
                b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
                for picture in self._pictures
            )
            head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n"
            connection.sendall(head + body if body else b"")
            self.served += 1

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for connection in self._open:
            connection.close()


def test_an_ip_camera_that_falls_silent_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    give_up_after(1.0, monkeypatch)
    server = Server(*[jpeg()] * 9)
    try:
        with Camera(f"http://user:secret@127.0.0.1:{server.port}/video?key=secret") as camera:
            assert shot(camera).frame.shape == (48, 64, 3)
            assert camera.name == "http://127.0.0.1/video"
            eventually(lambda: camera.fault is not None)
            assert camera.fault.reason == "http://127.0.0.1/video gives no pictures"
            eventually(lambda: server.served >= 2)
            eventually(lambda: camera.newest(0.1) is not None)
    finally:
        server.close()


def test_an_address_where_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Camera(f"rtsp://127.0.0.1:{port}/x") as camera:
        eventually(lambda: camera.fault is not None)
        assert "cannot be reached (Connection refused)" in camera.fault.reason


def camera_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("camera")]


def test_closing_never_waits_for_what_hangs(pipe: Path, eight: Path) -> None:
    server = Server()  # takes the connection and says nothing
    try:
        opened = [Camera(str(pipe)), Camera(f"http://127.0.0.1:{server.port}/"), Camera(str(eight), paced=False)]
        eventually(lambda: server.served)
        for camera in opened:
            begin = time.monotonic()
            camera.close()
            camera.close()
            assert time.monotonic() - begin < 5  # two times 0.9 s, and a busy machine
            assert camera.newest(PATIENCE) is None
        eventually(lambda: not camera_threads())
    finally:
        server.close()


def open_descriptors() -> int:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("only Linux lists a process's open files under /proc")
    return len(os.listdir("/proc/self/fd"))


def test_opening_again_and_again_leaves_nothing_behind(pipe: Path, eight: Path, tmp_path: Path) -> None:
    def once(number: int) -> None:
        spec = (str(eight), str(pipe), str(tmp_path / "none.mp4"))[number % 3]
        with Camera(spec, paced=False) as camera:
            if spec == str(eight):
                for _ in range(10):  # into the second round
                    shot(camera)
            elif spec == str(pipe):
                feeder = Feeder(pipe, *[jpeg()] * 5)
                shot(camera)
                feeder.close()
            else:
                eventually(lambda: camera.fault)

    for number in range(3):
        once(number)
    before = open_descriptors()
    for number in range(30):
        once(number)
    assert open_descriptors() == before
    eventually(lambda: not camera_threads())


def test_frames_are_rgb(tmp_path: Path) -> None:
    red: Frame = plain(64, 48, (250, 10, 20))
    path = make_video(tmp_path / "red.mp4", [red])
    with Camera(str(path), paced=False) as camera:
        assert largest_difference(shot(camera).frame, red) <= 4
