"""A run's folder: what is in it to look at, and what a run refuses to begin with or to go on with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training_data import CLASSIC, person, write_dataset, write_manifest, write_picture

pytest.importorskip("tensorflow", reason="training is tested on Keras' tensorflow backend")

import tensorflow

from figureground.errors import DatasetError, FigureGroundError, ImageError, RecipeError, TrainingError
from figureground.images import read_image, write_image
from figureground.training.config import Recipe, read_run
from figureground.training.curves import PANELS, limits, panel_limits, plot_curves
from figureground.training.fit import Step, fit
from figureground.training.live import best, shown
from figureground.training.live import duration as duration_left
from figureground.training.report import duration, round_values

RECIPE = replace(CLASSIC, name="<b>mine</b>", sample_every=2)
Row = dict[str, float]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"), sizes=((64, 64), (72, 48)))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row], list[Step]]:
    run = tmp_path_factory.mktemp("runs") / "a run"
    rows: list[Row] = []
    steps: list[Step] = []
    fit(RECIPE, dataset, run, report=rows.append, watch=steps.append)
    return run, rows, steps


@pytest.fixture(scope="module")
def run(trained: tuple[Path, list[Row], list[Step]]) -> Path:
    return trained[0]


def test_rows_say_how_training_went(trained: tuple[Path, list[Row], list[Step]]) -> None:
    rows = trained[1]
    for row in rows:
        assert 0 < row["accuracy"] < 1
        assert 0 <= row["data_wait"] <= 1
        assert row["images_per_s"] > 0
        assert 0 < row["learning_rate"] <= RECIPE.learning_rate
    assert rows[0]["accuracy"] != rows[1]["accuracy"]


def test_every_step_is_told(trained: tuple[Path, list[Row], list[Step]]) -> None:
    _, rows, steps = trained
    assert [(step.epoch, step.step) for step in steps] == [(epoch, n) for epoch in (1, 2, 3) for n in (1, 2, 3, 4)]
    assert {(step.epochs, step.steps, step.batch) for step in steps} == {(3, 4, 4)}
    assert steps[3].loss == pytest.approx(rows[0]["loss"])
    assert steps[3].best is None
    assert steps[4].best == rows[0]["val_loss"]


def test_training_accuracy_is_that_of_the_batches(dataset: Path, tmp_path: Path) -> None:
    """At a rate of 0 all pictures are measured with the weights the run began with."""
    rows: list[Row] = []
    still = replace(CLASSIC, learning_rate=0.0, average=0.0, dropout=0.0, epochs=2, loss="bce")
    still = replace(still, augment=replace(still.augment, **dict.fromkeys(_probabilities(still), 0.0), zoom=(1.0, 1.0)))
    write_dataset(tmp_path / "data", val=16, sizes=((32, 32),))
    text = (tmp_path / "data" / "manifest.csv").read_text().splitlines()
    same = [text[0], *text[1:17], *(line.replace(",train,", ",val,") for line in text[1:17])]
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(same) + "\n")
    fit(still, tmp_path / "data", tmp_path / "run", report=rows.append)
    assert rows[0]["accuracy"] == pytest.approx(rows[0]["val_accuracy"], abs=0.05), "of a sixteenth of the pixels"
    assert rows[0]["loss"] == pytest.approx(rows[0]["val_loss"], abs=1e-5)


def _probabilities(recipe: Recipe) -> list[str]:
    """The names of the augmentations that may be switched off by 0."""
    kept = {"zoom", "others", "crop", "mirror"}
    return [name for name in recipe.augment.__slots__ if name not in kept]


def events(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """What TensorFlow reads in the event files of a folder; it checks their checksums."""
    found = []
    for path in sorted(folder.iterdir()):
        for record in tensorflow.data.TFRecordDataset(str(path)):
            event = tensorflow.compat.v1.Event.FromString(record.numpy())
            if event.HasField("summary"):
                found.append((event.step, {value.tag: value.simple_value for value in event.summary.value}))
    return found


def test_tensorboard_can_read_it(trained: tuple[Path, list[Row], list[Step]]) -> None:
    run, rows, _ = trained
    for split, prefix in (("train", ""), ("val", "val_")):
        found = events(run / "tensorboard" / split)
        assert [step for step, _ in found] == [1, 2, 3]
        for (_, scalars), row in zip(found, rows, strict=True):
            assert scalars["loss"] == pytest.approx(row[f"{prefix}loss"], rel=1e-6)
            assert scalars["accuracy"] == pytest.approx(row[f"{prefix}accuracy"], rel=1e-6)
    (path,) = (run / "tensorboard" / "train").iterdir()
    first = next(iter(tensorflow.data.TFRecordDataset(str(path)))).numpy()
    assert tensorflow.compat.v1.Event.FromString(first).file_version == "brain.Event:2"


def test_samples(run: Path, dataset: Path) -> None:
    assert {path.name for path in (run / "samples").iterdir()} == {"epoch-0002.png", "best.png"}
    sheet = read_image(run / "samples" / "best.png")
    first = sorted((dataset / "images").glob("*.png"))[16]
    picture = np.asarray(Image.open(first).resize((192, 192)), np.float32)
    cell = sheet[56 : 56 + 192, 20 : 20 + 192].astype(np.float32)
    assert np.abs(cell - picture).mean() < 40, "the first validation picture is the first on the sheet"
    truth = sheet[56 : 56 + 192, 222 : 222 + 192]
    assert truth.max() == 255


class Page(HTMLParser):
    """Collects a page's text and addresses, and that its tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.links, self.ids, self.open = "", list[str](), set[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := values.get(name))]
        self.ids |= {value for name in ("id",) if (value := values.get(name))}
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report(trained: tuple[Path, list[Row], list[Step]], dataset: Path) -> None:
    run, rows, _ = trained
    text = (run / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "<b>mine" not in text, "a recipe's name is text"
    assert "<b>mine</b>" in page.text
    assert all(link.startswith(("#", "data:image/webp;base64,")) for link in page.links)
    assert {link[1:] for link in page.links if link[0] == "#"} <= page.ids
    best = min(rows, key=lambda row: row["val_loss"])
    assert f"{best['val_iou']:.3f}" in page.text
    assert sum(link.startswith("data:") for link in page.links) == 8, "a strip for each validation picture"
    for command in ("export", "evaluate", "train", "replace"):
        assert f"figureground {command} " in page.text
    assert f"figureground export '{run}'" in page.text
    for name in ("augment.flip", "learning_rate", "manifest_sha256", "cache_gb"):
        assert name in page.text
    assert len(re.findall('class="curve [^"]*" d="M', text)) == 6
    assert "16 of 16 pictures held in memory" in page.text


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (250, "4 min 10 s"), (11520.4, "3 h 12 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [(0, 1.06, [0, 0.5, 1]), (0.945, 0.964, [0.945, 0.95, 0.955, 0.96]), (0, 30, [0, 10, 20, 30])],
)
def test_axes_have_round_numbers(low: float, high: float, values: list[float]) -> None:
    assert round_values(low, high) == pytest.approx(values)


def test_curves_are_drawn_for_older_rows_too(tmp_path: Path) -> None:
    old = {"epoch": 1.0, "loss": 1.0, "val_loss": 0.9, "val_accuracy": 0.8, "val_iou": 0.5, "val_dice": 0.6}
    plot_curves(tmp_path / "curves.png", [old, old | {"epoch": 2.0, "accuracy": 0.9}], 2)
    assert read_image(tmp_path / "curves.png").shape[1] > 1000


def test_drawing_curves_leaves_a_notebooks_figures_alone(tmp_path: Path) -> None:
    script = (
        "import sys, matplotlib; matplotlib.use('svg'); from matplotlib import pyplot; pyplot.figure()\n"
        "from pathlib import Path; from figureground.training.curves import plot_curves\n"
        "plot_curves(Path(sys.argv[1]), [{'epoch': 1.0, 'loss': 1.0}])\n"
        "print(matplotlib.get_backend(), pyplot.get_fignums())"
    )
    line = [sys.executable, "-c", script, str(tmp_path / "curves.png")]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout == "svg [1]\n"


def test_axes_leave_out_the_wildest_only() -> None:
    assert limits([0.5, 0.6]) == pytest.approx((0.494, 0.606))
    low, high = panel_limits("Loss", [50.0, *(1 - n / 100 for n in range(60))])
    assert low == 0
    assert 1 < high < 2
    assert panel_limits("Accuracy", [0.9, 0.99, 0.999])[1] == 1.0
    assert limits([float("nan")]) == pytest.approx((-0.06, 1.06))
    assert [title for title, _ in PANELS][:2] == ["Loss", "Accuracy"]


def test_a_run_knows_its_recipe(run: Path, tmp_path: Path) -> None:
    assert read_run(run) == RECIPE
    assert read_run(run, ["epochs=9"]) == replace(RECIPE, epochs=9)
    with pytest.raises(RecipeError, match="no run to resume here"):
        read_run(tmp_path)
    for config in (
        "",
        "[]",
        "{}",
        '{"dataset": "x", "augment": {"zoom": [1, 1]}, "name": "x", "batch": "8"}',
        '{"dataset": "x", "augment": {"zoom": [1, 1]}, "colour": 3}',
    ):
        (tmp_path / "config.json").write_text(config)
        with pytest.raises(RecipeError, match=r"config\.json: cannot be gone on with.*without --resume$") as error:
            read_run(tmp_path)
        assert "\n" not in str(error.value)
    (tmp_path / "last.npz").touch()
    with pytest.raises(RecipeError, match=r"start again without --resume and with another --output$"):
        read_run(tmp_path)


# ---- going on with something else


def test_resuming_with_other_data(run: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    with (tmp_path / "data" / "manifest.csv").open(newline="") as file:
        rows = file.read().splitlines()
    fit(RECIPE, tmp_path / "data", shutil.copytree(run, tmp_path / "moved"), resume=True)  # the same, elsewhere
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(rows[:-1]) + "\n")
    with pytest.raises(TrainingError, match=r"manifest\.csv: is not the one that .* was begun with; resume with"):
        fit(RECIPE, tmp_path / "data", run, resume=True)


def test_resuming_with_corrected_masks(run: Path, dataset: Path, tmp_path: Path) -> None:
    """A pixel of one mask: its coverage in the manifest is the same."""
    kept, data = shutil.copytree(run, tmp_path / "run"), shutil.copytree(dataset, tmp_path / "data")
    mask = data / "masks" / "p003.png"
    matte = np.array(Image.open(mask))
    matte[0, 0] = 255
    write_image(mask, matte)
    with pytest.raises(TrainingError, match=r"data/masks: are not the ones that .* was begun with; resume with"):
        fit(RECIPE, data, kept, resume=True)
    noted = json.loads((kept / "environment.json").read_text())
    del noted["masks_sha256"]
    (kept / "environment.json").write_text(json.dumps(noted))
    fit(RECIPE, data, kept, resume=True)  # begun by a version that did not note them
    assert len(json.loads((kept / "environment.json").read_text())["masks_sha256"]) == 64


def test_resuming_with_another_setting_within_another(run: Path, dataset: Path) -> None:
    other = replace(RECIPE, augment=replace(RECIPE.augment, flip=0.25))
    with pytest.raises(TrainingError, match=r"was begun with augment\.flip 0\.5, got 0\.25; resume with the old"):
        fit(other, dataset, run, resume=True)


def test_a_run_of_an_older_version_goes_on(run: Path, dataset: Path, tmp_path: Path) -> None:
    """One that knew fewer settings: it had what are the defaults now."""
    shutil.copytree(run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    for name in ("accumulate", "freeze_encoder", "cache_gb"):
        del config[name]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    fit(RECIPE, dataset, tmp_path / "run", resume=True)
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrainingError, match="was begun with accumulate 1, got 2"):
        fit(replace(RECIPE, accumulate=2), dataset, tmp_path / "run", resume=True)


@pytest.mark.parametrize("config", ["", "{", "[]"])
def test_a_broken_config(run: Path, dataset: Path, tmp_path: Path, config: str) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(config)
    with pytest.raises(TrainingError, match=r"config\.json: .*; start again without --resume and with another"):
        fit(RECIPE, dataset, tmp_path / "run", resume=True)


# ---- beginning with what cannot be learnt from


def without_train(folder: Path) -> None:
    write_dataset(folder, train=0, val=4)


def without_masks(folder: Path) -> None:
    write_dataset(folder)
    shutil.rmtree(folder / "masks")


def without_people(folder: Path) -> None:
    rng, empty = np.random.default_rng(0), np.zeros((64, 64), np.uint8)
    splits = ["train"] * 4 + ["val"] * 2
    write_manifest(
        folder,
        [write_picture(folder, f"p{n}", person(rng)[0], empty, split) for n, split in enumerate(splits)],
    )


def without_people_in_val(folder: Path) -> None:
    write_dataset(folder)
    for number in range(16, 24):
        write_image(folder / "masks" / f"p{number:03d}.png", np.zeros((64, 64), np.uint8))


def with_a_broken_picture(folder: Path) -> None:
    write_dataset(folder)
    path = folder / "images" / "p019.png"  # of the val split
    path.write_bytes(path.read_bytes()[:2000])


def with_few(folder: Path) -> None:
    write_dataset(folder, train=3, val=2)


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (
            without_train,
            DatasetError,
            r"split 'train' \(4 rows in all\); divide them anew:  figureground prepare",
        ),
        (
            without_masks,
            ImageError,
            r"masks/p000\.png: no such file; prepare the dataset again, or take 'p000' out",
        ),
        (with_a_broken_picture, ImageError, r"images/p019\.png: cannot be read \(.*\); prepare the dataset again"),
        (without_people, DatasetError, "no mask of split 'train' holds anything; look at it with"),
        (without_people_in_val, DatasetError, "no mask of split 'val' holds anything"),
        (with_few, DatasetError, "3 pictures in split 'train' are fewer than a batch of 4; --set batch=3"),
        (lambda folder: None, DatasetError, r"manifest\.csv: cannot be read .*; make a dataset with"),
    ],
)
def test_what_cannot_be_learnt_from(
    make: Callable[[Path], None], kind: type[FigureGroundError], said: str, tmp_path: Path
) -> None:
    make(tmp_path / "data")
    with pytest.raises(kind, match=said) as error:
        fit(CLASSIC, tmp_path / "data", tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("cache_gb", [0.0, 0.00005, 0.0003], ids=["nothing", "some of train", "all but some of val"])
def test_people_are_looked_for_in_every_mask_held_in_memory_or_not(cache_gb: float, tmp_path: Path) -> None:
    """Only the last picture of each split holds anybody; then that of val does not either."""
    write_dataset(tmp_path / "data", train=16, val=8)
    masks = sorted((tmp_path / "data" / "masks").iterdir())
    for mask in masks[:15] + masks[16:23]:
        write_image(mask, np.zeros((64, 64), np.uint8))
    recipe = replace(CLASSIC, epochs=1, cache_gb=cache_gb)
    fit(recipe, tmp_path / "data", tmp_path / "run")
    write_image(masks[23], np.zeros((64, 64), np.uint8))
    with pytest.raises(DatasetError, match="no mask of split 'val' holds anything"):
        fit(recipe, tmp_path / "data", tmp_path / "other")


@pytest.mark.parametrize("make", [without_train, with_few])
def test_a_wrong_dataset_is_told_before_tensorflow_is_loaded(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "data")
    script = "import sys; sys.modules['keras'] = None; from figureground.cli import main; main()"
    command = ["train", str(tmp_path / "data"), "--output", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"figureground: {tmp_path / 'data'}")


def test_pictures_of_any_size_and_aspect_ratio(tmp_path: Path) -> None:
    """Smaller than a crop and larger, a pixel wide or high, and all of them in one batch."""
    sizes = ((1, 1), (1, 90), (90, 1), (5, 7), (32, 32), (300, 20))
    rows = []
    for number in range(18):
        width, height = sizes[number % len(sizes)]
        frame, matte = person(np.random.default_rng(number), width, height)
        matte[0, 0] = 255
        rows.append(write_picture(tmp_path, f"p{number:02d}", frame, matte, "train" if number < 12 else "val"))
    write_manifest(tmp_path, rows)
    told: list[Row] = []
    fit(replace(CLASSIC, epochs=1), tmp_path, tmp_path / "run", report=told.append)
    assert np.isfinite(list(told[0].values())).all()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is the folder that not even root can write")
def test_a_folder_nobody_can_write_is_told_before_the_work(dataset: Path) -> None:
    with pytest.raises(FigureGroundError, match="/proc/run: cannot be written"):
        fit(CLASSIC, dataset, Path("/proc/run"))


def test_without_tensorflow_the_command_says_what_to_install(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('no', name='tensorflow')")
    (tmp_path / "keras.py").write_text("import tensorflow")
    begin = "import sys; sys.path.insert(0, sys.argv.pop(1)); import figureground.__main__"
    command = ["train", str(dataset), "--set", "batch=4", "--output", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", begin, str(tmp_path), *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "figureground: tensorflow, which this command needs, is not installed: run  pip install 'figureground[train]'\n"
    )


def test_progress_on_a_terminal_and_elsewhere(
    trained: tuple[Path, list[Row], list[Step]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, rows, steps = trained
    with shown(terminal=False) as (report, watch):
        assert watch is None
        report(rows[0])
    (plain,) = capsys.readouterr().err.splitlines()
    assert plain.startswith("epoch 1  seconds ")
    assert plain.endswith(f"val_dice {rows[0]['val_dice']:.4g}")
    with shown(terminal=True) as (report, watch):
        assert watch
        for step in steps:
            watch(step)
        report(rows[0])
    assert plain in capsys.readouterr().err, "the validation's line stays"
    assert (best(steps[0]), duration_left(0), duration_left(3725.4)) == ("", "", "1:02:05 left")
    assert best(steps[4]) == f"best loss {rows[0]['val_loss']:.3f}  "
