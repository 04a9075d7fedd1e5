"""The one loop: every frame with its own alpha, everything closed however it ends, and red people red throughout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, Matte
from figureground.backgrounds import Still, make_background
from figureground.batch import make_compose
from figureground.engine import Engine
from figureground.errors import ModelError, OutputError, VideoError
from figureground.images import read_image, write_image
from figureground.pipeline import run
from figureground.preprocess import to_matte
from figureground.sinks import video_sink
from figureground.sources import VideoSource
from networks import Shape, save_network
from scenes import BLUE, GREEN, RED, largest_difference, plain
from videos import H264, count, counting, make_video, open_files, read_film


def mattes(engine: Engine) -> Callable[[Frame], Matte]:
    return lambda frame: to_matte(engine(frame))


@dataclass
class FrameList:
    """The smallest source: frames from a list, ten a second."""

    frames: list[Frame]
    time: Fraction = Fraction(0)
    closed: int = 0

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(self.frames):
            self.time = Fraction(number, 10)
            yield frame

    def __enter__(self) -> FrameList:
        return self

    def __exit__(self, *args: object) -> None:
        self.closed += 1


@dataclass
class PictureList:
    """The smallest sink."""

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    times: list[Fraction] = field(default_factory=list)
    closed: int = 0

    def send(self, picture: NDArray[np.uint8], time: Fraction) -> None:
        self.pictures.append(picture)
        self.times.append(time)

    def __enter__(self) -> PictureList:
        return self

    def __exit__(self, *args: object) -> None:
        self.closed += 1


def brightness(frame: Frame) -> Alpha:
    return np.full(frame.shape[:2], frame.mean() / 255, np.float32)


def test_every_frame_meets_the_alpha_computed_from_it() -> None:
    source, sink = FrameList(counting(9)), PictureList()
    met: list[tuple[int, float, Fraction]] = []

    def compose(frame: Frame, alpha: Alpha, time: Fraction) -> Frame:
        met.append((int(frame[0, 0, 0]), float(alpha[0, 0]) * 255, time))
        return frame

    assert run(source, brightness, compose, sink) == 9
    assert [frame for frame, _, _ in met] == [16 * n for n in range(9)]
    assert [alpha for _, alpha, _ in met] == pytest.approx([16 * n for n in range(9)], abs=0.01)
    assert [time for _, _, time in met] == sink.times == [Fraction(n, 10) for n in range(9)]
    assert count(sink.pictures) == list(range(9))
    assert (source.closed, sink.closed) == (1, 1)


def test_progress_counts_the_frames_sent() -> None:
    told: list[int] = []
    run(FrameList(counting(4)), brightness, lambda frame, alpha, time: frame, PictureList(), told.append)
    assert told == [1, 2, 3, 4]


def test_a_source_without_frames_is_no_error() -> None:
    assert run(FrameList([]), brightness, lambda frame, alpha, time: frame, PictureList()) == 0


@pytest.mark.parametrize("error", [ModelError("broken"), KeyboardInterrupt(), MemoryError()])
def test_source_and_sink_are_closed_when_the_engine_fails(error: BaseException) -> None:
    source, sink = FrameList(counting(3)), PictureList()

    def engine(frame: Frame) -> Alpha:
        if frame[0, 0, 0] > 0:
            raise error
        return brightness(frame)

    with pytest.raises(type(error)):
        run(source, engine, lambda frame, alpha, time: frame, sink)
    assert (source.closed, sink.closed, len(sink.pictures)) == (1, 1, 1)


def test_a_sink_that_cannot_begin_closes_the_source(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", counting(3))
    source = VideoSource(path)
    (tmp_path / "file").write_bytes(b"")
    assert open_files(path) == 1
    with pytest.raises(OutputError):
        run(source, brightness, lambda f, a, t: f, video_sink(tmp_path / "file" / "out.mp4", like=source))
    assert open_files(path) == 0


@pytest.mark.parametrize("kind", ["engine", "compose"])
def test_a_failure_in_the_middle_of_a_video_leaves_no_file(tmp_path: Path, red_finder: Path, kind: str) -> None:
    source = VideoSource(make_video(tmp_path / "in.mp4", counting(8), sound="aac"))
    broken = Engine(save_network(tmp_path / "nan.onnx", Shape(divisor=0.0)))  # 0 / 0 in the black first frame

    def compose(frame: Frame, alpha: Alpha, time: Fraction) -> Frame:
        raise VideoError("the background ends here")

    engine = broken if kind == "engine" else Engine(red_finder)
    with pytest.raises(ModelError if kind == "engine" else VideoError):
        run(source, engine, compose, video_sink(tmp_path / "out" / "result.mp4", like=source))
    assert os.listdir(tmp_path / "out") == []


def people(left: tuple[int, int, int], right: tuple[int, int, int], width: int = 128, height: int = 64) -> Frame:
    """Two people, each of one colour, in a black room."""
    picture = plain(width, height, (0, 0, 0))
    picture[height // 4 :, width // 8 : width * 3 // 8] = left
    picture[height // 4 :, width * 5 // 8 : width * 7 // 8] = right
    return picture


def middles(picture: NDArray[np.uint8]) -> list[list[int]]:
    """The colours of the left person, the right person and the room between them."""
    height, width = picture.shape[:2]
    return [picture[height * 5 // 8, width * eighths // 8].tolist() for eighths in (2, 6, 4)]


def test_the_red_person_stays_red_from_picture_file_to_picture_file(tmp_path: Path, red_finder: Path) -> None:
    """The model finds red people only: red and blue changed anywhere lose the person or turn them blue."""
    write_image(tmp_path / "in.png", people(RED, BLUE))
    write_image(tmp_path / "back.png", plain(32, 16, (0, 200, 40)))
    frame = read_image(tmp_path / "in.png")
    compose = make_compose("composite", make_background(str(tmp_path / "back.png")))
    write_image(tmp_path / "out.png", compose(frame, to_matte(Engine(red_finder)(frame)), Fraction(0)))
    assert middles(read_image(tmp_path / "out.png")) == [list(RED), [0, 200, 40], [0, 200, 40]]


@pytest.mark.parametrize("target", ["out.mp4", "out.webm"])
def test_the_red_person_stays_red_from_video_file_to_video_file(tmp_path: Path, red_finder: Path, target: str) -> None:
    source = VideoSource(make_video(tmp_path / "in.mp4", [people(RED, BLUE)] * 4, look=H264))
    compose = make_compose("composite", Still(plain(8, 4, GREEN)))
    assert run(source, mattes(Engine(red_finder)), compose, video_sink(tmp_path / target, like=source)) == 4
    want = [RED, GREEN, GREEN]
    for picture in read_film(tmp_path / target).pictures:
        for got, colour in zip(middles(picture), want, strict=True):
            assert largest_difference(np.array(got, np.uint8), np.array(colour, np.uint8)) <= 12


def test_the_astronaut_stays_orange_before_a_blue_wall(tmp_path: Path, engine: Engine, astronaut: Frame) -> None:
    source = VideoSource(make_video(tmp_path / "in.mp4", [astronaut] * 2, look=H264))
    run(
        source,
        mattes(engine),
        make_compose("composite", Still(plain(8, 8, BLUE))),
        video_sink(tmp_path / "out.mp4", source),
    )
    got, seen = (picture.astype(int) for picture in (read_film(tmp_path / "out.mp4").pictures[1], astronaut))
    suit = (slice(150, 175), slice(50, 75))
    assert np.abs(got[suit].mean((0, 1)) - seen[suit].mean((0, 1))).max() < 12
    assert got[suit][:, :, 0].mean() > got[suit][:, :, 2].mean() + 60
    assert got[:40, 165:180, 2].mean() > 200 > got[:40, 165:180, 0].mean() + 150
