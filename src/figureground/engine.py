"""Running a model: a frame in, an alpha of the same size out. The only import of onnxruntime."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, check_frame
from figureground.errors import ModelError
from figureground.preprocess import STRIDE, Fit, to_input
from figureground.refine import to_alpha

SESSIONS = 16  # prepared input shapes kept; a folder of photographs has a handful
MAX_SIZE = 4096
# What each device needs of ONNX Runtime, and the package that has it.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
}
DEFAULT_SIZE = 256  # side of a square with as many pixels as the input, where a model does not name its own


class Engine:
    """A model ready to run: `alpha = Engine("small")(frame)`. Threads may share one.

    Args:
        model: the name of a shipped model, or the path of an .onnx file or a run folder, both made by
            `figureground export`.
        threads: CPU threads for the network; 0: one a core. A small network gains nothing from a second one
            beside a video codec, and takes twice the CPU time.
        device: cpu, cuda, openvino, coreml or directml: whatever this ONNX Runtime was made for.

    Raises:
        ModelError: unknown name, altered or unreadable file, a file of another shape, or a device that cannot be used:
            never is another one used instead.
    """

    def __init__(self, model: str | Path = "small", threads: int = 1, device: str = "cpu") -> None:
        check_device(device)
        self.path, self._content = _read(model)
        self.threads, self.device = threads, device
        self._sessions: OrderedDict[tuple[int, int], ort.InferenceSession] = OrderedDict()
        self._lock = Lock()
        self.metadata, self._fixed = self._check(self._load({}))
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
        fit = self.fit(frame.shape[1], frame.shape[0])
        return to_alpha(frame, self.run(to_input(frame, fit)), fit)

    def fit(self, width: int, height: int, size: int | None = None) -> Fit:
        """How a frame of `width` x `height` pixels lies in the network's input.

        A model of free size may be asked for another `size` than its own: fewer pixels cost less time.
        """
        return Fit.into(width, height, *self._fixed) if self._fixed else Fit.of(width, height, size or self.size)

    def run(self, picture: Frame) -> Alpha:
        """The bare network.

        Args:
            picture: (H, W, 3) uint8 RGB, H and W multiples of 32, or what a model of fixed size wants.

        Returns:
            (H, W) float32 in [0, 1].

        Raises:
            ModelError: the network gave a value that is no number.
        """
        session = self._session(*picture.shape[:2])
        try:
            output: Alpha = session.run(None, {"image": picture[None]})[0][0]
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise ModelError(f"{self.path}: cannot run on a picture ({_first_line(error)})") from error
        if not np.isfinite(output).all():
            raise ModelError(f"{self.path}: the network gave a value that is no number; the model is broken")
        return output

    def _session(self, height: int, width: int) -> ort.InferenceSession:
        key = (height, width)
        with self._lock:
            if key not in self._sessions:
                # With fixed sizes ONNX Runtime can plan its memory and layouts: faster than a dynamic session.
                self._sessions[key] = self._load({"batch": 1, "height": height, "width": width})
            self._sessions.move_to_end(key)
            while len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
            return self._sessions[key]

    def _load(self, sizes: Mapping[str, int]) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        for name, value in sizes.items():
            options.add_free_dimension_override_by_name(name, value)
        provider = PROVIDERS[self.device][0]
        try:
            session = ort.InferenceSession(self._content, options, providers=[provider], enable_fallback=0)
        except Exception as error:
            on = "" if self.device == "cpu" else f" on {self.device}"
            raise ModelError(f"{self.path}: not a model ONNX Runtime can load{on} ({_first_line(error)})") from error
        if provider not in session.get_providers():  # it takes the CPU by itself where a library or driver is missing
            raise ModelError(f"--device {self.device}: ONNX Runtime cannot start it; see that its driver is installed")
        return session

    def _check(self, session: ort.InferenceSession) -> tuple[dict[str, str], tuple[int, int] | None]:
        """Its metadata, and the width and height of its input if they are fixed."""
        want = "want input uint8 (1, height, width, 3) and output float32 (1, height, width)"
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if [(each.name, each.type, len(each.shape)) for each in inputs] != [("image", "tensor(uint8)", 4)]:
            got = ", ".join(f"{node.name}: {node.type} {node.shape}" for node in inputs)
            raise ModelError(f"{self.path}: its input is {got}; {want} (use `figureground export`)")
        sides = inputs[0].shape[1:3]
        fixed = all(isinstance(side, int) for side in sides)
        height, width = sides if fixed else (STRIDE, STRIDE)
        if not 0 < min(height, width) <= max(height, width) <= MAX_SIZE:
            raise ModelError(f"{self.path}: its input is {width} pixels wide, {height} high; want 1 to {MAX_SIZE}")
        try:
            result = session.run(None, {"image": np.zeros((1, height, width, 3), np.uint8)})
        except Exception as error:
            raise ModelError(f"{self.path}: cannot run on a picture ({_first_line(error)}); {want}") from error
        if len(outputs) != 1 or result[0].shape != (1, height, width) or result[0].dtype != np.float32:
            raise ModelError(f"{self.path}: its output is {result[0].dtype} {result[0].shape}; {want}")
        return dict(session.get_modelmeta().custom_metadata_map), (width, height) if fixed else None


class ForeignNetwork:
    """Somebody else's .onnx file, just as it is: one float32 array in, a list of arrays out.

    `shape` is that of the input, None where a size is free.

    Raises:
        ModelError: no such file, not a model, or not with one float32 input.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        if not path.exists():
            raise ModelError(f"{path}: no such file")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{path}: not a model ONNX Runtime can load ({_first_line(error)})") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            got = ", ".join(f"{node.name}: {node.type} {node.shape}" for node in inputs)
            raise ModelError(f"{path}: its input is {got}; want one of float32")
        self.shape = [size if isinstance(size, int) else None for size in inputs[0].shape]

    def __call__(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Run the network.

        Raises:
            ModelError: it cannot run on an array of this shape.
        """
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, {self._session.get_inputs()[0].name: picture})
        except Exception as error:
            raise ModelError(f"{self.path}: cannot run on a picture ({_first_line(error)})") from error
        return outputs


def usable_devices() -> list[str]:
    """The devices this ONNX Runtime was made for; whether one is there shows when a model is loaded on it."""
    return [name for name, (provider, _) in PROVIDERS.items() if provider in ort.get_available_providers()]


def check_device(device: str) -> None:
    """
    Raises:
        ModelError: no such device, or not one of this ONNX Runtime; the message says which are and what to install.
    """
    has = ", ".join(usable_devices())
    if device not in PROVIDERS:
        raise ModelError(f"--device {device}: want one of {', '.join(PROVIDERS)}; this ONNX Runtime has {has}")
    if device not in usable_devices():
        package = PROVIDERS[device][1]
        there = PROVIDERS["cpu"][1]
        mend = f"pip uninstall -y {there} && pip install {package}" if package != there else "that takes a Mac"
        raise ModelError(f"--device {device}: this ONNX Runtime has only {has}: {mend}")


def shipped_models() -> dict[str, dict[str, object]]:
    """The models inside the package: name to file, sha256, size, scores and licence."""
    text = resources.files("figureground.models").joinpath("models.json").read_text(encoding="utf-8")
    models: dict[str, dict[str, object]] = json.loads(text)
    return models


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _read(model: str | Path) -> tuple[Path, bytes]:
    """The model's path and content; a shipped model's content must have its SHA-256."""
    shipped = shipped_models()
    if isinstance(model, str) and model in shipped:
        path = Path(str(resources.files("figureground.models").joinpath(str(shipped[model]["file"]))))
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != shipped[model]["sha256"]:
            raise ModelError(f"{path}: altered since it was shipped (SHA-256 differs); reinstall figureground")
        return path, content
    path = Path(model) / "model.onnx" if os.path.isdir(model) else Path(model)
    if not os.path.exists(path):
        known = ", ".join(shipped)
        raise ModelError(f"{path}: no such model; use {known}, an .onnx file, or a run that has been exported")
    if path.suffix != ".onnx":
        raise ModelError(f"{path}: not an .onnx file; make one with `figureground export RUN`")
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
