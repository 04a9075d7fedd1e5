"""What training minimises. All take masks in [0, 1] and logits, (N, H, W, 1) float32, and give a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Loss = Callable[[Any, Any], Any]


def cross_entropy(boundary_weight: float = 0.0) -> Loss:
    """Binary cross-entropy, mean over pixels; pixels near the mask's edge count `1 + boundary_weight` fold."""

    def loss(mask: Any, logits: Any) -> Any:
        # Softplus overflows for no logit, and its gradient is right at 0 too, where those of relu and abs are not.
        each = ops.softplus(logits) - logits * mask
        if boundary_weight == 0.0:
            return ops.mean(each)
        weight = 1.0 + boundary_weight * _edge(mask)
        return ops.sum(each * weight) / ops.sum(weight)

    return loss


def dice(mask: Any, logits: Any) -> Any:
    """1 - Dice per picture (Milletari et al. 2016), mean over the batch.

    The smoothing of 1 % of the picture keeps an empty mask's loss finite and its gradient small; by itself
    it hardly punishes false positives there, so combine it with `cross_entropy`.
    """
    alpha = ops.sigmoid(logits)
    axes = (1, 2, 3)
    smooth = 0.01 * ops.cast(ops.shape(mask)[1] * ops.shape(mask)[2], "float32")
    overlap = 2.0 * ops.sum(alpha * mask, axes) + smooth
    total = ops.sum(alpha, axes) + ops.sum(mask, axes) + smooth
    return ops.mean(1.0 - overlap / total)


def make_loss(name: str, boundary_weight: float = 0.0) -> Loss:
    """The loss of a recipe: `bce` or `bce_dice` (their sum, Dice at half weight)."""
    bce = cross_entropy(boundary_weight)
    if name == "bce":
        return bce
    return lambda mask, logits: bce(mask, logits) + 0.5 * dice(mask, logits)


def _edge(mask: Any) -> Any:
    """1 within two pixels of the mask's edge, else 0: dilation minus erosion by a 5x5 square."""
    high = ops.max_pool(mask, 5, strides=1, padding="same")
    low = -ops.max_pool(-mask, 5, strides=1, padding="same")
    return high - low
