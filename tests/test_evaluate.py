"""Evaluation: the scores of segmenters whose scores are known, and datasets that are refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from figureground.arrays import Alpha, Frame
from figureground.data.manifest import COLUMNS, read_manifest
from figureground.engine import Engine
from figureground.errors import ArrayError, DatasetError, FigureGroundError, ImageError
from figureground.evaluation.compare import compare, labels
from figureground.evaluation.evaluate import MEASURES, Evaluation, evaluate, size_of
from figureground.evaluation.latency import latency
from figureground.images import read_matte, write_image
from training_data import write_dataset, write_manifest, write_picture

# Person rows of 10 x 20 pictures, top down: coverage 0.5, 0.2, 0 and 1.
PERSON_ROWS = {"half": 5, "fifth": 2, "nobody": 0, "everybody": 10}


def known_dataset(folder: Path) -> Path:
    """Pictures whose red channel is their mask; two sources, of three pictures and of one."""
    rows = []
    for name, count in PERSON_ROWS.items():
        matte = np.zeros((10, 20), np.uint8)
        matte[:count] = 255
        frame = np.dstack([matte, np.full_like(matte, 9), np.full_like(matte, 9)])
        rows.append(write_picture(folder, name, frame, matte, "val", "alone" if name == "everybody" else "three"))
    rows.append(write_picture(folder, "train", frame, matte, "train", "elsewhere"))
    write_manifest(folder, rows)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return known_dataset(tmp_path_factory.mktemp("known"))


def test_a_single_picture_is_no_dataset(photo: Path) -> None:
    with pytest.raises(DatasetError, match=r"astro\.png: is a single file; want a dataset's folder, a video or"):
        compare({"perfect": perfect}, photo, "val", lambda *_: None)


def test_no_source_is_called_as_all_of_them_are(tmp_path: Path) -> None:
    matte = np.zeros((10, 20), np.uint8)
    write_manifest(tmp_path, [write_picture(tmp_path, "a", np.dstack([matte] * 3), matte, "val", "overall")])
    with pytest.raises(DatasetError, match="a source is called 'overall'"):
        compare({"perfect": perfect}, tmp_path, "val", lambda *_: None)


def perfect(frame: Frame) -> Alpha:
    return frame[..., 0].astype(np.float32) / np.float32(255)


def all_background(frame: Frame) -> Alpha:
    return np.zeros(frame.shape[:2], np.float32)


def all_person(frame: Frame) -> Alpha:
    return np.ones(frame.shape[:2], np.float32)


def scores(result: Any) -> tuple[float, ...]:
    return result.accuracy, result.iou, result.dice, result.boundary_f


def test_a_perfect_segmenter_scores_1(dataset: Path) -> None:
    result = evaluate(perfect, dataset, name="perfect")
    assert (result.model, result.dataset, result.split) == ("perfect", str(dataset), "val")
    assert scores(result.overall) == (1, 1, 1, 1)
    assert result.overall.iou_interval == (1, 1)
    assert all(scores(each) == (1, 1, 1, 1) for each in result.sources.values())


def test_all_background_by_hand(dataset: Path) -> None:
    result = evaluate(all_background, dataset)
    # half and fifth are missed, nobody is right, everybody is missed
    assert scores(result.sources["three"]) == pytest.approx((2.3 / 3, 1 / 3, 1 / 3, 1 / 3))
    assert scores(result.sources["alone"]) == (0, 0, 0, 0)
    assert scores(result.overall) == pytest.approx((2.3 / 4, 1 / 4, 1 / 4, 1 / 4))


def test_all_person_by_hand(dataset: Path) -> None:
    result = evaluate(all_person, dataset)
    dice = (2 * 0.5 / 1.5 + 2 * 0.2 / 1.2 + 0) / 3
    assert scores(result.sources["three"]) == pytest.approx((0.7 / 3, 0.7 / 3, dice, 0))
    assert scores(result.sources["alone"]) == (1, 1, 1, 1)


def test_sources_and_overall(dataset: Path) -> None:
    result = evaluate(all_background, dataset)
    assert list(result.sources) == ["three", "alone"], "in the order of the manifest; none from another split"
    assert {name: each.pictures for name, each in result.sources.items()} == {"three": 3, "alone": 1}
    assert result.overall.pictures == 4, "every picture counts the same, whatever its source"
    low, high = result.overall.iou_interval
    assert 0 <= low <= result.overall.iou <= high <= 1
    assert low < high
    assert evaluate(all_background, dataset) == result


def test_other_split(dataset: Path) -> None:
    result = evaluate(perfect, dataset, "train")
    assert list(result.sources) == ["elsewhere"]
    assert result.overall.pictures == 1


def test_decided_at_one_half(tmp_path: Path) -> None:
    """An alpha of 0.5 and a mask of 128 are person; what is just below is not."""
    matte = np.array([[127, 128, 0, 255]], np.uint8).repeat(4, axis=0)
    frame = np.dstack([matte] * 3)
    write_manifest(tmp_path, [write_picture(tmp_path, "p", frame, matte)])
    below = np.nextafter(np.float32(0.5), np.float32(0))

    def at_the_edge(frame: Frame) -> Alpha:
        return np.where(frame[..., 0] >= 128, np.float32(0.5), below).astype(np.float32)

    assert evaluate(at_the_edge, tmp_path).overall.accuracy == 1
    assert evaluate(lambda frame: np.full(frame.shape[:2], 0.5, np.float32), tmp_path).overall.accuracy == 0.5


def test_pictures_are_measured_at_their_own_size(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=0, val=3, sizes=((50, 30), (31, 70), (8, 8)))
    seen: list[tuple[int, ...]] = []

    def watching(frame: Frame) -> Alpha:
        seen.append(frame.shape)
        return perfect(frame)

    evaluate(watching, tmp_path)
    assert seen == [(30, 50, 3), (70, 31, 3), (8, 8, 3)]


def test_progress(dataset: Path) -> None:
    calls: list[tuple[int, int]] = []
    evaluate(perfect, dataset, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def rewritten(folder: Path, **change: object) -> Path:
    """A dataset of one picture whose row is changed; a value of None leaves the column out."""
    row = write_picture(folder, "p", np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)) | change
    write_manifest(folder, [row], [name for name in COLUMNS if change.get(name, "") is not None])
    return folder


@pytest.mark.parametrize("column", COLUMNS)
def test_missing_column(tmp_path: Path, column: str) -> None:
    with pytest.raises(DatasetError, match=rf"manifest\.csv: column '{column}' is missing; want id,image,mask"):
        evaluate(perfect, rewritten(tmp_path, **{column: None}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "../secret.png"}, r"line 2: '\.\./secret\.png' is not a path inside the dataset"),
        ({"mask": "masks/../../secret.png"}, "is not a path inside the dataset"),
        ({"image": "/etc/passwd"}, "'/etc/passwd' is not a path inside the dataset"),
        ({"mask": ""}, "'' is not a path inside"),
        ({"split": "valid"}, "line 2: split 'valid' is none of train, val, test"),
        ({"width": "wide"}, "line 2: width or height is no whole number"),
        ({"height": "8.5"}, "line 2: width or height is no whole number"),
        ({"split": "train"}, r"no picture in split 'val' \(1 rows in all\)"),
    ],
)
def test_bad_value(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(DatasetError, match=said) as error:
        evaluate(perfect, rewritten(tmp_path, **change))
    assert str(tmp_path / "manifest.csv") in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b""), "column 'id' is missing"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\xff\xfe"), "cannot be read"),
        (lambda path: path.write_text(f"{','.join(COLUMNS)}\np,images/p.png\n"), "line 2: has fewer fields"),
        (lambda path: path.write_text(path.read_text().rpartition(",")[0] + "\n"), "line 2: has fewer fields"),
        (lambda path: path.write_text(",".join(COLUMNS) + "\n"), r"no picture in split 'val' \(0 rows"),
    ],
)
def test_broken_manifest(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(rewritten(tmp_path) / "manifest.csv")
    with pytest.raises(DatasetError, match=said):
        evaluate(perfect, tmp_path)


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone/manifest\.csv: cannot be read"):
        evaluate(perfect, tmp_path / "gone")


def test_unknown_split(dataset: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'all'; use one of train, val, test"):
        evaluate(perfect, dataset, "all")


def test_manifest_in_file_order(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=3, val=2)
    items = read_manifest(tmp_path)
    assert [item.id for item in items] == [f"p{n:03d}" for n in range(5)]
    assert [item.split for item in items] == ["train"] * 3 + ["val"] * 2
    assert items[1].source == "night"
    assert (items[0].width, items[0].height, items[0].licence) == (64, 64, "CC0-1.0")
    assert read_matte(items[0].mask).shape == (64, 64)


def test_a_manifest_that_a_spreadsheet_has_saved(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, train=3, val=2) / "manifest.csv"
    before = read_manifest(tmp_path)
    manifest.write_text(manifest.read_text(), encoding="utf-8-sig", newline="\r\n")
    assert read_manifest(tmp_path) == before


def test_mask_of_another_size(tmp_path: Path) -> None:
    write_image(rewritten(tmp_path) / "masks/p.png", np.zeros((8, 9), np.uint8))
    with pytest.raises(DatasetError, match=r"p\.png: mask is \(9, 8\), its picture \(8, 8\)"):
        evaluate(perfect, tmp_path)


def test_missing_and_broken_pictures(tmp_path: Path) -> None:
    (rewritten(tmp_path) / "images/p.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"p\.png"):
        evaluate(perfect, tmp_path)
    (tmp_path / "images/p.png").unlink()
    with pytest.raises(ImageError, match=r"p\.png: no such file"):
        evaluate(perfect, tmp_path)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "figureground", "evaluate", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


def test_json_of_the_command(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=1, val=4)
    done = command("small", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result.pop("licence") == "LicenseRef-figureground-weights"
    latency = result.pop("latency")
    assert latency["pictures"] == 4
    assert 0 < latency["median"] <= latency["p90"]
    wanted = asdict(evaluate(Engine("small"), tmp_path, name="small")) | {"peers": [], "differences": []}
    assert result == {name: value for name, value in json.loads(json.dumps(wanted)).items() if name != "latency"}
    assert result["sources"].keys() == {"day", "night"}


def test_table_of_the_command(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=0, val=4)
    done = command("small", tmp_path)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["source", "pictures", "accuracy", "IoU", "95", "%", "of", "IoU", "Dice", "boundary", "F"]
    assert [row.split()[:2] for row in rows[:3]] == [["day", "2"], ["night", "2"], ["overall", "4"]]
    overall = evaluate(Engine("small"), tmp_path).overall
    assert rows[2].split()[2:4] == [f"{overall.accuracy:.4f}", f"{overall.iou:.3f}"]
    assert rows[3] == ""
    assert "ms a picture on one thread" in rows[4]
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["small", "gone"], "gone/manifest.csv: cannot be read"),
        (["gone.onnx", "gone"], "gone.onnx: no such model"),
        (["small", "gone", "--split", "all"], "no split 'all'"),
        (["small", "gone", "--peer", "gone.toml"], "gone.toml: cannot be read"),
        (["small", "gone", "--output", "/proc/report.html"], "choose another --output"),
        (["small", "gone", "--output", "/tmp"], "/tmp: is a folder; name the file to write, as in /tmp/report.html"),
        (["a.onnx", "gone", "--output", "/a.onnx"], "/a.onnx: want a name that ends in .html or .htm, as in /report.h"),
    ],
)
def test_command_says_what_is_wrong_in_one_line(arguments: list[str], said: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("figureground: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("rate", ["inf", "nan"])
def test_a_rate_that_no_json_can_hold_is_refused(rate: str) -> None:
    done = command("small", "gone", "--json", "--fps", rate)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Invalid value for '--fps'" in done.stderr


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's model, here of our own making so that its answer is known: the red channel is its alpha."""
    pytest.importorskip("ai_edge_litert", reason="peers need pip install 'figureground[peers]'")
    tf = pytest.importorskip("tensorflow", reason="the test's .tflite file is made with TensorFlow")
    given = tf.TensorSpec((1, 24, 32, 3), tf.float32)
    function = tf.function(lambda picture: picture[..., :1] * 1.0).get_concrete_function(given)
    path: Path = tmp_path_factory.mktemp("peer") / "red.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())
    return path


