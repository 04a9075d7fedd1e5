"""Reading and writing picture files: EXIF orientation applied, RGB order, limits, atomic writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.errors import ImageError, OutputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95


def read_image(path: Path) -> Frame:
    """Read a picture of any mode (grey, palette, CMYK, 16 bit, transparent over white) as a Frame.

    Raises:
        ImageError: missing, truncated, not a picture, or over 100 megapixels.
    """
    picture = _open(path)
    if picture.mode in ("I;16", "I;16B", "I"):
        grey = np.clip(np.asarray(picture, np.float32) / 257.0 + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        # Over white: colours hidden under transparency are not part of the picture.
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(picture.convert("RGB"))


def read_matte(path: Path) -> NDArray[np.uint8]:
    """Read a mask or matte as an (H, W) uint8 array, 0 background to 255 person.

    Raises:
        ImageError: as `read_image`.
    """
    return np.array(_open(path).convert("L"))


def _open(path: Path) -> Image.Image:
    try:
        picture: Image.Image = Image.open(path)
        if picture.width * picture.height > MAX_PIXELS:
            raise ImageError(f"{path}: {picture.width}x{picture.height} is over the limit of 100 megapixels; shrink it")
        picture.load()
        return ImageOps.exif_transpose(picture)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path}: over the limit of 100 megapixels; shrink it") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not a picture this can read; want {' '.join(EXTENSIONS)}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's decoders raise on broken data
        raise ImageError(f"{path}: cannot be read ({error})") from error


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA uint8 array; the suffix chooses the format.

    Raises:
        OutputError: unknown suffix, transparency asked of JPEG, or the file cannot be written.
    """
    if path.suffix.lower() not in EXTENSIONS:
        raise OutputError(
            f"{path}: cannot write {path.suffix or 'a file without suffix'}; use one of {' '.join(EXTENSIONS)}"
        )
    if image.ndim == 3 and image.shape[2] == 4 and path.suffix.lower() in (".jpg", ".jpeg"):
        raise OutputError(f"{path}: JPEG holds no transparency; use .png or .webp")
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, quality=JPEG_QUALITY)
