"""What a frame of 720p video costs, stage by stage, beside two others in the same run.

All parties take turns on the same frame, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from figureground.arrays import Alpha, Frame
from figureground.backgrounds import Blur, Still
from figureground.compositor import Compositor
from figureground.engine import Engine, licence_of
from figureground.errors import FigureGroundError, MissingExtraError
from figureground.preprocess import Fit, crisp, tidy, to_input, to_matte
from figureground.refine import refine
from figureground.runtimes.peers import TfliteModel
from figureground.threads import opencv_threads

MEDIAPIPE = "MediaPipe Selfie Segmentation (LiteRT): resize, inference, mask to the frame's size; no composite"
STARTING_POINT = "the starting point: model.predict of the 31 M U-Net, float64 composite"
SLOW_ROUNDS = 5  # of the starting point, which takes half a second to two a frame


@dataclass(slots=True)
class Bench:
    """Medians in milliseconds; ratios are our whole frame over the peer's time, below 1 is faster than it."""

    size: str
    threads: int
    model: str
    licence: str | None
    stages: dict[str, float] = field(default_factory=dict)
    frame: float = 0.0
    frame_with_blur: float = 0.0
    peers: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def bench(width: int, height: int, threads: int, peers: Path, model: str = "small", rounds: int = 60) -> Bench:
    """Time one frame of width x height pixels on `threads` threads.

    Args:
        width, height: of the frame, in pixels.
        threads: for the network, for OpenCV and for the peers.
        peers: folder that holds mp_selfie.tflite; without it that comparison is left out, and said so.
        model: a shipped name or an .onnx file.
        rounds: how often each party takes its turn; medians are given.
    """
    with opencv_threads(threads):
        return _bench(width, height, threads, peers, model, rounds)


def _bench(width: int, height: int, threads: int, peers: Path, model: str, rounds: int) -> Bench:
    frame = _scene(width, height)
    result = Bench(f"{width}x{height}", threads, model, licence_of(model))
    ours = _OurFrame(Engine(model, threads), frame)
    others: dict[str, Callable[[], object]] = {}
    makers: dict[str, Callable[[], Callable[[], object]]] = {
        MEDIAPIPE: lambda: _mediapipe(peers, threads, frame),
        STARTING_POINT: lambda: _start(threads, frame),
    }
    for name, make in makers.items():
        try:
            others[name] = make()
        except FigureGroundError as error:
            result.skipped[name] = str(error)
    times: dict[str, list[float]] = {name: [] for name in others}
    for number in range(rounds + 3):
        ours.run()
        for name, call in others.items():
            if name != STARTING_POINT or number < SLOW_ROUNDS + 3:
                begun = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - begun)
    _summarise(result, ours, times)
    return result


def _summarise(result: Bench, ours: _OurFrame, times: dict[str, list[float]]) -> None:
    def median(values: list[float]) -> float:
        return round(1000 * float(np.median(values[3:])), 3)  # the first rounds warm caches up

    stages = {name: median(values) for name, values in ours.times.items()}
    blur = stages.pop("blur")
    result.stages = stages
    result.frame = median([sum(each) for each in zip(*(ours.times[name] for name in stages), strict=True)])
    result.frame_with_blur = round(result.frame + blur, 3)
    result.peers = {name: median(values) for name, values in times.items()}
    result.ratios = {name: round(result.frame / value, 4) for name, value in result.peers.items()}


class _OurFrame:
    """Our way through one frame, with the time of every stage kept."""

    def __init__(self, engine: Engine, frame: Frame) -> None:
        self.engine, self.frame = engine, frame
        self.fit = engine.fit(frame.shape[1], frame.shape[0])
        self.figure = _figure(self.fit)
        self.background, self.blur = Still(frame[::-1, ::-1].copy()), Blur()
        self.compositor = Compositor()
        self.times: dict[str, list[float]] = {}

    def run(self) -> None:
        stages: dict[str, Callable[[], object]] = {
            "resize in": self._resize,
            "infer": self._infer,
            "tidy": self._tidy,
            "refine": self._refine,
            "composite": self._composite,
            "blur": lambda: self.blur(self.frame, self.matte, Fraction(0)),
        }
        for name, stage in stages.items():
            begun = time.perf_counter()
            stage()
            self.times.setdefault(name, []).append(time.perf_counter() - begun)

    # As `Engine` does it, memory for the input and the alpha included.
    def _resize(self) -> None:
        self.picture = to_input(self.frame, self.fit)

    def _infer(self) -> None:
        self.engine.run(self.picture)

    # The network sees nobody in a picture made of patches; an alpha as it gives for a person goes on in its place.
    def _tidy(self) -> None:
        self.small = tidy(crisp(self.figure, self.fit))

    def _refine(self) -> None:
        self.alpha = refine(self.frame, self.small)

    def _composite(self) -> None:
        self.matte = to_matte(self.alpha)
        self.compositor(self.frame, self.matte, self.background(self.frame, self.matte, Fraction(0)))


def _scene(width: int, height: int) -> Frame:
    """A smooth random picture with a bright figure in it."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (9, 16, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return _ellipse(np.asarray(scene, np.uint8), width, height, (200, 160, 140))


def _figure(fit: Fit) -> Alpha:
    """The figure of `_scene` as a network would give it, its outline soft for a few pixels."""
    alpha = _ellipse(np.zeros((fit.input_height, fit.input_width), np.float32), fit.width, fit.height, (1.0,))
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 2), np.float32)


def _ellipse(picture: Any, width: int, height: int, colour: tuple[float, ...]) -> Any:
    return cv2.ellipse(picture, (width // 2, height), (width // 5, height * 2 // 3), 0, 0, 360, colour, -1)


def _mediapipe(peers: Path, threads: int, frame: Frame) -> Callable[[], object]:
    model = TfliteModel(peers / "mp_selfie.tflite", threads)
    return lambda: model(frame)


def _start(threads: int, frame: Frame) -> Callable[[], object]:
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError("TensorFlow", "train")
    from figureground.training.starting_point import starting_point

    return starting_point(frame, threads)


def table(result: Bench) -> str:
    """What a person reads."""
    lines = [f"one frame of {result.size}, {result.threads} thread(s): medians in milliseconds", ""]
    for name, value in result.stages.items():
        lines.append(f"  {name:<22} {value:>8.2f}  {100 * value / result.frame:>4.0f} %")
    lines.append(
        f"  {'whole frame':<22} {result.frame:>8.2f}  ({result.frame_with_blur:.2f} with a blurred background)"
    )
    for name, value in result.peers.items():
        ratio = result.ratios[name]
        said = f"ours takes {ratio:.2f} of its time" if ratio > 0.1 else f"ours is {1 / ratio:.0f} times as fast"
        lines += ["", f"  {name}", f"  {'':<22} {value:>8.2f}  {said}"]
    for name, why in result.skipped.items():
        lines += ["", f"  not measured: {name}", f"    {why}"]
    return "\n".join(lines)