def test_peer_sees_rgb_from_0_to_1(red_model: Path) -> None:
    from figureground.runtimes.peers import TfliteModel

    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = (204, 0, 0)
    frame[:, 32:] = (0, 255, 255)
    alpha = TfliteModel(red_model)(frame)
    assert alpha.shape == (48, 64)
    assert alpha.dtype == np.float32
    assert np.allclose(alpha[:, :30], 0.8, atol=1e-6)
    assert not alpha[:, 34:].any()


def test_peer_on_the_command_line(red_model: Path, tmp_path: Path) -> None:
    done = command(red_model, known_dataset(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["overall"]["accuracy"] > 0.9
    assert result["model"] == str(red_model)


@pytest.mark.parametrize(("content", "said"), [(None, "no such file"), (b"hello", "not a model LiteRT can load")])
def test_what_is_no_peer(tmp_path: Path, content: bytes | None, said: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="peers need pip install 'figureground[peers]'")
    from figureground.runtimes.peers import TfliteModel

    path = tmp_path / "x.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FigureGroundError, match=rf"x\.tflite: {said}"):
        TfliteModel(path)


def test_evaluation_is_plain_data(dataset: Path) -> None:
    result: Evaluation = evaluate(all_background, dataset)
    plain = json.loads(json.dumps(asdict(result)))
    assert plain["overall"]["intervals"]["iou"] == list(result.overall.iou_interval)


def test_every_measure_by_hand(dataset: Path) -> None:
    """All background: only the picture of nobody is right."""
    got = evaluate(all_background, dataset).overall
    assert (got.precision, got.recall, got.boundary_iou, got.boundary_f) == (0.25,) * 4
    assert got.mad == got.mse == pytest.approx((0.5 + 0.2 + 0 + 1) / 4)
    assert got.connectivity == pytest.approx(200 * got.mad / 1000)
    assert got.gradient > 0
    assert got.intervals.keys() == set(MEASURES)
    for name, (low, high) in got.intervals.items():
        assert low <= getattr(got, name) <= high


def test_sizes(dataset: Path) -> None:
    result = evaluate(perfect, dataset)
    assert {size: scores.pictures for size, scores in result.sizes.items()} == {"nobody": 1, "medium": 1, "large": 2}
    picture = result.pictures[0]
    assert [size_of(replace(picture, coverage=share)) for share in (0, 0.0999, 0.1, 0.3999, 0.4, 1)] == [
        "nobody",
        "small",
        "medium",
        "medium",
        "large",
        "large",
    ]


def test_brightness_is_that_of_the_persons_pixels(tmp_path: Path) -> None:
    """White people in a black room are bright, black ones in a white room dark; nobody is in no group."""
    matte = np.zeros((40, 40), np.uint8)
    matte[10:30, 10:30] = 255
    people = {"bright": (255, 0), "dark": (0, 255), "middling": (100, 0), "nobody": (0, 255)}
    rows = []
    for name, (person, room) in people.items():
        mask = np.zeros_like(matte) if name == "nobody" else matte
        frame = np.where(mask[:, :, None] == 255, person, room).repeat(3, axis=2).astype(np.uint8)
        rows.append(write_picture(tmp_path, name, frame, mask))
    write_manifest(tmp_path, rows)
    result = evaluate(all_person, tmp_path)
    assert {picture.id: picture.brightness for picture in result.pictures} == {
        "bright": 255,
        "dark": 0,
        "middling": 100,
        "nobody": None,
    }
    assert [*result.brightnesses] == ["dark", "middling", "bright"]
    assert {scores.pictures for scores in result.brightnesses.values()} == {1}


def test_pictures_and_curves(dataset: Path) -> None:
    result = evaluate(all_background, dataset)
    assert [(each.id, each.source, each.coverage) for each in result.pictures] == [
        ("half", "three", 0.5),
        ("fifth", "three", 0.2),
        ("nobody", "three", 0),
        ("everybody", "alone", 1),
    ]
    assert result.overall.iou == np.mean([each.mask.iou for each in result.pictures])
    assert result.thresholds.iou == [0.25] * 19
    assert result.calibration is not None
    assert (result.calibration.pictures, result.calibration.person) == (4, [1.7 / 4])
    assert result.calibration.error == pytest.approx(1.7 / 4)
    assert result.latency is None


def test_soft_masks_calibrate_nothing(tmp_path: Path) -> None:
    matte = np.full((10, 10), 100, np.uint8)
    write_manifest(tmp_path, [write_picture(tmp_path, "soft", np.dstack([matte] * 3), matte)])
    result = evaluate(perfect, tmp_path)
    assert result.calibration is None
    assert not result.pictures[0].hard
    assert result.overall.mad == 0


def test_what_is_no_alpha(dataset: Path) -> None:
    with pytest.raises(ArrayError, match=r"alpha must lie in \[0, 1\]"):
        evaluate(lambda frame: all_person(frame) * 2, dataset)


def test_latency_times_the_second_call(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, clock = list[int](), [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def slow_at_first(frame: Frame) -> Alpha:
        calls.append(cv2.getNumThreads())
        clock[0] += 0.05 if len(calls) % 2 else 0.002
        return all_person(frame)

    threads = cv2.getNumThreads()
    got = latency(slow_at_first, [item.image for item in read_manifest(dataset, "val")])
    assert (len(calls), set(calls), got.pictures) == (8, {1}, 4)
    assert (got.median, got.p90) == pytest.approx((2, 2))
    assert cv2.getNumThreads() == threads


def test_comparison_is_paired(dataset: Path) -> None:
    models = {"perfect": perfect, "nobody": all_background}
    got = compare(models, dataset, "val", lambda name, done, total: None)
    assert [each.model for each in got.all] == ["perfect", "nobody"]
    found = {(gap.source, gap.measure): gap for gap in got.differences}
    assert {gap.peer for gap in got.differences} == {"nobody"}
    assert found["overall", "iou"].mean == pytest.approx(1 - 0.25)
    assert found["three", "mad"].mean == pytest.approx(-0.7 / 3)
    same = compare({"one": perfect, "other": perfect}, dataset, "val", lambda name, done, total: None)
    assert all((gap.mean, gap.interval) == (0, (0, 0)) for gap in same.differences)


def test_labels_are_short_unless_alike() -> None:
    assert labels(["small", "a/red.onnx", "runs/x"]) == ["small", "red", "runs/x"]
    assert labels(["a/red.onnx", "b/red.onnx"]) == ["a/red.onnx", "b/red.onnx"]
