"""Picture files that say much of themselves, some of it what must not be passed on."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from figureground.arrays import Frame
from figureground.batch import replace
from figureground.images import HEIC_EXTENSIONS

TAGS = ExifTags.Base
SAID = {TAGS.Make: "Acme", TAGS.Artist: "A. Nonymous", TAGS.ImageDescription: "at the harbour"}
INNER = {TAGS.DateTimeOriginal: "2026:11:28 02:00:00", TAGS.LensModel: "50 mm", TAGS.FNumber: 2.0}
INTEROP = {ExifTags.Interop.InteropIndex: "R03"}  # Adobe RGB
PLACE = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (53.0, 33.0, 12.0)}
# What shows the old room, in three places where cameras and editors put it.
PREVIEW = b"\xff\xd8preview of the old room\xff\xd9"
NOTE = b"Acme\0" + b"maker's preview of the old room" * 20
BLOB = base64.b64encode(bytes(range(256)) * 8)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" tiff:Orientation="6"><dc:title>Harbour</dc:title><xmpGImg:image>'
    + b"&#xA;".join(BLOB[at : at + 76] for at in range(0, len(BLOB), 76))
    + b'</xmpGImg:image><GImage:Data="'
    + BLOB
    + b'"/></rdf:Description></rdf:RDF></x:xmpmeta>'
)


def exif(orientation: int = 1) -> bytes:
    """EXIF of a photograph: tags, a place, a maker's note and a small preview."""
    tags = Image.Exif()
    for tag, value in (SAID | {TAGS.Orientation: orientation}).items():
        tags[tag] = value
    tags[ExifTags.IFD.Exif] = {**INNER, ExifTags.IFD.Interop: INTEROP} | {
        TAGS.MakerNote: NOTE,
        TAGS.ExifImageWidth: 1,
        TAGS.ExifImageHeight: 1,
    }
    tags[ExifTags.IFD.GPSInfo] = PLACE
    return with_preview(tags.tobytes())


def with_preview(exif: bytes) -> bytes:
    """With a second directory, which Pillow reads and does not write: a JPEG's preview (CIPA DC-008, 4.5.5)."""
    body = bytearray(exif.removeprefix(b"Exif\0\0"))
    order = "<" if body[:2] == b"II" else ">"
    first = struct.unpack_from(f"{order}L", body, 4)[0]
    after = first + 2 + 12 * struct.unpack_from(f"{order}H", body, first)[0]
    struct.pack_into(f"{order}L", body, after, len(body))
    place = len(body) + 2 + 2 * 12 + 4
    body += struct.pack(f"{order}H", 2)
    body += struct.pack(f"{order}HHLL", 0x201, 4, 1, place) + struct.pack(f"{order}HHLL", 0x202, 4, 1, len(PREVIEW))
    return b"Exif\0\0" + bytes(body + struct.pack(f"{order}L", 0)) + PREVIEW


def preview_in(exif: bytes) -> bytes:
    """The preview that a reader finds in EXIF; empty if there is none."""
    tags = Image.Exif()
    tags.load(exif)
    place = tags.get_ifd(ExifTags.IFD.IFD1)
    body = exif.removeprefix(b"Exif\0\0")
    return body[place[0x201] :][: place[0x202]] if 0x201 in place else b""


@cache  # it says when it was made
def swapped_profile() -> bytes:
    """sRGB with its red and blue primaries exchanged: who looks through it sees red where the file says blue."""
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return own.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def photograph(path: Path, pixels: Frame, orientation: int = 1, profile: bytes | None = None, xmp: bytes = XMP) -> Path:
    """A file with all of it. As TIFF without the preview, for which Pillow's writer of TIFF has no place."""
    said: dict[str, Any] = {"exif": exif(orientation), "xmp": xmp, "dpi": (300, 300), "icc_profile": profile}
    if path.suffix == ".png":
        said["pnginfo"] = _text(said.pop("xmp"))
    elif path.suffix == ".tif":
        tags = Image.Exif()
        tags.load(said["exif"])
        for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            tags[tag] = tags.get_ifd(tag)
        tags[ExifTags.IFD.Exif][ExifTags.IFD.Interop] = INTEROP
        tags[TAGS.XMLPacket] = said.pop("xmp")
        said["exif"] = tags.tobytes()
    if path.suffix in HEIC_EXTENSIONS:
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.fromarray(pixels).save(path, **said)
    return path


def _text(xmp: bytes) -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return info


def content_of(save: Callable[[io.BytesIO], object]) -> bytes:
    memory = io.BytesIO()
    save(memory)
    return memory.getvalue()


def person(width: int = 96, height: int = 64, bits: int = 8) -> NDArray[Any]:
    """Somebody the red finder finds, wide red colours in the middle, before a room without any red; (H, W, 3)."""
    rng, most = np.random.default_rng(1), 2**bits
    pixels = rng.integers(0, most, (height, width, 3))
    pixels[:, :, 0] = 0
    pixels[height // 4 :, width // 4 : 3 * width // 4, 0] = rng.integers(most * 7 // 8, most, (1,))
    return pixels.astype(np.uint8 if bits == 8 else np.uint16)


def sure(width: int = 96, height: int = 64) -> tuple[slice, slice]:
    """The part of `person` that is nobody's edge."""
    return slice(height // 4 + 8, height - 4), slice(width // 4 + 8, 3 * width // 4 - 8)


def made(picture: Path, model: Path, output: str, **asked: object) -> Path:
    """What `replace` makes of a picture, or why it makes nothing."""
    (result,) = replace(picture, output=picture.parent / output, model=model, **asked)  # type: ignore[arg-type]
    assert result.status == "done", result.reason
    return Path(result.output)
