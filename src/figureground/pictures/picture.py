"""A picture file as it is: its pixels in its own colours, and what else it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.errors import OutputError
from figureground.images import check_suffix, encode_image, opened, own_profile, upright
from figureground.pictures.deep import DEEP_EXTENSIONS, is_deep, read_deep, write_deep
from figureground.pictures.metadata import Metadata, read_metadata
from figureground.profiles import strips, to_srgb


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, upright.

    Attributes:
        pixels: (H, W, 3) RGB of the colours of `metadata.profile`, uint8, or uint16 in 0..65535.
        metadata: what else its file says.
        animated: how many pictures the file holds one after the other; these pixels are the first one's.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    metadata: Metadata
    animated: int = 1

    def seen(self) -> Frame:
        """What a network is to see of it: (H, W, 3) uint8 sRGB; `pixels` itself where it is that already."""
        return to_srgb(to_8_bits(self.pixels), self.metadata.profile)


def holds_16_bits(suffix: str) -> bool:
    return suffix.lower() in DEEP_EXTENSIONS


def read_picture(file: Path | BytesIO, deep: bool = False) -> Picture:
    """Read a picture of any mode (grey, palette, CMYK, transparent over white), in 16 bits if it has them and `deep`.

    Raises:
        ImageError: missing, truncated, not a picture, or over 100 megapixels.
    """
    with opened(file) as picture:
        is_kept_deep = deep and is_deep(picture)  # first: what Pillow does for the others may load it
        animated = _count(picture)
        metadata = read_metadata(picture, own_profile(picture))
        if is_kept_deep:
            _check_whole(file)
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
            return Picture(read_deep(file, orientation), metadata, animated)
        return Picture(upright(picture), metadata, animated)


def _check_whole(file: Path | BytesIO) -> None:
    """Of a broken file OpenCV gives what there is, without a word: let Pillow read it first.

    Raises:
        ImageError: it is broken.
    """
    with opened(file) as picture:
        picture.load()


def _count(picture: Image.Image) -> int:
    """The pictures of a file one after the other; a JPEG's others are its own depth, gain or preview."""
    if picture.format in ("JPEG", "MPO"):
        return 1
    try:
        return int(getattr(picture, "n_frames", 1))
    except Exception:  # what comes after the first is broken, which is no reason to refuse that
        return 1


def write_picture(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], metadata: Metadata) -> None:
    """Write (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA uint8, or (H, W, 4) uint16, with what is said of it.

    The suffix chooses the format, which says as much of `metadata` as it can hold.

    Raises:
        OutputError: unknown suffix, transparency asked of JPEG, or the file cannot be written.
    """
    check_suffix(path, transparent=pixels.shape[2:] == (4,))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        try:
            encode_picture(file, pixels, metadata, path.suffix)
        except (ValueError, RuntimeError) as error:  # more pixels than the format holds
            raise OutputError(f"{path}: cannot be written ({error})") from error


def encode_picture(
    file: BinaryIO, pixels: NDArray[np.uint8] | NDArray[np.uint16], metadata: Metadata, suffix: str
) -> None:
    """`write_picture` to an open file, in the format of files of this suffix.

    Raises:
        ValueError, RuntimeError: from Pillow, if the format cannot hold the picture.
    """
    suffix = suffix.lower()
    if pixels.ndim == 2:
        metadata = replace(metadata, profile=None)  # which is one of RGB colours
    if pixels.dtype == np.uint16:
        write_deep(file, np.asarray(pixels, np.uint16), metadata, suffix)
    else:
        encode_image(file, np.asarray(pixels, np.uint8), suffix, **metadata.kept(suffix))


def to_8_bits(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Frame:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    frame = np.empty(pixels.shape, np.uint8)
    for rows in strips(*pixels.shape[:2]):
        frame[rows] = cv2.convertScaleAbs(pixels[rows], alpha=1 / 257)
    return frame
