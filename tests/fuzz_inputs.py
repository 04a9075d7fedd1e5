"""Bytes of every kind into whatever else people hand in: recipes' settings, backgrounds, models, videos.

    python tests/fuzz_inputs.py TARGET FOLDER [libFuzzer's options, as -max_total_time=60]
    python tests/fuzz_inputs.py --list

Whatever the bytes are, they are used or refused with a FigureGroundError. What FOLDER is for: fuzzing.py.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["figureground"]):
    from figureground import backgrounds, engine, preprocess, sources
    from figureground.training import config

from fuzzing import Target, main, of_text
from networks import save_network
from scenes import noise
from videos import H264, Look, counting, make_video

FRAME = noise(48, 32)


def settings(file: Path) -> None:
    """Overrides of a recipe, one a line, as `--set` takes them."""
    lines = file.read_bytes().decode("utf-8", "replace").split("\n")
    config.read_recipe("light", lines)


def recipe(file: Path) -> None:
    """The settings a run keeps."""
    config.read_run(file.parent)


def background(file: Path) -> None:
    """A background by its name."""
    text = file.read_bytes().decode("utf-8", "replace")
    made = backgrounds.make_background(text)
    assert made(FRAME, np.zeros(FRAME.shape[:2], np.uint8), Fraction(0)).shape == FRAME.shape


def model(file: Path) -> None:
    """A stranger's model, from its bytes to an alpha."""
    alpha = engine.Engine(file)(FRAME)
    assert alpha.shape == FRAME.shape[:2]
    assert preprocess.to_matte(alpha).dtype == np.uint8


def video(file: Path) -> None:
    """A video, its first pictures."""
    with sources.VideoSource(file) as source:
        for frame in islice(source, 8):
            assert frame.shape == (source.height, source.width, 3)


def of_file(folder: Path, name: str, run: Callable[[Path], object], *seeds: bytes) -> Target:
    folder.mkdir(parents=True, exist_ok=True)
    return Target(folder, folder / name, list(seeds), lambda file, source: run(file), most=16384)


def of_model(folder: Path) -> Target:
    folder.mkdir(parents=True, exist_ok=True)
    seed = save_network(folder / "model.onnx", metadata={"size": "64", "name": "a", "licence": "CC0-1.0"}).read_bytes()
    return of_file(folder, "model.onnx", model, seed)


def of_video(folder: Path, name: str, look: Look) -> Target:
    folder.mkdir(parents=True, exist_ok=True)
    seed = make_video(folder / name, counting(4), 25, look).read_bytes()
    return of_file(folder, name, video, seed)


_SETTINGS = (
    b"epochs=3\nlearning_rate=3e-4\naugment.flip=0",
    b"loss=bce+0.5*dice\nbackgrounds=x",
    b"augment.zoom=0.9,1.1",
)
_BACKGROUNDS = (b"blur", b"blur:20", b"#00ff00", b"transparent", b"/tmp", b"no such file.png")
TARGETS: dict[str, Callable[[Path], Target]] = {
    "settings": lambda folder: of_text(folder, settings, *_SETTINGS),
    "recipe": lambda folder: of_file(
        folder, "config.json", recipe, b'{"name": "a", "epochs": 3, "augment": {"flip": 0.5}}'
    ),
    "background": lambda folder: of_text(folder, background, *_BACKGROUNDS),
    "model": of_model,
    "mp4": lambda folder: of_video(folder, "film.mp4", H264),
    "mkv": lambda folder: of_video(folder, "film.mkv", H264),
    "webm": lambda folder: of_video(folder, "film.webm", Look("libvpx-vp9")),
    "avi": lambda folder: of_video(folder, "film.avi", Look("mjpeg", pixels="yuvj420p")),
}

if __name__ == "__main__":
    main(TARGETS)
