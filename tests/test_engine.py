"""The engine finds people with the shipped model, and loads nothing that is not a model of its kind."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import figureground.engine
import figureground.models
from figureground.arrays import Frame
from figureground.engine import SESSIONS, Engine, shipped_models
from figureground.errors import ArrayError, ModelError
from figureground.sessions import usable_devices
from networks import Shape, save_network
from scenes import BLUE, RED, noise, plain


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (2000, 30), (30, 2000), (256, 256), (1280, 720), (33, 31), (5, 400)]
)
def test_a_frame_of_any_size_has_an_alpha_of_its_size(engine: Engine, width: int, height: int) -> None:
    alpha = engine(noise(width, height))
    assert alpha.shape == (height, width)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255))
@settings(deadline=None, max_examples=10)
def test_a_frame_of_any_shape_and_brightness_has_an_alpha(engine: Engine, width: int, height: int, level: int) -> None:
    alpha = engine(np.full((height, width, 3), level, np.uint8))
    assert alpha.shape == (height, width)
    assert np.isfinite(alpha).all()


def test_the_astronaut_is_found(engine: Engine, astronaut: Frame) -> None:
    alpha = engine(astronaut)
    face, corner = alpha[40:75, 98:125], alpha[:50, 215:]
    assert face.mean() > 0.9
    assert corner.mean() < 0.1


def test_the_astronaut_is_found_at_any_aspect_ratio(engine: Engine, astronaut: Frame) -> None:
    wide = np.pad(astronaut, ((0, 0), (200, 200), (0, 0)), mode="edge")
    alpha = engine(wide)
    assert alpha[40:75, 298:325].mean() > 0.9
    assert alpha[:50, 415:456].mean() < 0.1


def test_nobody_is_found_in_a_plain_wall(engine: Engine) -> None:
    assert engine(plain(320, 180, (180, 175, 160))).mean() < 0.02


def test_the_same_frame_has_the_same_alpha(engine: Engine, astronaut: Frame) -> None:
    first = engine(astronaut)
    engine(noise(256, 256))
    np.testing.assert_array_equal(engine(astronaut), first)
    np.testing.assert_array_equal(Engine("small")(astronaut), first)


def test_an_alpha_is_not_overwritten_by_the_next(engine: Engine, astronaut: Frame) -> None:
    first = engine(astronaut)
    kept = first.copy()
    engine(noise(256, 256))
    np.testing.assert_array_equal(first, kept)


def test_the_frame_is_left_as_it_is(engine: Engine, astronaut: Frame) -> None:
    frame = astronaut.copy()
    frame.flags.writeable = False
    engine(frame)
    np.testing.assert_array_equal(frame, astronaut)


def test_a_view_of_a_frame_has_the_alpha_of_its_copy(engine: Engine, astronaut: Frame) -> None:
    view = astronaut[10:200, ::-1]
    np.testing.assert_array_equal(engine(view), engine(view.copy()))


def test_the_network_sees_red_first(red_finder: Path) -> None:
    engine = Engine(red_finder)
    assert engine(plain(50, 40, RED)).min() == 1
    assert engine(plain(50, 40, BLUE)).max() == 0


def test_the_size_in_the_metadata_is_the_longest_side_of_the_input(red_finder: Path) -> None:
    engine = Engine(red_finder)
    engine(noise(640, 360))
    assert engine.size == 64
    assert engine.metadata["size"] == "64"
    assert {(64, 64)} == set(engine._sessions) - {(32, 32)}


def test_only_the_last_few_input_shapes_are_kept(red_finder: Path) -> None:
    engine = Engine(red_finder)
    for height in range(32, 513, 32):
        engine.run(noise(512, height))
    assert list(engine._sessions) == [(height, 512) for height in range(512 - 32 * (SESSIONS - 1), 513, 32)]


def test_a_model_of_fixed_size_runs_on_any_frame(tmp_path: Path) -> None:
    engine = Engine(save_network(tmp_path / "fixed.onnx", Shape(input=("batch", 64, 96, 3))))
    frame = plain(30, 50, BLUE)
    frame[10:40, 10:20] = RED
    alpha = engine(frame)
    assert alpha.shape == (50, 30)
    assert alpha[15:35, 13:17].min() == 1
    assert alpha[:, :6].max() == alpha[:, -6:].max() == 0
    engine(noise(300, 20))
    assert list(engine._sessions) == [(64, 96)]


@pytest.mark.parametrize("sides", [(10**6, 64), (64, 10**6)])
def test_a_model_of_enormous_size_is_refused(tmp_path: Path, sides: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=r"its input is \d+ pixels wide, \d+ high; want 1 to 4096"):
        Engine(save_network(tmp_path / "fixed.onnx", Shape(input=(1, *sides, 3))))


@pytest.mark.parametrize("frame", [None, np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_frame_is_refused(engine: Engine, frame: object) -> None:
    with pytest.raises(ArrayError):
        engine(frame)  # type: ignore[arg-type]


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"huge: no such model; use small, base, an \.onnx file, or a run"):
        Engine("huge")


@pytest.mark.parametrize("name", ["model.tflite", "model.h5", "model"])
def test_a_model_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ModelError, match=r"not an \.onnx file; make one with `figureground export RUN`"):
        Engine(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"no model at all\n", bytes(range(256)) * 40])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a model ONNX Runtime can load") as caught:
        Engine(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(ModelError, match="no such model"):
        Engine(tmp_path / "model.onnx")


def test_half_a_model_is_refused(tmp_path: Path, red_finder: Path) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(red_finder.read_bytes()[:-150])
    with pytest.raises(ModelError, match="not a model ONNX Runtime can load"):
        Engine(path)


WRONG = {
    "name": (Shape(input_name="pixels"), "its input is pixels: "),
    "float": (Shape(input_type="FLOAT"), r"its input is image: tensor\(float\)"),
    "grey": (Shape(input=("batch", "height", "width", 1)), "cannot run on a picture"),
    "planes": (Shape(input=("batch", 3, "height", "width")), "cannot run on a picture|its output is"),
    "channel": (Shape(squeeze=False), r"its output is float32 \(1, 32, 32, 1\)"),
    "integer": (Shape(output_type="UINT8"), r"its output is uint8 \(1, 32, 32\)"),
    "two": (Shape(outputs=2), "its output is"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_model_of_another_shape_is_refused_with_its_shape(tmp_path: Path, name: str) -> None:
    shape, reason = WRONG[name]
    with pytest.raises(ModelError, match=reason) as caught:
        Engine(save_network(tmp_path / "wrong.onnx", shape))
    assert "want input uint8 (1, height, width, 3) and output float32 (1, height, width)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", ["0", "16", "5000", "many", "-64", "2.5", ""])
def test_a_size_that_cannot_be_is_refused(tmp_path: Path, size: str) -> None:
    with pytest.raises(ModelError, match="size"):
        Engine(save_network(tmp_path / "size.onnx", metadata={"size": size}))


def test_a_network_that_says_no_number_is_refused(tmp_path: Path) -> None:
    engine = Engine(save_network(tmp_path / "nan.onnx", Shape(divisor=0.0)))
    with pytest.raises(ModelError, match="a value that is no number; the model is broken"):
        engine(plain(40, 30, (0, 0, 0)))


def test_an_altered_shipped_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the package's models stands in for the package: the shipped file itself is not touched."""
    models = Path(figureground.engine.__file__).parent / "models"
    package = tmp_path / "figureground"
    shutil.copytree(models, package / "models", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(figureground.engine.resources, "files", lambda _: package / "models")
    Engine("small")
    path = package / "models" / str(shipped_models()["small"]["file"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"altered since it was shipped .*; reinstall figureground"):
        Engine("small")


def test_every_shipped_model_loads_and_is_described() -> None:
    for name, card in shipped_models().items():
        assert Engine(name).path.name == card["file"]
        assert Engine(name).size == card["size"]
        assert card["licence"] == "LicenseRef-figureground-weights"
        assert card["scores"]["overall"]["accuracy"] > 0.955  # what the README says
        page = (Path(figureground.models.__file__).parent / "cards" / f"{name}.md").read_text(encoding="utf-8")
        for source, scores in card["scores"].items():
            assert f"| {source} | {scores['pictures']} | {scores['accuracy']:.4f} | {scores['iou']:.3f} (" in page


def test_threads_that_share_an_engine_get_the_alpha_of_their_own_frame(astronaut: Frame) -> None:
    engine = Engine("small")
    frames = [astronaut, astronaut[:, ::-1].copy()] * 20
    wanted = [engine(frame) for frame in frames[:2]]
    with ThreadPoolExecutor(4) as pool:
        for number, alpha in enumerate(pool.map(engine, frames)):
            assert np.array_equal(alpha, wanted[number % 2])


def test_an_exported_run_folder_is_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx: no such model"):
        Engine(tmp_path)
    shutil.copy(Engine("small").path, tmp_path / "model.onnx")
    assert Engine(tmp_path).path == tmp_path / "model.onnx"


def test_the_processor_is_always_there_and_another_device_never_silently_it() -> None:
    assert "cpu" in usable_devices()
    assert Engine("small", device="cpu").device == "cpu"
    with pytest.raises(ModelError, match=r"--device gpu: want one of cpu, cuda, .*; this ONNX Runtime has cpu"):
        Engine("small", device="gpu")
    missing = next(device for device in ("directml", "coreml") if device not in usable_devices())
    with pytest.raises(ModelError, match=rf"--device {missing}: this ONNX Runtime has only cpu.*: .+"):
        Engine("small", device=missing)


@pytest.mark.parametrize("device", [name for name in usable_devices() if name != "cpu"] or ["none"])
def test_every_other_device_finds_the_astronaut_or_says_why_not(device: str, astronaut: Frame) -> None:
    if device == "none":
        pytest.skip("this ONNX Runtime was made for the CPU only")
    try:
        alpha = Engine("small", device=device)(astronaut)
    except ModelError as error:
        assert device in str(error)  # noqa: PT017
    else:
        assert np.abs(alpha - Engine("small")(astronaut)).max() < 0.02
