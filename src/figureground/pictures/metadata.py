"""What a picture's file says besides its pixels, without whatever may show the picture as it was before.

Cameras and editors put small or whole pictures into EXIF, maker's notes and XMP. None of them is kept: they would show
the room that was replaced. What is kept of EXIF's first directory is named here tag by tag; of those below it the
maker's note is dropped, and whatever is long enough to be a picture.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

XMP_KEYWORD = "XML:com.adobe.xmp"  # of a PNG's text (XMP specification, part 3)

_TAGS = ExifTags.Base
# Of the first directory. In TIFF files the tags that say how the pixels are stored stand there, too.
_SAID = (
    *(_TAGS.ImageDescription, _TAGS.Make, _TAGS.Model, _TAGS.XResolution, _TAGS.YResolution, _TAGS.ResolutionUnit),
    *(_TAGS.Software, _TAGS.DateTime, _TAGS.Artist, _TAGS.HostComputer, _TAGS.Copyright, _TAGS.Rating),
    *(_TAGS.RatingPercent, _TAGS.XPTitle, _TAGS.XPComment, _TAGS.XPAuthor, _TAGS.XPKeywords, _TAGS.XPSubject),
)
_DROPPED = (_TAGS.MakerNote, ExifTags.IFD.Interop)  # the latter as a mere place in the file
_MOST = 1024  # bytes of a value without a type: a longer one may be a picture
_SEGMENT = 65_000  # bytes that JPEG has room for in one piece
# Text that is no text: base64, in one piece or in lines, as XMP's thumbnails and portrait-mode originals are.
_BLOB = re.compile(
    rb"(?:[A-Za-z0-9+/=]{240,}|(?:[A-Za-z0-9+/=]{40,}(?:&#x?[0-9A-Fa-f]{1,3};|[\s\\])+){3,}[A-Za-z0-9+/=]*)+"
)
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[2-8]")


class _AsRead(str):
    """Text as Pillow reads it, a letter a byte; it is written as these bytes, not as question marks."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        return super().encode("latin-1")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says besides its pixels.

    Attributes:
        profile: ICC profile of RGB colours; None: sRGB, said by nothing.
        exif: tags of EXIF's first directory, those below it as dictionaries; upright, so without orientation.
        xmp: an XMP packet.
        dpi: pixels an inch, across and down.
    """

    profile: bytes | None = None
    exif: dict[int, Any] | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    def stripped(self) -> Metadata:
        """Nothing but the profile, without which the colours would be others."""
        return Metadata(self.profile)

    def sized(self, width: int, height: int) -> Metadata:
        """The same of a picture of another size."""
        inner = (self.exif or {}).get(ExifTags.IFD.Exif)
        if self.exif is None or inner is None:
            return self
        sizes = {_TAGS.ExifImageWidth: width, _TAGS.ExifImageHeight: height}
        return replace(self, exif=self.exif | {ExifTags.IFD.Exif: inner | sizes})

    def kept(self, suffix: str) -> dict[str, Any]:
        """What Pillow's writer takes of it for a file of this suffix, as far as such files hold it."""
        xmp, is_tiff = self.xmp, suffix in (".tif", ".tiff")
        said: dict[str, Any] = {"icc_profile": self.profile, "dpi": self.dpi}
        # Of AVIF Pillow takes an orientation out itself, and all the text through ASCII while it does.
        said["exif"] = self.tiff_tags() if is_tiff else self.exif_bytes(upright=suffix != ".avif")
        if suffix == ".png" and xmp:
            said["pnginfo"] = PngInfo()
            said["pnginfo"].add_itxt(XMP_KEYWORD, xmp.decode("utf-8", "replace"))
        elif not is_tiff:
            said["xmp"] = xmp
        most = _SEGMENT if suffix in (".jpg", ".jpeg") else None
        return {name: value for name, value in said.items() if value and not (most and _length(name, value) > most)}

    def exif_bytes(self, upright: bool = True) -> bytes:
        """EXIF as files hold it; empty if nothing is said. `upright`: whether it says that the picture is."""
        if not self.exif:
            return b""
        written = Image.Exif()
        for tag, value in (self.exif | ({_TAGS.Orientation: 1} if upright else {})).items():
            written[tag] = value
        return written.tobytes()

    def tiff_tags(self) -> dict[int, Any]:
        """What a TIFF file's first directory is to hold of EXIF, the XMP with it.

        What stands two directories below it Pillow would write as a place in another file, so that is left out.
        """
        tags = dict(self.exif or {})
        if self.xmp:
            tags[_TAGS.XMLPacket] = self.xmp
        if ExifTags.IFD.Exif in tags:
            inner = tags[ExifTags.IFD.Exif].items()
            tags[ExifTags.IFD.Exif] = {tag: value for tag, value in inner if tag != ExifTags.IFD.Interop}
        return tags and {**tags, _TAGS.Orientation: 1}


def _length(name: str, value: Any) -> int:
    return len(value) if name in ("exif", "xmp") else 0


def read_metadata(picture: Image.Image, profile: bytes | None) -> Metadata:
    """What the file of an opened picture says, as far as it may be kept; its colours are those of `profile`."""
    return Metadata(
        profile, _read_exif(picture), _read_xmp(picture.info.get("xmp")), _read_dpi(picture.info.get("dpi"))
    )


def _read_exif(picture: Image.Image) -> dict[int, Any] | None:
    kept = dict[int, Any]()
    with suppress(Exception):  # broken EXIF makes Pillow raise anything, and is no reason to refuse the picture
        found = picture.getexif()
        kept = _writable({tag: found[tag] for tag in _SAID if tag in found})
        below = {tag: _below(found, tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)}
        # Cameras say there that their colours are Adobe RGB.
        if interop := below.pop(ExifTags.IFD.Interop):
            below[ExifTags.IFD.Exif][ExifTags.IFD.Interop] = interop
        kept |= {tag: tags for tag, tags in below.items() if tags}
    try:
        Metadata(exif=kept).exif_bytes()
    except Exception:  # what is right by itself may not be so together
        return None
    return kept or None


def _below(found: Image.Exif, directory: int) -> dict[int, Any]:
    with suppress(Exception):
        return _writable({tag: value for tag, value in found.get_ifd(directory).items() if tag not in _DROPPED})
    return {}


def _writable(tags: dict[int, Any]) -> dict[int, Any]:
    """Those whose values can be written again and are none that could hide a picture."""
    kept = dict[int, Any]()
    for tag, value in tags.items():
        if isinstance(value, dict) or (isinstance(value, bytes) and len(value) > _MOST):
            continue
        if isinstance(value, str) and not value.isascii():
            value = _AsRead(value)
        directory = Image.Exif()
        directory[tag] = value
        with suppress(Exception):  # the value is of another type than its tag's
            directory.tobytes()
            kept[tag] = value
    return kept


def _read_xmp(found: object) -> bytes | None:
    if not isinstance(found, bytes) or not found:
        return None
    return _XMP_ORIENTATION.sub(rb"\g<1>1", _BLOB.sub(b"", found))


def _read_dpi(found: object) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in found)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None
