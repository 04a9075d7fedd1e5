"""Whatever decides what a result is tells it apart: spans of other weights are never joined, old results not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from figureground.batch import content, replace
from figureground.batch.content import model_hashes
from figureground.batch.options import Options
from figureground.batch.plan import Job
from figureground.batch.spans import work_folder
from figureground.batch.worker import Worker
from figureground.engine import shipped_models
from figureground.images import write_image
from networks import Shape, save_network
from scenes import RED, plain
from videos import counting, make_video

SIZE = 'size = [32, 32]\nlayout = "NHWC"\n'


def told(folder: Path, model: str | Path) -> tuple[str, str]:
    """What the folder of spans is called, and the manifest's hash of what was asked."""
    options = Options("composite", "#000000", str(model))
    return work_folder(Job(folder / "in.mp4", folder / "out.mp4"), options).name, Worker(options).fingerprint


def test_a_shipped_model_is_known_by_its_weights_and_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "in.mp4", counting(3))
    small, base = told(tmp_path, "small"), told(tmp_path, "base")
    shipped = shipped_models()
    assert model_hashes("small") == [shipped["small"]["sha256"]]
    monkeypatch.setattr(content, "shipped_models", lambda: {"small": shipped["base"]})
    other = told(tmp_path, "small")
    assert all(len({*each}) == 2 for each in zip(small, other, strict=True))
    assert other == base


@pytest.mark.parametrize("name", ["m.onnx", "m.onnx.toml"])
def test_another_model_is_known_by_its_weights_and_its_description(tmp_path: Path, name: str) -> None:
    """Named by itself or by its description; the same ones elsewhere are the same."""
    make_video(tmp_path / "in.mp4", counting(3))
    seen = []
    for folder, divisor, text in (
        ("a", 255.0, ""),
        ("b", 255.0, ""),
        ("c", 250.0, ""),
        ("d", 255.0, "mean = [0.1, 0, 0]\n"),
    ):
        (tmp_path / folder).mkdir()
        save_network(tmp_path / folder / "m.onnx", Shape(input_type="FLOAT", squeeze=False, divisor=divisor))
        more = 'model = "m.onnx"\n' if name.endswith("toml") else ""
        (tmp_path / folder / "m.onnx.toml").write_text(f"{more}{SIZE}{text}", encoding="utf-8")
        seen.append(told(tmp_path, tmp_path / folder / name))
    assert seen[0] == seen[1]
    assert len({folder for folder, _ in seen}) == len({asked for _, asked in seen}) == 3


def test_weights_beside_an_openvino_file_count(tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_text("<net/>")
    (tmp_path / "m.bin").write_bytes(b"some")
    before = model_hashes(str(tmp_path / "m.xml"))
    (tmp_path / "m.bin").write_bytes(b"others")
    assert len(before) == 2
    assert model_hashes(str(tmp_path / "m.xml")) != before


def test_another_description_makes_a_folder_anew(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", plain(8, 8, RED))
    save_network(tmp_path / "m.onnx", Shape(input_type="FLOAT", squeeze=False))
    text, status = tmp_path / "m.onnx.toml", []
    for mean in ("0", "0", "0.5"):
        text.write_text(f"{SIZE}mean = [{mean}, 0, 0]\n", encoding="utf-8")
        (result,) = replace(tmp_path / "in", "#000000", tmp_path / "out", model=tmp_path / "m.onnx")
        status.append(result.status)
    assert status == ["done", "kept", "done"]
