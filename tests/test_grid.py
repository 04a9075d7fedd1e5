"""The sheet of augmented samples: what training sees, drawn without Keras."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from augmenting import OFF
from figureground.errors import DatasetError
from figureground.images import read_image, write_image
from figureground.training.config import Recipe
from figureground.training.grid import augmented_grid, outlined
from training_data import write_dataset

RECIPE = Recipe("test", size=64, augment=OFF)
CELL, GAP = 320, 4


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), train=5, val=2, sizes=((64, 64), (80, 40)))


def cell(grid: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = row * (CELL + GAP), column * (CELL + GAP)
    return grid[top : top + CELL, left : left + CELL]


def is_yellow(frame: np.ndarray) -> np.ndarray:
    return np.all(frame == (255, 214, 0), axis=2)


@pytest.mark.parametrize(("size", "side"), [(32, 320), (64, 320), (128, 256), (160, 320), (256, 256), (416, 320)])
def test_rows_are_pictures_and_columns_variations(dataset: Path, size: int, side: int) -> None:
    grid = augmented_grid(dataset, replace(RECIPE, size=size), count=2, variations=3)
    assert grid.shape == (2 * side + GAP, 4 * side + 3 * GAP, 3)
    assert grid.dtype == np.uint8


def test_no_more_rows_than_pictures(dataset: Path) -> None:
    assert augmented_grid(dataset, RECIPE, count=50, variations=1).shape[0] == 5 * CELL + 4 * GAP


def test_first_column_is_the_picture_and_nothing_varies_where_all_is_off(dataset: Path) -> None:
    grid = augmented_grid(dataset, RECIPE, count=5, variations=2)
    frame = cv2.resize(read_image(dataset / "images" / "p000.png"), (CELL, CELL), interpolation=cv2.INTER_LINEAR)
    for column in range(3):
        differs = np.any(np.abs(cell(grid, 0, column).astype(int) - frame) > 2, axis=2)
        assert 0 < differs.mean() < 0.06, "the outline"
    wide = cell(grid, 1, 0)  # the second picture is twice as wide as high
    assert np.all(wide[: CELL // 4] == 255)
    assert np.all(wide[-CELL // 4 :] == 255)
    assert not np.all(wide[CELL // 4 : -CELL // 4] == 255, axis=2).any()


def test_outline_follows_the_mask_as_it_moves(dataset: Path) -> None:
    """The figure of these pictures is bright, its room dark: the line lies between them."""
    moved = replace(OFF, rotate=90.0, flip=0.5, shift=0.1, perspective=0.1)
    grid = augmented_grid(dataset, replace(RECIPE, augment=moved), count=1, variations=6)
    places = []
    for column in range(1, 7):
        sample = cell(grid, 0, column)
        line = is_yellow(sample)
        distance = cv2.distanceTransform((~line).astype(np.uint8), cv2.DIST_L2, 5)
        near = (distance > 6) & (distance < 14)
        bright = cv2.blur(sample, (5, 5))[..., 0] > 115
        inside = cv2.morphologyEx(line.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3)))
        filled = np.zeros_like(inside)
        cv2.drawContours(filled, cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], -1, 1, -1)
        assert np.mean(bright[near] == (filled[near] == 1)) > 0.97
        places.append(np.argwhere(line).mean(axis=0))
    assert np.std(places, axis=0).max() > 5


def test_seed_decides_the_sheet(dataset: Path) -> None:
    varied = Recipe("test", size=64)
    one, same, other = (augmented_grid(dataset, replace(varied, seed=seed), 2, 3) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert np.array_equal(cell(one, 0, 0), cell(other, 0, 0))
    assert not np.array_equal(cell(one, 0, 1), cell(other, 0, 1))
    assert not np.array_equal(cell(one, 0, 1), cell(one, 0, 2))


def test_backgrounds_are_drawn(dataset: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "green.png", np.full((50, 50, 3), (0, 200, 0), np.uint8))
    recipe = replace(RECIPE, backgrounds=str(tmp_path), augment=replace(OFF, swap_background=1.0))
    grid = augmented_grid(dataset, recipe, 1, 1)
    assert cell(grid, 0, 0)[:20, :20, 1].mean() < 100
    assert cell(grid, 0, 1)[:20, :20, 1].mean() > cell(grid, 0, 1)[:20, :20, 0].mean() + 50


def test_outline() -> None:
    frame, matte = np.full((40, 60, 3), 90, np.uint8), np.zeros((40, 60), np.uint8)
    assert np.array_equal(outlined(frame, matte), frame), "nobody, no line"
    matte[10:30, 20:] = 255
    matte[:, :5] = 100  # under a half
    line = is_yellow(outlined(frame, matte))
    assert np.all(frame == 90), "the picture itself is left alone"
    assert line[10, 25:55].all()
    assert line[29, 25:55].all()
    assert line[15:25, 20].all()
    assert line[15:25, 59].all(), "along the frame where it cuts the person"
    assert not line[:8].any()
    assert not line[:, :18].any()
    assert not line[12:28, 23:57].any()


def command(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "figureground", "augment", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=folder)


def test_command_writes_a_picture(dataset: Path, tmp_path: Path) -> None:
    settings = ["--count", "2", "--variations", "3", "--set", "size=64", "--set", "seed=3"]
    done = command(dataset, "--recipe", "light", *settings, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "grid.png\n", "")
    wanted = augmented_grid(dataset, Recipe("light", size=64, seed=3), 2, 3)
    assert np.array_equal(read_image(tmp_path / "grid.png"), wanted)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere/manifest.csv: cannot be read"),
        (["DATASET", "--recipe", "smal"], "no such recipe"),
        (["DATASET", "--set", "augment.flipp=1"], "did you mean augment.flip?"),
        (["DATASET", "--set", "backgrounds=nowhere"], "nowhere: no pictures for backgrounds"),
        (["DATASET", "--set", "size=64", "--output", "grid.txt"], "grid.txt: cannot write .txt"),
        (["DATASET", "--output", "DATASET/images/p000.png"], "among what is read; choose another --output"),
        (["DATASET", "--output", "DATASET/masks/p000.png"], "among what is read; choose another --output"),
        (["DATASET", "--set", "backgrounds=.", "--output", "a.png"], "among what is read; choose another --output"),
    ],
)
def test_command_says_what_is_wrong(dataset: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    done = command(*[part.replace("DATASET", str(dataset)) for part in arguments], folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.csv"):
        augmented_grid(tmp_path, RECIPE)


def test_needs_no_keras() -> None:
    script = "import sys, figureground.training.grid; print({'keras', 'tensorflow', 'matplotlib'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
