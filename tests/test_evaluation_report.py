"""The report: it stands alone, says the figures that were measured, and shows the right pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from figureground.arrays import Alpha, Frame
from figureground.cli import app
from figureground.data.manifest import read_manifest
from figureground.errors import OutputError
from figureground.evaluation import cases, report
from figureground.evaluation.charts import dot_chart, line_chart
from figureground.evaluation.compare import Comparison, compare
from figureground.evaluation.report import load_template, render, write_report
from test_evaluate import command
from test_explore import Reader
from training_data import person, write_manifest, write_picture


def red(frame: Frame) -> Alpha:
    return (frame[..., 0] > 100).astype(np.float32)


def upper_half(frame: Frame) -> Alpha:
    alpha = red(frame)
    alpha[len(alpha) // 2 :] = 0
    return alpha


MODELS = {"red": red, "models/upper.onnx": upper_half}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of two sources, one with a name that would be markup; the last has nobody."""
    folder, rng = tmp_path_factory.mktemp("report"), np.random.default_rng(0)
    rows = []
    for number in range(6):
        frame, matte = person(rng, 60 + number, 50)
        if number == 5:
            frame, matte = frame // 8, matte * 0
        row = write_picture(folder, f"p{number}", frame, matte, source="<b>day" if number % 2 else "night")
        rows.append(row | {"group": "one" if number < 3 else f"g{number}"})
    write_manifest(folder, rows)
    return folder


@pytest.fixture(scope="module")
def comparison(dataset: Path) -> Comparison:
    return compare(MODELS, dataset, "val", lambda name, done, total: None)


@pytest.fixture(scope="module")
def page(comparison: Comparison, dataset: Path) -> str:
    return render(comparison, MODELS, dataset, load_template())


