"""Batches: every sample once an epoch, the same whatever the threads, and validation left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.data.manifest import Item, read_manifest
from figureground.errors import DatasetError, ImageError
from figureground.images import write_image
from figureground.training.config import Augment, Recipe
from figureground.training.dataset import (
    Backgrounds,
    Batch,
    Pictures,
    Samples,
    read_backgrounds,
    read_splits,
    training_batches,
    validation_batches,
)
from figureground.training.geometry import Sample
from training_data import write_dataset, write_manifest, write_picture

STILL = Augment(
    **dict.fromkeys(
        (
            *("flip", "rotate", "shift", "stretch", "colour", "grey", "blur", "noise", "jpeg", "dark"),
            *("swap_background", "second_person", "occluder", "negative"),
        ),
        0.0,
    ),
    zoom=(1.0, 1.0),
)
RECIPE = Recipe("test", size=32, batch=4, seed=7)


def numbered(count: int, width: int = 32, height: int = 32) -> Samples:
    """Samples in memory; the picture's red and the mask both are the sample's number plus one."""
    cache: dict[int, Sample] = {}
    for number in range(count):
        matte = np.full((height, width), number + 1, np.uint8)
        cache[number] = (np.dstack([matte, 255 - matte, matte]), matte)
    items = [Item(str(n), Path(), Path(), width, height, "", "", "train", "") for n in range(count)]
    return Samples(items, 320, cache)


def numbers(batches: Sequence[Batch]) -> list[int]:
    """Which samples unaugmented batches hold, in their order."""
    return [int(frame[16, 16, 0]) - 1 for frames, _ in batches for frame in frames]


def test_each_sample_once_an_epoch() -> None:
    recipe, samples = replace(RECIPE, augment=STILL), numbered(24)
    epochs = [numbers(list(training_batches(samples, Backgrounds(), recipe, epoch))) for epoch in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(24))
        assert epoch != sorted(epoch), "shuffled"
    assert epochs[0] != epochs[1] != epochs[2], "in another order each epoch"
    other = numbers(list(training_batches(samples, Backgrounds(), replace(recipe, seed=8), 0)))
    assert other != epochs[0]


def test_last_partial_batch_is_left_out() -> None:
    batches = list(training_batches(numbered(11), Backgrounds(), replace(RECIPE, augment=STILL), 0))
    assert len(batches) == 2
    assert len(set(numbers(batches))) == 8


def test_fewer_samples_than_a_batch_are_repeated() -> None:
    batches = list(training_batches(numbered(3), Backgrounds(), replace(RECIPE, augment=STILL), 0))
    assert len(batches) == 1
    assert set(numbers(batches)) == {0, 1, 2}


def test_shapes_and_ranges() -> None:
    for frames, masks in training_batches(numbered(8, 50, 30), Backgrounds(), RECIPE, 0):
        assert frames.shape == (4, 32, 32, 3)
        assert frames.dtype == np.uint8
        assert masks.shape == (4, 32, 32, 1)
        assert masks.dtype == np.float32


def test_masks_run_from_0_to_1_beside_their_own_pictures() -> None:
    samples = numbered(250)
    recipe = replace(RECIPE, augment=STILL)
    for frames, masks in training_batches(samples, Backgrounds(), recipe, 0):
        assert np.allclose(masks[..., 0], frames[..., 0] / 255, atol=1e-6)
    full = Samples(
        samples.items[:4], 320, {n: (frame, np.full_like(m, 255)) for n, (frame, m) in samples.cache.items()}
    )
    assert next(iter(training_batches(full, Backgrounds(), recipe, 0)))[1].min() == 1.0


def test_batches_depend_on_neither_workers_nor_start() -> None:
    rng = np.random.default_rng(0)
    samples = numbered(24, 40, 30)
    pictures = [rng.integers(0, 256, (40, 40, 3), np.uint8) for _ in range(5)]
    backgrounds = Backgrounds(pictures[:3], pictures)
    recipe = replace(RECIPE, augment=Augment(swap_background=0.5, second_person=0.5, occluder=0.5, negative=0.2))
    wanted = list(training_batches(samples, backgrounds, recipe, 3))
    for start, workers in ((0, 1), (0, 5), (4, 1), (5, 3), (6, 2)):
        got = list(training_batches(samples, backgrounds, recipe, 3, start, workers))
        assert len(got) == 6 - start
        for (frames, masks), (same_frames, same_masks) in zip(got, wanted[start:], strict=True):
            assert np.array_equal(frames, same_frames)
            assert np.array_equal(masks, same_masks)


@pytest.mark.parametrize("change", [{"epoch": 4}, {"seed": 8}])
def test_epoch_and_seed_change_the_augmentation_too(change: dict[str, int]) -> None:
    one = numbered(1, 40, 30)
    recipe = replace(RECIPE, batch=1, seed=change.get("seed", RECIPE.seed))
    ((was, _),) = training_batches(one, Backgrounds(), replace(RECIPE, batch=1), 3)
    ((now, _),) = training_batches(one, Backgrounds(), recipe, change.get("epoch", 3))
    assert not np.array_equal(was, now)


def test_stopping_early_ends_the_threads() -> None:
    import threading

    batches = training_batches(numbered(24), Backgrounds(), RECIPE, 0)
    next(iter(batches))
    assert any(thread.name.startswith("augment") for thread in threading.enumerate())
    batches.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("augment") for thread in threading.enumerate())


@pytest.mark.parametrize("count", [1, 4, 7])
def test_validation_counts_every_picture_once(count: int) -> None:
    seen: list[int] = []
    for (frames, masks), valid in validation_batches(numbered(count), 32, 4):
        assert frames.shape == (4, 32, 32, 3)
        assert masks.shape == valid.shape == (4, 32, 32, 1)
        inside = valid.any(axis=(1, 2, 3))
        seen += [int(frame[0, 0, 0]) - 1 for frame in frames[inside]]
        assert not frames[~inside].any()
    assert seen == list(range(count)), "in the dataset's order"


def test_validation_is_never_augmented() -> None:
    """A picture that fits as it is comes through to the bit, whatever the recipe would do in training."""
    rng = np.random.default_rng(0)
    frame, matte = rng.integers(0, 256, (32, 32, 3), np.uint8), rng.integers(0, 256, (32, 32), np.uint8)
    samples = Samples(numbered(1).items, 320, {0: (frame, matte)})
    for _ in range(2):
        (((frames, masks), valid),) = validation_batches(samples, 32, 1)
        assert np.array_equal(frames[0], frame)
        assert np.allclose(masks[0, ..., 0], matte / 255, atol=1e-6)
        assert valid.all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([32, 64, 96]))
def test_validation_keeps_the_aspect_ratio(width: int, height: int, size: int) -> None:
    frame = np.full((height, width, 3), 200, np.uint8)
    samples = Samples(numbered(1).items, 320, {0: (frame, np.full((height, width), 255, np.uint8))})
    (((frames, masks), valid),) = validation_batches(samples, size, 1)
    rows, columns = valid[0, :, :, 0].any(axis=1).sum(), valid[0, :, :, 0].any(axis=0).sum()
    assert valid.sum() == rows * columns, "a rectangle"
    assert valid[0, :rows, :columns].all(), "at the upper left"
    assert max(rows, columns) == size
    scale = size / max(width, height)
    assert abs(rows - max(1, height * scale)) <= 0.5
    assert abs(columns - max(1, width * scale)) <= 0.5
    assert np.all(masks[valid] == 1)
    assert np.all(masks[~valid] == 0)
    assert np.all(frames == 200), "the border repeats the picture, as for the engine"


def test_validation_does_not_squash() -> None:
    """A circle in a wide picture is still as wide as high."""
    matte = np.zeros((100, 200), np.uint8)
    cv2.circle(matte, (100, 50), 40, 255, -1)
    samples = Samples(numbered(1).items, 320, {0: (np.dstack([matte] * 3), matte)})
    (((_, masks), _),) = validation_batches(samples, 96, 1)
    inside = masks[0, :, :, 0] > 0.5
    assert abs(int(inside.any(axis=0).sum()) - int(inside.any(axis=1).sum())) <= 1
    assert 36 <= inside.any(axis=0).sum() <= 40


def test_loaded_pictures_are_shrunk_but_never_grown(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=4, val=0, sizes=((80, 40), (30, 60)))
    samples = Samples.load(read_manifest(tmp_path, "train"), 50)
    assert len(samples) == 4
    assert [samples[n][1].shape for n in range(4)] == [(25, 50), (50, 25)] * 2
    assert all(samples[n][0].shape[:2] == samples[n][1].shape for n in range(4))
    small = Samples.load(read_manifest(tmp_path, "train"), 500)
    assert [small[n][1].shape for n in range(2)] == [(40, 80), (60, 30)]


def test_what_does_not_fit_into_memory_is_read_again(tmp_path: Path) -> None:
    items = read_manifest(write_dataset(tmp_path, train=5, val=0), "train")
    everything = Samples.load(items, 64)
    some = Samples.load(items, 64, 2.9 * 64 * 64 * 4)
    assert sorted(some.cache) == [0, 1]
    assert some.bytes() == 2 * 64 * 64 * 4
    assert Samples.load(items, 64, 0).cache == {}
    assert sorted(Samples.load(items, 32, 5 * 32 * 32 * 4).cache) == [0, 1, 2, 3, 4], "counted as they are kept"
    for number in range(5):
        for one, other in zip(some[number], everything[number], strict=True):
            assert np.array_equal(one, other)


def test_mask_of_another_size_is_an_error(tmp_path: Path) -> None:
    row = write_picture(tmp_path, "p", np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8), "train")
    write_image(tmp_path / row["mask"], np.zeros((60, 40), np.uint8))
    write_manifest(tmp_path, [row])
    with pytest.raises(DatasetError, match=r"p\.png: mask is \(40, 60\), its picture \(60, 40\)"):
        Samples.load(read_manifest(tmp_path, "train"), 64)


def test_splits(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=6, val=3)
    train, val = read_splits(tmp_path, 6)
    assert [item.split for item in train + val] == ["train"] * 6 + ["val"] * 3
    with pytest.raises(DatasetError, match="6 pictures in split 'train' are fewer than a batch of 7; --set batch=6"):
        read_splits(tmp_path, 7)


@pytest.mark.parametrize(("train", "val", "missing"), [(0, 2, "train"), (2, 0, "val")])
def test_an_empty_split_is_an_error(tmp_path: Path, train: int, val: int, missing: str) -> None:
    write_dataset(tmp_path, train, val)
    said = rf"manifest\.csv: no picture in split '{missing}' \(2 rows in all\); divide them anew:  figureground prepare"
    with pytest.raises(DatasetError, match=said):
        read_splits(tmp_path, 1)


def test_one_group_cannot_be_divided(tmp_path: Path) -> None:
    rows = [{"image": f"{n}.png", "mask": "m.png", "width": 8, "height": 8, "group": "one"} for n in range(3)]
    write_manifest(tmp_path, [row | {"split": "train"} for row in rows])
    with pytest.raises(DatasetError, match=r"\(3 rows in all\); all are of one group, as frames of one scene"):
        read_splits(tmp_path, 1)


def test_missing_picture_is_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=2, val=0)
    (tmp_path / "images" / "p001.png").unlink()
    with pytest.raises(ImageError, match=r"p001\.png"):
        Samples.load(read_manifest(tmp_path, "train"), 64)


def backgrounds_folder(folder: Path) -> Path:
    for number, name in enumerate(("a.png", "b.PNG", "c.jpg", "d.png")):
        write_image(folder / name, np.full((20 + number, 90, 3), 50 * number, np.uint8))
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    return folder


def levels(pictures: Pictures) -> list[int]:
    return [int(pictures[number][0, 0, 0]) for number in range(len(pictures))]


def test_held_out_backgrounds_are_left_out(tmp_path: Path) -> None:
    folder = backgrounds_folder(tmp_path)
    assert levels(read_backgrounds(folder, 320).scenes) == [0, 50, 100, 150]
    rows = "image,source,split\na.png,x,train\nb.PNG,x,val\nc.jpg,x,test\ngone.png,x,train\n"
    (folder / "manifest.csv").write_text(rows, encoding="utf-8")
    assert levels(read_backgrounds(folder, 320).scenes) == [0, 150]


def test_some_backgrounds_are_negatives_only(tmp_path: Path) -> None:
    backgrounds = read_backgrounds(backgrounds_folder(tmp_path), 320, negatives_only="[ab].*")
    assert levels(backgrounds.scenes) == [100, 150]
    assert levels(backgrounds.negatives) == [0, 50, 100, 150]


def test_backgrounds_are_shrunk(tmp_path: Path) -> None:
    assert read_backgrounds(backgrounds_folder(tmp_path), 45).scenes[0].shape == (10, 45, 3)


def test_what_systems_leave_in_a_folder_is_no_background(tmp_path: Path) -> None:
    folder = backgrounds_folder(tmp_path)
    (folder / "._a.png").write_bytes(b"Mac OS X")
    assert levels(read_backgrounds(folder, 45, memory=1e9).scenes) == [0, 50, 100, 150]


@pytest.mark.parametrize(("memory", "kept"), [(0, 0), (45 * 10 * 3 - 1, 0), (45 * 31 * 3, 2), (1e9, 4)])
def test_backgrounds_that_do_not_fit_into_memory_are_read_when_drawn(tmp_path: Path, memory: float, kept: int) -> None:
    folder = backgrounds_folder(tmp_path)
    backgrounds = read_backgrounds(folder, 45, "a.*", memory)
    for path in sorted(folder.glob("*"))[:kept]:
        path.unlink()
    assert levels(backgrounds.negatives) == [0, 50, 100, 150], "what is in memory needs no file"
    assert levels(backgrounds.scenes) == [50, 100, 150]
    if kept < 4:
        (folder / "d.png").unlink()
        with pytest.raises(ImageError, match=r"d\.png"):
            backgrounds.negatives[3]


def test_backgrounds_with_a_manifest_of_another_kind(tmp_path: Path) -> None:
    folder = backgrounds_folder(tmp_path)
    (folder / "manifest.csv").write_text("file,split\na.png,val\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"manifest\.csv.*'image'"):
        read_backgrounds(folder, 320)


@pytest.mark.parametrize("folder", ["gone", "empty"])
def test_no_backgrounds_is_an_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pictures for backgrounds"):
        read_backgrounds(tmp_path / folder, 320)
