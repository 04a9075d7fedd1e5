"""A Keras network as ONNX: the same numbers, a small graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from figureground.errors import ModelError

onnx = pytest.importorskip("onnx", reason="export needs onnx: pip install 'figureground[train]'")
keras = pytest.importorskip("keras", reason="export needs keras: pip install 'figureground[train]'")
pytest.importorskip("tensorflow", reason="export is tested on Keras' tensorflow backend")

from figureground.training.config import Recipe  # noqa: E402
from figureground.training.export import to_onnx  # noqa: E402
from figureground.training.model import build_network  # noqa: E402
from figureground.training.unet import light_unet, logits_model  # noqa: E402

# Keras 3.15's convert_to_numpy under numpy 2.4: nothing this package does.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SIZES = [(96, 160), (160, 96), (64, 64)]


def run_batch(content: bytes, pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    for name, size in zip(("batch", "height", "width"), pictures.shape[:3], strict=True):
        options.add_free_dimension_override_by_name(name, size)
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (alpha,) = session.run(["alpha"], {"image": pictures})
    return np.asarray(alpha)


def pictures(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def randomised(model: Any, seed: int = 0) -> Any:
    """Weights as after a training: no bias, statistic, gamma or beta stays at the 0 or 1 it starts from."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.2, weight.shape))
        elif weight.name in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0.0, 0.3, weight.shape))
    return model


def network(name: str) -> Any:
    keras.utils.set_random_seed(7)
    return randomised(build_network(Recipe("x", network=name, width=1 / 16)))


@pytest.fixture(scope="module")
def light() -> Any:
    return network("light")


@pytest.mark.parametrize("name", ["light", "small", "base", "classic"])
def test_same_numbers_as_keras(name: str) -> None:
    model = network(name)
    content = to_onnx(model).SerializeToString()
    for size in SIZES:
        batch = pictures(2, *size)
        wanted = keras.ops.convert_to_numpy(model(batch, training=False))[..., 0]
        got = run_batch(content, batch)
        assert got.dtype == np.float32
        assert got.shape == (2, *size)
        assert np.abs(got - wanted).max() <= 1e-5
        assert np.ptp(wanted) > 0.05, "an alpha that hardly varies would compare nothing"


def test_zero_padding_comes_after_the_scaling(light: Any) -> None:
    """Black pictures: were the offset folded into the convolution, the border would be wrong."""
    black = np.zeros((1, 64, 96, 3), np.uint8)
    wanted = keras.ops.convert_to_numpy(light(black, training=False))[..., 0]
    assert np.abs(run_batch(to_onnx(light).SerializeToString(), black) - wanted).max() <= 1e-5


@pytest.mark.parametrize(("name", "most"), [("light", 65), ("small", 100), ("base", 130), ("classic", 55)])
def test_graph_is_small(name: str, most: int) -> None:
    nodes = Counter(node.op_type for node in to_onnx(network(name)).graph.node)
    assert not nodes.keys() & {"Tile", "Transpose", "BatchNormalization", "Pad", "Mul", "Shape"}
    assert nodes.total() <= most, nodes


def test_names_and_sizes(light: Any) -> None:
    proto = to_onnx(light)
    assert proto.ir_version <= 10
    assert proto.opset_import[0].version == 17
    ends = [*proto.graph.input, *proto.graph.output]
    dims = {end.name: [d.dim_param or d.dim_value for d in end.type.tensor_type.shape.dim] for end in ends}
    assert dims == {"image": ["batch", "height", "width", 3], "alpha": ["batch", "height", "width"]}


def after(*layers: Any) -> Any:
    """A network of `layers`, one after the other, between a picture and a sigmoid."""
    picture = x = keras.Input((None, None, 3), dtype="uint8", name="image")
    for layer in layers:
        x = layer(x)
    return keras.Model(picture, keras.layers.Activation("sigmoid")(x))


