"""What is to be made of every input of a call; plain values, so that it can go to other processes and machines."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from figureground.batch.compose import KINDS
from figureground.encodings import check_codec
from figureground.errors import OutputError, SettingError


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be made of every input.

    Attributes:
        kind: `composite`, `cutout` (transparent background; a composite before `transparent` is one) or `alpha` (the
            matte, grey).
        background: `blur`, `blur:STRENGTH`, `#rrggbb`, or the path of a picture, video or folder; for composites.
        model: a shipped name, an .onnx, .tflite or .xml file, or a TOML that describes one.
        crop: whether pictures are cut down to the person; for cut-outs and alphas.
        margin: what is left around the person then, in hundredths of their longer side.
        strip_metadata: whether pictures keep nothing but their colour profile, videos no date, place or names.
        codec: of videos, one of `encodings.CODECS`; None: what is usual for the file's name.
        matte: whether a video's matte is written beside its result, too.
        start, end: the part of a video that is wanted, in seconds from its beginning; `end` None: to its end.
        frames: of a video at most; None: all.
        sheet: the picture file for a contact sheet of a video's result.
        resume: whether to go on where a killed call for the same video was.

    Raises:
        OutputError: no such kind or codec, or a crop that is not possible.
        SettingError: a part of a video that ends before it begins.
    """

    kind: str = "composite"
    background: str = "blur"
    model: str = "small"
    crop: bool = False
    margin: float = 0.0
    strip_metadata: bool = False
    codec: str | None = None
    matte: bool = False
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    frames: int | None = None
    sheet: str | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OutputError(f"kind {self.kind!r}: want one of {', '.join(KINDS)}")
        if self.kind == "composite" and self.background == "transparent":
            object.__setattr__(self, "kind", "cutout")
        if self.crop and self.kind == "composite":
            raise OutputError("--crop: a composite keeps its size; use it with --kind cutout or alpha")
        if not 0 <= self.margin <= 100:
            raise OutputError(f"--margin {self.margin:g}: want 0 to 100, in hundredths of the person's longer side")
        if self.margin and not self.crop:
            raise OutputError("--margin: only means something with --crop")
        if self.codec is not None:
            check_codec(self.codec, self.transparent)
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            end = "its end" if self.end is None else f"{float(self.end):g} s"
            raise SettingError(f"a video from {float(self.start):g} s to {end}: want 0 <= from < to")
        if self.frames is not None and self.frames < 1:
            raise SettingError(f"{self.frames} frames: want 1 or more")

    @property
    def of_videos(self) -> str:
        """What of it only means something for videos, as the command line calls it; empty: nothing."""
        given = {
            "--codec": self.codec is not None,
            "--matte": self.matte,
            "--from": self.start > 0,
            "--to": self.end is not None,
            "--frames": self.frames is not None,
        }
        return ", ".join(name for name, is_given in given.items() if is_given)

    @property
    def transparent(self) -> bool:
        """Whether results have an alpha of their own."""
        return self.kind == "cutout"
