"""Running a model: a frame in, an alpha of the same size out."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, check_frame
from figureground.errors import ModelError
from figureground.preprocess import STRIDE, Fit, crisp, drop_doubtful, tidy, to_input
from figureground.refine import Levels, refined_levels, to_alpha
from figureground.sessions import Session, check_device, read_model

SESSIONS = 16  # prepared input shapes kept; a folder of photographs has a handful
MAX_SIZE = 4096
DEFAULT_SIZE = 256  # side of a square with as many pixels as the input, where a model does not name its own


class Model(Protocol):
    """Whatever finds people: an `Engine`, or what `runtimes.peers.open_model` gives. Threads may share one."""

    path: Path

    def __call__(self, frame: Frame) -> Alpha:
        """(H, W, 3) uint8 RGB to (H, W) float32 in [0, 1], new at every call."""
        ...

    def look(self, frame: Frame) -> tuple[Frame, Alpha]:
        """What the network sees of `frame`, (h, w, 3) uint8 RGB, and its alpha of that, (h, w), not enlarged yet."""
        ...

    def levels(self, frame: Frame, most: int = 255) -> Levels:
        """The alpha of `frame` in whole levels of 0 to `most`, 255 or 65535; large frames cost no float32 alpha."""
        ...


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
        self.path, self._content, self._is_limited = _read(model)
        self.threads, self.device = threads, device
        self._sessions: OrderedDict[tuple[int, int], Session] = OrderedDict()
        self._lock = Lock()
        self.metadata, self._fixed = self._check(self._load({}))
        size = self.metadata.get("size", str(DEFAULT_SIZE))
        if not (size.isdecimal() and STRIDE <= int(size) <= MAX_SIZE):
            raise ModelError(f"{self.path}: its metadata says size {size!r}; want {STRIDE} to {MAX_SIZE}")
        self.size = int(size)
        self.sure = self._share("sure")

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

    def look(self, frame: Frame) -> tuple[Frame, Alpha]:
        """As `engine.Model.look`."""
        fit = self.fit(frame.shape[1], frame.shape[0])
        picture = to_input(frame, fit)
        return picture[: fit.height, : fit.width], tidy(crisp(self.run(picture), fit))

    def levels(self, frame: Frame, most: int = 255) -> Levels:
        """As `engine.Model.levels`."""
        return refined_levels(check_frame(frame), self.look(frame)[1], most)

    def fit(self, width: int, height: int, size: int | None = None) -> Fit:
        """How a frame of `width` x `height` pixels lies in the network's input.

        A model of free size may be asked for another `size` than its own: fewer pixels cost less time.
        """
        return Fit.into(width, height, *self._fixed) if self._fixed else Fit.of(width, height, size or self.size)

    def run(self, picture: Frame) -> Alpha:
        """The network, less what it is hardly sure of where its metadata says how sure it must be (`sure`).

        Args:
            picture: (H, W, 3) uint8 RGB, H and W multiples of 32, or what a model of fixed size wants.

        Returns:
            (H, W) float32 in [0, 1], new at every call.

        Raises:
            ModelError: the network gave a value that is no number.
        """
        output: Alpha = self._session(*picture.shape[:2])({"image": picture[None]})[0][0]
        if not np.isfinite(output).all():
            raise ModelError(f"{self.path}: the network gave a value that is no number; the model is broken")
        return drop_doubtful(output, self.sure) if self.sure else output

    def _share(self, name: str) -> float:
        """A share in the metadata, 0 if it says none."""
        text = self.metadata.get(name, "0")
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share < 1:
            raise ModelError(f"{self.path}: its metadata says {name} {text!r}; want 0 or more and below 1")
        return share

    def _session(self, height: int, width: int) -> Session:
        key = (height, width)
        with self._lock:
            if key not in self._sessions:
                # With fixed sizes ONNX Runtime can plan its memory and layouts: faster than a dynamic session.
                self._sessions[key] = self._load({"batch": 1, "height": height, "width": width})
            self._sessions.move_to_end(key)
            while len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
            return self._sessions[key]

    def _load(self, sizes: Mapping[str, int]) -> Session:
        return Session(self.path, self._content, self.threads, self.device, sizes, self._is_limited)

    def _check(self, session: Session) -> tuple[dict[str, str], tuple[int, int] | None]:
        """Its metadata, and the width and height of its input if they are fixed."""
        want = "want input uint8 (1, height, width, 3) and output float32 (1, height, width)"
        inputs, outputs = session.inputs, session.outputs
        if [(each.name, each.kind, len(each.shape)) for each in inputs] != [("image", "tensor(uint8)", 4)]:
            got = ", ".join(f"{node.name}: {node.kind} {list(node.shape)}" for node in inputs)
            raise ModelError(f"{self.path}: its input is {got}; {want} (use `figureground export`)")
        sides = inputs[0].shape[1:3]
        fixed = all(isinstance(side, int) for side in sides)
        height, width = sides if fixed else (STRIDE, STRIDE)
        if not 0 < min(height, width) <= max(height, width) <= MAX_SIZE:
            raise ModelError(f"{self.path}: its input is {width} pixels wide, {height} high; want 1 to {MAX_SIZE}")
        try:
            result = session({"image": np.zeros((1, height, width, 3), np.uint8)})
        except ModelError as error:
            raise ModelError(f"{error}; {want}") from error
        if len(outputs) != 1 or result[0].shape != (1, height, width) or result[0].dtype != np.float32:
            raise ModelError(f"{self.path}: its output is {result[0].dtype} {result[0].shape}; {want}")
        return session.metadata, (width, height) if fixed else None


class ForeignNetwork:
    """Somebody else's .onnx file, just as it is: one float32 array in, a list of arrays out.

    `shape` is that of the input, None where a size is free.

    Raises:
        ModelError: no such file, not a model, or not with one float32 input.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not path.exists():
            raise ModelError(f"{path}: no such file")
        self._session = Session(path, read_model(path), threads)
        inputs = self._session.inputs
        if len(inputs) != 1 or inputs[0].kind != "tensor(float)":
            got = ", ".join(f"{node.name}: {node.kind} {list(node.shape)}" for node in inputs)
            raise ModelError(f"{path}: its input is {got}; want one of float32")
        self.shape = [size if isinstance(size, int) else None for size in inputs[0].shape]

    def __call__(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Run the network.

        Raises:
            ModelError: it cannot run on an array of this shape, or not within the limits.
        """
        return self._session({self._session.inputs[0].name: picture})


def shipped_models() -> dict[str, dict[str, object]]:
    """The models inside the package: name to file, sha256, size, scores and licence."""
    text = resources.files("figureground.models").joinpath("models.json").read_text(encoding="utf-8")
    models: dict[str, dict[str, object]] = json.loads(text)
    return models


def licence_of(model: str) -> str | None:
    """The licence of a shipped model's weights; None for any other, whose terms are not ours to tell."""
    card = shipped_models().get(model)
    return None if card is None else str(card["licence"])


def _read(model: str | Path) -> tuple[Path, bytes, bool]:
    """The model's path and content, and whether it is a stranger's; a shipped one's content must have its SHA-256."""
    shipped = shipped_models()
    if isinstance(model, str) and model in shipped:
        path = Path(str(resources.files("figureground.models").joinpath(str(shipped[model]["file"]))))
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != shipped[model]["sha256"]:
            raise ModelError(f"{path}: altered since it was shipped (SHA-256 differs); reinstall figureground")
        return path, content, False
    path = Path(model) / "model.onnx" if os.path.isdir(model) else Path(model)
    if not os.path.exists(path):
        known = ", ".join(shipped)
        raise ModelError(f"{path}: no such model; use {known}, an .onnx file, or a run that has been exported")
    if path.suffix != ".onnx":
        raise ModelError(f"{path}: not an .onnx file; make one with `figureground export RUN`")
    return path, read_model(path), True
