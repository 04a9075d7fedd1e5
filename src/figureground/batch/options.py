"""What is to be made of every input of a call; plain values, so that it can go to other processes and machines."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.batch.compose import KINDS
from figureground.errors import OutputError


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be made of every input.

    Attributes:
        kind: `composite`, `cutout` (transparent background; a composite before `transparent` is one) or `alpha` (the
            matte, grey).
        background: `blur`, `blur:STRENGTH`, `#rrggbb`, or the path of a picture, video or folder; for composites.
        model: a shipped name or the path of an .onnx file.

    Raises:
        OutputError: no such kind.
    """

    kind: str = "composite"
    background: str = "blur"
    model: str = "small"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OutputError(f"kind {self.kind!r}: want one of {', '.join(KINDS)}")
        if self.kind == "composite" and self.background == "transparent":
            object.__setattr__(self, "kind", "cutout")