def test_page_stands_alone(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert not reader.all("script", "link", "iframe", "object", "embed", "base", "form")
    for _, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    assert "default-src 'none'" in page
    assert "&lt;b&gt;day" in page
    assert "<b>day" not in page


def test_page_can_be_read_by_all(page: str) -> None:
    reader = Reader(page)
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in reader.all("a"):
        assert link["href"].removeprefix("#") in ids
    assert all(image["alt"] for image in reader.all("img"))
    assert all(drawing["aria-label"] for drawing in reader.all("svg"))
    assert all("tabindex" in each for each in reader.all("div") if each.get("class", "").startswith("scroll"))
    assert reader.all("html")[0]["lang"] == "en"
    assert "prefers-color-scheme: dark" in page


def test_page_says_what_was_measured(page: str, comparison: Comparison) -> None:
    text = " ".join(text for _, text in Reader(page).texts)
    for each in comparison.all:
        assert f"{each.overall.iou:.3f}" in text
        assert f"{each.overall.gradient:.2f}" in text
        assert each.calibration is not None
        assert f"{each.calibration.error:.4f}" in text
    assert "upper is better" not in text, "it never is"
    assert "red is better" in text
    assert "6 pictures of the val split" in " ".join(text.split())


def test_page_of_one_model_and_one_picture(tmp_path: Path) -> None:
    frame, matte = person(np.random.default_rng(1))
    write_manifest(tmp_path, [write_picture(tmp_path, "p", frame, matte)])
    models = {"red": red}
    alone = compare(models, tmp_path, "val", lambda name, done, total: None)
    reader = Reader(render(alone, models, tmp_path, load_template()))
    assert "Difference on the same pictures" not in " ".join(text for _, text in reader.texts)
    assert len(reader.all("img")) == 4, "the worst and the median, drawn twice each"


def test_page_of_pictures_without_anybody(tmp_path: Path) -> None:
    """And a folder whose name is no text."""
    folder = tmp_path / "caf\udce9"
    nothing = np.zeros((10, 20), np.uint8)
    write_manifest(folder, [write_picture(folder, "room", np.dstack([nothing] * 3), nothing)])
    models = {"red": red}
    found = compare(models, folder, "val", lambda *_: None)
    write_report(found, models, folder, tmp_path / "page.html", load_template())
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no person" in page
    assert "By the person's brightness" not in page
    assert "caf\\udce9" in page


def test_worst_is_one_of_a_group(comparison: Comparison) -> None:
    upper = comparison.peers[0]
    rows = cases.worst(upper)
    scores = [upper.pictures[row].mask.iou for row in rows]
    assert scores == sorted(scores)
    assert len({upper.pictures[row].group + upper.pictures[row].source for row in rows}) == len(rows) == 5
    assert scores[0] == min(each.mask.iou for each in upper.pictures)


def test_median_and_furthest_apart(comparison: Comparison) -> None:
    ours, peer = comparison.all
    for row, source in zip(cases.median(peer), peer.sources, strict=True):
        scores = sorted(each.mask.iou for each in peer.pictures if each.source == source)
        assert peer.pictures[row].mask.iou == scores[1]
    assert cases.furthest_apart(peer, ours) == []
    best = cases.furthest_apart(ours, peer)[0]
    gaps = [a.mask.iou - b.mask.iou for a, b in zip(ours.pictures, peer.pictures, strict=True)]
    assert gaps[best] == max(gaps)


def test_faults_are_coloured() -> None:
    frame = np.full((4, 6, 3), 100, np.uint8)
    guess, truth = np.zeros((2, 4, 6), np.bool_)
    guess[:, 1:3] = truth[:, 2:4] = True
    shown = cases.faults(frame, guess, truth)
    invented, both, missed, neither = (shown[0, column].tolist() for column in (1, 2, 3, 5))
    assert invented[2] > 100 > invented[0]
    assert both == [100, 100, 100]
    assert missed[0] > 150 > missed[2]
    assert neither == [60, 60, 60]


def test_drawn_in_two_ways(dataset: Path) -> None:
    item = read_manifest(dataset, "val")[0]
    first, second = cases.draw_outlines(item, np.zeros((50, 60), np.float32))
    assert (first.width, first.height) == (second.width, second.height) == (60, 50)
    assert first.uri != second.uri


def test_dot_chart_places() -> None:
    rows = {"a": [(0.5, (0.4, 0.6)), (0.8, (0.7, 0.9))]}
    chart = dot_chart("IoU", rows, {"a": "3"}, ["x", "y"], "{:.1f}".format)
    assert [tick.label for tick in chart.ticks] == ["0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]
    assert [tick.at for tick in chart.ticks] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    first, second = chart.rows[0].marks
    assert (first.low, first.at, first.high) == pytest.approx((0, 0.2, 0.4))
    assert (second.model, second.says) == (1, "y: 0.8 (0.7 to 0.9)")
    gaps = dot_chart("IoU", {"a": [(-0.1, (-0.2, 0.1))]}, {}, ["x minus y"], "{:+.1f}".format, signed=True)
    assert gaps.zero == pytest.approx(2 / 3)
    assert gaps.rows[0].marks[0].model == 1, "the colour of the peer"
    same = dot_chart("IoU", {"a": [(1.0, (1.0, 1.0))]}, {}, ["x"], "{:.1f}".format)
    assert 0 <= same.rows[0].marks[0].at <= 1


def test_line_chart_places() -> None:
    chart = line_chart("IoU", "alpha", [(0, [0.0, 0.5, 1.0], [0.2, 0.4, 0.6])])
    assert chart.lines[0].points == [pytest.approx((0, 0)), pytest.approx((0.5, 0.5)), pytest.approx((1, 1))]
    assert [tick.label for tick in chart.y_ticks] == ["0.2", "0.3", "0.4", "0.5", "0.6"]


def test_report_on_the_command_line(dataset: Path, red_finder: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "report.html"
    done = command(red_finder, dataset, "--peer", "small", "--output", output, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    (peer,) = result["peers"]
    assert (peer["model"], peer["licence"]) == ("small", "LicenseRef-figureground-weights")
    assert result["licence"] is None  # not ours to tell
    assert {gap["measure"] for gap in result["differences"]} >= {"iou", "connectivity"}
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]
    assert f"{result['overall']['iou']:.3f}" in output.read_text(encoding="utf-8")


def test_table_of_several_models(dataset: Path, red_finder: Path) -> None:
    done = command(red_finder, dataset, "--peer", "small")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["model", "source", "pictures"]
    assert [line.split()[:2] for line in lines[5:7]] == [["red", "overall"], ["small", "overall"]]
    assert [line.partition(":")[0] for line in lines[8:]] == ["red", "small"]
    assert max(map(len, lines)) <= 120


def test_a_report_that_fails_costs_no_figure(
    dataset: Path, red_finder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(report, "write_report", fails)
    with pytest.raises(OutputError):
        app(["evaluate", str(red_finder), str(dataset), "--output", str(tmp_path / "r.html")], standalone_mode=False)
    assert "boundary F" in capsys.readouterr().out


def test_missing_jinja_is_told_before_the_work(dataset: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['jinja2'] = None; from figureground.cli import main; main()"
    line = [sys.executable, "-c", script, "evaluate", "small", str(dataset)]
    done = subprocess.run([*line, "--output", "x.html"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'figureground[train]'" in done.stderr
    assert not list(tmp_path.iterdir())
    assert subprocess.run(line, capture_output=True, cwd=tmp_path).returncode == 0, "it is for the report alone"
