"""Other people's models, to measure beside ours. Their files are never part of this package."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame
from figureground.engine import Engine, ForeignNetwork, Model
from figureground.errors import ModelError
from figureground.refine import Levels, enlarged_levels
from figureground.runtimes.description import Description, described
from figureground.runtimes.exported import ExportedModel, TfliteNetwork, litert_metadata

FILTERS = {
    "linear": cv2.INTER_LINEAR,
    "nearest": cv2.INTER_NEAREST,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}


def open_model(model: str, threads: int = 1) -> Model:
    """A model that `replace` can use and `evaluate` can measure.

    Args:
        model: a shipped model, a run, an .onnx, .tflite or .xml file that `export` made; or anybody's .tflite or
            .onnx file with a TOML that describes it (see `described`), or that TOML. Another's .tflite file without
            one is run as MediaPipe's are.
        threads: CPU threads for the network.

    Raises:
        ModelError: no such model, or not as its description says.
        MissingExtraError: LiteRT or OpenVINO is not installed.
    """
    path, description = described(Path(model))
    if description is not None:
        return DescribedModel(path, description, threads)
    if path.suffix == ".xml" or (path.suffix == ".tflite" and litert_metadata(path)):
        return ExportedModel(path, threads)
    if path.suffix == ".tflite":
        return TfliteModel(path, threads)
    try:
        return Engine(model, threads)
    except ModelError as error:
        if path.suffix != ".onnx" or not os.path.exists(path):
            raise
        raise ModelError(f"{error}; for another's model, describe its input in {path}.toml") from error


def model_files(model: str) -> list[Path]:
    """The files of a model that is not shipped: weights, description and what else `open_model` reads.

    Raises:
        ModelError: its description cannot be read.
    """
    asked = Path(model)
    path, _ = described(asked)
    path = path / "model.onnx" if path.is_dir() else path
    others = [asked] if asked.suffix == ".toml" else [path.with_name(f"{path.name}.toml")]
    if path.suffix == ".xml":
        others.append(path.with_suffix(".bin"))  # where OpenVINO has the weights
    return [file for file in (path, *others) if file.is_file()]


class DescribedModel:
    """Anybody's segmentation model, run as its description says.

    The picture is scaled to the input, the output's person channel linearly back to the picture.

    Args:
        path: a .tflite or .onnx file.
        description: of its input and output.
        threads: for the network.

    Raises:
        MissingExtraError: LiteRT is not installed.
        ModelError: the file is missing, cannot be loaded, or is not as described.
    """

    def __init__(self, path: Path, description: Description, threads: int = 1) -> None:
        self.path, self._lock = path, Lock()
        if path.suffix not in (".tflite", ".onnx"):
            raise ModelError(f"{path}: not a .tflite or .onnx file")
        self._network = (TfliteNetwork if path.suffix == ".tflite" else ForeignNetwork)(path, threads)
        self._to = replace(description, size=self._size(description))
        low, high = description.range
        std = np.array(description.std)
        self._scale = np.asarray((high - low) / 255 / std, np.float32)
        self._offset = np.asarray((low - np.array(description.mean)) / std, np.float32)
        width, height = self._to.size or (0, 0)
        self._canvas = np.full((height, width, 3), round(description.fill), np.uint8)
        self._picture = np.empty((height, width, 3), np.float32)

    def _size(self, description: Description) -> tuple[int, int]:
        """Width and height of the input, as described or else as the file says; they must not contradict."""
        shape, of = self._network.shape, description.layout
        if len(shape) != 4 or shape[0] not in (1, None) or shape[of.index("C")] not in (3, None):
            raise ModelError(f"{self.path}: its input is {shape}; want four sizes, {of} with three channels, N of 1")
        given = tuple(shape[of.index(letter)] for letter in "WH")
        size = description.size or given
        width, height = size
        if width is None or height is None:
            raise ModelError(f"{self.path}: its input has no fixed size; describe it as size = [width, height]")
        if any(have not in (None, want) for have, want in zip(given, size, strict=True)):
            raise ModelError(f"{self.path}: its input is {shape} {of}; described as {width}x{height}")
        return width, height

    def __call__(self, frame: Frame) -> Alpha:
        """(H, W, 3) uint8 RGB to (H, W) float32 in [0, 1].

        Raises:
            ModelError: the network cannot run, or its output is not as described.
        """
        with self._lock:
            return cv2.resize(self._see(frame)[1], frame.shape[1::-1])

    def look(self, frame: Frame) -> tuple[Frame, Alpha]:
        """As `engine.Model.look`."""
        with self._lock:
            picture, alpha = self._see(frame)
            return picture.copy(), alpha

    def levels(self, frame: Frame, most: int = 255) -> Levels:
        """As `engine.Model.levels`."""
        return enlarged_levels(self.look(frame)[1], frame.shape[1], frame.shape[0], most)

    def _see(self, frame: Frame) -> tuple[Frame, Alpha]:
        """The frame as it lies in the input, a view of that, and its alpha, new."""
        left, top, width, height = self._place(frame.shape[1], frame.shape[0])
        inside = self._canvas[top : top + height, left : left + width]
        if inside.shape != self._canvas.shape:
            self._canvas[:] = round(self._to.fill)
        inside[:] = cv2.resize(frame, (width, height), interpolation=FILTERS[self._to.resize])
        person = self._person(self._network(self._tensor()))
        full_height, full_width = self._canvas.shape[:2]
        if person.shape != (full_height, full_width):
            person = cv2.resize(person, (full_width, full_height))
        return inside, np.ascontiguousarray(person[top : top + height, left : left + width])

    def _place(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Where a picture lies in the input: left, top, width, height."""
        full_height, full_width = self._canvas.shape[:2]
        if self._to.fit == "stretch":
            return 0, 0, full_width, full_height
        scale = min(full_width / width, full_height / height)
        inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
        return (full_width - inner_width) // 2, (full_height - inner_height) // 2, inner_width, inner_height

    def _tensor(self) -> NDArray[np.float32]:
        picture = self._canvas if self._to.channels == "RGB" else self._canvas[:, :, ::-1]
        np.multiply(picture, self._scale, out=self._picture)
        if self._offset.any():
            self._picture += self._offset
        tensor = self._picture if self._to.layout == "NHWC" else self._picture.transpose(2, 0, 1)
        return np.ascontiguousarray(tensor[None])

    def _person(self, outputs: list[NDArray[np.float32]]) -> Alpha:
        """The person channel, activated, of the output described: (h, w) float32."""
        if self._to.output >= len(outputs):
            raise ModelError(f"{self.path}: it has {len(outputs)} outputs, described is output {self._to.output}")
        output = outputs[self._to.output]
        planes = output[0] if output.ndim == 4 else output
        if self._to.layout == "NHWC" and output.ndim == 4:
            planes = planes.transpose(2, 0, 1)
        if planes.ndim != 3 or self._to.channel >= len(planes):
            raise ModelError(f"{self.path}: its output is {output.shape}; described is its channel {self._to.channel}")
        alpha = _activated(planes, self._to.activation, self._to.channel)
        if not np.isfinite(alpha).all():
            raise ModelError(f"{self.path}: the network gave a value that is no number; the model is broken")
        return np.clip(alpha, 0, 1)


def _activated(planes: NDArray[np.float32], activation: str, channel: int) -> Alpha:
    """One of (C, h, w) planes as a probability."""
    plane = np.ascontiguousarray(planes[channel], np.float32)
    if activation == "none":
        return plane
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-plane.clip(-80, 80))), np.float32)
    powers = np.exp(planes - planes.max(axis=0))
    return np.asarray(powers[channel] / powers.sum(axis=0), np.float32)


class TfliteModel(DescribedModel):
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
        super().__init__(path, Description(), threads)

    def _person(self, outputs: list[NDArray[np.float32]]) -> Alpha:
        shape = outputs[0].shape
        if len(shape) != 4 or shape[3] != 1:
            which = f"say in {self.path}.toml which channel is the person"
            raise ModelError(f"{self.path}: its output is {shape}; want (1, H, W, 1), or {which}")
        return super()._person(outputs)
