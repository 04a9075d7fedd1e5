"""`make demo`: the main job on a clip made from a portrait, or on the user's own file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

import figureground as fg
from figureground.arrays import Frame
from figureground.batch import Result, is_video
from figureground.images import read_image, write_image
from figureground.sources import VideoSource

WIDTH, HEIGHT, RATE, SECONDS = 1280, 720, 30, 3
SHEET_ROWS = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portrait", type=Path, required=True)
    parser.add_argument("--input", default="")
    parser.add_argument("--background", default="")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    source = Path(options.input) if options.input else options.output / "clip.mp4"
    picture = options.background or str(options.output / "beach.png")
    if not options.input:
        print(f"making {source}: {SECONDS} s of a portrait under a hand-held camera")
        make_clip(read_image(options.portrait), source)
    if not options.background:
        write_image(Path(picture), beach(WIDTH, HEIGHT))
    try:
        return replace_three_ways(source, picture, options.output)
    except fg.FigureGroundError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


def replace_three_ways(source: Path, picture: str, folder: Path) -> int:
    video = is_video(source)
    opaque, clear = (".mp4", ".mov") if video else (".jpg", ".png")
    specs = {"image": (picture, opaque), "blur": ("blur", opaque), "transparent": ("transparent", clear)}
    results = []
    for name, (spec, suffix) in specs.items():
        (result,) = fg.replace([source], spec, folder / f"{source.stem}-{name}{suffix}", progress=_progress(name))
        print(f"  {name:<12} {_said(result)}")
        results.append(result)
    if any(result.status == "failed" for result in results):
        return 1
    sheet = folder / "contact-sheet.jpg"
    write_image(sheet, contact_sheet([source, *(Path(result.output) for result in results)]))
    print(f"  {'all beside':<12} {sheet}")
    print(NEXT.format(source=source))
    return 0


NEXT = """
Next:
  .venv/bin/python -m figureground replace {source} --background '#336699' --output blue.mp4
  .venv/bin/python -m figureground replace photo1.jpg photo2.jpg --kind cutout --output cut-outs
  .venv/bin/python -m figureground bench
  make demo INPUT=my.mp4 BACKGROUND=beach.jpg"""


def _said(result: Result) -> str:
    if result.status == "failed":
        return f"failed: {result.reason}"
    rate = f"  {result.frames / result.seconds:.0f} frames/s, reading and writing included" if result.frames > 1 else ""
    return f"{result.output}{rate}"


def _progress(name: str) -> Callable[[Path, int, int], None]:
    def show(_: Path, done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r  {name:<12} {done}/{total or '?'} ", end="\r", file=sys.stderr, flush=True)

    return show


def make_clip(portrait: Frame, path: Path) -> None:
    """A slow pan and zoom over the portrait, with a little shake and camera noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(RATE * SECONDS):
            shot = shot_of(portrait, number / (RATE * SECONDS), rng)
            frame = av.VideoFrame.from_ndarray(shot, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def shot_of(portrait: Frame, time: float, rng: np.random.Generator) -> Frame:
    """The camera's view at `time` from 0 to 1."""
    width = portrait.shape[1]
    scale = WIDTH / (width * (0.98 - 0.14 * np.sin(np.pi * time)))
    shake = 1.5 * np.array([np.sin(23 * time), np.cos(31 * time)])
    centre = np.array([width * (0.5 + 0.02 * np.cos(2 * np.pi * time)), width * (0.3 + 0.04 * time)]) + shake / scale
    matrix = np.array([[scale, 0, WIDTH / 2 - scale * centre[0]], [0, scale, HEIGHT / 2 - scale * centre[1]]])
    view = cv2.warpAffine(portrait, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    noise = rng.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return np.clip(view + noise, 0, 255).astype(np.uint8)


def beach(width: int, height: int) -> Frame:
    """A painted evening beach: sky, sun, sea and sand."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    picture = np.empty((height, width, 3), np.float32)
    sky = np.clip(y / 0.55, 0, 1)[..., None]
    picture[:] = np.array([70, 110, 190]) * (1 - sky) + np.array([255, 190, 120]) * sky
    sun = np.exp(-((x - 1.35) ** 2 + (y - 0.45) ** 2) / 0.004)[..., None]
    picture += sun * np.array([120, 110, 60])
    waves = 12 * np.sin(220 * np.sqrt(np.maximum(y - 0.55, 0)) + 3 * np.sin(9 * x))[..., None]
    picture = np.where((y > 0.55)[..., None], np.array([40, 110, 140]) + waves, picture)
    shore = 0.78 + 0.015 * np.sin(7 * x) + 0.01 * np.sin(17 * x)
    grain = np.random.default_rng(1).normal(0, 5, (height, width, 1))
    picture = np.where((y > shore)[..., None], np.array([214, 188, 140]) + grain, picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def contact_sheet(paths: list[Path]) -> Frame:
    """One column a file, a few moments of it below each other; transparency is shown as a chessboard."""
    columns = [_column(path) for path in paths]
    rows = min(column.shape[0] for column in columns)
    return np.hstack([column[:rows] for column in columns])


def _column(path: Path) -> Frame:
    pictures = _moments(path) if is_video(path) else [_chessboard(path)]
    height = round(320 * pictures[0].shape[0] / pictures[0].shape[1])
    return np.vstack([cv2.resize(picture, (320, height), interpolation=cv2.INTER_AREA) for picture in pictures])


def _moments(path: Path) -> list[Frame]:
    with VideoSource(path) as source:
        length = max(1, source.length)
    wanted = {length * (2 * row + 1) // (2 * SHEET_ROWS) for row in range(SHEET_ROWS)}
    with av.open(str(path)) as container:
        frames = [frame for number, frame in enumerate(container.decode(video=0)) if number in wanted]
    return [_on_chessboard(frame.to_ndarray(format="rgba")) for frame in frames]


def _chessboard(path: Path) -> Frame:
    from PIL import Image

    return _on_chessboard(np.array(Image.open(path).convert("RGBA")))


def _on_chessboard(rgba: np.ndarray) -> Frame:
    y, x = np.mgrid[0 : rgba.shape[0], 0 : rgba.shape[1]] // max(8, rgba.shape[1] // 40)
    board = np.where((x + y) % 2, 200, 240)[..., None]
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
