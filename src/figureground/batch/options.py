"""What is to be made of every input of a call; plain values, so that it can go to other processes and machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from figureground.batch.compose import KINDS
from figureground.errors import OutputError


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be made of every input.

    Attributes:
        kind: `composite`, `cutout` (transparent background) or `alpha` (the matte, grey).
        background: `blur`, `blur:STRENGTH`, `#rrggbb`, or the path of a picture, video or folder; for composites.
        model: a shipped name, an .onnx, .tflite or .xml file, or a TOML that describes one.
        crop: whether pictures are cut down to the person; for cut-outs and alphas.
        margin: what is left around the person then, in hundredths of their longer side.
        strip_metadata: whether pictures keep nothing but their colour profile.

    Raises:
        OutputError: no such kind, or a crop that is not possible.
    """

    kind: str = "composite"
    background: str = "blur"
    model: str = "small"
    crop: bool = False
    margin: float = 0.0
    strip_metadata: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OutputError(f"kind {self.kind!r}: want one of {', '.join(KINDS)}")
        if self.crop and self.kind == "composite":
            raise OutputError("--crop: a composite keeps its size; use it with --kind cutout or alpha")
        if not 0 <= self.margin <= 100:
            raise OutputError(f"--margin {self.margin:g}: want 0 to 100, in hundredths of the person's longer side")
        if self.margin and not self.crop:
            raise OutputError("--margin: only means something with --crop")


def asked(background: str, kind: str, model: str, **more: Any) -> Options:
    """The options of a call, whose background may be `transparent`: a cut-out, if nothing else is asked for.

    Raises:
        OutputError: as `Options`.
    """
    is_cutout = background == "transparent" and kind == "composite"
    return Options("cutout" if is_cutout else kind, background, model, **more)
