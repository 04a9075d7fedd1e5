"""Reading and writing picture files: EXIF orientation applied, RGB order, limits, atomic writes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from figureground.arrays import Frame
from figureground.atomic import atomic_path
from figureground.errors import ImageError, LargeImageError, NoImageError, OutputError
from figureground.profiles import from_cmyk, rgb_profile, strips, to_srgb

HEIC_EXTENSIONS = (".heic", ".heif", ".hif")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", *HEIC_EXTENSIONS)
# Others are refused whatever their name: EPS, for one, would start an interpreter.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")  # ISO 23008-12, annex B
_NEEDS_HEIC = "HEIC needs another package: run  pip install 'figureground[heic]'"
MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95
# Pillow writes all of EXIF to TIFF files only where they are not compressed, as they are without a word.
_QUALITY: dict[str, dict[str, Any]] = {".tif": {}, ".tiff": {}, ".png": {}, ".bmp": {}}
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
_COLOURED = ("RGB", "RGBA", "RGBX", "P", "PA")  # whose profile, if it is one of RGB colours, is that of their colours


def read_image(file: str | Path | IO[bytes]) -> Frame:
    """Read a picture of any mode (grey, palette, CMYK, 16 bit, transparent over white) as a Frame.

    Raises:
        ImageError: missing, truncated, not a picture, or over 100 megapixels.
    """
    with opened(Path(file) if isinstance(file, str) else file) as picture:
        return to_srgb(upright(picture), own_profile(picture))


def own_profile(picture: Image.Image) -> bytes | None:
    """The profile of the colours that `upright` gives; None if they are sRGB."""
    return None if picture.mode not in _COLOURED else rgb_profile(picture.info.get("icc_profile"))


def upright(picture: Image.Image) -> Frame:
    """The pixels of an opened picture as a Frame, in its own colours (CMYK in sRGB), turned as its EXIF data asks.

    Nothing else of the picture's size is made on the way.
    """
    picture.load()
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    is_turned = orientation in (5, 6, 7, 8)
    size = (picture.width, picture.height) if is_turned else (picture.height, picture.width)
    frame = np.empty((*size, 3), np.uint8)
    stored, cmyk = as_stored(frame, orientation), None
    if picture.mode == "CMYK":
        cmyk = from_cmyk(picture.info.get("icc_profile"))
    for rows in strips(picture.height, picture.width):
        strip = picture.crop((0, rows.start, picture.width, rows.stop))
        stored[rows] = _rgb((cmyk and ImageCms.applyTransform(strip, cmyk)) or strip)
    return frame


def _rgb(picture: Image.Image) -> Frame:
    if picture.mode in _DEEP:
        return np.repeat(_to_8_bits(picture)[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        # Over white: colours hidden under transparency are not part of the picture.
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(picture.convert("RGB"))


def as_stored(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of an upright picture, (H, W, ...), as it lies in a file of this EXIF orientation (CIPA DC-008, 4.6.4)."""
    if orientation in (2, 3):
        upright = upright[:, ::-1]
    if orientation in (3, 4):
        upright = upright[::-1]
    if orientation in (5, 7):
        upright = upright.swapaxes(0, 1)
    if orientation == 7:
        upright = upright[::-1, ::-1]
    if orientation in (6, 8):
        upright = np.rot90(upright, 1 if orientation == 6 else -1)
    return upright


def read_rgba(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 4) uint8 RGBA, straight alpha; opaque where it has no transparency.

    Raises:
        ImageError: as `read_image`.
    """
    with opened(path) as picture:
        picture.load()
        if picture.mode in _DEEP or not picture.has_transparency_data:  # Pillow's own conversion cuts deep ones off
            frame = to_srgb(upright(picture), own_profile(picture))
            return np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])
        rgba = np.array(ImageOps.exif_transpose(picture).convert("RGBA"))
        rgba[:, :, :3] = to_srgb(np.ascontiguousarray(rgba[:, :, :3]), own_profile(picture))
    return rgba


def encode_jpeg(frame: Frame, quality: int = 80) -> bytes:
    """A Frame as the content of a JPEG file."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return file.getvalue()


def read_matte(path: Path) -> NDArray[np.uint8]:
    """Read a mask or matte as an (H, W) uint8 array, 0 background to 255 person.

    A palette's colours only tell objects apart: its first one is the background, as in DAVIS and Pascal VOC, all others
    are person. A palette of greys is none of that.

    Raises:
        ImageError: as `read_image`.
    """
    picture = _open(path)
    if picture.mode == "P":
        colours = np.array(picture.convert("RGB"))
        if (colours != colours[:, :, :1]).any():
            return np.where(np.array(picture) > 0, np.uint8(255), np.uint8(0))
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
    with opened(path) as picture:
        return picture.mode in ("P", "1", "L", "LA", *_DEEP)


def is_black_and_white(path: Path) -> bool:
    """Whether a palette picture uses no colour but black and white, whichever number each may have there.

    Raises:
        ImageError: as `read_image`.
    """
    with opened(path) as picture:
        if picture.mode != "P":
            return False
        used = picture.convert("RGB").getcolors(2)
        return used is not None and all(colour in ((0, 0, 0), (255, 255, 255)) for _, colour in used)


def _to_8_bits(picture: Image.Image) -> NDArray[np.uint8]:
    # Pillow's own conversion cuts off at 255 instead of scaling.
    return np.clip(np.asarray(picture, np.float32) / 257.0 + 0.5, 0, 255).astype(np.uint8)


