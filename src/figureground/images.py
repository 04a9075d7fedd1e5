"""Reading and writing picture files: EXIF orientation applied, RGB order, limits, atomic writes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.errors import ImageError, LargeImageError, NoImageError, OutputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# Others are refused whatever their name: EPS, for one, would start an interpreter.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95
_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP = ("I;16", "I;16B", "I")  # Pillow's modes of 16-bit grey


def read_image(file: str | Path | IO[bytes]) -> Frame:
    """Read a picture of any mode (grey, palette, CMYK, 16 bit, transparent over white) as a Frame.

    Raises:
        ImageError: missing, truncated, not a picture, or over 100 megapixels.
    """
    picture = _to_srgb(_open(Path(file) if isinstance(file, str) else file))
    if picture.mode in _DEEP:
        return np.repeat(_to_8_bits(picture)[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        # Over white: colours hidden under transparency are not part of the picture.
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(picture.convert("RGB"))


def read_rgba(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 4) uint8 RGBA, straight alpha; opaque where it has no transparency.

    Raises:
        ImageError: as `read_image`.
    """
    return np.array(_to_srgb(_open(path)).convert("RGBA"))


def encode_jpeg(frame: Frame, quality: int = 80) -> bytes:
    """A Frame as the content of a JPEG file."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return file.getvalue()


def read_matte(path: Path) -> NDArray[np.uint8]:
    """Read a mask or matte as an (H, W) uint8 array, 0 background to 255 person.

    Raises:
        ImageError: as `read_image`.
    """
    picture = _open(path)
    return _to_8_bits(picture) if picture.mode in _DEEP else np.array(picture.convert("L"))


def read_alpha(file: Path | BytesIO) -> NDArray[np.uint8] | None:
    """The alpha channel of a picture, (H, W) uint8, a palette's transparency included; None if it has none.

    Raises:
        ImageError: as `read_image`.
    """
    picture = _open(file)
    return np.array(picture.convert("RGBA").getchannel("A")) if picture.has_transparency_data else None


def read_levels(file: Path | BytesIO) -> NDArray[np.uint8]:
    """What is stored in a label picture: (H, W) uint8 palette indices or grey levels, else (H, W, 3) RGB.

    A colour picture without any colour counts as grey; 1 bit is read as 0 and 255; 16 bits are scaled to 8, unless
    no level is over 255: they are class numbers then.

    Raises:
        ImageError: as `read_image`.
    """
    picture = _open(file)
    if picture.mode == "P":
        return np.array(picture)
    if picture.mode in _DEEP:
        levels = np.asarray(picture)
        is_of_classes = levels.min() >= 0 and levels.max() <= 255
        return levels.astype(np.uint8) if is_of_classes else _to_8_bits(picture)
    if picture.mode in ("1", "L", "LA"):
        return np.array(picture.convert("L"))
    pixels = np.array(picture.convert("RGB"))
    is_grey = (pixels == pixels[:, :, :1]).all()
    return np.ascontiguousarray(pixels[:, :, 0]) if is_grey else pixels


def has_levels(path: Path) -> bool:
    """Whether a label picture stores palette indices or grey levels, not colours; its pixels are not read.

    Raises:
        ImageError: as `read_image`.
    """
    with _limited(path) as picture:
        return picture.mode in ("P", "1", "L", "LA", *_DEEP)


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


def picture_size(file: Path | IO[bytes]) -> tuple[int, int]:
    """Width and height of a picture file as stored; only its head is read.

    Raises:
        ImageError: as `read_image`.
    """
    with _limited(file) as picture:
        return picture.width, picture.height


def stored_size(path: Path) -> tuple[int, int, int]:
    """Width and height of a picture file as stored, and its EXIF orientation (1: as stored, to 8), pixels unread.

    Raises:
        ImageError: as `read_image`.
    """
    with _limited(path) as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return picture.width, picture.height, orientation if orientation in _TURNS else 1


def format_suffix(data: bytes | IO[bytes]) -> str:
    """The suffix, such as `.jpg`, of a picture file's content.

    Raises:
        ImageError: as `read_image`.
    """
    with _limited(BytesIO(data) if isinstance(data, bytes) else data) as picture:
        return {"JPEG": ".jpg", "TIFF": ".tif"}.get(picture.format or "", f".{picture.format}".lower())


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Pixels as stored, (H, W) or (H, W, C), turned as an EXIF orientation asks (CIPA DC-008, 4.6.4)."""
    method = _TURNS.get(orientation)
    return pixels if method is None else np.array(Image.fromarray(pixels).transpose(method))


def _open(file: Path | IO[bytes]) -> Image.Image:
    with _limited(file) as picture:
        picture.load()
        return ImageOps.exif_transpose(picture)


@contextmanager
def _limited(file: Path | IO[bytes]) -> Iterator[Image.Image]:
    """An opened picture file within the limits; whatever Pillow raises while it is open becomes an ImageError."""
    name = file if isinstance(file, Path) else "picture"
    if isinstance(file, Path) and os.path.exists(file) and not os.path.isfile(file):
        raise ImageError(f"{name}: not a regular file")  # to open a pipe could take for ever
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's limit is below this one
            with Image.open(file, formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    size = f"{picture.width}x{picture.height}"
                    raise LargeImageError(f"{name}: {size} is over the limit of 100 megapixels; shrink it")
                yield picture
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except Image.DecompressionBombError as error:
        raise LargeImageError(f"{name}: over the limit of 100 megapixels; shrink it") from error
    except UnidentifiedImageError as error:
        raise NoImageError(f"{name}: not a picture this can read; want {' '.join(EXTENSIONS)}") from error
    except ImageError:
        raise
    except Exception as error:  # on broken data Pillow's decoders raise anything: OSError, SyntaxError, struct.error...
        raise ImageError(f"{name}: cannot be read ({error})") from error


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
            _save(image, temporary)
        except ValueError as error:  # more pixels than the format holds
            raise OutputError(f"{path}: cannot be written ({error})") from error


def encode_image(image: NDArray[np.uint8], format: str) -> bytes:
    """The content of the file that `write_image` would write; `format` is png, webp or jpeg.

    Raises:
        OutputError: more pixels than the format holds.
    """
    file = BytesIO()
    try:
        _save(image, file, format)
    except ValueError as error:
        raise OutputError(
            f"{image.shape[1]}x{image.shape[0]} pixels cannot be written as {format} ({error})"
        ) from error
    return file.getvalue()


def _save(image: NDArray[np.uint8], file: Path | IO[bytes], format: str | None = None) -> None:
    Image.fromarray(image).save(file, format, quality=JPEG_QUALITY)
