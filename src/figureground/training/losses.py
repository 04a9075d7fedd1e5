"""What training minimises. All take masks in [0, 1] and logits, (N, H, W, 1) float32, and give a scalar.

Written with `keras.ops`, so that they run on any Keras backend. Every one is finite, with finite gradients,
for masks of nobody, masks of nothing but person, and logits up to 1e30.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from figureground.training.loss_terms import loss_terms

Loss = Callable[[Any, Any], Any]


def cross_entropy(boundary_weight: float = 0.0) -> Loss:
    """Binary cross-entropy, mean over pixels; pixels near the mask's edge count `1 + boundary_weight` fold."""

    def loss(mask: Any, logits: Any) -> Any:
        each = _cross_entropies(mask, logits)
        if boundary_weight == 0.0:
            return ops.mean(each)
        weight = 1.0 + boundary_weight * _edge(mask)
        return ops.sum(each * weight) / _mean_over_devices(ops.sum(weight))

    return loss


def focal(mask: Any, logits: Any) -> Any:
    """Focal loss (Lin et al. 2017) with a focus of 2 and no class weights, mean over pixels; in [0, inf).

    Soft masks are taken as Li et al. (2020, quality focal loss) do, the factor being (mask - alpha)^2: for
    masks of 0 and 1 that is Lin's, and the least loss lies at alpha = mask for all others, too.
    """
    return ops.mean(ops.square(mask - ops.sigmoid(logits)) * _cross_entropies(mask, logits))


def dice(mask: Any, logits: Any) -> Any:
    """1 - Dice per picture (Milletari et al. 2016), mean over the batch; in [0, 1).

    The smoothing of 1 % of the picture keeps an empty mask's loss finite and its gradient small; by itself
    it hardly punishes false positives there, so combine it with `cross_entropy`.
    """
    both, total, smooth = _overlap(mask, logits)
    return ops.mean(1.0 - (2.0 * both + smooth) / (total + smooth))


def iou(mask: Any, logits: Any) -> Any:
    """1 - IoU per picture, products standing for intersections (Rahman & Wang 2016), mean over the batch; in [0, 1).

    Smoothed as `dice` is, and as lenient towards false positives in empty pictures.
    """
    both, total, smooth = _overlap(mask, logits)
    return ops.mean(1.0 - (both + smooth) / (total - both + smooth))


def lovasz_hinge(mask: Any, logits: Any) -> Any:
    """Lovasz hinge of the IoU per picture (Berman et al. 2018), mean over the batch; in [0, inf).

    Masks count as person from 0.5 on. It bounds 1 - IoU from above; in an empty picture, whose IoU is 0 as soon
    as one pixel is wrong, it is the hinge of the worst pixel.
    """
    person = ops.cast(_flat(mask) >= 0.5, "float32")
    errors = 1.0 - _flat(logits) * (2.0 * person - 1.0)
    order = ops.argsort(-errors, axis=1)
    errors = ops.relu(ops.take_along_axis(errors, order, axis=1))
    slope = ops.stop_gradient(_lovasz_slope(ops.take_along_axis(person, order, axis=1)))
    is_empty = ops.sum(person, axis=1) == 0
    return ops.mean(ops.where(is_empty, errors[:, 0], ops.sum(errors * slope, axis=1)))


def make_loss(text: str, boundary_weight: float = 0.0) -> Loss:
    """The loss of a recipe: a weighted sum such as `bce+0.5*dice`.

    Args:
        text: names out of bce, dice, iou, lovasz and focal, as `loss_terms` reads them.
        boundary_weight: of `bce`; the others heed no boundary.

    Raises:
        RecipeError: an unknown name, or a weight that is none.
    """
    known = {"bce": cross_entropy(boundary_weight), "dice": dice, "iou": iou, "lovasz": lovasz_hinge, "focal": focal}
    terms = [(weight, known[name]) for weight, name in loss_terms(text)]

    def loss(mask: Any, logits: Any) -> Any:
        return sum(weight * term(mask, logits) for weight, term in terms)

    return loss


def _cross_entropies(mask: Any, logits: Any) -> Any:
    # Softplus overflows for no logit, and its gradient is right at 0 too, where those of relu and abs are not.
    return ops.softplus(logits) - logits * mask


def _overlap(mask: Any, logits: Any) -> tuple[Any, Any, Any]:
    """Per picture: the overlap of alpha and mask, the sum of both areas, and the smoothing, in pixels."""
    alpha = ops.sigmoid(logits)
    axes = (1, 2, 3)
    smooth = 0.01 * ops.cast(ops.shape(mask)[1] * ops.shape(mask)[2], "float32")
    return ops.sum(alpha * mask, axes), ops.sum(alpha, axes) + ops.sum(mask, axes), smooth


def _lovasz_slope(person: Any) -> Any:
    """By how much 1 - IoU grows as each pixel joins the wrong ones, the worst first; `person` is (N, pixels), 0 or 1.

    The differences of the paper's algorithm 1 written out: differences of float32 cost it two digits at 256x256.
    """
    seen = ops.cumsum(person, axis=1)
    intersection = ops.sum(person, axis=1, keepdims=True) - seen
    union = ops.sum(person, axis=1, keepdims=True) + ops.cumsum(1.0 - person, axis=1)
    falsely = intersection / (union * ops.maximum(union - 1.0, 1.0))
    return ops.where(person == 1.0, 1.0 / ops.maximum(union, 1.0), falsely)


def _flat(pictures: Any) -> Any:
    return ops.reshape(pictures, (ops.shape(pictures)[0], -1))


def _mean_over_devices(value: Any) -> Any:
    """What each of TensorFlow's devices computes from its part of the batch, their mean; elsewhere it is `value`.

    On JAX the devices compute as one.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def _edge(mask: Any) -> Any:
    """1 within two pixels of the mask's edge, else 0: dilation minus erosion by a 5x5 square."""
    high = ops.max_pool(mask, 5, strides=1, padding="same")
    low = -ops.max_pool(-mask, 5, strides=1, padding="same")
    return high - low
