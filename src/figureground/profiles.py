"""Colour profiles (ICC): a picture's own colours and sRGB."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from figureground.arrays import Frame

STRIP = 4_000_000  # pixels that are worked on at once, so that a large picture is not held twice
_SRGB = ImageCms.createProfile("sRGB")


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in strips of about STRIP pixels."""
    rows = max(1, STRIP // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(height, top + rows))


def rgb_profile(data: bytes | None) -> bytes | None:
    """`data` if it is a profile of RGB colours that can be used; None if it is broken or of other colours."""
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        ImageCms.buildTransform(profile, _SRGB, "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None  # a broken profile is no reason to refuse the picture
    return data if profile.profile.xcolor_space.strip() == "RGB" else None


def from_cmyk(data: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """What turns CMYK of this profile into sRGB; None if there is no such profile."""
    if not data:
        return None
    try:
        return ImageCms.buildTransform(ImageCms.ImageCmsProfile(BytesIO(data)), _SRGB, "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def to_srgb(pixels: Frame, own: bytes | None) -> Frame:
    """Colours of the profile `own` (None: sRGB) in sRGB, strip by strip; `pixels` itself if nothing differs."""
    return pixels if own is None else _converted(pixels, ImageCms.ImageCmsProfile(BytesIO(own)), _SRGB)


def from_srgb(pixels: Frame, own: bytes | None) -> Frame:
    """sRGB colours in those of the profile `own` (None: sRGB); `pixels` itself if nothing differs."""
    return pixels if own is None else _converted(pixels, _SRGB, ImageCms.ImageCmsProfile(BytesIO(own)))


def _converted(pixels: Frame, source: Any, target: Any) -> Frame:
    transform = ImageCms.buildTransform(source, target, "RGB", "RGB")
    if _changes_nothing(transform):
        return pixels
    out = np.empty_like(pixels)
    for rows in strips(*pixels.shape[:2]):
        out[rows] = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels[rows]), transform))
    return out


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether no colour of a grid moves by more than rounding does, as with the many profiles that say sRGB."""
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(64, 64, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
    return bool(np.abs(moved.astype(np.int16) - grid).max() <= 1)
