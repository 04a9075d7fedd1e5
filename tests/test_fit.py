"""Training runs: they learn, they stop when they should, and a killed one goes on as if nothing had been."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from training_data import CLASSIC, TINY, progress, weights, write_dataset

keras = pytest.importorskip("keras", reason="training needs pip install 'figureground[train]'")
pytest.importorskip("tensorflow", reason="training is tested on Keras' tensorflow backend")

from figureground.data.manifest import read_manifest  # noqa: E402
from figureground.errors import DatasetError, TrainingError  # noqa: E402
from figureground.images import read_matte, write_image  # noqa: E402
from figureground.training.config import Recipe, read_run  # noqa: E402
from figureground.training.dataset import Samples  # noqa: E402
from figureground.training.fit import fit  # noqa: E402
from figureground.training.model import build_network, load_model  # noqa: E402
from figureground.training.schedule import learning_rate  # noqa: E402
from figureground.training.unet import logits_model  # noqa: E402
from figureground.training.validate import validate  # noqa: E402

Row = dict[str, float]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """A whole run of the light network: its folder, and what it reported."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    rows: list[Row] = []
    assert fit(TINY, dataset, run, report=rows.append) == run / "best.keras"
    return run, rows


def test_it_learns(trained: tuple[Path, list[Row]]) -> None:
    rows = trained[1]
    assert [row["epoch"] for row in rows] == list(range(1, 8))
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert min(row["val_loss"] for row in rows[2:]) < 0.7 * rows[0]["val_loss"]


def test_it_beats_guessing(trained: tuple[Path, list[Row]], dataset: Path) -> None:
    mattes = [read_matte(item.mask) for item in read_manifest(dataset, "val")]
    background_only = np.mean([(matte < 128).mean() for matte in mattes])
    person_only = np.mean([(matte >= 128).mean() for matte in mattes])
    best = max(trained[1], key=lambda row: row["val_iou"])
    assert best["val_iou"] > person_only + 0.2  # the guess "all background" has an IoU of 0
    assert best["val_accuracy"] > background_only + 0.1
    assert best["val_dice"] == pytest.approx(2 * best["val_iou"] / (1 + best["val_iou"]), abs=0.02)


def test_another_run_does_not_go_on_under_its_name(trained: tuple[Path, list[Row]], dataset: Path) -> None:
    run, _ = trained
    with pytest.raises(TrainingError, match="was begun with learning_rate"):
        fit(replace(TINY, learning_rate=1.0), dataset, run, resume=True)
    with pytest.raises(TrainingError, match="no run to resume here"):
        fit(TINY, dataset, run / "nowhere", resume=True)


def test_run_folder(trained: tuple[Path, list[Row]], dataset: Path) -> None:
    run, rows = trained
    names = {"best.keras", "config.json", "curves.png", "environment.json", "last.npz", "metrics.csv"}
    names |= {"report.html", "samples", "tensorboard"}
    assert {path.name for path in run.iterdir()} == names, "and no temporary file is left"
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert config.pop("dataset") == str(dataset.resolve())
    assert config == json.loads(json.dumps(asdict(TINY)))
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert {"python", "figureground", "keras", "numpy", "backend"} <= environment.keys()
    assert environment["backend"] == "tensorflow"
    assert environment["seed"] == TINY.seed
    assert len(environment["manifest_sha256"]) == 64
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    spent = ["epoch", "seconds", "learning_rate", "images_per_s", "data_wait"]
    assert list(table[0]) == [*spent, "loss", "accuracy", "val_loss", "val_accuracy", "val_iou", "val_dice"]
    assert len(table) == len(rows)
    for row, reported in zip(table, rows, strict=True):
        assert {name: float(value) for name, value in row.items()} == pytest.approx(reported, rel=1e-5)
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_best_is_the_lowest_validation_loss(trained: tuple[Path, list[Row]], dataset: Path) -> None:
    run, rows = trained
    lowest = min(rows, key=lambda row: row["val_loss"])
    state = progress(run)
    assert (state["best"], state["best_epoch"]) == (lowest["val_loss"], lowest["epoch"])
    samples = Samples.load(read_manifest(dataset, "val"), TINY.cache_side)
    again = validate(logits_model(load_model(run / "best.keras")), samples, TINY)
    assert again == pytest.approx({name: lowest[name] for name in again}, rel=1e-4)


