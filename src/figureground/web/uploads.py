"""The pictures and videos a user keeps as backgrounds: a folder of the user's data, one sub-folder each.

    ID/background.jpg|mp4|webm   ID/thumbnail.jpg   ID/name.txt      (ID: 32 random hex digits)

Whatever is uploaded is decoded before it is kept. A picture is written anew, so that nothing but pixels is left of it:
no place it was taken at, no second file hidden in it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from figureground.backgrounds import cover, slides
from figureground.errors import BackgroundError, InputError, OutputError
from figureground.images import encode_jpeg, picture_size, read_image, write_image
from figureground.live.memory import give_back_freed_memory
from figureground.sources import VIDEO_EXTENSIONS, VideoSource
from figureground.web.safety import LARGEST_BODY

MAX_BYTES = LARGEST_BODY
MAX_KEPT = 50
LONGEST_SIDE = 3840  # of a picture kept, in pixels; a larger one is made smaller
_MAX_PICTURE = 50_000_000  # pixels
_MAX_VIDEO = 3840 * 2160  # pixels of one frame
_DECODE_SECONDS = 20.0  # what takes longer cannot be shown while live either
_LEFT_SECONDS = 3600.0  # no upload takes that long: one that is older was left by a program that was killed
_WORKPLACE = ".upload-"  # what the name of a workplace begins with
_THUMBNAIL = (320, 180)
_NAME_LENGTH = 80
# What a file must begin with, so that FFmpeg takes it for what it is said to be and not, say, for a playlist.
_VIDEO_STARTS = {"video/mp4": re.compile(b"....ftyp", re.DOTALL), "video/webm": re.compile(b"\x1a\x45\xdf\xa3")}
VIDEO_TYPES = (*_VIDEO_STARTS,)
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")


@dataclass(frozen=True, slots=True)
class Kept:
    """A background that is kept; `name` is a label for people, never a path."""

    id: str
    name: str
    path: Path

    @property
    def kind(self) -> str:
        """picture, video or folder."""
        return kind_of(self.path)

    @property
    def thumbnail(self) -> Path:
        return self.path.with_name("thumbnail.jpg")


class Backgrounds:
    """The backgrounds in `folder`, which is made when the first one is kept; old leftovers in it are removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        for left in self.folder.glob(f"{_WORKPLACE}*"):
            with suppress(OSError):  # another program removes it at this moment, or it is not ours to remove
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    shutil.rmtree(left)

    def all(self) -> list[Kept]:
        """All that are kept, the newest last."""
        try:
            names = os.listdir(self.folder)
        except OSError:  # none was kept yet; where it is no folder, keeping one says so
            return []
        kept = [kept for kept in map(self.get, names) if kept is not None]
        return sorted(kept, key=lambda one: (_time_of(one.path.parent), one.id))

    def get(self, id: str) -> Kept | None:
        """The one of this id; None where there is none, whatever else `id` may spell."""
        if not re.fullmatch("[0-9a-f]{32}", id):
            return None
        path = next(iter((self.folder / id).glob("background.*")), None)
        return Kept(id, self._label_of(id), path) if path else None

    def id_of(self, spec: str) -> str | None:
        """The id of the background that a path names."""
        path = Path(spec)
        return path.parent.name if path.parent.parent == self.folder and self.get(path.parent.name) else None

    def named(self, text: str) -> str:
        """`text` with the labels of backgrounds, even of those that are gone by now, for the paths of their files."""
        path = re.compile(re.escape(f"{self.folder}{os.sep}") + r"([0-9a-f]{32})[/\\]background\.\w+")
        return path.sub(lambda found: self._label_of(found[1]), text)

    def _label_of(self, id: str) -> str:
        try:
            return label((self.folder / id / "name.txt").read_text(encoding="utf-8", errors="replace"))
        except OSError:  # removed just now, or it cannot be read: no reason to hide the picture, or the others
            return label("")

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A temporary folder beside those that are kept.

        Raises:
            OutputError: it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            work = tempfile.mkdtemp(prefix=_WORKPLACE, dir=self.folder)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
        try:
            yield Path(work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def keep(self, upload: Path, content_type: str, name: str) -> Kept:
        """Check an uploaded file, a `content_type` of those above, in a folder of `workplace`, and keep it.

        Raises:
            BackgroundError: it cannot be read or is too large, or enough are kept.
            OutputError: it cannot be written.
        """
        name = label(name)
        self.check_room()
        try:
            ready = upload.with_name("ready")
            ready.mkdir()
            make = _keep_video if content_type in _VIDEO_STARTS else _keep_picture
            make(upload, content_type, ready)
            (ready / "name.txt").write_text(name, encoding="utf-8")
            id = secrets.token_hex(16)
            os.rename(ready, self.folder / id)
        except InputError as error:
            raise BackgroundError(str(error).replace(str(upload), name)) from error
        except OSError as error:
            raise OutputError(f"{name}: cannot be kept ({error.strerror or error})") from error
        finally:
            give_back_freed_memory()
        kept = self.get(id)
        assert kept is not None
        return kept

    def check_room(self) -> None:
        """Raise a BackgroundError where enough are kept."""
        if len(self.all()) >= MAX_KEPT:
            raise BackgroundError(f"{MAX_KEPT} backgrounds are kept already: remove one first")

    def remove(self, kept: Kept) -> None:
        """Remove a background: as a whole, or, where that fails, not at all."""
        with self.workplace() as work:
            os.rename(kept.path.parent, work / "removed")


def data_folder() -> Path:
    """Where this system keeps a user's own data of programs: the folder of this one for backgrounds."""
    home = Path.home()
    usual = {"darwin": home / "Library" / "Application Support", "win32": home / "AppData" / "Local"}
    own = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME", "")
    # The XDG specification has a relative path ignored.
    base = Path(own) if os.path.isabs(own) else usual.get(sys.platform, home / ".local" / "share")
    return base / "figureground" / "backgrounds"


def _time_of(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:  # removed just now
        return 0


def label(name: str) -> str:
    """A file's name as something to show: its last part, printable, of a bounded length."""
    last = re.split(r"[/\\]", name[-1000:])[-1]
    printable = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in last)
    return " ".join(printable.split())[:_NAME_LENGTH].strip() or "background"


def kind_of(path: Path) -> str:
    """What `make_background` takes a path for: picture, video or folder."""
    if path.is_dir():
        return "folder"
    return "video" if path.suffix.lower() in VIDEO_EXTENSIONS else "picture"


def make_thumbnail(path: Path) -> bytes:
    """A small JPEG of a picture, a video's first frame or a folder's first picture.

    Raises:
        InputError: it cannot be read.
    """
    if kind_of(path) == "folder":
        path = next(iter(slides(path)), path)
    elif kind_of(path) == "video":
        with VideoSource(path) as source:
            return encode_jpeg(cover(next(iter(source)), *_THUMBNAIL))
    return encode_jpeg(cover(read_image(path), *_THUMBNAIL))


def _keep_picture(upload: Path, content_type: str, ready: Path) -> None:
    width, height = picture_size(upload)
    if width * height > _MAX_PICTURE:
        raise BackgroundError(f"the picture has {width}x{height} pixels, over the limit of 50 megapixels; shrink it")
    picture = read_image(upload)
    scale = LONGEST_SIDE / max(picture.shape)
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    write_image(ready / "background.jpg", picture)
    (ready / "thumbnail.jpg").write_bytes(encode_jpeg(cover(picture, *_THUMBNAIL)))


def _keep_video(upload: Path, content_type: str, ready: Path) -> None:
    with upload.open("rb") as file:
        if not _VIDEO_STARTS[content_type].match(file.read(12)):
            raise BackgroundError(f"not a video of the type {content_type}")
    until = time.monotonic() + _DECODE_SECONDS
    with VideoSource(upload) as source:
        if source.width * source.height > _MAX_VIDEO:
            raise BackgroundError(f"the video is {source.width}x{source.height}, over the limit of 3840x2160")
        frames = iter(source)
        first = encode_jpeg(cover(next(frames), *_THUMBNAIL))
        for _ in frames:
            if time.monotonic() > until:
                raise BackgroundError("the video takes too long to decode: shorten it or make its picture smaller")
    (ready / "thumbnail.jpg").write_bytes(first)
    os.rename(upload, ready / f"background.{content_type.partition('/')[2]}")
