"""The two networks and their batch normalisation."""

from __future__ import annotations

import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

keras = pytest.importorskip("keras", reason="training needs pip install 'figureground[train]'")
tf = pytest.importorskip("tensorflow", reason="batch normalisation is fused on Keras' tensorflow backend")

from figureground.errors import TrainingError  # noqa: E402
from figureground.training.blocks import FusedBatchNorm  # noqa: E402
from figureground.training.config import Recipe  # noqa: E402
from figureground.training.model import build_network, load_model  # noqa: E402
from figureground.training.unet import classic_unet, light_unet, logits_model  # noqa: E402

Array = NDArray[np.float32]


def pictures(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def alpha(model: Any, frames: NDArray[np.uint8]) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(model(frames, training=False)))


@pytest.fixture(scope="module")
def light() -> Any:
    keras.utils.set_random_seed(3)
    return light_unet()


def classic_parameters() -> int:
    """Of a U-Net of two 3x3 convolutions a level, counted by hand."""
    widths, count = [3, 64, 128, 256, 512, 1024], 0
    for before, after in pairwise(widths):
        count += 9 * before * after + after + 9 * after * after + after
    for after in widths[4:0:-1]:
        count += 4 * 2 * after * after + after  # transposed convolution, halving the channels
        count += 9 * 2 * after * after + after + 9 * after * after + after
    return count + 64 + 1


def test_classic_is_the_starting_point() -> None:
    model = classic_unet()
    assert model.count_params() == classic_parameters()
    assert 30.9e6 < model.count_params() < 31.1e6
    assert model.input_shape == (None, 256, 256, 3)
    assert model.output_shape == (None, 256, 256, 1)
    assert model.layers[-1].activation is keras.activations.sigmoid
    out = alpha(model, pictures(1, 256, 256))
    assert out.dtype == np.float32
    assert 0 <= out.min() < out.max() <= 1
    dropped = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropped == [0.3, 0.3]


def test_classic_of_another_width_and_size() -> None:
    model = build_network(Recipe("x", network="classic", width=1 / 16, dropout=0.1))
    assert alpha(model, pictures(2, 48, 80)).shape == (2, 48, 80, 1)
    assert classic_unet(1e-9, size=(16, 16)).count_params() > 0, "never less than one channel"


@pytest.mark.parametrize("size", [(32, 32), (32, 160), (96, 64)])
def test_light_takes_any_multiple_of_32(light: Any, size: tuple[int, int]) -> None:
    out = alpha(light, pictures(2, *size))
    assert out.shape == (2, *size, 1)
    assert out.dtype == np.float32
    assert 0 <= out.min() < out.max() <= 1


def test_light_is_light(light: Any) -> None:
    assert light.count_params() < 1_000_000
    assert light.name == build_network(Recipe("x")).name
    assert light_unet(size=(64, 96)).output_shape == (None, 64, 96, 1)


def test_pictures_of_a_batch_do_not_influence_each_other(light: Any) -> None:
    frames = pictures(3, 64, 64)
    together = alpha(light, frames)
    for number in range(3):
        assert np.abs(alpha(light, frames[number : number + 1])[0] - together[number]).max() < 1e-5


@pytest.mark.parametrize("name", ["light", "small", "base", "classic"])
def test_logits_share_the_weights(name: str) -> None:
    model = build_network(Recipe("x", network=name, width=1 / 16))
    logits = logits_model(model)
    frames = pictures(1, 32, 32)
    assert np.abs(1 / (1 + np.exp(-alpha(logits, frames))) - alpha(model, frames)).max() < 1e-6
    model.get_layer("logits").bias.assign([5.0])
    assert np.abs(1 / (1 + np.exp(-alpha(logits, frames))) - alpha(model, frames)).max() < 1e-6
    assert [w.shape for w in logits.get_weights()] == [w.shape for w in model.get_weights()]


def test_alpha_is_float32_under_mixed_precision() -> None:
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = light_unet()
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    assert model.layers[3].compute_dtype == "bfloat16"
    assert model.get_layer("logits").compute_dtype == model.get_layer("alpha").compute_dtype == "float32"
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    out = alpha(model, pictures(1, 32, 32))
    assert out.dtype == np.float32
    assert len(np.unique(out)) > 256, "no bands"


def normalisers(dtype: str = "float32") -> tuple[Any, Any]:
    """Ours and Keras' own, with the same weights, none of which is at its first value."""
    rng = np.random.default_rng(1)
    made = []
    for kind in (FusedBatchNorm, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, epsilon=1e-3, dtype=dtype)
        layer.build((None, None, None, 5))
        made.append(layer)
    weights = [rng.uniform(0.5, 1.5, (5,)).astype(np.float32) for _ in range(4)]
    for layer in made:
        layer.set_weights(weights)
    return made[0], made[1]


