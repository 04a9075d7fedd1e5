"""Other people's models by description: networks that hand back their input show what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from figureground.engine import Engine
from figureground.errors import ModelError
from figureground.evaluation.evaluate import evaluate
from figureground.images import read_image, read_matte
from figureground.runtimes.description import Description, described
from figureground.runtimes.peers import DescribedModel, open_model
from networks import save_network
from scenes import noise, plain
from training_data import write_manifest, write_picture

PEERS = Path(__file__).parents[2] / "shared" / "peers"


def mirror(
    path: Path, shape: tuple[int | str, ...], kind: str = "FLOAT", outputs: int = 1, operation: str = "Identity"
) -> Path:
    """An .onnx file whose outputs are its input."""
    onnx = pytest.importorskip("onnx", reason="making models needs onnx: pip install 'figureground[train]'")
    helper, types = onnx.helper, onnx.TensorProto
    names = [f"y{n}" for n in range(outputs)]
    nodes = [helper.make_node(operation, ["x"], [name]) for name in names]
    values = [helper.make_tensor_value_info(name, getattr(types, kind), shape) for name in ["x", *names]]
    graph = helper.make_graph(nodes, "mirror", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def described_mirror(folder: Path, text: str = "", shape: tuple[int | str, ...] = (1, 3, 24, 32)) -> str:
    mirror(folder / "peer.onnx", shape)
    (folder / "peer.onnx.toml").write_text(text, encoding="utf-8")
    return str(folder / "peer.onnx")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", 204 / 255),
        ("channel = 2", 51 / 255),
        ('channels = "BGR"', 51 / 255),
        ("range = [0, 2]\nmean = [1.0, 0, 0]\nstd = [2, 1, 1]", (1.6 - 1) / 2),
        ("range = [-1, 1]", 0.6),
        ("range = [0, 255]\nmean = [203.5, 0, 0]", 0.5),
        ("range = [0, 255]\nmean = [204, 0, 0]\nactivation = 'sigmoid'", 0.5),
        ("activation = 'softmax'", np.exp(0.8) / (np.exp(0.8) + np.exp(0.4) + np.exp(0.2))),
        ("range = [0, 255]", 1.0),  # clipped
    ],
)
def test_values_and_channels(tmp_path: Path, text: str, wanted: float) -> None:
    alpha = open_model(described_mirror(tmp_path, text))(plain(50, 40, (204, 102, 51)))
    assert alpha.shape == (40, 50)
    assert alpha.dtype == np.float32
    assert np.allclose(alpha, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "layout"), [((1, 24, 32, 3), "NHWC"), ((1, 3, 24, 32), "NCHW"), ((1, 3, "h", "w"), "NCHW")]
)
def test_layout_and_size(tmp_path: Path, shape: tuple[int | str, ...], layout: str) -> None:
    frame = noise(32, 24)
    model = open_model(described_mirror(tmp_path, f'layout = "{layout}"\nsize = [32, 24]', shape))
    assert np.allclose(model(frame), frame[:, :, 0] / np.float32(255), atol=1e-6)


def test_letterbox_lies_in_the_middle_and_is_cut_off_again(tmp_path: Path) -> None:
    """A square picture in a 32 x 24 input leaves 4 columns on either side."""
    text = 'fit = "letterbox"\nfill = 255'
    model = DescribedModel(
        Path(described_mirror(tmp_path, text)), described(tmp_path / "peer.onnx")[1] or Description()
    )
    frame = noise(24, 24)
    assert np.allclose(model(frame), frame[:, :, 0] / np.float32(255), atol=1e-6)
    assert model._canvas[:, :4].min() == model._canvas[:, -4:].min() == 255
    assert np.array_equal(model._canvas[:, 4:-4], frame)
    assert model(noise(7, 90)).shape == (90, 7)
    assert np.array_equal(model(frame), model(frame)), "nothing is left of the picture before"


@pytest.mark.parametrize("resize", ["nearest", "area"])
def test_resize_filter(tmp_path: Path, resize: str) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, ::2] = 200
    alpha = open_model(described_mirror(tmp_path, f'resize = "{resize}"'))(frame)
    assert set(np.unique(np.round(alpha * 255))) == ({200} if resize == "nearest" else {100})


def test_description_elsewhere_names_its_model(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    mirror(tmp_path / "models" / "peer.onnx", (1, 3, 24, 32))
    (tmp_path / "peer.toml").write_text('model = "models/peer.onnx"\nchannel = 1\n', encoding="utf-8")
    path, description = described(tmp_path / "peer.toml")
    assert path == tmp_path / "models" / "peer.onnx"
    assert description == Description(layout="NCHW", channel=1)
    assert np.allclose(open_model(str(tmp_path / "peer.toml"))(plain(8, 8, (0, 255, 0))), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chanels = 'BGR'", "'chanels' is no setting; use model, size"),
        ("channels = 'GBR'", "channels = 'GBR'; want RGB or BGR"),
        ("size = 256", "size = 256; want [width, height]"),
        ("size = [256, 0]", "want [width, height], each 1 to 8192"),
        ("std = [1, 0, 1]", "want three numbers, none of them 0"),
        ("mean = [1, 'a', 1]", "want three numbers"),
        ("mean = [nan, 0, 0]", "want three numbers"),
        ("std = [1, inf, 1]", "want three numbers"),
        ("std = [1, 1e-320, 1]", "want three numbers, none of them 0"),
        (f"range = [0, 1{400 * '0'}]", "want [low, high]"),
        (f"range = [0, 1{5000 * '0'}]", "cannot be read"),
        (f"range = {5000 * '['}", "cannot be read"),
        ("range = [0]", "want [low, high]"),
        ("output = -1", "want a whole number from 0"),
        ("fill = 300", "want a number from 0 to 255"),
        ("size = [64, 64]", "its input is [1, 3, 24, 32] NCHW; described as 64x64"),
        ("layout = 'NHWC'", "its input is [1, 3, 24, 32]; want four sizes, NHWC with three channels, N of 1"),
        ("size = ", "cannot be read"),
    ],
)
def test_wrong_description(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ModelError) as error:
        open_model(described_mirror(tmp_path, text))
    assert said in str(error.value)
    assert str(tmp_path / "peer.onnx") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_description_with_a_mark_before_it(tmp_path: Path) -> None:
    assert np.allclose(open_model(described_mirror(tmp_path, "\ufeffchannel = 2"))(plain(8, 8, (0, 0, 255))), 1)


def test_a_description_of_a_shipped_models_name_is_not_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text("channel = 2\n", encoding="utf-8")
    assert isinstance(open_model("small"), Engine)


@pytest.mark.parametrize(
    ("text", "said"), [("output = 3", "it has 1 outputs, described is output 3"), ("channel = 5", "its channel 5")]
)
def test_output_is_not_as_described(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        open_model(described_mirror(tmp_path, text))(plain(8, 8, (1, 2, 3)))


def test_what_is_no_peer(tmp_path: Path) -> None:
    (tmp_path / "no.toml").write_text("channel = 1\n", encoding="utf-8")
    (tmp_path / "gone.toml").write_text('model = "gone.onnx"\n', encoding="utf-8")
    (tmp_path / "text.toml").write_text('model = "text.txt"\n', encoding="utf-8")
    (tmp_path / "bad.onnx").write_bytes(b"hello")
    (tmp_path / "bad.onnx.toml").write_text("", encoding="utf-8")
    described_mirror(tmp_path, "size = [8, 8]", (1, 3, "h", "w"))
    mirror(tmp_path / "half.onnx", (1, 3, 8, 8), "FLOAT16")
    (tmp_path / "half.onnx.toml").write_text("", encoding="utf-8")
    for name, said in {
        "no.toml": "says no model",
        "gone.toml": "gone.onnx: no such file",
        "text.toml": "not a .tflite or .onnx file",
        "bad.onnx": "not a model ONNX Runtime can load",
        "half.onnx": "want one of float32",
        "nothing.toml": "cannot be read",
        "nothing.onnx": "no such model",
    }.items():
        with pytest.raises(ModelError, match=said):
            open_model(str(tmp_path / name))
    free = DescribedModel(tmp_path / "peer.onnx", Description(size=(8, 8), layout="NCHW"))
    assert free(plain(4, 4, (0, 0, 0))).shape == (4, 4)
    with pytest.raises(ModelError, match=r"no fixed size; describe it as size = \[width, height\]"):
        DescribedModel(tmp_path / "peer.onnx", Description(layout="NCHW"))


def test_onnx_without_description_is_ours_or_told_how(tmp_path: Path) -> None:
    assert isinstance(open_model(str(save_network(tmp_path / "ours.onnx"))), Engine)
    mirror(tmp_path / "theirs.onnx", (1, 3, 24, 32))
    with pytest.raises(ModelError, match=r"describe its input in .*theirs\.onnx\.toml"):
        open_model(str(tmp_path / "theirs.onnx"))


def test_a_broken_network_is_noticed(tmp_path: Path) -> None:
    """A square root, of numbers below nought."""
    described_mirror(tmp_path, "range = [-1, 0]")
    model = open_model(str(mirror(tmp_path / "peer.onnx", (1, 3, 24, 32), operation="Sqrt")))
    with pytest.raises(ModelError, match="no number"):
        model(plain(8, 8, (9, 9, 9)))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("mp_selfie.tflite", ""),
        ("mp_landscape.tflite", "size = [256, 144]"),
        ("pphumanseg_v1_lite.onnx", 'range = [-1, 1]\nfit = "letterbox"\nfill = 127\nchannel = 1'),
        (
            "obs_sinet.onnx",
            'channels = "BGR"\nrange = [0, 255]\nmean = [102.89, 111.25, 126.91]\n'
            "std = [16047.15, 16024.1, 16921.8]\nchannel = 1",
        ),
    ],
)
def test_real_peers_find_a_portrait(tmp_path: Path, file: str, text: str, shared_data: Path) -> None:
    if not (PEERS / file).exists():
        pytest.skip(f"no peers here: {PEERS / file} is absent")
    if file.endswith(".tflite"):
        pytest.importorskip("ai_edge_litert", reason="peers need pip install 'figureground[peers]'")
    (tmp_path / "peer.toml").write_text(f'model = "{PEERS / file}"\n{text}\n', encoding="utf-8")
    model = open_model(str(tmp_path / "peer.toml"))
    picture = "eg1800_02374"
    people = shared_data / "people"
    row = write_picture(
        tmp_path / "data",
        picture,
        read_image(people / "images" / f"{picture}.jpg"),
        read_matte(people / "masks" / f"{picture}.png"),
    )
    write_manifest(tmp_path / "data", [row])
    assert evaluate(model, tmp_path / "data").overall.iou > 0.9


def test_mediapipe_described_is_mediapipe_as_before(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="peers need pip install 'figureground[peers]'")
    if not (PEERS / "mp_selfie.tflite").exists():
        pytest.skip(f"no peers here: {PEERS} is absent")
    (tmp_path / "peer.toml").write_text(f'model = "{PEERS / "mp_selfie.tflite"}"\n', encoding="utf-8")
    frame = noise(90, 60)
    assert np.array_equal(
        open_model(str(tmp_path / "peer.toml"))(frame), open_model(str(PEERS / "mp_selfie.tflite"))(frame)
    )
