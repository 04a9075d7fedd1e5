"""How video files are encoded: which codec a file name or a wish means, with which pixels and settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av

from figureground.errors import OutputError

OPAQUE_EXTENSIONS = (".mp4", ".mov", ".mkv", ".webm")
FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_H264 = {"preset": "veryfast", "crf": "18"}
_HEVC = {"preset": "veryfast", "crf": "20", "x265-params": "log-level=error"}
_VP9 = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
_AV1 = {"preset": "10", "crf": "30"}
# ProRes at its default rate takes 30 MB a second for 720p.
_PRORES = {"vendor": "apl0", "bits_per_mb": "1600"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, the pixels it is given, its settings, and its tag in MP4 and MOV where FFmpeg's own is not liked.

    `deep`: the pixels it is given of a source with more than 8 bits a channel; empty: it holds no more than 8.
    """

    codec: str
    pixels: str
    options: dict[str, str]
    tag: str = ""
    deep: str = ""

    def fitting(self, width: int, height: int) -> Encoding:
        """The same for pictures of this size: halved colour planes need even sides."""
        if not (width % 2 or height % 2):
            return self
        if self.pixels == "yuv422p10le":
            return replace(self, pixels="yuv444p10le", options=self.options | {"profile": "4444"})
        # SVT-AV1 writes no other, and AV1 itself does not mind.
        return replace(self, pixels="yuv444p") if self.pixels == "yuv420p" and self.codec != "libsvtav1" else self


_OPAQUE = {
    "h264": Encoding("libx264", "yuv420p", _H264, deep="yuv420p10le"),
    "hevc": Encoding("libx265", "yuv420p", _HEVC, "hvc1", "yuv420p10le"),  # Apple's players want that tag
    "vp9": Encoding("libvpx-vp9", "yuv420p", _VP9),  # PyAV's libvpx is built without more bits
    "av1": Encoding("libsvtav1", "yuv420p", _AV1, deep="yuv420p10le"),
    "prores": Encoding("prores_ks", "yuv422p10le", _PRORES | {"profile": "hq"}, deep="yuv422p10le"),
    "ffv1": Encoding("ffv1", "bgr0", {"level": "3", "slicecrc": "1"}, deep="yuv444p10le"),
    "qtrle": Encoding("qtrle", "rgb24", {}),
    "png": Encoding("png", "rgb24", {}, deep="rgb48be"),
}
_TRANSPARENT = {
    # The alpha has 8 bits.
    "prores": Encoding(
        "prores_ks", "yuva444p10le", _PRORES | {"profile": "4444", "alpha_bits": "8"}, deep="yuva444p10le"
    ),
    # Without alternate reference frames: VP9 in WebM cannot hold them together with an alpha channel.
    "vp9": Encoding("libvpx-vp9", "yuva420p", _VP9 | {"auto-alt-ref": "0"}),
    "ffv1": Encoding("ffv1", "bgra", {"level": "3", "slicecrc": "1"}, deep="yuva444p10le"),
    "qtrle": Encoding("qtrle", "argb", {}),
    "png": Encoding("png", "rgba", {}, deep="rgba64be"),
}
CODECS = tuple(_OPAQUE)
# What each container holds, its usual codec first; a name without suffix is a folder of numbered pictures.
_HELD = {
    ".mp4": ("h264", "hevc", "vp9", "av1"),
    ".mov": ("h264", "hevc", "prores", "qtrle"),
    ".mkv": ("h264", "hevc", "vp9", "av1", "prores", "ffv1"),
    ".webm": ("vp9", "av1"),
    "": ("png",),
}
_HELD_TRANSPARENT = {
    ".mov": ("prores", "qtrle"),
    ".webm": ("vp9",),
    ".mkv": ("ffv1", "vp9"),
    "": ("png",),
}
# Instead of the usual codec where the source has more than 8 bits: few players show H.264 of 10, VP9 has 8 here.
_DEEP_FIRST = {".mp4": "hevc", ".mov": "hevc", ".mkv": "hevc", ".webm": "av1"}
_HOME = {"vp9": ".webm", "prores": ".mov", "qtrle": ".mov", "ffv1": ".mkv", "png": ""}


def encoding_for(path: Path, transparent: bool, codec: str | None = None, deep: bool = False) -> Encoding:
    """The encoding a file name asks for, or `codec` in a file of that name; `deep`: with more than 8 bits if it can.

    Raises:
        OutputError: no such codec or container here, or a container that does not hold the codec, or no transparency
            though that is asked for.
    """
    suffix = path.suffix.lower()
    held, made = (_HELD_TRANSPARENT, _TRANSPARENT) if transparent else (_HELD, _OPAQUE)
    if codec is not None:
        check_codec(codec, transparent)
    if codec != "png" and (suffix not in held or suffix == ""):
        if transparent:
            raise OutputError(
                f"{path}: {suffix or 'this'} holds no transparent video; "
                "use .mov (ProRes 4444), .webm (VP9) or .mkv (FFV1)"
            )
        raise OutputError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; use {' '.join(OPAQUE_EXTENSIONS)}"
        )
    name = codec or _usual(suffix, transparent, deep)
    if name not in held.get(suffix, ()):
        homes = [each or "a folder, its name without suffix" for each, names in held.items() if name in names]
        raise OutputError(f"{path}: {suffix} holds no {name}; use {' or '.join(homes)}, or another --codec")
    encoding = made[name]
    return replace(encoding, pixels=encoding.deep) if deep and encoding.deep else encoding


def _usual(suffix: str, transparent: bool, deep: bool) -> str:
    """The codec of files with this suffix where nobody names one."""
    if transparent:
        return _HELD_TRANSPARENT[suffix][0]
    other = _DEEP_FIRST.get(suffix, "") if deep else ""
    return other if other and _OPAQUE[other].codec in av.codecs_available else _HELD[suffix][0]


def check_codec(codec: str, transparent: bool = False) -> None:
    """See whether this FFmpeg encodes `codec`.

    Raises:
        OutputError: it does not, or the codec holds no transparency though that is asked for.
    """
    made = _TRANSPARENT if transparent else _OPAQUE
    there = [name for name, encoding in made.items() if encoding.codec in av.codecs_available]
    if codec not in there:
        what = "holds no transparency" if codec in CODECS and codec not in made else "is no codec that is here"
        raise OutputError(f"codec {codec!r}: {what}; want one of {', '.join(there)}")


def suffix_for(suffix: str, transparent: bool, codec: str | None) -> str:
    """The suffix of a result: `suffix`, the source's, if that can hold it, else the usual one."""
    held = _HELD_TRANSPARENT if transparent else _HELD
    if codec is None:
        usual = ".mov" if transparent else ".mp4"
        return suffix if suffix in held and suffix else usual
    return suffix if suffix and codec in held.get(suffix, ()) else _HOME.get(codec, ".mp4")


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Threads come out of the block with the priority they had.

    For root, SVT-AV1 puts the thread that opens it, and all of its own, before everything else on the machine
    (SCHED_FIFO), for good: the processes that such a thread starts after that, too.
    """
    before = first_in_line()
    try:
        yield
    finally:
        for thread in first_in_line() - before:
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def first_in_line() -> set[int]:
    """The threads of this process that Linux runs before all ordinary ones; elsewhere nobody says."""
    found = set[int]()
    if sys.platform != "linux":
        return found
    for thread in map(int, os.listdir("/proc/self/task")):
        with suppress(OSError):
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                found.add(thread)
    return found
