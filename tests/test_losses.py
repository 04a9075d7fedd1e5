"""The losses against plain numpy, and at the places where they could break."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

keras = pytest.importorskip("keras", reason="training needs pip install 'figureground[train]'")
tf = pytest.importorskip("tensorflow", reason="gradients are taken with Keras' tensorflow backend")

from figureground.training.losses import cross_entropy, dice, make_loss  # noqa: E402

Array = NDArray[np.float64]
LOSSES = {
    "bce": make_loss("bce"),
    "bce_dice": make_loss("bce_dice"),
    "weighted": make_loss("bce_dice", 2.0),
    "dice": dice,
}


def sample(seed: int = 0, size: tuple[int, int] = (24, 32)) -> tuple[Array, Array]:
    """Soft masks with blobs, and logits that have little to do with them; (3, H, W, 1)."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.random((3, *size)), (0, 3, 3))
    return np.clip((noise - 0.5) * 40 + 0.5, 0, 1)[..., None], rng.normal(0, 3, (3, *size, 1))


def value(loss: Any, mask: Array, logits: Array) -> float:
    return float(loss(mask.astype(np.float32), logits.astype(np.float32)))


def numpy_cross_entropy(mask: Array, logits: Array) -> Array:
    alpha = 1 / (1 + np.exp(-logits))
    return -(mask * np.log(alpha) + (1 - mask) * np.log(1 - alpha))


def numpy_dice(mask: Array, logits: Array) -> float:
    each = []
    for one, guess in zip(mask, 1 / (1 + np.exp(-logits)), strict=True):
        smooth = 0.01 * one.size
        each.append(1 - (2 * (guess * one).sum() + smooth) / (guess.sum() + one.sum() + smooth))
    return float(np.mean(each))


def numpy_edge(mask: Array) -> Array:
    size = (1, 5, 5, 1)
    high = ndimage.maximum_filter(mask, size, mode="constant", cval=-np.inf)
    low = ndimage.minimum_filter(mask, size, mode="constant", cval=np.inf)
    edge: Array = high - low
    return edge


@pytest.mark.parametrize("seed", range(3))
def test_cross_entropy(seed: int) -> None:
    mask, logits = sample(seed)
    assert value(cross_entropy(), mask, logits) == pytest.approx(numpy_cross_entropy(mask, logits).mean(), rel=1e-5)


def test_cross_entropy_by_hand() -> None:
    mask = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    assert value(cross_entropy(), mask, np.zeros((1, 1, 2, 1))) == pytest.approx(np.log(2))
    assert value(cross_entropy(), mask, np.array([2.0, 2.0]).reshape(1, 1, 2, 1)) == pytest.approx(
        (np.log(1 + np.exp(-2)) + np.log(1 + np.exp(2))) / 2
    )


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_boundary_weight(weight: float) -> None:
    mask, logits = sample(4)
    pixels = 1 + weight * numpy_edge(mask)
    wanted = (numpy_cross_entropy(mask, logits) * pixels).sum() / pixels.sum()
    assert value(cross_entropy(weight), mask, logits) == pytest.approx(wanted, rel=1e-5)


def test_boundary_weight_raises_the_cost_of_errors_at_edges_only() -> None:
    mask = np.zeros((1, 32, 32, 1))
    mask[:, :, 16:] = 1
    right = np.where(mask == 1, 4.0, -4.0)
    at_edge, far_away = right.copy(), right.copy()
    at_edge[:, :, 15] *= -1
    far_away[:, :, 4] *= -1
    plain = [value(cross_entropy(0.0), mask, logits) for logits in (at_edge, far_away)]
    weighted = [value(cross_entropy(2.0), mask, logits) for logits in (at_edge, far_away)]
    assert plain[0] == pytest.approx(plain[1], rel=1e-5)
    assert weighted[0] > 2 * weighted[1]
    assert weighted[0] > plain[0] > weighted[1]


@pytest.mark.parametrize("seed", range(3))
def test_dice(seed: int) -> None:
    mask, logits = sample(seed)
    assert value(dice, mask, logits) == pytest.approx(numpy_dice(mask, logits), rel=1e-5)


def test_dice_is_a_mean_over_pictures() -> None:
    """Not over all pixels together: a picture with a small person counts as much as one with a large person."""
    small, large = np.zeros((1, 32, 32, 1)), np.ones((1, 32, 32, 1))
    small[:, :4, :4] = 1
    masks, logits = np.concatenate([small, large]), np.full((2, 32, 32, 1), -20.0)
    each = [value(dice, mask, logits[:1]) for mask in (small, large)]
    assert value(dice, masks, logits) == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_losses_by_name(weight: float) -> None:
    mask, logits = sample(5)
    bce = value(cross_entropy(weight), mask, logits)
    assert value(make_loss("bce", weight), mask, logits) == pytest.approx(bce)
    wanted = bce + 0.5 * numpy_dice(mask, logits)
    assert value(make_loss("bce_dice", weight), mask, logits) == pytest.approx(wanted, rel=1e-5)


def loss_and_gradient(loss: Any, mask: Array, logits: Array) -> tuple[float, Array]:
    given = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        cost = loss(tf.constant(mask, tf.float32), given)
    return float(cost), np.asarray(tape.gradient(cost, given))


EXTREMES = [-1e30, -1e4, -90.0, 0.0, 90.0, 1e4, 1e30]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("logits", [[-1e30], [0.0], [1e30], EXTREMES])
def test_empty_and_full_masks_and_extreme_logits_are_finite(name: str, logits: list[float]) -> None:
    masks = np.repeat([0.0, 0.5, 1.0], 64).reshape(3, 8, 8, 1)
    for mask in (masks[:1], masks):  # an empty picture alone, too
        cost, gradient = loss_and_gradient(LOSSES[name], mask, np.resize(logits, mask.shape))
        assert np.isfinite(cost)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_right_answers_cost_nothing_and_wrong_ones_do(name: str) -> None:
    mask = (sample(6)[0] > 0.5).astype(np.float64)
    assert value(LOSSES[name], mask, np.where(mask == 1, 50.0, -50.0)) == pytest.approx(0, abs=1e-5)
    assert value(LOSSES[name], mask, np.where(mask == 1, -50.0, 50.0)) > 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_points_the_right_way(name: str) -> None:
    mask = (sample(7)[0] > 0.5).astype(np.float64)
    gradient = loss_and_gradient(LOSSES[name], mask, np.zeros_like(mask))[1]
    assert np.all(gradient[mask == 1] < 0), "more person where there is one"
    assert np.all(gradient[mask == 0] > 0)


def test_false_person_in_an_empty_picture_costs() -> None:
    """Dice alone hardly punishes it, which is why it never stands alone in a recipe."""
    empty, some = np.zeros((1, 32, 32, 1)), np.full((1, 32, 32, 1), -20.0)
    some[:, :8] = 20
    assert value(make_loss("bce_dice"), empty, some) > value(dice, empty, some) + 2
