"""ONNX Runtime's sessions: what is shipped runs as it is, a stranger's file within limits of size, time and memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Timer
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from figureground.errors import ModelError

# What each device needs of ONNX Runtime, and the package that has it.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
}
MAX_BYTES = 1 << 30  # of a model file
MAX_MEMORY = 4 << 30  # of all that strangers' networks hold at a time, weights included
SECONDS = 60.0  # for loading a stranger's model, and for each run
# The key under which a tensor names the file that holds its values, as protobuf writes it; lengths may be padded.
_EXTERNAL = re.compile(rb"(?:\n|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


def read_model(path: Path) -> bytes:
    """The content of a stranger's model file.

    Raises:
        ModelError: it cannot be read, is over 1 GiB, or wants other files.
    """
    try:
        if not path.is_file():
            raise ModelError(f"{path}: not a regular file")  # to open a pipe could take for ever
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ModelError(f"{path}: {size >> 20} MiB, over the limit of {MAX_BYTES >> 20} MiB for a model")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if _EXTERNAL.search(content):
        raise ModelError(f"{path}: keeps its weights in other files; save it as one file with everything inside")
    return content


@dataclass(frozen=True, slots=True)
class Node:
    """An input or output: `kind` as in `tensor(float)`, `shape` with names or None for free sizes."""

    name: str
    kind: str
    shape: tuple[Any, ...]


class Session:
    """A network ready to run: `outputs = session({"image": picture})`. Threads may share one.

    Args:
        path: for messages.
        content: of the .onnx file.
        threads: CPU threads; 0: one a core.
        device: as `check_device` lets it pass; no other is used instead.
        sizes: values of free dimensions, by name.
        is_limited: it is a stranger's, kept within `SECONDS` and `MAX_MEMORY`. An operation at work is not cut
            short: the time is looked at between two of them.

    Raises:
        ModelError: not a model ONNX Runtime can load, or a device that cannot be used.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        threads: int,
        device: str = "cpu",
        sizes: Mapping[str, int] | None = None,
        is_limited: bool = True,
    ) -> None:
        self._path, self._is_limited = path, is_limited
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4 if is_limited else 3  # what is wrong with a file is told once, and by us
        for name, value in (sizes or {}).items():
            options.add_free_dimension_override_by_name(name, value)
        if is_limited:
            _bound_memory()
            options.add_session_config_entry("session.use_env_allocators", "1")
        provider = PROVIDERS[device][0]
        try:
            with self._timed(lambda: options.set_load_cancellation_flag(True)):
                self._session = ort.InferenceSession(content, options, providers=[provider], enable_fallback=0)
            # At once: a name or text that is no UTF-8 is found out by reading it.
            self.inputs, self.outputs = _nodes(self._session.get_inputs()), _nodes(self._session.get_outputs())
            self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        except Exception as error:  # onnxruntime's own exceptions share no base class
            on = "" if device == "cpu" else f" on {device}"
            raise ModelError(f"{path}: not a model ONNX Runtime can load{on} ({_reason(error)})") from error
        if provider not in self._session.get_providers():  # it takes the CPU by itself where a driver is missing
            raise ModelError(f"--device {device}: ONNX Runtime cannot start it; see that its driver is installed")

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the network on arrays by name of input.

        Raises:
            ModelError: it cannot run on them, or not within the limits.
        """
        options = ort.RunOptions()
        options.log_severity_level = 4 if self._is_limited else 3
        try:
            with self._timed(lambda: setattr(options, "terminate", True)):
                outputs: list[NDArray[Any]] = self._session.run(None, feeds, options)
        except Exception as error:
            raise ModelError(f"{self._path}: cannot run on a picture ({_reason(error)})") from error
        return outputs

    @contextmanager
    def _timed(self, stop: Callable[[], None]) -> Iterator[None]:
        if not self._is_limited:
            yield
            return
        timer = Timer(SECONDS, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _nodes(nodes: Iterable[Any]) -> list[Node]:
    return [Node(node.name, node.type, tuple(node.shape)) for node in nodes]


@cache
def _bound_memory() -> None:
    """Give all sessions of strangers one arena of bounded size, once."""
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(MAX_MEMORY, -1, -1, -1))


def _reason(error: Exception) -> str:
    """What went wrong in a few words; a limit by its name."""
    text = str(error).strip()
    if "terminate flag" in text or "LOAD_CANCELED" in text:
        return f"it takes over {SECONDS:.0f} seconds"
    if "bfc_arena" in text:
        return f"it wants over {MAX_MEMORY >> 30} GiB of memory"
    return text.splitlines()[0][:200] if text else type(error).__name__


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
