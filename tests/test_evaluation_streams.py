"""Streams whose flicker, dtSSD and lag are known; frames from folders and videos with their masks."""

from __future__ import annotations

import base64
import json
import re
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from figureground.arrays import Alpha, Frame
from figureground.errors import DatasetError, VideoError
from figureground.evaluation.streams import evaluate_stream, is_stream, some_frames
from figureground.evaluation.temporal import StreamMeter, StreamScores, dtssd, still_pixels
from figureground.images import read_matte, write_image
from scenes import noise, plain
from test_evaluate import command
from videos import H264, make_video

SIZE = (20, 60)


def bar(at: int, height: int = SIZE[0], width: int = SIZE[1]) -> Alpha:
    """A person that is 10 columns wide and begins at one."""
    alpha = np.zeros((height, width), np.float32)
    alpha[:, max(0, at) : max(0, at + 10)] = 1
    return alpha


def red(frame: Frame) -> Alpha:
    return frame[..., 0].astype(np.float32) / np.float32(255)


def framed(alpha: Alpha) -> Frame:
    return np.dstack([np.rint(alpha * 255).astype(np.uint8), *[np.full(alpha.shape, 40, np.uint8)] * 2])


def measured(
    alphas: list[Alpha], truths: list[Alpha] | None = None, frames: list[Frame] | None = None, rate: float = 10
) -> StreamScores:
    meter = StreamMeter()
    for number, alpha in enumerate(alphas):
        frame = plain(alpha.shape[1], alpha.shape[0], (90, 90, 90)) if frames is None else frames[number]
        meter.add(frame, alpha, None if truths is None else truths[number])
    return meter.result(rate)


def test_flicker_by_hand() -> None:
    """A still picture of 1200 pixels; 20 of them flip at each of four steps, ten steps a second."""
    alphas = [np.zeros(SIZE, np.float32) for _ in range(5)]
    for alpha in alphas[1::2]:
        alpha[:, 7] = 0.5
    got = measured(alphas)
    assert got.still == 1
    assert got.flicker == pytest.approx(20 / 1200 * 10)
    assert [frame.flipped for frame in got.by_frame] == [None, *[20 / 1200] * 4]
    assert (got.truths, got.iou, got.boundary_f, got.dtssd, got.lag) == (0, None, None, None, None)


def test_a_change_of_the_picture_is_no_flicker() -> None:
    alphas = [bar(5), bar(30)]
    assert measured(alphas, frames=[framed(alpha) for alpha in alphas]).flicker == 0
    cut = measured(alphas, frames=[plain(60, 20, (0, 0, 0)), plain(60, 20, (200, 0, 0))])
    assert (cut.still, cut.flicker) == (0, None)


def test_a_change_of_the_truth_is_no_flicker() -> None:
    assert measured([bar(5), bar(30)], [bar(5), bar(30)]).flicker == 0
    # The truth stays in 59 columns of 60 and the decision changes in one of them.
    truths, guess = [bar(5), bar(5)], bar(5)
    truths[1][:, 5] = 0
    guess[:, 40] = 1
    assert measured([bar(5), guess], truths).flicker == pytest.approx(1 / 59 * 10)


def test_still_means_up_to_noise() -> None:
    frame = plain(30, 30, (100, 100, 100))
    assert still_pixels(frame, frame + np.uint8(6)).all()
    assert not still_pixels(frame, frame + np.array([0, 7, 0], np.uint8)).any()
    rng = np.random.default_rng(0)
    noisy = [np.clip(rng.normal(100, 5, (90, 90, 3)), 0, 255).astype(np.uint8) for _ in range(2)]
    assert still_pixels(*noisy).mean() > 0.99
    assert still_pixels(noise(90, 90, 1), noise(90, 90, 2)).mean() < 0.2


def test_what_is_true_of_a_still_pixel_is_so_in_both_frames() -> None:
    frame, truth = plain(30, 30, (100, 100, 100)), np.zeros((30, 30), np.float32)
    moved = truth.copy()
    moved[:3] = 1
    assert still_pixels(frame, frame, truth, None).all()
    np.testing.assert_array_equal(still_pixels(frame, frame, truth, moved), moved == 0)


def test_dtssd_by_hand() -> None:
    zero, one = np.zeros((4, 5), np.float32), np.ones((4, 5), np.float32)
    half = zero.copy()
    half[:2] = 1
    assert dtssd(one, zero, one, zero) == 0, "the same change"
    assert dtssd(one, one, zero, zero) == 0, "a steady error"
    assert dtssd(one, zero, zero, zero) == 100
    assert dtssd(half, zero, zero, zero) == pytest.approx(100 * np.sqrt(0.5))
    assert dtssd(one, zero, zero, one) == 200
    assert measured([zero, half, half], [zero, zero, zero]).dtssd == pytest.approx(100 * np.sqrt(0.5) / 2)


