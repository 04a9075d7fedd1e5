"""LiteRT files, by TensorFlow's own converter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.errors import ModelError
from figureground.training.export_files import temporary_folder


def to_litert(model: keras.Model, size: tuple[int, int], quantize: str, pictures: Sequence[Frame]) -> bytes:
    """A network of `unet` as a .tflite file: (1, H, W, 3) uint8 RGB to (1, H, W) float32.

    Args:
        model: a network of `unet`, in float32.
        size: width and height in pixels; a LiteRT file has one size.
        quantize: int8 (calibrated on `pictures`, weights per channel), fp16 (weights only), or empty.
        pictures: inputs of that size, (H, W, 3) uint8 RGB.

    Raises:
        ModelError: Keras runs on another backend than TensorFlow.
        OutputError: there is no room for temporary files.
    """
    if keras.backend.backend() != "tensorflow":
        raise ModelError("LiteRT files are made by TensorFlow: export with KERAS_BACKEND=tensorflow")
    width, height = size
    flat = keras.Model(model.input, keras.ops.squeeze(model.output, -1))
    image = tf.TensorSpec((1, height, width, 3), tf.uint8, name="image")
    with temporary_folder() as folder:
        flat.export(str(folder), format="tf_saved_model", verbose=False, input_signature=[image])
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = lambda: _batches(pictures)
        with warnings.catch_warnings():
            # It misses a range for the input, which is uint8 and needs none.
            warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
            content: bytes = converter.convert()
    return content


def _batches(pictures: Sequence[Frame]) -> Iterator[list[NDArray[Any]]]:
    for picture in pictures:
        yield [np.asarray(picture)[None]]