def activations(dtype: str = "float32") -> Any:
    rng = np.random.default_rng(2)
    return tf.cast(rng.normal(1.5, 2.0, (3, 6, 4, 5)), dtype)


def test_fused_norm_trains_as_keras_does() -> None:
    ours, theirs = normalisers()
    x, pull = activations(), tf.constant(np.random.default_rng(3).normal(0, 1, (3, 6, 4, 5)), tf.float32)
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            cost = tf.reduce_sum(y * pull)
        gradients = tape.gradient(cost, [x, layer.gamma.value, layer.beta.value])
        results.append([y.numpy(), *(g.numpy() for g in gradients)])
    for mine, wanted in zip(*results, strict=True):
        assert np.ptp(wanted) > 0.1
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-4)


def test_fused_norm_keeps_statistics_as_keras_does() -> None:
    ours, theirs = normalisers()
    x = activations()
    first_mean, first_variance = theirs.get_weights()[2:]
    for layer in (ours, theirs):
        layer(x, training=True)
    np.testing.assert_allclose(ours.moving_mean.numpy(), theirs.moving_mean.numpy(), rtol=1e-5)
    assert np.abs(ours.moving_mean.numpy() - first_mean).min() > 0.01
    # The fused kernel keeps the unbiased variance (Bessel's correction), Keras the biased one.
    count = 3 * 6 * 4
    biased = (theirs.moving_variance.numpy() - 0.9 * first_variance) / 0.1
    wanted = 0.9 * first_variance + 0.1 * biased * count / (count - 1)
    np.testing.assert_allclose(ours.moving_variance.numpy(), wanted, rtol=1e-5)


def test_fused_norm_infers_as_keras_does() -> None:
    ours, theirs = normalisers()
    before = ours.get_weights()
    for training in (False, None):
        np.testing.assert_allclose(ours(activations(), training=training), theirs(activations()), rtol=1e-5, atol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))


def test_frozen_fused_norm_infers_while_training() -> None:
    ours, theirs = normalisers()
    before = ours.get_weights()
    ours.trainable = False
    np.testing.assert_allclose(ours(activations(), training=True), theirs(activations()), rtol=1e-5, atol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))


def test_fused_norm_keeps_float32_statistics_under_mixed_precision() -> None:
    ours, exact = normalisers("mixed_bfloat16")[0], normalisers()[0]
    x = activations("bfloat16")
    assert ours(x, training=True).dtype == "bfloat16"
    exact(tf.cast(x, "float32"), training=True)
    for mine, wanted in zip(ours.get_weights()[2:], exact.get_weights()[2:], strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-4)


@pytest.mark.parametrize("name", ["light", "small", "base", "classic"])
def test_saved_network_loads_in_safe_mode(tmp_path: Path, name: str) -> None:
    model = build_network(Recipe("x", network=name, width=1 / 16))
    path = tmp_path / "best.keras"
    model.save(path)
    loaded = load_model(path)
    frames = pictures(1, 64, 32)
    assert np.array_equal(alpha(loaded, frames), alpha(model, frames))
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    assert any(isinstance(layer, FusedBatchNorm) for layer in loaded.layers) == (name != "classic")


def with_code(folder: Path) -> None:
    picture = keras.Input((32, 32, 3))
    code = keras.layers.Lambda(lambda x: x * 2, output_shape=(32, 32, 3))
    keras.Model(picture, code(picture)).save(folder / "x.keras")


def cut(folder: Path) -> None:
    light_unet().save(folder / "x.keras")
    content = (folder / "x.keras").read_bytes()
    (folder / "x.keras").write_bytes(content[: len(content) // 2])


def flipped(folder: Path) -> None:
    light_unet().save(folder / "x.keras")
    with zipfile.ZipFile(folder / "x.keras") as file:
        place = file.getinfo("config.json").header_offset + 200
    content = bytearray((folder / "x.keras").read_bytes())
    content[place] ^= 0xFF
    (folder / "x.keras").write_bytes(content)


@pytest.mark.parametrize(
    "make", [with_code, cut, flipped, lambda folder: (folder / "x.keras").write_bytes(b"hello"), lambda folder: None]
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, make: Any) -> None:
    make(tmp_path)
    with pytest.raises(TrainingError, match=r"x\.keras: not a Keras model") as error:
        load_model(tmp_path / "x.keras")
    assert "\n" not in str(error.value)
