"""What an exported file is to be; everything wrong with the wish is found before TensorFlow is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from figureground.engine import MAX_SIZE
from figureground.errors import MissingExtraError, ModelError, OutputError
from figureground.preprocess import STRIDE, Fit

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite"}
QUANTIZATIONS = ("int8", "fp16")
_RUNTIMES = {"openvino": ("openvino", "OpenVINO", "openvino"), "litert": ("ai_edge_litert", "LiteRT", "peers")}


@dataclass(frozen=True, slots=True)
class Target:
    """A format, how its numbers are kept ("": float32), and its fixed width and height in pixels (None: free)."""

    format: str = "onnx"
    quantize: str = ""
    size: tuple[int, int] | None = None

    @classmethod
    def parse(cls, to: str, quantize: str, size: str) -> Target:
        """From what the command line says.

        Raises:
            ModelError: an unknown format or quantisation, or a size that is none.
            MissingExtraError: the format's runtime, which must run the file before it is kept, is not installed.
        """
        if to not in SUFFIXES:
            raise ModelError(f"--to {to}: unknown; want {', '.join(SUFFIXES)}")
        if quantize and quantize not in QUANTIZATIONS:
            raise ModelError(f"--quantize {quantize}: unknown; want {' or '.join(QUANTIZATIONS)}")
        module, name, extra = _RUNTIMES.get(to, ("onnxruntime", "", ""))
        if find_spec(module) is None:
            raise MissingExtraError(name, extra)
        return cls(to, quantize, _size(size) if size else None)

    def path(self, run: Path, output: Path | None) -> Path:
        """The file to write: `output`, or else one in the run's folder.

        Raises:
            OutputError: `output` has another suffix than the format's, or there is a folder in its place.
        """
        suffix = SUFFIXES[self.format]
        if output is None:
            parts = ["model", self.quantize, "x".join(map(str, self.size or ()))]
            output = run / ("-".join(filter(None, parts)) + suffix)
        if output.is_dir():
            raise OutputError(f"{output}: is a folder; name the file to write, as in {output / f'model{suffix}'}")
        if output.suffix != suffix:
            raise OutputError(f"{output}: a file for --to {self.format} ends in {suffix}")
        return output

    def fit(self, width: int, height: int, side: int) -> Fit:
        """How a frame of `width` x `height` lies in the input, whose size is the recipe's `side` where it is free."""
        return Fit.into(width, height, *self.size) if self.size else Fit.of(width, height, side)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not all(side.isdecimal() and int(side) in range(STRIDE, MAX_SIZE + 1, STRIDE) for side in (width, height)):
        raise ModelError(f"--size {text}: want WIDTHxHEIGHT, both multiples of {STRIDE} up to {MAX_SIZE}, as 256x160")
    return int(width), int(height)
