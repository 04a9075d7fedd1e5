"""The networks: the classic U-Net of Ronneberger et al., a light one, and the two that are shipped.

All take uint8 RGB pictures, hold their own normalisation, and end in two named layers: `logits`
(what the losses see) and `alpha` (its sigmoid, what users see).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from figureground.training.blocks import conv, residual
from figureground.training.lite import lite_encoder

CLASSIC_WIDTHS = (64, 128, 256, 512, 1024)
LIGHT_WIDTHS = (16, 32, 48, 64, 96)
LIGHT_BLOCKS = (0, 0, 1, 1, 2)
LIGHT_DECODER = (16, 16, 32, 48)
BASE_DECODER = (16, 24, 32, 64)
SMALL_DECODER = (16, 24, 48)
SMALL_FINE = 8


def _scaled_input(height: int | None, width: int | None) -> tuple[Any, Any]:
    """A uint8 RGB input and the same picture as float32 in [-1, 1]."""
    picture = keras.Input((height, width, 3), dtype="uint8", name="image")
    return picture, layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(picture)


def _with_heads(picture: Any, logits: Any, name: str) -> keras.Model:
    # float32 even under mixed precision: a sigmoid in half precision bands the alpha.
    alpha = layers.Activation("sigmoid", dtype="float32", name="alpha")(logits)
    return keras.Model(picture, alpha, name=name)


def light_unet(
    widths: Sequence[int] = LIGHT_WIDTHS,
    blocks: Sequence[int] = LIGHT_BLOCKS,
    decoder: Sequence[int] = LIGHT_DECODER,
    size: tuple[int | None, int | None] = (None, None),
) -> keras.Model:
    """A U-Net of plain 3x3 convolutions: five stride-2 stages down, nearest upsampling with added skips.

    Plain convolutions run and train faster on CPUs than depthwise ones of the same accuracy; widths in
    multiples of 16 fill the vector registers. Height and width must be multiples of 32.

    Args:
        widths: channels of the five stages, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input.
        blocks: residual blocks after each stage's stride-2 convolution.
        decoder: channels on the way up at 1/2, 1/4, 1/8 and 1/16.
        size: (height, width), None for any.

    Returns:
        A model from (N, H, W, 3) uint8 RGB to (N, H, W, 1) float32 alpha in [0, 1].
    """
    picture, x = _scaled_input(*size)
    skips = []
    for width, repeat in zip(widths, blocks, strict=True):
        x = conv(x, width, stride=2)
        for _ in range(repeat):
            x = residual(x, width)
        skips.append(x)
    return _with_heads(picture, _shuffled(_decoded(skips, decoder)), "light_unet")


def base_unet() -> keras.Model:
    """EfficientNet-Lite0's encoder under the light network's decoder, for photographs and stronger machines.

    2.4 M parameters. Height and width must be multiples of 32.

    Returns:
        A model from (N, H, W, 3) uint8 RGB to (N, H, W, 1) float32 alpha in [0, 1].
    """
    picture, x = _scaled_input(None, None)
    return _with_heads(picture, _shuffled(_decoded(lite_encoder(x), BASE_DECODER)), "base_unet")


def small_unet() -> keras.Model:
    """`base_unet` without its last stage and at half the resolution, and a thin path at the picture's own.

    0.7 M parameters at a quarter of the cost: what is a person is seen at half the resolution, where its outline lies
    by a convolution of the picture itself. Height and width must be multiples of 32.

    Returns:
        A model from (N, H, W, 3) uint8 RGB to (N, H, W, 1) float32 alpha in [0, 1].
    """
    picture, x = _scaled_input(None, None)
    coarse = _decoded(lite_encoder(x, stages=5, halved=True), SMALL_DECODER)
    coarse = layers.UpSampling2D(2, interpolation="nearest")(conv(coarse, SMALL_FINE, kernel=1, relu=False))
    fine = conv(x, SMALL_FINE, stride=2, relu=False)
    x = conv(layers.ReLU()(layers.Add()([coarse, fine])), SMALL_FINE)
    return _with_heads(picture, _shuffled(x), "small_unet")


def _decoded(skips: Sequence[Any], widths: Sequence[int]) -> Any:
    """On the way up from the last of `skips`: nearest upsampling, the skip added, a 3x3 convolution."""
    x = skips[-1]
    for skip, width in zip(skips[-2::-1], widths[::-1], strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest")(conv(x, width, kernel=1, relu=False))
        x = layers.ReLU()(layers.Add()([x, conv(skip, width, kernel=1, relu=False)]))
        x = conv(x, width)
    return x


def _shuffled(x: Any) -> Any:
    """Stride 2 and kernel 2: a 1x1 convolution to four logits and a pixel shuffle, in one layer."""
    return layers.Conv2DTranspose(1, 2, strides=2, dtype="float32", name="logits")(x)


def classic_unet(
    width: float = 1.0, dropout: float = 0.3, size: tuple[int | None, int | None] = (256, 256)
) -> keras.Model:
    """The U-Net of the starting point (after Ronneberger et al. 2015): 64 to 1024 channels, 31 M parameters.

    Two 3x3 convolutions a level (He initialised), dropout on the two deepest, max pooling down, transposed
    convolutions and concatenated skips up. Height and width must be multiples of 16.

    Args:
        width: factor on all channels.
        dropout: share of the channels' values dropped while training, in [0, 1).
        size: (height, width), None for any.

    Returns:
        A model from (N, H, W, 3) uint8 RGB to (N, H, W, 1) float32 alpha in [0, 1].
    """
    picture, x = _scaled_input(*size)
    widths = [max(1, round(w * width)) for w in CLASSIC_WIDTHS]
    skips = []
    for level, channels in enumerate(widths):
        if level:
            x = layers.MaxPooling2D(2)(x)
        x = _double_conv(x, channels)
        if level >= len(widths) - 2:
            x = layers.Dropout(dropout, seed=_dropout_seed())(x)
        skips.append(x)
    for skip, channels in zip(skips[-2::-1], widths[-2::-1], strict=True):
        x = layers.Conv2DTranspose(channels, 2, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = _double_conv(layers.Concatenate()([skip, x]), channels)
    logits = layers.Conv2D(1, 1, dtype="float32", name="logits")(x)
    return _with_heads(picture, logits, "classic_unet")


def _dropout_seed() -> int | None:
    """None but on torch: there unseeded dropout draws from a state that no checkpoint holds."""
    return random.randrange(2**31) if keras.backend.backend() == "torch" else None


def _double_conv(x: Any, channels: int) -> Any:
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    return x


def logits_model(model: keras.Model) -> keras.Model:
    """The same network, weights shared, ending before its sigmoid: what the losses see."""
    return keras.Model(model.input, model.get_layer("logits").output, name=f"{model.name}_logits")


def encoder_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers down to the smallest and deepest features, those included: what begins with other weights keeps."""
    up = next(layer for layer in model.layers if isinstance(layer, (layers.UpSampling2D, layers.Conv2DTranspose)))
    features = up.input
    while _is_lateral(features._keras_history.operation):
        features = features._keras_history.operation.input
    return [layer for layer in keras.Model(model.input, features).layers if layer.weights]


def _is_lateral(layer: Any) -> bool:
    """Whether it belongs to the light network's 1x1 convolution before it goes up: that is the decoder's."""
    return isinstance(layer, layers.BatchNormalization) or getattr(layer, "kernel_size", None) == (1, 1)
