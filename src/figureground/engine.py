"""Running a model: a frame in, an alpha of the same size out. The only import of onnxruntime."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime as ort

from figureground.arrays import Alpha, Frame, check_frame
from figureground.errors import ModelError
from figureground.preprocess import STRIDE, Fit, to_alpha, to_input

SESSIONS = 4  # prepared input shapes kept; a folder of photographs has a handful
MAX_SIZE = 4096
DEFAULT_SIZE = 256  # longest side of the input where a model does not name its own


@dataclass(slots=True)
class _Prepared:
    """A session for one input shape, and the memory its input is built in."""

    session: ort.InferenceSession
    picture: Frame


class Engine:
    """A model ready to run: `alpha = Engine("small")(frame)`.

    Args:
        model: the name of a shipped model, or the path of an .onnx file made by `figureground export`.
        threads: CPU threads for the network; 0: one a core. A small network gains nothing from a second one
            beside a video codec, and takes twice the CPU time.

    Raises:
        ModelError: unknown name, altered or unreadable file, or a file of another shape.
    """

    def __init__(self, model: str | Path = "small", threads: int = 1) -> None:
        self.path, self._content = _read(model)
        self.threads = threads
        self._prepared: OrderedDict[tuple[int, int], _Prepared] = OrderedDict()
        self.metadata = self._check(self._prepare(STRIDE, STRIDE).session)
        size = self.metadata.get("size", str(DEFAULT_SIZE))
        if not (size.isdecimal() and STRIDE <= int(size) <= MAX_SIZE):
            raise ModelError(f"{self.path}: its metadata says size {size!r}; want {STRIDE} to {MAX_SIZE}")
        self.size = int(size)

    def __call__(self, frame: Frame) -> Alpha:
        """Find the person in `frame`.

        Args:
            frame: (H, W, 3) uint8 RGB, of any size and aspect ratio.

        Returns:
            (H, W) float32 in [0, 1], new at every call.

        Raises:
            ArrayError: `frame` is no such array.
            ModelError: the network gave a value that is no number.
        """
        check_frame(frame)
        fit = Fit.of(frame.shape[1], frame.shape[0], self.size)
        picture = self._prepare(fit.input_height, fit.input_width).picture[0]
        return to_alpha(self.run(to_input(frame, fit, picture)), fit)

    def run(self, picture: Frame) -> Alpha:
        """The bare network.

        Args:
            picture: (H, W, 3) uint8 RGB, H and W multiples of 32.

        Returns:
            (H, W) float32 in [0, 1].

        Raises:
            ModelError: the network gave a value that is no number.
        """
        prepared = self._prepare(*picture.shape[:2])
        output: Alpha = prepared.session.run(None, {"image": picture[None]})[0][0]
        if not np.isfinite(output).all():
            raise ModelError(f"{self.path}: the network gave a value that is no number; the model is broken")
        return output

    def _prepare(self, height: int, width: int) -> _Prepared:
        key = (height, width)
        if key in self._prepared:
            self._prepared.move_to_end(key)
            return self._prepared[key]
        prepared = _Prepared(self._session(height, width), np.empty((1, height, width, 3), np.uint8))
        self._prepared[key] = prepared
        while len(self._prepared) > SESSIONS:
            self._prepared.popitem(last=False)
        return prepared

    def _session(self, height: int, width: int) -> ort.InferenceSession:
        # A session with fixed sizes lets ONNX Runtime plan its memory and layouts: faster than a dynamic one.
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        for name, value in (("batch", 1), ("height", height), ("width", width)):
            options.add_free_dimension_override_by_name(name, value)
        try:
            return ort.InferenceSession(self._content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no base class
            reason = str(error).strip().splitlines()[0][:200]
            raise ModelError(f"{self.path}: not a model ONNX Runtime can load ({reason})") from error

    def _check(self, session: ort.InferenceSession) -> dict[str, str]:
        want = "want input uint8 (1, height, width, 3) and output float32 (1, height, width)"
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or inputs[0].name != "image" or inputs[0].type != "tensor(uint8)":
            got = ", ".join(f"{node.name}: {node.type} {node.shape}" for node in inputs)
            raise ModelError(f"{self.path}: its input is {got}; {want} (use `figureground export`)")
        picture = np.zeros((1, STRIDE, STRIDE, 3), np.uint8)
        try:
            result = session.run(None, {"image": picture})
        except Exception as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise ModelError(f"{self.path}: cannot run on a picture ({reason}); {want}") from error
        if len(outputs) != 1 or result[0].shape != (1, STRIDE, STRIDE) or result[0].dtype != np.float32:
            raise ModelError(f"{self.path}: its output is {result[0].dtype} {result[0].shape}; {want}")
        return dict(session.get_modelmeta().custom_metadata_map)


def shipped_models() -> dict[str, dict[str, object]]:
    """The models inside the package: name to file, sha256, size, scores and licence."""
    text = resources.files("figureground.models").joinpath("models.json").read_text(encoding="utf-8")
    models: dict[str, dict[str, object]] = json.loads(text)
    return models


def _read(model: str | Path) -> tuple[Path, bytes]:
    """The model's path and content; a shipped model's content must have its SHA-256."""
    shipped = shipped_models()
    if isinstance(model, str) and model in shipped:
        path = Path(str(resources.files("figureground.models").joinpath(str(shipped[model]["file"]))))
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != shipped[model]["sha256"]:
            raise ModelError(f"{path}: altered since it was shipped (SHA-256 differs); reinstall figureground")
        return path, content
    path = Path(model)
    if not os.path.exists(path):
        raise ModelError(f"{model}: no such model; use {', '.join(shipped)} or the path of an .onnx file")
    if path.suffix != ".onnx":
        raise ModelError(f"{path}: not an .onnx file; make one with `figureground export RUN`")
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
