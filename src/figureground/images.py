"""Reading and writing picture files: EXIF orientation applied, RGB order, limits, atomic writes."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.errors import ImageError, OutputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# Others are refused whatever their name: EPS, for one, would start an interpreter.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95
_DEEP = ("I;16", "I;16B", "I")  # Pillow's modes of 16-bit grey


def read_image(path: str | Path) -> Frame:
    """Read a picture of any mode (grey, palette, CMYK, 16 bit, transparent over white) as a Frame.

    Raises:
        ImageError: missing, truncated, not a picture, or over 100 megapixels.
    """
    picture = _to_srgb(_open(Path(path)))
    if picture.mode in _DEEP:
        return np.repeat(_to_8_bits(picture)[:, :, None], 3, axis=2)
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
    picture = _open(path)
    return _to_8_bits(picture) if picture.mode in _DEEP else np.array(picture.convert("L"))


def _to_srgb(picture: Image.Image) -> Image.Image:
    """A picture with a colour profile of its own, such as a phone's Display P3, in sRGB; any other as it is."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "CMYK"):
        return picture
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        changed = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile is no reason to refuse the picture
    return changed or picture


def _to_8_bits(picture: Image.Image) -> NDArray[np.uint8]:
    # Pillow's own conversion cuts off at 255 instead of scaling.
    return np.clip(np.asarray(picture, np.float32) / 257.0 + 0.5, 0, 255).astype(np.uint8)


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's limit is below this one
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    size = f"{picture.width}x{picture.height}"
                    raise ImageError(f"{path}: {size} is over the limit of 100 megapixels; shrink it")
                picture.load()
                return ImageOps.exif_transpose(picture)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: over the limit of 100 megapixels; shrink it") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not a picture this can read; want {' '.join(EXTENSIONS)}") from error
    except ImageError:
        raise
    except Exception as error:  # on broken data Pillow's decoders raise anything: OSError, SyntaxError, struct.error...
        raise ImageError(f"{path}: cannot be read ({error})") from error


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA uint8 array; the suffix chooses the format.

    Raises:
        OutputError: unknown suffix, transparency asked of JPEG, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in EXTENSIONS:
        raise OutputError(
            f"{path}: cannot write {path.suffix or 'a file without suffix'}; use one of {' '.join(EXTENSIONS)}"
        )
    if image.ndim == 3 and image.shape[2] == 4 and path.suffix.lower() in (".jpg", ".jpeg"):
        raise OutputError(f"{path}: JPEG holds no transparency; use .png or .webp")
    with atomic_path(path) as temporary:
        try:
            Image.fromarray(image).save(temporary, quality=JPEG_QUALITY)
        except ValueError as error:  # more pixels than the format holds
            raise OutputError(f"{path}: cannot be written ({error})") from error
