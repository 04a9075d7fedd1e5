"""Pictures of 16 bits: OpenCV reads them, for Pillow makes 8 of them; written here, for OpenCV drops what they say."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffTags
from PIL.PngImagePlugin import putchunk
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from figureground.arrays import Deep
from figureground.errors import ImageError
from figureground.images import as_stored
from figureground.pictures.metadata import XMP_KEYWORD, Metadata
from figureground.profiles import strips

DEEP_EXTENSIONS = (".png", ".tif", ".tiff")
_TAGS = ExifTags.Base
_UNASSOCIATED = 2  # TIFF 6.0, ExtraSamples: straight alpha


def is_deep(picture: Image.Image) -> bool:
    """Whether an opened picture has 16 bits a channel that can be kept: RGB or grey, its transparency straight."""
    stored = [
        word
        for tile in getattr(picture, "tile", ())
        for word in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
    ]
    colours = any(isinstance(word, str) and word.startswith(("RGB;16", "RGBA;16", "LA;16")) for word in stored)
    return picture.format in ("PNG", "TIFF") and (picture.mode in ("I;16", "I;16B") or colours)


def read_deep(file: Path | BytesIO, orientation: int) -> Deep:
    """The pixels of a file for which `is_deep` holds, upright: (H, W, 3) uint16 RGB, transparent over white.

    Raises:
        ImageError: OpenCV cannot read it.
    """
    name = file if isinstance(file, Path) else "picture"
    content = np.memmap(file, np.uint8, "r") if isinstance(file, Path) else np.frombuffer(file.getbuffer(), np.uint8)
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it prints what it thinks of a file's tags
    try:
        stored = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{name}: cannot be read ({error.err})") from error
    finally:
        cv2.utils.logging.setLogLevel(before)
    if stored is None or stored.dtype != np.uint16:
        raise ImageError(f"{name}: cannot be read in 16 bits")
    height, width = stored.shape[:2]
    if bytes(content[:2]) in (b"II", b"MM"):
        orientation = 1  # OpenCV has turned a TIFF
    if orientation == 1 and stored.shape[2:] == (3,):  # as most are: in its own memory
        for rows in strips(height, width):
            stored[rows] = stored[rows, :, ::-1].copy()
        return np.asarray(stored, np.uint16)
    upright: Deep = np.empty((*((width, height) if orientation in (5, 6, 7, 8) else (height, width)), 3), np.uint16)
    view = as_stored(upright, orientation)
    for rows in strips(height, width):
        view[rows] = _rgb(stored[rows])
    return upright


def _rgb(stored: Deep) -> Deep:
    """(H, W), (H, W, 3) BGR or (H, W, 4) BGRA as OpenCV gives them, as RGB."""
    if stored.ndim == 2:
        return np.repeat(stored[:, :, None], 3, axis=2)
    colours = stored[:, :, 2::-1]
    if stored.shape[2] == 3:
        return colours
    share = stored[:, :, 3:].astype(np.float32) / np.float32(65535)
    return np.rint(colours * share + (1 - share) * 65535).astype(np.uint16)


def write_deep(file: BinaryIO, rgba: Deep, metadata: Metadata, suffix: str) -> None:
    """Write (H, W, 4) uint16 RGBA, straight alpha, as PNG or TIFF."""
    (_write_png if suffix == ".png" else _write_tiff)(file, rgba, metadata)


def _write_png(file: BinaryIO, rgba: Deep, metadata: Metadata) -> None:
    height, width = rgba.shape[:2]
    file.write(b"\x89PNG\r\n\x1a\n")
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    putchunk(file, b"IHDR", size, b"\x10\x06\0\0\0")  # 16 bits, RGBA, no interlacing
    if metadata.profile:
        putchunk(file, b"iCCP", b"ICC Profile\0\0", zlib.compress(metadata.profile))
    if metadata.dpi:
        across, down = (round(dots / 0.0254) for dots in metadata.dpi)
        putchunk(file, b"pHYs", across.to_bytes(4, "big"), down.to_bytes(4, "big"), b"\1")
    if exif := metadata.exif_bytes():
        putchunk(file, b"eXIf", exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        putchunk(file, b"iTXt", XMP_KEYWORD.encode(), b"\0\0\0\0\0", metadata.xmp)
    packer, above = zlib.compressobj(6), np.zeros(width * 8, np.uint8)
    for rows in strips(height, width):
        filtered, above = _filtered(rgba[rows], above)
        putchunk(file, b"IDAT", packer.compress(filtered))
    putchunk(file, b"IDAT", packer.flush())
    putchunk(file, b"IEND", b"")


def _filtered(rows: Deep, above: NDArray[np.uint8]) -> tuple[bytes, NDArray[np.uint8]]:
    """Rows as PNG packs them, each as its difference from the one above (filter 2), and the last row itself."""
    lines = rows.astype(">u2").view(np.uint8).reshape(len(rows), -1)
    packed = np.empty((len(rows), 1 + lines.shape[1]), np.uint8)
    packed[:, 0] = 2
    packed[0, 1:] = lines[0] - above
    packed[1:, 1:] = lines[1:] - lines[:-1]
    return packed.tobytes(), lines[-1].copy()


def _write_tiff(file: BinaryIO, rgba: Deep, metadata: Metadata) -> None:
    """Uncompressed, by Pillow's directories: it writes those below the first one only so."""
    height, width = rgba.shape[:2]
    parts = list(strips(height, width))
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in metadata.tiff_tags().items():
        directory[tag] = value
    if metadata.profile:
        directory[_TAGS.InterColorProfile] = metadata.profile
    if metadata.dpi:
        directory[_TAGS.XResolution], directory[_TAGS.YResolution], directory[_TAGS.ResolutionUnit] = *metadata.dpi, 2
    layout: dict[int, Any] = {
        _TAGS.ImageWidth: width,
        _TAGS.ImageLength: height,
        _TAGS.BitsPerSample: (16,) * 4,
        _TAGS.Compression: 1,
        _TAGS.PhotometricInterpretation: 2,
        _TAGS.StripOffsets: tuple(part.start * width * 8 for part in parts),
        _TAGS.SamplesPerPixel: 4,
        _TAGS.RowsPerStrip: parts[0].stop,
        _TAGS.StripByteCounts: tuple((part.stop - part.start) * width * 8 for part in parts),
        _TAGS.PlanarConfiguration: 1,
        _TAGS.ExtraSamples: _UNASSOCIATED,
    }
    for tag, value in layout.items():
        directory[tag] = value
    directory.tagtype[_TAGS.StripOffsets] = TiffTags.LONG  # Pillow adds the place of the pixels to them afterwards
    directory.save(file)
    for part in parts:
        file.write(rgba[part].astype("<u2").tobytes())
