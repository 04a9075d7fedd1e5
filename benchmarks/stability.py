"""How steady ours is beside MediaPipe's, on the webcam clips, an empty hall and people moved over rooms; and its price.

python benchmarks/stability.py [DATA] [PEERS]
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, Mask
from figureground.data.manifest import read_manifest
from figureground.engine import Engine
from figureground.evaluation.metrics import iou
from figureground.evaluation.temporal import StreamMeter
from figureground.images import read_image, read_matte
from figureground.preprocess import crisp, enlarge, tidy, to_input
from figureground.refine import Refiner, refine
from figureground.runtimes.peers import TfliteModel
from figureground.sources import VideoSource
from figureground.temporal import Stabiliser

DATA, PEERS = Path("../shared/data"), Path("../shared/peers")
WIDTH, HEIGHT, RATE, LENGTH = 640, 480, 30, 40
NOISE = 2.0  # levels, of the sensor in the made scenes
MOTIONS: dict[str, Callable[[int], tuple[float, float]]] = {  # frame to pixels to the right and degrees
    "sway": lambda number: (6 * np.sin(number / 9), 0),
    "walk": lambda number: (-100 + 4 * number, 0),
    "fast": lambda number: (150 * np.sin(number / 8), 0),
    "wave": lambda number: (0, 12 * np.sin(number / 6)),
}
Segment = Callable[[Frame, float], Alpha]


class Ours:
    """`small`, with the time every stage took."""

    def __init__(self, engine: Engine, stable: bool, refined: bool) -> None:
        self.engine, self.refined = engine, refined
        self.stabiliser = Stabiliser() if stable else None
        self.refiner = Refiner() if stable and refined else None
        self.times: dict[str, list[float]] = {}

    def __call__(self, frame: Frame, at: float) -> Alpha:
        fit = self.engine.fit(frame.shape[1], frame.shape[0])
        marks = [time.perf_counter()]
        picture = to_input(frame, fit)
        marks.append(time.perf_counter())
        output = self.engine.run(picture)
        marks.append(time.perf_counter())
        alpha = tidy(crisp(output, fit))
        marks.append(time.perf_counter())
        if self.stabiliser is not None:
            alpha = self.stabiliser(picture[: fit.height, : fit.width], alpha, at)
        marks.append(time.perf_counter())
        if self.refiner is not None:
            alpha = self.refiner(frame, alpha, at) * np.float32(1 / 255)
        else:
            alpha = refine(frame, alpha) if self.refined else enlarge(alpha, fit)
        marks.append(time.perf_counter())
        for name, spent in zip(("resize", "infer", "tidy", "stabilise", "enlarge"), np.diff(marks), strict=True):
            self.times.setdefault(name, []).append(1000 * spent)
        return alpha


class MediaPipe:
    """mp_selfie, alone or with its previous mask blended in as its SegmentationSmoothingCalculator describes it.

    out = new + (previous - new) * ratio * uncertainty, the uncertainty being the square of the new mask's entropy in
    bits, the ratio 0.9 as in its documentation. Here that is done at the frame's size, with the same result.
    """

    def __init__(self, model: TfliteModel, ratio: float) -> None:
        self.model, self.ratio, self.before = model, ratio, np.empty((0, 0), np.float32)

    def __call__(self, frame: Frame, at: float) -> Alpha:
        alpha = self.model(frame)
        if self.ratio and self.before.shape == alpha.shape:
            sure = np.clip(alpha, 1e-6, 1 - 1e-6)
            entropy = -(sure * np.log2(sure) + (1 - sure) * np.log2(1 - sure))
            alpha = alpha + (self.before - alpha) * np.float32(self.ratio) * np.square(entropy)
        self.before = alpha
        return alpha


def main() -> None:
    places = [Path(argument) for argument in sys.argv[1:]]
    data, peers = (places + [DATA, PEERS][len(places) :])[:2]
    if not data.exists():
        print(f"stability: not measured, there is no data at {data}")
        return
    cv2.setNumThreads(1)
    makers = _makers(Engine("small"), peers)
    clips = [_flicker(clip, makers) for clip in sorted((data / "video/webcam").iterdir())]
    flicker, false = np.mean(clips, axis=0), _hall(data / "video/hall.mp4", makers)
    moving = [
        [_moving(scenes, make) for make in makers.values()]
        for scenes in (list(_scenes(data, motion)) for motion in MOTIONS.values())
    ]
    print("| what | flicker | empty hall called person | " + " | ".join(MOTIONS) + " |")
    print("| --- |" + " --- |" * (2 + len(MOTIONS)))
    for name, flips, wrong, *cells in zip(makers, flicker, false, *moving, strict=True):
        print(f"| {name} | {1000 * flips:.1f} | {100 * wrong:.3f} % | {' | '.join(cells)} |")
    print("\nflicker: thousandths of the still pixels a second, mean of the webcam clips")
    print("scenes with people moved over rooms: IoU / boundary F / dtSSD / lag in frames, the worst")
    _recovery(data, makers)
    _stages(data, makers)


def _makers(engine: Engine, peers: Path) -> dict[str, Callable[[], Segment]]:
    makers: dict[str, Callable[[], Segment]] = {
        "ours, every frame alone": lambda: Ours(engine, False, False),
        "ours, refined": lambda: Ours(engine, False, True),
        "ours, stabilised": lambda: Ours(engine, True, False),
        "ours, stabilised and refined": lambda: Ours(engine, True, True),
    }
    if (peers / "mp_selfie.tflite").exists():
        model = TfliteModel(peers / "mp_selfie.tflite")
        makers["mp_selfie"] = lambda: MediaPipe(model, 0)
        makers["mp_selfie, its own blending"] = lambda: MediaPipe(model, 0.9)
    return makers


def _flicker(path: Path, makers: dict[str, Callable[[], Segment]]) -> list[float]:
    meters, segments = [StreamMeter() for _ in makers], [make() for make in makers.values()]
    with VideoSource(path) as source:
        for frame in source:
            for meter, segment in zip(meters, segments, strict=True):
                meter.add(frame, segment(frame, float(source.time)))
        return [meter.result(float(source.rate)).flicker or 0.0 for meter in meters]


def _hall(path: Path, makers: dict[str, Callable[[], Segment]]) -> NDArray[np.float64]:
    """The share of the pixels where the hall is empty that are called person."""
    with VideoSource(path) as source:
        empty = np.median([frame for number, frame in enumerate(source) if number % 20 == 0], axis=0).astype(np.uint8)
    segments, false, pixels = [make() for make in makers.values()], np.zeros(len(makers)), 0
    with VideoSource(path) as source:
        for frame in source:
            nobody = _empty(frame, empty)
            pixels += int(np.count_nonzero(nobody))
            alphas = [segment(frame, float(source.time)) for segment in segments]
            false += [np.count_nonzero((alpha >= 0.5) & nobody) for alpha in alphas]
    return false / pixels


def _empty(frame: Frame, hall: Frame) -> Mask:
    """Where a frame shows the hall as it mostly is, a margin of 20 pixels away from everything else."""
    other = (cv2.absdiff(cv2.blur(frame, (3, 3)), cv2.blur(hall, (3, 3))).max(axis=2) > 16).view(np.uint8)
    other = cv2.morphologyEx(other, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.dilate(other, np.ones((41, 41), np.uint8)) == 0)


Scene = list[tuple[Frame, Alpha]]


def _scenes(data: Path, motion: Callable[[int], tuple[float, float]]) -> Iterator[Scene]:
    """People of the val split cut out and moved before rooms of its backgrounds, with noise; and their exact alphas."""
    rng = np.random.default_rng(0)
    rooms = _rooms(data)
    for number, item in enumerate(_people(data)):
        picture, matte, room = read_image(item[0]), read_matte(item[1]), rooms[number * 7 % len(rooms)]
        yield [_placed(picture, matte, room, *motion(at), rng) for at in range(LENGTH)]


def _people(data: Path) -> list[tuple[Path, Path]]:
    items = [item for item in read_manifest(data / "people", "val") if item.source in ("eg1800", "ccp")]
    return [(item.image, item.mask) for item in items[:: len(items) // 4]][:4]


def _rooms(data: Path) -> list[Frame]:
    with (data / "backgrounds/manifest.csv").open() as file:
        names = [row["image"] for row in csv.DictReader(file) if row["split"] == "val"][::3]
    return [cv2.resize(read_image(next((data / "backgrounds").rglob(name))), (WIDTH, HEIGHT)) for name in names[:50]]


def _placed(
    picture: Frame, matte: NDArray[np.uint8], room: Frame, right: float, turn: float, rng: np.random.Generator
) -> tuple[Frame, Alpha]:
    height, width = matte.shape
    move = cv2.getRotationMatrix2D((width / 2, height), turn, 0.85 * HEIGHT / height)
    move[:, 2] += WIDTH / 2 - width / 2 + right, HEIGHT - height
    alpha = cv2.warpAffine(matte, move, (WIDTH, HEIGHT)).astype(np.float32) / np.float32(255)
    front = cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    mixed = alpha[:, :, None] * front + (1 - alpha[:, :, None]) * room + rng.normal(0, NOISE, room.shape)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), alpha


def _moving(scenes: list[Scene], make: Callable[[], Segment]) -> str:
    results = []
    for scene in scenes:
        meter, segment = StreamMeter(), make()
        for number, (frame, truth) in enumerate(scene):
            meter.add(frame, segment(frame, number / RATE), truth)
        results.append(meter.result(RATE))
    ious, edges, changes = ([getattr(each, name) for each in results] for name in ("iou", "boundary_f", "dtssd"))
    lags = [each.lag for each in results if each.lag is not None]
    return f"{np.mean(ious):.3f} / {np.mean(edges):.3f} / {np.mean(changes):.2f} / {max(lags, key=abs)}"


def _recovery(data: Path, makers: dict[str, Callable[[], Segment]]) -> None:
    """Frames until the stabilised alpha is again what the network alone says, to an IoU of 0.95."""
    clips = []
    for path in sorted((data / "video/webcam").iterdir())[:6:2]:
        with VideoSource(path) as source:
            clips.append(list(islice(source, 12)))
    still = np.repeat(_rooms(data)[:1], 12, axis=0)
    cuts = {"a cut": list(pairwise(clips)), "a person appears": [(list(still), clip) for clip in clips]}
    print("\nrecovery, frames: ", end="")
    for name, pairs in cuts.items():
        worst = 0
        for before, after in pairs:
            segment, alone = makers["ours, stabilised"](), makers["ours, every frame alone"]()
            alphas = [segment(frame, number / RATE) for number, frame in enumerate([*before, *after])][len(before) :]
            good = [
                iou(alpha >= 0.5, alone(frame, 0) >= 0.5) >= 0.95 for alpha, frame in zip(alphas, after, strict=True)
            ]
            worst = max(worst, good.index(True) if True in good else len(good))
        print(f"{name} {worst}", end="; ")
    print()


def _stages(data: Path, makers: dict[str, Callable[[], Segment]]) -> None:
    """Milliseconds of every stage, plain and stabilised frames taking turns."""
    plain, full = makers["ours, every frame alone"](), makers["ours, stabilised and refined"]()
    assert isinstance(plain, Ours)
    assert isinstance(full, Ours)
    with VideoSource(next((data / "video/webcam").iterdir())) as source:
        frames = [cv2.resize(frame, (1280, 960))[120:840].copy() for frame in source]
    for number in range(4 * len(frames)):
        for segment in (plain, full):
            segment(frames[number % len(frames)], number / RATE)
    print("\nmilliseconds a frame of 1280x720, one thread (medians): without / with stabiliser and refinement")
    for name in plain.times:
        print(f"  {name:<10} {np.median(plain.times[name]):6.2f} {np.median(full.times[name]):6.2f}")


if __name__ == "__main__":
    main()