def picture_size(file: Path | IO[bytes]) -> tuple[int, int]:
    """Width and height of a picture file as stored; only its head is read.

    Raises:
        ImageError: as `read_image`.
    """
    with opened(file) as picture:
        return picture.width, picture.height


def stored_size(path: Path) -> tuple[int, int, int]:
    """Width and height of a picture file as stored, and its EXIF orientation (1: as stored, to 8), pixels unread.

    Raises:
        ImageError: as `read_image`.
    """
    with opened(path) as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return picture.width, picture.height, orientation if orientation in _TURNS else 1


def format_suffix(file: Path | IO[bytes]) -> str:
    """The suffix, such as `.jpg`, of a picture file's content.

    Raises:
        ImageError: as `read_image`.
    """
    with opened(file) as picture:
        return {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}.get(
            picture.format or "", f".{picture.format}".lower()
        )


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Pixels as stored, (H, W) or (H, W, C), turned as an EXIF orientation asks (CIPA DC-008, 4.6.4)."""
    method = _TURNS.get(orientation)
    return pixels if method is None else np.array(Image.fromarray(pixels).transpose(method))


def _open(file: Path | IO[bytes]) -> Image.Image:
    with opened(file) as picture:
        picture.load()
        return ImageOps.exif_transpose(picture)


@contextmanager
def opened(file: Path | IO[bytes]) -> Iterator[Image.Image]:
    """An opened picture file within the limits; whatever Pillow raises while it is open becomes an ImageError."""
    name = file if isinstance(file, Path) else "picture"
    if isinstance(file, Path) and os.path.exists(file) and not os.path.isfile(file):
        raise ImageError(f"{name}: not a regular file")  # to open a pipe could take for ever
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's limit is below this one
            with Image.open(file, formats=_formats()) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    size = f"{picture.width}x{picture.height}"
                    raise LargeImageError(f"{name}: {size} is over the limit of 100 megapixels; shrink it")
                if picture.mode == "F":  # nothing in the file says which of its numbers is white
                    raise NoImageError(f"{name}: its pixels are floating-point numbers; save it with 8 or 16 bits")
                yield picture
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except Image.DecompressionBombError as error:
        raise LargeImageError(f"{name}: over the limit of 100 megapixels; shrink it") from error
    except UnidentifiedImageError as error:
        if _is_heic(file):
            raise NoImageError(f"{name}: {_NEEDS_HEIC}") from error
        raise NoImageError(f"{name}: not a picture this can read; want {' '.join(EXTENSIONS)}") from error
    except ImageError:
        raise
    except Exception as error:  # on broken data Pillow's decoders raise anything: OSError, SyntaxError, struct.error...
        raise ImageError(f"{name}: cannot be read ({error})") from error


@cache
def _formats() -> tuple[str, ...]:
    """What Pillow may read; HEIC, where pillow-heif is installed."""
    try:
        import pillow_heif
    except ImportError:
        return _FORMATS
    pillow_heif.register_heif_opener(thumbnails=False)
    return (*_FORMATS, "HEIF")


def _is_heic(file: Path | IO[bytes]) -> bool:
    head = _head(file)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _head(file: Path | IO[bytes]) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as opened_file:
            return opened_file.read(12)
    file.seek(0)
    return file.read(12)


def check_suffix(path: Path, transparent: bool = False) -> None:
    """
    Raises:
        OutputError: a suffix this cannot write, or of a format that holds no transparency though it is asked for.
    """
    suffix = path.suffix.lower()
    if suffix not in EXTENSIONS:
        raise OutputError(
            f"{path}: cannot write {path.suffix or 'a file without suffix'}; use one of {' '.join(EXTENSIONS)}"
        )
    if transparent and suffix in (".jpg", ".jpeg", ".bmp"):
        raise OutputError(f"{path}: {'BMP' if suffix == '.bmp' else 'JPEG'} holds no transparency; use .png or .webp")
    if suffix in HEIC_EXTENSIONS and "HEIF" not in _formats():
        raise OutputError(f"{path}: {_NEEDS_HEIC}")


def write_image(path: str | Path, image: NDArray[np.uint8], **kept: Any) -> None:
    """Write an (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA uint8 array; the suffix chooses the format.

    WebP is lossless where the picture is grey or transparent. `kept` goes to Pillow's writer.

    Raises:
        OutputError: unknown suffix, transparency asked of JPEG, or the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, transparent=image.ndim == 3 and image.shape[2] == 4)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        try:
            encode_image(file, image, path.suffix, **kept)
        except (ValueError, RuntimeError) as error:  # more pixels than the format holds
            raise OutputError(f"{path}: cannot be written ({error})") from error


def encode_image(file: IO[bytes], image: NDArray[np.uint8], suffix: str, **kept: Any) -> None:
    """`write_image` to an open file, in the format of files of this suffix.

    Raises:
        ValueError, RuntimeError: from Pillow, if the format cannot hold the picture.
    """
    how = _QUALITY.get(suffix.lower(), {"quality": JPEG_QUALITY})
    if suffix.lower() == ".webp" and image.shape[2:] != (3,):
        how = {"lossless": True}
    Image.init()
    _formats()  # HEIC with them
    Image.fromarray(image).save(file, Image.registered_extensions()[suffix.lower()], **how, **kept)
