"""Settings of a run that change what an optimizer's step is, what may learn, and what it begins with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_data import CLASSIC, TINY, weights, write_dataset

keras = pytest.importorskip("keras", reason="training needs pip install 'figureground[train]'")
pytest.importorskip("tensorflow", reason="training is tested on Keras' tensorflow backend")

from figureground.engine import Engine  # noqa: E402
from figureground.errors import RecipeError, TrainingError  # noqa: E402
from figureground.training.config import read_recipe  # noqa: E402
from figureground.training.fit import Step, fit  # noqa: E402
from figureground.training.model import accuracy, begin_with, build_network, freeze_encoder, load_model, trainable  # noqa: E402
from figureground.training.schedule import steps_to_average  # noqa: E402
from figureground.training.start import find_weights, network_of  # noqa: E402
from figureground.training.unet import encoder_layers, logits_model  # noqa: E402

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


def test_accuracy_of_batches() -> None:
    """Of the pixels 0, 4, 8 and so on of every row and column."""
    mask, logits = np.zeros((2, 8, 8, 1), np.float32), np.full((2, 8, 8, 1), -1.0, np.float32)
    logits[0, 4, 4] = 1.0
    logits[1, 1:4] = 1.0
    mask[1, 0, 0] = 0.5
    assert np.asarray(accuracy(mask, logits)).tolist() == [0.75, 0.75]


# ---- gradient accumulation


def test_accumulated_batches_are_one_larger_batch(dataset: Path, tmp_path: Path) -> None:
    """The classic network has no batch normalisation, which alone sees how large a batch is."""
    whole = replace(CLASSIC, batch=8, dropout=0.0, average=0.0, epochs=2, schedule="constant", warmup_epochs=0.0)
    parts = replace(whole, batch=4, accumulate=2)
    one, other = (load_model(fit(recipe, dataset, tmp_path / str(recipe.batch))) for recipe in (whole, parts))
    keras.utils.set_random_seed(whole.seed)
    start = build_network(whole)
    for a, b, before in zip(one.get_weights(), other.get_weights(), start.get_weights(), strict=True):
        assert np.abs(a - b).max() < 1e-5
        assert np.abs(a - before).max() > 1e-3


def copier(run: Path, copy: Path, epoch: int) -> Callable[[Step], None]:
    """Copies a run's folder when the first step after that epoch is done: its checkpoint is of the epoch's end."""

    def watch(step: Step) -> None:
        if (step.epoch, step.step) == (epoch + 1, 1):
            shutil.copytree(run, copy)

    return watch


def test_accumulated_gradients_survive_a_resume(dataset: Path, tmp_path: Path) -> None:
    """4 batches an epoch, 3 of them a step: an epoch ends in the middle of one."""
    recipe = replace(CLASSIC, accumulate=3, epochs=2)
    fit(recipe, dataset, tmp_path / "whole", watch=copier(tmp_path / "whole", tmp_path / "run", 1))
    assert weights(tmp_path / "run") != weights(tmp_path / "whole")
    fit(recipe, dataset, tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_more_batches_to_accumulate_than_there_are(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="accumulate=13: the run has but 12 batches; it would learn nothing"):
        fit(replace(CLASSIC, accumulate=13), dataset, tmp_path)


# ---- the moving average


@given(st.integers(1, 40), st.integers(1, 200))
def test_the_average_is_up_to_date_when_it_is_looked_at(steps: int, total: int) -> None:
    """At each epoch's end and every ten steps; none counts twice."""
    behind = 0
    for step in range(total):
        behind += 1 - steps_to_average(steps, step)
        assert 0 <= behind < 10
        if (step + 1) % steps == 0 or (step + 1) % 10 == 0:
            assert behind == 0