def two_readers(between: float | None) -> Any:
    """A convolution that both batch normalisation and an addition read: folding would change the second."""
    picture = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Conv2D(1, 1)(keras.layers.Rescaling(1 / 255)(picture))
    y = x if between is None else keras.layers.Dropout(between)(x)
    y = keras.layers.Add()([x, keras.layers.BatchNormalization()(y)])
    return keras.Model(picture, keras.layers.Activation("sigmoid")(y))


def shared_layer() -> Any:
    conv = keras.layers.Conv2D(3, 1)
    return after(keras.layers.Rescaling(1 / 255), conv, conv, keras.layers.Conv2D(1, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: after(keras.layers.DepthwiseConv2D(3), keras.layers.Conv2D(1, 1)), "of type DepthwiseConv2D"),
        (lambda: after(keras.ops.absolute, keras.layers.Conv2D(1, 1)), "of type Absolute"),
        (lambda: after(keras.layers.Conv2D(1, 3, strides=2, padding="same")), "strides"),
        (lambda: after(keras.layers.Conv2D(1, 3, dilation_rate=2)), "dilation"),
        (lambda: after(keras.layers.Conv2D(1, 1, activation="gelu")), "activation"),
        (lambda: after(keras.layers.Conv2DTranspose(1, 3, strides=2)), "strides"),
        (lambda: after(keras.layers.Conv2D(1, 1), keras.layers.UpSampling2D(2, interpolation="bilinear")), "bilinear"),
        (lambda: after(keras.layers.Conv2D(1, 1), keras.layers.ReLU(6.0)), "max_value"),
        (lambda: after(keras.layers.Conv2D(1, 1), keras.layers.ZeroPadding2D(1)), "must be Conv2D"),
        (lambda: after(keras.layers.Conv2D(1, 1, activation="relu"), keras.layers.BatchNormalization()), "linear"),
        (lambda: two_readers(None), "nothing else reads"),
        (lambda: two_readers(0.5), "nothing else reads"),
        (shared_layer, "more than once"),
        (lambda: after(keras.layers.Rescaling([0.1, 0.2, 0.3]), keras.layers.Conv2D(1, 1)), "one scale"),
        (
            lambda: after(keras.layers.ZeroPadding2D(1), keras.layers.Rescaling(0.1, 1), keras.layers.Conv2D(1, 1)),
            "one",
        ),
        (lambda: after(keras.layers.Rescaling(0.1), keras.layers.MaxPooling2D(2)), "one picture to one alpha"),
        (lambda: after(keras.layers.Rescaling(0.1), keras.layers.ReLU(), keras.layers.Conv2D(1, 1)), "must be Conv2D"),
        (lambda: after(keras.layers.Conv2D(2, 1)), "one alpha"),
        (lambda: logits_model(light_unet()), "sigmoid"),
    ],
)
def test_refuses_what_it_cannot_spell(make: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        to_onnx(make())


@pytest.mark.parametrize(
    "layers",
    [
        lambda k: [k.Rescaling(0.01, offset=0.5), k.ZeroPadding2D(((0, 1), (2, 3))), k.Conv2D(1, 2, padding="same")],
        lambda k: [k.Rescaling(0.1), k.Rescaling(0.2, offset=0.5), k.Conv2D(1, (3, 5), padding="same")],
        lambda k: [k.Rescaling(0.01), k.Conv2D(4, 3), k.MaxPooling2D(3, 2), k.Conv2DTranspose(1, (2, 3), (2, 3))],
        lambda k: [k.Rescaling(0.01), k.Conv2D(4, 1), k.UpSampling2D((3, 2)), k.Conv2D(1, 3)],
        lambda k: [k.Rescaling(0.01), k.Conv2D(4, 3), k.BatchNormalization(), k.BatchNormalization(), k.Conv2D(1, 1)],
    ],
)
def test_unusual_settings(layers: Any) -> None:
    model = randomised(after(*layers(keras.layers)))
    batch = pictures(2, 37, 43)
    wanted = keras.ops.convert_to_numpy(model(batch, training=False))[..., 0]
    got = run_batch_free(to_onnx(model).SerializeToString(), batch)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-5


def run_batch_free(content: bytes, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """With no size overridden: these networks give another size than they take."""
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["alpha"], {"image": batch})[0])
