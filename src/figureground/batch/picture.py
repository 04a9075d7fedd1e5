"""One picture: a new background, a cut-out or its matte, in the picture's own colours."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Mask
from figureground.backgrounds import Background, Blur
from figureground.batch.options import Options
from figureground.batch.places import unchanged
from figureground.batch.plan import Job
from figureground.compositor import composite_in_place, deep_on_transparency, on_transparency
from figureground.engine import Model
from figureground.errors import ImageError
from figureground.pictures import Metadata, Picture, holds_16_bits, read_picture, write_picture
from figureground.profiles import from_srgb

LARGE = 16_000_000  # pixels
FAINT = 13  # of 255: what is less of the person does not count when a picture is cropped


def replace_picture(job: Job, model: Model, options: Options, background: Background | None) -> str:
    """Write what `options.kind` makes of the picture at `job.input` to `job.output`.

    Returns:
        What is to be said of it: that it was the first of several pictures of its file; mostly nothing.

    Raises:
        ImageError: it cannot be read, or nobody is in it to crop to.
        ChangedError: it is being written.
        OutputError: the result cannot be written.
    """
    with unchanged(job.input):
        picture = read_picture(job.input, deep=is_deep(options, job.output.suffix))
    try:
        pixels, metadata = make_picture(picture, model, options, background)
    except NobodyError as error:
        raise ImageError(f"{job.input}: {error}") from error
    said = remark(picture)
    del picture
    write_picture(job.output, pixels, metadata)
    return said


def is_deep(options: Options, suffix: str) -> bool:
    """Whether 16 bits are kept: in cut-outs, in files that hold them."""
    return options.kind == "cutout" and holds_16_bits(suffix)


def remark(picture: Picture) -> str:
    return f"the first of its {picture.animated} pictures" if picture.animated > 1 else ""


class NobodyError(ImageError):
    """Nobody is there to crop to."""


def make_picture(
    picture: Picture, model: Model, options: Options, background: Background | None
) -> tuple[NDArray[Any], Metadata]:
    """What `options.kind` makes of a picture, and what is to be said in its file.

    Returns:
        (H, W, 3) RGB, (H, W, 4) RGBA with straight alpha, or (H, W) grey, of the picture's colours, uint8; uint16 for a
        cut-out of a picture of 16 bits. A composite is written over `picture.pixels`.

    Raises:
        NobodyError: nobody is there to crop to.
    """
    most = 65535 if picture.pixels.dtype == np.uint16 else 255
    levels = model.levels(picture.seen(), most)
    made = _compose(picture, levels, options.kind, background)
    if options.crop:
        rows, columns = subject(levels >= FAINT * (most // 255), options.margin)
        made = made[rows, columns]
    metadata = picture.metadata.stripped() if options.strip_metadata else picture.metadata
    return made, metadata.sized(made.shape[1], made.shape[0])


def _compose(picture: Picture, levels: NDArray[Any], kind: str, background: Background | None) -> NDArray[Any]:
    pixels: NDArray[Any] = picture.pixels
    if kind == "alpha":
        return levels
    if kind == "cutout":
        return (on_transparency if pixels.dtype == np.uint8 else deep_on_transparency)(pixels, levels)
    assert background is not None
    if levels.size > LARGE:
        background = copy.copy(background)  # which keeps what it made, else, while the picture is written
    behind = background(pixels, levels, Fraction(0))
    if not isinstance(background, Blur):  # which is made of the picture's own colours
        behind = from_srgb(behind, picture.metadata.profile)
    composite_in_place(pixels, levels, behind)
    return pixels


def subject(person: Mask, margin: float) -> tuple[slice, slice]:
    """The rows and columns of the person, with `margin` hundredths of their longer side around them.

    Raises:
        NobodyError: there is nobody.
    """
    left, top, width, height = cv2.boundingRect(person.view(np.uint8))
    if not width:
        raise NobodyError("nobody is seen in it, so there is nothing to crop to; leave --crop out")
    more = round(max(width, height) * margin / 100)
    rows = slice(max(0, top - more), min(person.shape[0], top + height + more))
    return rows, slice(max(0, left - more), min(person.shape[1], left + width + more))
