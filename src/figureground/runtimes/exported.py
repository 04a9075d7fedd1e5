"""Exports of ours that other runtimes than ONNX Runtime run, as `engine.Engine` runs the .onnx ones."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, check_frame
from figureground.engine import MAX_SIZE
from figureground.errors import MissingExtraError, ModelError
from figureground.preprocess import STRIDE, Fit, crisp, tidy, to_input
from figureground.refine import Levels, refined_levels, to_alpha

# Where an export says what it is. LiteRT takes no notice of a ZIP archive behind the model, which is where TensorFlow
# Lite's own metadata keeps its files; OpenVINO has a place for anybody's entries.
LITERT_MEMBER = "figureground.json"
OPENVINO_ENTRY = "figureground"
_MOST_BYTES = 1_000_000  # of metadata, from a file that anybody may have made


class TfliteNetwork:
    """The bare network of a .tflite file: one array of `dtype` in, a list of arrays out, all new.

    `shape` is that of the input, None where a size is free.

    Raises:
        MissingExtraError: LiteRT is not installed.
        ModelError: no such file, not a model, or not with one input of that dtype.
    """

    def __init__(self, path: Path, threads: int = 1, dtype: type[np.generic] = np.float32) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtraError("LiteRT", "peers") from error
        if not path.exists():
            raise ModelError(f"{path}: no such file")
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{path}: not a model LiteRT can load ({str(error).splitlines()[0]})") from error
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or inputs[0]["dtype"] != dtype:
            got = ", ".join(f"{each['dtype'].__name__} {each['shape']}" for each in inputs)
            raise ModelError(f"{path}: its input is {got}; want one {dtype.__name__} (1, H, W, 3)")
        self._input = inputs[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]
        self.path = path
        # "shape" says 1 where a size is free.
        self.shape = [size if size >= 0 else None for size in inputs[0]["shape_signature"].tolist()]

    def __call__(self, picture: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        """One array of the input's shape, any size where that is free.

        Raises:
            ModelError: the network cannot run on it.
        """
        try:
            if None in self.shape:
                self._interpreter.resize_tensor_input(self._input, picture.shape)
                self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(self._input, picture)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.path}: cannot run on a picture ({_last_line(error)})") from error
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class OpenvinoNetwork:
    """The bare network of an OpenVINO .xml file and the .bin file beside it: one uint8 array in, a list of arrays out.

    It computes in float32 also where the processor has bfloat16, so that every machine gives the same figures.
    `shape` is that of the input, None where a size is free.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: no such file, not a model, or not with one uint8 input.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        openvino = import_openvino()
        for part in (path, path.with_suffix(".bin")):
            if not part.exists():
                raise ModelError(f"{part}: no such file; an OpenVINO model is an .xml file and a .bin file beside it")
        core = openvino.Core()
        core.set_property({"ENABLE_MMAP": False})  # the files may be replaced while the model runs
        how = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        try:
            model = core.read_model(str(path))
            self._compiled = core.compile_model(model, "CPU", how)
        except RuntimeError as error:
            raise ModelError(f"{path}: not a model OpenVINO can load ({_last_line(error)})") from error
        if [each.get_element_type().get_type_name() for each in model.inputs] != ["u8"]:
            raise ModelError(f"{path}: its input is {model.inputs}; want one uint8 (N, H, W, 3)")
        self.metadata = _entries(model)
        self.shape = [None if size.is_dynamic else size.get_length() for size in model.inputs[0].partial_shape]

    def __call__(self, picture: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        return [np.array(output) for output in self._compiled([picture]).values()]


def import_openvino() -> ModuleType:
    """The library, without what would tell its makers over the network that it is in use: nothing here is uploaded.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    # Importing OpenVINO sends a message unless this package of its makers, which it installs but can do without, is
    # missing; None makes importing it fail.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("OpenVINO", "openvino") from error
    return openvino


class ExportedModel:
    """A .tflite or .xml file made by `figureground export`: a frame in, an alpha of the same size out.

    Threads may share one; they wait for each other.

    Args:
        path: the file.
        threads: CPU threads for the network.

    Raises:
        MissingExtraError: its runtime is not installed.
        ModelError: the file is missing, cannot be loaded, or is no export.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path, self._lock = path, Lock()
        self._network: TfliteNetwork | OpenvinoNetwork
        if path.suffix == ".tflite":
            self._network = TfliteNetwork(path, threads, np.uint8)
            self.metadata = litert_metadata(path)
        else:
            self._network = OpenvinoNetwork(path, threads)
            self.metadata = self._network.metadata
        size = self.metadata.get("size", "")
        if not (size.isdecimal() and STRIDE <= int(size) <= MAX_SIZE) or len(self._network.shape) != 4:
            raise ModelError(f"{path}: not an export of ours; make one with `figureground export RUN`")
        self.size = int(size)

    def __call__(self, frame: Frame) -> Alpha:
        """(H, W, 3) uint8 RGB of any size to (H, W) float32 in [0, 1].

        Raises:
            ArrayError: `frame` is no such array.
            ModelError: the network cannot run, or gave no alpha.
        """
        check_frame(frame)
        fit = self.fit(frame.shape[1], frame.shape[0])
        return to_alpha(frame, self.run(to_input(frame, fit)), fit)

    def look(self, frame: Frame) -> tuple[Frame, Alpha]:
        """As `engine.Model.look`."""
        fit = self.fit(frame.shape[1], frame.shape[0])
        picture = to_input(frame, fit)
        return picture[: fit.height, : fit.width], tidy(crisp(self.run(picture), fit))

    def levels(self, frame: Frame, most: int = 255) -> Levels:
        """As `engine.Model.levels`."""
        return refined_levels(check_frame(frame), self.look(frame)[1], most)

    def fit(self, width: int, height: int) -> Fit:
        """How a frame of `width` x `height` pixels lies in the network's input."""
        _, input_height, input_width, _ = self._network.shape
        if input_height is None or input_width is None:
            return Fit.of(width, height, self.size)
        return Fit.into(width, height, input_width, input_height)

    def run(self, picture: Frame) -> Alpha:
        """The bare network: (H, W, 3) uint8 RGB to (H, W) float32 in [0, 1].

        Raises:
            ModelError: it cannot run on a picture of this size, or gave no alpha of it.
        """
        try:
            with self._lock:
                outputs = self._network(picture[None])
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.path}: cannot run on a picture ({_last_line(error)})") from error
        alpha = outputs[0][0]
        if alpha.shape != picture.shape[:2] or alpha.dtype != np.float32:
            raise ModelError(f"{self.path}: its output is {alpha.dtype} {alpha.shape}; want float32 (height, width)")
        if not np.isfinite(alpha).all():
            raise ModelError(f"{self.path}: the network gave a value that is no number; the model is broken")
        return alpha


def litert_metadata(path: Path) -> dict[str, str]:
    """What one of our .tflite files says about itself; nothing for another's."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(LITERT_MEMBER).file_size > _MOST_BYTES:
                return {}
            found = json.loads(archive.read(LITERT_MEMBER))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _entries(model: Any) -> dict[str, str]:
    if not model.has_rt_info([OPENVINO_ENTRY]):
        return {}
    found = model.get_rt_info([OPENVINO_ENTRY]).value
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _last_line(error: Exception) -> str:
    """OpenVINO says first where in its own source, last what."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip()[:200] if lines else type(error).__name__
