"""What the networks are built of."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="figureground")
class FusedBatchNorm(layers.BatchNormalization):
    """Batch normalisation that trains with TensorFlow's fused kernel where TensorFlow is the backend.

    The same weights and results as the layer it extends, but that the moving variance gets Bessel's correction.
    That one spells the moments out in separate operations: on two CPU cores the light network trains 1.6 times
    faster with this one.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        fused = keras.backend.backend() == "tensorflow" and not self.synchronized  # the kernel sees one device's share
        if not (training and self.trainable and fused):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def conv(x: Any, width: int, stride: int = 1, kernel: int = 3, relu: bool = True) -> Any:
    if stride > 1:
        # Explicit symmetric padding: "same" pads stride-2 convolutions differently for odd and
        # even sizes, so a 144-row picture would be shifted against the 160-row ones trained on.
        x = layers.ZeroPadding2D(kernel // 2)(x)
    padding = "same" if stride == 1 else "valid"
    x = layers.Conv2D(width, kernel, strides=stride, padding=padding, use_bias=False, kernel_initializer="he_normal")(x)
    x = FusedBatchNorm(momentum=0.97, epsilon=1e-3)(x)
    return layers.ReLU()(x) if relu else x


def residual(x: Any, width: int) -> Any:
    y = conv(x, width)
    y = conv(y, width, relu=False)
    return layers.ReLU()(layers.Add()([x, y]))
