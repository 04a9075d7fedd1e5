"""Other people's models, to measure beside ours. Their files are never part of this package."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from figureground.arrays import Alpha, Frame
from figureground.errors import MissingExtraError, ModelError


class TfliteModel:
    """A MediaPipe-style segmentation model run by LiteRT: float32 RGB / 255 in, person probability out.

    The picture is stretched to the input, as MediaPipe does, and the probability scaled back linearly.

    Args:
        path: a .tflite file with input (1, H, W, 3) and output (1, H, W, 1).
        threads: for XNNPACK.

    Raises:
        MissingExtraError: LiteRT is not installed.
        ModelError: the file is missing or of another shape.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtraError("LiteRT", "peers") from error
        if not path.exists():
            raise ModelError(f"{path}: no such file")
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
        except ValueError as error:
            raise ModelError(f"{path}: not a model LiteRT can load ({str(error).splitlines()[0]})") from error
        self._interpreter.allocate_tensors()
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        given, made = inputs[0], outputs[0]
        if len(inputs) != 1 or len(outputs) != 1 or len(made["shape"]) != 4 or made["shape"][3] != 1:
            raise ModelError(f"{path}: its output is {made['shape']}; want one output (1, H, W, 1)")
        if len(given["shape"]) != 4 or given["shape"][3] != 3 or given["dtype"] != np.float32:
            raise ModelError(
                f"{path}: its input is {given['dtype'].__name__} {given['shape']}; want float32 (1, H, W, 3)"
            )
        self._input, self._output = given["index"], made["index"]
        self._picture = np.empty(given["shape"], np.float32)

    def __call__(self, frame: Frame) -> Alpha:
        """(H, W, 3) uint8 RGB to (H, W) float32 in [0, 1]."""
        _, height, width, _ = self._picture.shape
        np.multiply(cv2.resize(frame, (width, height)), np.float32(1 / 255), out=self._picture[0])
        self._interpreter.set_tensor(self._input, self._picture)
        self._interpreter.invoke()
        probability = self._interpreter.get_tensor(self._output)[0, :, :, 0]
        return cv2.resize(probability, frame.shape[1::-1])