@pytest.mark.parametrize("late", [-3, -1, 0, 1, 5, 8])
def test_lag_is_found(late: int) -> None:
    truths = [bar(2 * number - 20) for number in range(40)]
    alphas = [bar(2 * (number - late) - 20) for number in range(40)]
    got = measured(alphas, truths)
    assert got.lag == late
    assert got.truths == 40
    assert got.iou is not None
    assert (got.iou == 1) == (late == 0)


def test_lag_that_cannot_be_told() -> None:
    assert measured([bar(5)] * 30, [bar(5)] * 30).lag is None, "nothing moves"
    assert measured([bar(n) for n in range(16)], [bar(n) for n in range(16)]).lag is None, "too short"


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_laws_of_streams(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    alphas, truths = (
        [rng.integers(0, 3, (6, 8)).astype(np.float32) / np.float32(2) for _ in range(frames)] for _ in range(2)
    )
    got, flipped = measured(alphas, truths), measured([a[:, ::-1] for a in alphas], [t[:, ::-1] for t in truths])
    assert (got.flicker, got.iou) == (flipped.flicker, flipped.iou)
    assert got.dtssd == (None if frames == 1 else pytest.approx(flipped.dtssd))
    assert got.iou is not None
    assert 0 <= got.iou <= 1
    perfect = measured(truths, truths)
    assert perfect.iou == 1
    assert perfect.flicker in (0, None)
    assert perfect.dtssd == (None if frames == 1 else 0)


def write_frames(folder: Path, count: int = 20, masks: str = "masks") -> Path:
    """f1.png to f20.png: names that sort by number only if the numbers are read."""
    for number in range(count):
        write_image(folder / f"f{number + 1}.png", framed(bar(2 * number)))
        if masks:
            write_image(folder / masks / f"f{number + 1}.png", (bar(2 * number) * 255).astype(np.uint8))
    return folder


@pytest.mark.parametrize("masks", ["masks", "../masks/clip", "../masks"])
def test_folder_of_frames_with_masks(tmp_path: Path, masks: str) -> None:
    folder = write_frames(tmp_path / "clip", masks=masks)
    assert is_stream(folder)
    calls: list[tuple[int, int]] = []
    got = evaluate_stream(red, folder, 50, "red", lambda *call: calls.append(call))
    assert (got.model, got.stream) == ("red", str(folder))
    assert (got.scores.frames, got.scores.rate, got.scores.truths) == (20, 50, 20)
    assert (got.scores.iou, got.scores.dtssd, got.scores.lag, got.scores.flicker) == (1, 0, 0, 0)
    assert calls == [(number, 20) for number in range(1, 21)]


def test_folder_with_some_masks_and_with_none(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip", 6)
    for number in (2, 3):
        (folder / "masks" / f"f{number}.png").unlink()
    scores = evaluate_stream(red, folder).scores
    assert [frame.iou for frame in scores.by_frame] == [1, None, None, 1, 1, 1]
    assert (scores.truths, scores.lag, scores.rate) == (4, None, 25)
    assert evaluate_stream(red, write_frames(tmp_path / "other", 3, masks="")).scores.iou is None


def test_video_with_masks(tmp_path: Path) -> None:
    pictures = [framed(bar(2 * number, 32, 64)) for number in range(20)]
    video = make_video(tmp_path / "clip.mp4", pictures, 30, H264)
    assert is_stream(video)
    bare = evaluate_stream(red, video).scores
    assert (bare.frames, bare.rate, bare.truths) == (20, 30, 0)
    for number in range(20):
        write_image(tmp_path / f"masks/clip/m{number}.png", (bar(2 * number, 32, 64) * 255).astype(np.uint8))
    scores = evaluate_stream(red, video).scores
    assert scores.truths == 20
    assert scores.lag == 0
    assert scores.iou is not None
    assert scores.iou > 0.7  # H.264 halves the resolution of colours
    (tmp_path / "masks/clip/m19.png").unlink()
    with pytest.raises(DatasetError, match="at frame 19 there are only 19 masks"):
        evaluate_stream(red, video)
    for number in (19, 20):
        write_image(tmp_path / f"masks/clip/m{number}.png", np.zeros((32, 64), np.uint8))
    with pytest.raises(DatasetError, match="at frame 20 is a mask without a frame"):
        evaluate_stream(red, video)


def test_some_frames(tmp_path: Path) -> None:
    folder = write_frames(tmp_path, 4)
    assert [int(frame[0, :, 0].argmax()) for frame in some_frames(folder, 3)] == [0, 2, 4]
    assert len([*some_frames(folder, 9)]) == 4


def test_what_is_no_stream(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not is_stream(tmp_path / "empty")
    assert not is_stream(tmp_path / "gone.mp4")
    folder = write_frames(tmp_path / "dataset", 1)
    (folder / "manifest.csv").touch()
    assert not is_stream(folder), "a dataset"
    (tmp_path / "bad.mp4").write_bytes(b"hello")
    with pytest.raises(VideoError, match=r"bad\.mp4: not a video"):
        evaluate_stream(red, tmp_path / "bad.mp4")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("f3.png", r"f3\.png: \(9, 8\), the frames before are"),
        ("masks/f2.png", r"f2\.png: mask is \(9, 8\), its frame"),
    ],
)
def test_frames_and_masks_of_other_sizes(tmp_path: Path, name: str, said: str) -> None:
    write_image(write_frames(tmp_path, 3) / name, np.zeros((8, 9), np.uint8))
    with pytest.raises(DatasetError, match=said):
        evaluate_stream(red, tmp_path)


@pytest.mark.parametrize("palette", [(128, 0, 0), (255, 255, 255)], ids=["DAVIS", "greys"])
def test_masks_of_palettes(tmp_path: Path, palette: tuple[int, int, int]) -> None:
    folder = write_frames(tmp_path / "frames")
    for path in (folder / "masks").iterdir():
        indices = Image.fromarray((read_matte(path) >= 128).astype(np.uint8))
        indices.putpalette([0, 0, 0, *palette])
        indices.save(path)
    assert evaluate_stream(red, folder).scores.iou == 1


def test_masks_of_noughts_and_ones_and_frames_of_one_name(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames")
    mask = sorted((folder / "masks").iterdir())[3]
    write_image(mask, (read_matte(mask) >= 128).astype(np.uint8))
    with pytest.raises(DatasetError, match=rf"{mask.name}: its levels are 0 and 1; want 0 and 255"):
        evaluate_stream(red, folder)
    frame = sorted(path for path in folder.iterdir() if path.is_file())[3]
    shutil.copy(frame, frame.with_suffix(".jpg" if frame.suffix == ".png" else ".png"))
    with pytest.raises(DatasetError, match=r"has the name of .*; masks stand in a folder of their own, `masks`"):
        evaluate_stream(red, folder)


def test_frames_that_flicker_are_shown_with_what_flipped(tmp_path: Path, red_finder: Path) -> None:
    """To the left somebody for certain, to the right what the model calls a person in every other frame."""
    for number in range(4):
        frame = plain(96, 64, (255, 0, 0))
        frame[:, 48:, 0] = (125, 130)[number % 2]
        write_image(tmp_path / "clip" / f"{number}.png", frame)
    done = command(red_finder, tmp_path / "clip", "--output", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = [text[at:] for at in (each.start() for each in re.finditer("data:image/", text))]
    assert text.count("of the still pixels, frame") == len(shown) == 3
    drawing = Image.open(BytesIO(base64.b64decode(shown[0].partition(",")[2].partition('"')[0])))
    left, right = (np.asarray(drawing.convert("RGB"))[20:40, columns] for columns in (slice(8, 36), slice(60, 88)))
    assert left[..., 0].min() > left[..., 2].max(), "red as it was"
    assert right[..., 2].min() > right[..., 0].max(), "blue: flipped"


def test_stream_on_the_command_line(tmp_path: Path, red_finder: Path) -> None:
    folder, page = write_frames(tmp_path / "clip"), tmp_path / "report.html"
    done = command(red_finder, folder, "--peer", "small", "--fps", "10", "--output", page)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == [
        "model",
        "frames",
        "frames/s",
        "still",
        "flicker/s",
        "IoU",
        "boundary",
        "F",
        "dtSSD",
        "lag",
        "ms",
    ]
    assert [row.split()[:3] for row in rows] == [["red", "20", "10"], ["small", "20", "10"]]
    text = page.read_text(encoding="utf-8")
    assert "Flicker a second" in text
    assert "http" not in text.replace("http-equiv", "")
    done = command(red_finder, folder, "--json")
    result = json.loads(done.stdout)
    assert done.stderr == ""
    assert result["scores"]["frames"] == len(result["scores"]["by_frame"]) == 20
    assert result["peers"] == []