def test_an_epoch_of_one_step_is_seen(dataset: Path, tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    fit(replace(CLASSIC, batch=16, average=0.998), dataset, tmp_path, report=rows.append)
    assert len({row["val_loss"] for row in rows}) == 3


# ---- a frozen encoder


@pytest.mark.parametrize(("network", "number"), [("light", 26), ("small", 66), ("base", 90), ("classic", 10)])
def test_encoder(network: str, number: int) -> None:
    """All layers with weights down to the deepest features."""
    recipe = replace(CLASSIC, network=network)
    model = logits_model(build_network(recipe))
    encoder = encoder_layers(model)
    assert len(encoder) == number
    kinds = [layer for layer in model.layers if layer.weights]
    assert kinds[0] in encoder
    assert kinds[-1] not in encoder


def test_a_frozen_encoder_stays_and_learns_later(dataset: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, freeze_encoder=1, epochs=2, average=0.0)
    run = tmp_path / "run"
    keras.utils.set_random_seed(recipe.seed)
    build_network(recipe)
    start = [np.array(weight) for weight in trainable(recipe).get_weights()]  # the second one built is trained
    fit(recipe, dataset, run, watch=copier(run, tmp_path / "frozen", 1))
    assert changed(tmp_path / "frozen", start) == {False}, "not even the statistics of batch normalisation"
    assert changed(run, start) == {True}


def changed(run: Path, start: list[np.ndarray]) -> set[bool]:
    """Whether the encoder's weights in the last checkpoint are other ones than at the start; the decoder's must be."""
    model = trainable(TINY)
    inside = {id(weight) for layer in encoder_layers(model) for weight in layer.weights}
    with np.load(run / "last.npz") as file:
        now = [file[name] for name in sorted(file.files) if name.startswith("model/")]
    differs = [not np.array_equal(a, b) for a, b in zip(now, start, strict=True)]
    assert all(other for other, weight in zip(differs, model.weights, strict=True) if id(weight) not in inside)
    return {other for other, weight in zip(differs, model.weights, strict=True) if id(weight) in inside}


def test_freezing_is_undone() -> None:
    model = trainable(TINY)
    everything = len(model.trainable_variables)
    freeze_encoder(model, True)
    assert len(model.trainable_variables) < everything
    freeze_encoder(model, False)
    assert len(model.trainable_variables) == everything


# ---- weights to begin with


@pytest.mark.parametrize("name", ["small", "base"])
def test_the_shipped_models_weights_are_found_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are those of the shipped file: kept in half precision, computed with in float32."""
    assert find_weights(name) == ROOT / "checkpoints" / f"{name}.keras"
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_weights(name) == ROOT / "checkpoints" / f"{name}.keras", "as Engine: not a folder of that name"
    model = build_network(replace(TINY, network=name))
    begin_with(model, name)
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    alpha = keras.ops.convert_to_numpy(model(picture[None], training=False))[0, :, :, 0]
    assert alpha.dtype == np.float32
    engine = Engine(name)
    engine.sure = 0.0  # what the network says, all of it
    assert np.abs(alpha - engine.run(picture)).max() < 0.05


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smal", "smal: no weights to begin with; give a name \\(base, small\\), a .keras file or a run"),
        ("gone.keras", "no weights to begin with"),
        ("model.onnx", "an .onnx file cannot be trained; give the run or .keras file"),
        ("folder", "folder: holds no best.keras to begin with"),
    ],
)
def test_no_weights_to_begin_with(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(TrainingError, match=said) as error:
        find_weights(name)
    assert "\n" not in str(error.value)


def test_what_network_the_weights_are_of(tmp_path: Path) -> None:
    assert network_of("base") == ["network=base"]
    assert network_of(str(tmp_path)) == network_of("gone.keras") == []
    for recipe, wanted in ((CLASSIC, ["network=classic", "width=0.015625"]), (TINY, ["network=light"])):
        (tmp_path / "config.json").write_text(json.dumps(asdict(recipe)), encoding="utf-8")
        assert network_of(str(tmp_path)) == wanted
        assert read_recipe("small", network_of(str(tmp_path))).network == recipe.network


def test_a_run_gives_its_best_weights(tmp_path: Path) -> None:
    (tmp_path / "best.keras").touch()
    assert find_weights(str(tmp_path)) == tmp_path / "best.keras"
    assert find_weights(str(tmp_path / "best.keras")) == tmp_path / "best.keras"


def test_wrong_weights_are_told_before_tensorflow_is_loaded(dataset: Path, tmp_path: Path) -> None:
    command = ["train", str(dataset), "--from", "smal", "--output", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "figureground", *command], capture_output=True, text=True)
    assert done.returncode == 2
    said = "smal: no weights to begin with; give a name (base, small), a .keras file or a run"
    assert done.stderr == f"figureground: {said}\n"
    assert not (tmp_path / "run").exists()