def test_a_run_is_not_overwritten(trained: tuple[Path, list[Row]], dataset: Path) -> None:
    run = trained[0]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(TrainingError, match=r"holds a run already; add --resume .* or choose another --output"):
        fit(TINY, dataset, run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_resuming_a_finished_run_trains_no_more(trained: tuple[Path, list[Row]], dataset: Path) -> None:
    run = trained[0]
    before, rows = weights(run), list[Row]()
    assert fit(TINY, dataset, run, resume=True, report=rows.append) == run / "best.keras"
    assert rows == []
    assert weights(run) == before


@pytest.fixture(scope="module")
def uninterrupted(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "uninterrupted"
    fit(CLASSIC, dataset, run)
    return run


@pytest.fixture(scope="module")
def other_seed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    run, rows = tmp_path_factory.mktemp("runs") / "other", list[Row]()
    fit(replace(CLASSIC, seed=1, validate_every=2), dataset, run, report=rows.append)
    return run, rows


def test_another_seed_gives_other_weights(other_seed: tuple[Path, list[Row]], uninterrupted: Path) -> None:
    got, was = weights(other_seed[0]), weights(uninterrupted)
    changed = [name for name in was if got[name] != was[name]]
    assert sum(name.startswith("model/") for name in changed) > 40, "of 48, two of which are dropout's"


def test_validation_now_and_then_and_at_the_end(other_seed: tuple[Path, list[Row]]) -> None:
    assert [row["epoch"] for row in other_seed[1]] == [2, 3]


def test_resuming_with_fewer_epochs_than_are_done(
    trained: tuple[Path, list[Row]], dataset: Path, tmp_path: Path
) -> None:
    run = trained[0]
    before = (run / "config.json").read_bytes()
    with pytest.raises(TrainingError, match=r"epochs=6, but 7 are done; want 7 or more$"):
        fit(replace(TINY, epochs=6), dataset, run, resume=True)
    assert (run / "config.json").read_bytes() == before
    late, asked = replace(CLASSIC, validate_every=3), iter([False] * 8 + [True])
    with pytest.raises(KeyboardInterrupt):
        fit(late, dataset, tmp_path / "run", stop=lambda: next(asked))
    with pytest.raises(TrainingError, match=r"epochs=2, but 2 are done, and none validated yet; want 3 or more$"):
        fit(replace(late, epochs=2), dataset, tmp_path / "run", resume=True)


def copy_of(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder)
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def without_progress(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, other=np.zeros(3))


def with_foreign_progress(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, progress=np.frombuffer(b'{"epochs": 3}', np.uint8))


@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        flip,
        without_progress,
        with_foreign_progress,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"hello"),
    ],
)
def test_broken_checkpoint(spoil: Callable[[Path], object], dataset: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run = copy_of(uninterrupted, tmp_path / "run")
    spoil(run / "last.npz")
    remedy = "start again without --resume and with another --output$"
    with pytest.raises(TrainingError, match=rf"last\.npz: a broken checkpoint .*; {remedy}") as error:
        fit(CLASSIC, dataset, run, resume=True)
    assert "\n" not in str(error.value)


def test_nothing_to_resume(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no run to resume here; start again without --resume$"):
        fit(CLASSIC, dataset, tmp_path / "run", resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_stopped_before_its_first_checkpoint_it_begins_again(
    resume: bool, dataset: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """Killed while the best weights of the first epoch are there already: they are made again."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "environment.json", "best.keras"):
        shutil.copy(uninterrupted / name, run / name)
    (run / ".last.abcdefgh.part.npz").write_bytes(b"half")
    fit(CLASSIC, dataset, run, resume=resume)
    assert weights(run) == weights(uninterrupted)
    assert {path.name for path in run.iterdir()} == {path.name for path in uninterrupted.iterdir()}, "no half file"


@pytest.mark.parametrize("resume", [False, True])
def test_a_finished_run_is_protected_without_its_checkpoint(
    resume: bool, dataset: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run = copy_of(uninterrupted, tmp_path / "run")
    (run / "last.npz").unlink()
    with pytest.raises(TrainingError, match=r"a finished run without its last\.npz.*; choose another --output, and"):
        fit(CLASSIC, dataset, run, resume=resume)


def test_resuming_with_another_network(dataset: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run = copy_of(uninterrupted, tmp_path / "run")
    with pytest.raises(TrainingError, match="was begun with width"):
        fit(replace(CLASSIC, width=1 / 32), dataset, run, resume=True)


def test_a_loss_that_is_no_number(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, step [2-4] of 4; lower learning_rate"):
        fit(replace(CLASSIC, learning_rate=1e30, warmup_epochs=0), dataset, tmp_path)


def test_a_loss_that_is_no_number_after_the_last_step(dataset: Path, tmp_path: Path) -> None:
    one_step = replace(CLASSIC, learning_rate=1e30, warmup_epochs=0, batch=16, epochs=1, average=0.0)
    with pytest.raises(TrainingError, match=r"the validation loss is (nan|inf) after epoch 1; lower learning_rate"):
        fit(one_step, dataset, tmp_path)
    assert not (tmp_path / "best.keras").exists()


def test_weights_that_are_no_numbers_are_no_checkpoint(dataset: Path, tmp_path: Path) -> None:
    """The last step of an epoch without a validation: no loss has told yet."""
    one_step = replace(CLASSIC, learning_rate=1e39, warmup_epochs=0, batch=16, epochs=2, average=0.0, validate_every=2)
    with pytest.raises(TrainingError, match="weights are no longer finite after epoch 1; lower learning_rate"):
        fit(one_step, dataset, tmp_path)
    assert not (tmp_path / "last.npz").exists()


def test_early_stopping(dataset: Path, tmp_path: Path) -> None:
    """At a rate of 0 no validation is better than the first."""
    rows: list[Row] = []
    still = replace(CLASSIC, learning_rate=0.0, average=0.0, epochs=20, patience=2)
    fit(still, dataset, tmp_path, report=rows.append)
    assert len(rows) == 3
    assert progress(tmp_path)["best_epoch"] == 1
    fit(still, dataset, tmp_path, resume=True, report=rows.append)
    assert len(rows) == 3, "a run that has stopped does not go on by itself"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "--resume --epochs 40 --set patience=0" in page
    assert "The run stopped early: 2 validations running had brought nothing better." in page
    fit(replace(still, epochs=4, patience=0), dataset, tmp_path, resume=True, report=rows.append)
    assert len(rows) == 4
    assert "stopped early" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def distance(one: list[Any], other: list[Any]) -> float:
    return math.sqrt(sum(float(np.square(a - b).sum()) for a, b in zip(one, other, strict=True)))


def test_average_is_what_is_validated_and_kept(uninterrupted: Path) -> None:
    """12 steps, 4 an epoch."""
    with np.load(uninterrupted / "last.npz") as file:
        average = [file[name] for name in sorted(file.files) if name.startswith("average/")]
        last = [file[name] for name in sorted(file.files) if name.startswith("model/")]
    last = [array for array in last if array.dtype == np.float32]  # without dropout's random state
    best = progress(uninterrupted)["best_epoch"]
    kept = load_model(uninterrupted / "best.keras").get_weights()
    assert distance(average, last) > 0
    keras.utils.set_random_seed(CLASSIC.seed)
    build_network(CLASSIC)
    start = build_network(CLASSIC).get_weights()  # the second one built is trained
    # At first it follows fast: the random start would weigh too much under the full decay.
    assert distance(average, last) < 0.3 * distance(average, start)
    assert all(np.array_equal(a, b) for a, b in zip(average, kept, strict=True)) == (best == 3)


def test_start_from_weights(uninterrupted: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.copy(uninterrupted / "best.keras", tmp_path / "start.keras")
    start = replace(CLASSIC, start=str(tmp_path / "start.keras"), learning_rate=0.0, epochs=1, average=0.0)
    best = fit(start, dataset, tmp_path / "run")
    wanted = load_model(uninterrupted / "best.keras").get_weights()
    (tmp_path / "start.keras").unlink()
    fit(replace(start, epochs=2), dataset, tmp_path / "run", resume=True)  # which needs it no more
    assert all(np.array_equal(a, b) for a, b in zip(load_model(best).get_weights(), wanted, strict=True))


def test_start_from_another_network(uninterrupted: Path, dataset: Path, tmp_path: Path) -> None:
    wide = replace(CLASSIC, width=1 / 32, start=str(uninterrupted / "best.keras"))
    with pytest.raises(TrainingError, match=r"best\.keras: holds another network \(classic_unet\) than the recipe's"):
        fit(wide, dataset, tmp_path / "run")
    with pytest.raises(TrainingError, match=r"gone\.keras: no weights to begin with"):
        fit(replace(CLASSIC, start="gone.keras"), dataset, tmp_path / "run")


def test_no_validation_pictures(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", train=4, val=0)
    with pytest.raises(DatasetError, match="no picture in split 'val'"):
        fit(CLASSIC, tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_backgrounds_reach_training(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but rooms without anybody to see, the network says that there is never anybody."""
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "rooms" / "room.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    rows: list[Row] = []
    empty = replace(CLASSIC, backgrounds="rooms", epochs=6, learning_rate=3e-2, average=0.0)
    empty = replace(empty, augment=replace(empty.augment, negative=1.0))
    fit(empty, dataset, tmp_path / "run", report=rows.append)
    assert rows[-1]["loss"] < 0.2
    assert rows[-1]["val_iou"] < 0.05
    monkeypatch.chdir(dataset)
    (tmp_path / "rooms" / ".DS_Store").touch()
    fit(read_run(tmp_path / "run", ["epochs=7"]), dataset, tmp_path / "run", resume=True)  # found from elsewhere, too
    (tmp_path / "rooms" / "room.png").rename(tmp_path / "rooms" / "hall.png")
    with pytest.raises(TrainingError, match="its backgrounds are not the ones it was begun with"):
        fit(read_run(tmp_path / "run", ["epochs=8"]), dataset, tmp_path / "run", resume=True)


def test_mixed_precision_keeps_float32_weights(dataset: Path, tmp_path: Path) -> None:
    policy, threads = keras.mixed_precision.dtype_policy(), cv2.getNumThreads()
    best = fit(replace(CLASSIC, mixed_precision=True, epochs=1), dataset, tmp_path / "run")
    assert (keras.mixed_precision.dtype_policy(), cv2.getNumThreads()) == (policy, threads), "as they were"
    model = load_model(best)
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers} <= {"float32", "uint8"}


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("halve", [0.5, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]),
        ("cosine", [0.5, 1.0, *(max(0.01, 0.5 * (1 + math.cos(math.pi * n / 6))) for n in range(6))]),
    ],
)
def test_learning_rate(schedule: str, wanted: list[float]) -> None:
    recipe = Recipe("x", epochs=4, warmup_epochs=1.0, halve_every=2, learning_rate=0.1, schedule=schedule)
    assert [learning_rate(recipe, 2, step) for step in range(8)] == pytest.approx([0.1 * each for each in wanted])


def test_the_best_weights_are_chosen_by_what_the_recipe_says(dataset: Path, tmp_path: Path) -> None:
    rows: list[Row] = []
    recipe = replace(TINY, epochs=5, learning_rate=0.02, choose_by="val_iou")
    fit(recipe, dataset, tmp_path, report=rows.append)
    shown = load_model(tmp_path / "best.keras")
    val = Samples.load(read_manifest(dataset, "val"), recipe.cache_side)
    got = validate(logits_model(shown), val, recipe)
    assert got["val_iou"] == pytest.approx(max(row["val_iou"] for row in rows), abs=1e-4)
