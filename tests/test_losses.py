"""The losses against plain numpy, by their properties, and at the places where they could break."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

keras = pytest.importorskip("keras", reason="training needs pip install 'figureground[train]'")
tf = pytest.importorskip("tensorflow", reason="gradients are taken with Keras' tensorflow backend")

from figureground.training.loss_terms import LOSSES as NAMES  # noqa: E402
from figureground.training.losses import cross_entropy, dice, focal, iou, lovasz_hinge, make_loss  # noqa: E402

Array = NDArray[np.float64]
LOSSES = {name: make_loss(name) for name in NAMES}
LOSSES |= {"bce+0.5*dice": make_loss("bce+0.5*dice"), "weighted": make_loss("bce+0.5*dice", 2.0)}


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


def numpy_iou(mask: Array, logits: Array) -> float:
    each = []
    for one, guess in zip(mask, 1 / (1 + np.exp(-logits)), strict=True):
        both, smooth = (guess * one).sum(), 0.01 * one.size
        each.append(1 - (both + smooth) / ((guess + one - guess * one).sum() + smooth))
    return float(np.mean(each))


def numpy_focal(mask: Array, logits: Array) -> float:
    """Of hard masks, as Lin et al. write it: -(1 - p_t)^2 log p_t."""
    alpha = 1 / (1 + np.exp(-logits))
    right = np.where(mask == 1, alpha, 1 - alpha)
    return float(np.mean(-((1 - right) ** 2) * np.log(right)))


def jaccard_loss(wrong: NDArray[np.bool_], person: NDArray[np.bool_]) -> float:
    """Equation 6 of Berman et al.: 1 - IoU if the pixels of `wrong`, and no others, are; 0 where none is."""
    return wrong.sum() / (person | wrong).sum() if wrong.any() else 0.0


def numpy_lovasz_hinge(mask: Array, logits: Array) -> float:
    """Equations 8 and 9: the hinges in falling order, each times what its pixel adds to the loss of those before it."""
    each = []
    for one, guess in zip(mask.reshape(len(mask), -1), logits.reshape(len(mask), -1), strict=True):
        person = one >= 0.5
        hinges = np.maximum(1 - guess * np.where(person, 1, -1), 0)
        wrong, before, total = np.zeros(person.shape, bool), 0.0, 0.0
        for pixel in np.argsort(-hinges):
            wrong[pixel] = True
            after = jaccard_loss(wrong, person)
            total += hinges[pixel] * (after - before)
            before = after
        each.append(total)
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


@pytest.mark.parametrize("seed", range(3))
def test_iou(seed: int) -> None:
    mask, logits = sample(seed)
    assert value(iou, mask, logits) == pytest.approx(numpy_iou(mask, logits), rel=1e-5)


def test_hard_iou_is_the_iou() -> None:
    """A third of the union is shared; the smoothing of 1 % of the picture moves it a little."""
    mask, logits = np.zeros((1, 32, 32, 1)), np.full((1, 32, 32, 1), -50.0)
    mask[:, 8:24], logits[:, :16] = 1, 50.0
    assert value(iou, mask, logits) == pytest.approx(1 - 8 / 24, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_focal(seed: int) -> None:
    mask, logits = sample(seed)
    hard = (mask > 0.5).astype(np.float64)
    assert value(focal, hard, logits) == pytest.approx(numpy_focal(hard, logits), rel=1e-5)


def test_focal_heeds_the_hard_pixels() -> None:
    """Lin et al., figure 1: at p_t = 0.9 the loss is a hundredth of the cross-entropy, at 0.1 nearly all of it."""
    mask = np.ones((1, 1, 1, 1))
    for right, share in ((0.9, 0.01), (0.1, 0.81)):
        logits = np.full_like(mask, np.log(right / (1 - right)))
        assert value(focal, mask, logits) == pytest.approx(share * value(cross_entropy(), mask, logits), rel=1e-4)


@pytest.mark.parametrize("name", ["bce", "focal"])
@pytest.mark.parametrize("soft", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_soft_pixels_are_best_matched(name: str, soft: float) -> None:
    alphas = np.linspace(0.05, 0.95, 19)
    mask = np.full((1, 1, 1, 1), soft)
    costs = [value(LOSSES[name], mask, np.full_like(mask, np.log(a / (1 - a)))) for a in alphas]
    assert alphas[int(np.argmin(costs))] == pytest.approx(np.clip(soft, 0.05, 0.95))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_lovasz_hinge_is_the_papers(seed: int, height: int, width: int, covered: float) -> None:
    rng = np.random.default_rng(seed)
    mask = (rng.random((2, height, width, 1)) < covered).astype(np.float64)
    logits = rng.normal(0, 3, mask.shape)
    logits = logits.round() if seed % 2 else logits  # ties, too: their order must not matter
    assert value(lovasz_hinge, mask, logits) == pytest.approx(numpy_lovasz_hinge(mask, logits), rel=1e-5, abs=1e-6)


def test_lovasz_hinge_keeps_its_digits_in_large_pictures() -> None:
    mask, logits = sample(8, (96, 96))
    assert value(lovasz_hinge, mask, logits) == pytest.approx(numpy_lovasz_hinge(mask, logits), rel=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_lovasz_hinge_bounds_the_iou_from_above(seed: int) -> None:
    mask, logits = (each[:1] for each in sample(seed))
    person, wrong = mask >= 0.5, (logits > 0) != (mask >= 0.5)
    assert value(lovasz_hinge, mask, logits) >= jaccard_loss(wrong, person)


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
    assert value(make_loss("dice", weight), mask, logits) == pytest.approx(numpy_dice(mask, logits), rel=1e-5)
    wanted = bce + 0.5 * numpy_dice(mask, logits)
    assert value(make_loss("bce+0.5*dice", weight), mask, logits) == pytest.approx(wanted, rel=1e-5)


def test_a_sum_is_the_sum_of_its_terms() -> None:
    mask, logits = sample(6)
    wanted = sum(0.25 * (number + 1) * value(LOSSES[name], mask, logits) for number, name in enumerate(NAMES))
    text = "+".join(f"{0.25 * (number + 1)}*{name}" for number, name in enumerate(NAMES))
    assert value(make_loss(text), mask, logits) == pytest.approx(wanted, rel=1e-5)


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
    steady = name != "lovasz"  # whose pixels count by their rank: here, those after the last of the person do not
    assert np.all(gradient[mask == 1] < 0 if steady else gradient[mask == 1] <= 0), "more person where there is one"
    assert np.all(gradient[mask == 0] > 0 if steady else gradient[mask == 0] >= 0)
    assert gradient[mask == 1].any()


def test_false_person_in_an_empty_picture_costs() -> None:
    """Dice alone hardly punishes it, which is why it never stands alone in a recipe."""
    empty, some = np.zeros((1, 32, 32, 1)), np.full((1, 32, 32, 1), -20.0)
    some[:, :8] = 20
    for leniently in (dice, iou):
        assert value(make_loss("bce+0.5*dice"), empty, some) > value(leniently, empty, some) + 2


masks_and_logits = st.tuples(
    st.integers(0, 2**31), st.sampled_from([0.0, 0.02, 0.5, 1.0]), st.sampled_from([0.1, 3, 40])
)


def drawn(seed: int, covered: float, spread: float) -> tuple[Array, Array]:
    """Hard masks of one size, so that Keras makes each operation once."""
    rng = np.random.default_rng(seed)
    return (rng.random((2, 6, 8, 1)) < covered).astype(np.float64), rng.normal(0, spread, (2, 6, 8, 1))


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(masks_and_logits)
def test_range_and_finite_gradients(name: str, given_: tuple[int, float, float]) -> None:
    cost, gradient = loss_and_gradient(LOSSES[name], *drawn(*given_))
    assert cost >= -1e-6
    assert np.isfinite(cost)
    assert np.isfinite(gradient).all()
    if name in ("dice", "iou"):
        assert cost < 1


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(masks_and_logits, st.sampled_from([(1,), (2,), (1, 2)]))
def test_flips_change_nothing(name: str, given_: tuple[int, float, float], axes: tuple[int, ...]) -> None:
    mask, logits = drawn(*given_)
    flipped = value(LOSSES[name], np.flip(mask, axes), np.flip(logits, axes))
    assert flipped == pytest.approx(value(LOSSES[name], mask, logits), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(masks_and_logits, st.floats(0, 5))
def test_nearer_the_mask_never_costs_more(name: str, given_: tuple[int, float, float], step: float) -> None:
    mask, logits = drawn(*given_)
    better = logits + step * (2 * mask - 1)
    assert value(LOSSES[name], mask, better) <= value(LOSSES[name], mask, logits) + 1e-5


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_losses_are_the_same_on_every_backend(backend: str) -> None:
    """In a process of its own: Keras takes its backend once."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = (
        "import sys, numpy as np\n"
        "from figureground.training.losses import make_loss\n"
        "rng = np.random.default_rng(0)\n"
        "mask = (rng.random((2, 12, 10, 1)) < 0.4).astype('float32')\n"
        "logits = rng.normal(0, 3, mask.shape).astype('float32')\n"
        "from keras import ops\n"
        "mask, logits = ops.convert_to_tensor(mask), ops.convert_to_tensor(logits)\n"
        "print(*[float(make_loss(text, 2.0)(mask, logits)) for text in sys.argv[1:]])"
    )
    texts = [*NAMES, "bce+0.5*dice"]
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", script, *texts], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(0)
    mask = (rng.random((2, 12, 10, 1)) < 0.4).astype(np.float64)
    logits = rng.normal(0, 3, mask.shape)
    wanted = [value(make_loss(text, 2.0), mask, logits) for text in texts]
    assert [float(part) for part in done.stdout.split()] == pytest.approx(wanted, rel=1e-5)
