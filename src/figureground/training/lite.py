"""The encoder of EfficientNet-Lite0 (Tan and Le 2019; the Lite form is Google's of 2020, without squeeze and swish).

Its layers are EfficientNet-Lite0's but for the activation, ReLU instead of ReLU6, which the weights hardly notice and
every runtime fuses; so weights learnt on ImageNet fit in.
"""

from __future__ import annotations

from typing import Any

from keras import layers

from figureground.training.blocks import FusedBatchNorm, conv

STEM = 32
# blocks, kernel of the depthwise convolution, stride, expansion, channels; Lite0's last stage brings nothing here
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))


def lite_encoder(picture: Any, stages: int = len(STAGES), halved: bool = False) -> list[Any]:
    """The features of EfficientNet-Lite0's first `stages` on a scaled picture of sides its strides divide.

    Args:
        picture: (N, H, W, 3) in [-1, 1].
        stages: how many of `STAGES`.
        halved: see the picture at half its resolution; the mean of 2x2 pixels is part of the first convolution then.

    Returns:
        One tensor a resolution, the finest first: at 1/2, 1/4, 1/8, 1/16, and 1/32 if `stages` is 6, of what it sees.
    """
    stride = 4 if halved else 2
    x = layers.ZeroPadding2D(((0, stride // 2), (0, stride // 2)))(picture)
    x = layers.Conv2D(STEM, 3 * stride // 2, strides=stride, use_bias=False, kernel_initializer="he_normal")(x)
    x = layers.ReLU()(FusedBatchNorm(momentum=0.97, epsilon=1e-3)(x))
    features = []
    for repeats, kernel, stride, expansion, channels in STAGES[:stages]:
        if stride == 2:
            features.append(x)
        for number in range(repeats):
            x = _inverted_residual(x, kernel, 1 if number else stride, expansion, channels)
    return [*features, x]


def _inverted_residual(x: Any, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Expand, filter each channel by itself, project; added to what came in where the shape is the same."""
    came = x
    if expansion > 1:
        x = conv(x, came.shape[-1] * expansion, kernel=1)
    padding = "same"
    if stride == 2:
        # As TensorFlow pads even sides, spelt out: an odd one would be padded differently.
        x, padding = layers.ZeroPadding2D((((kernel - 2) // 2, (kernel - 1) // 2),) * 2)(x), "valid"
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding=padding, use_bias=False, depthwise_initializer="he_normal"
    )(x)
    x = layers.ReLU()(FusedBatchNorm(momentum=0.97, epsilon=1e-3)(x))
    x = conv(x, channels, kernel=1, relu=False)
    return layers.Add()([came, x]) if stride == 1 and came.shape[-1] == channels else x
