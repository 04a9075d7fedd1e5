"""A video as a folder of numbered PNG pictures."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2

from figureground.atomic import UMASK
from figureground.errors import OutputError
from figureground.pipeline import Picture

_NUMBERED = re.compile(r"\d{6,}\.png")


class Frames:
    """Takes pictures and writes each as the next number, from 1 on; their times are lost."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def send(self, picture: Picture, time: Fraction) -> None:
        """Write one (H, W, 3) RGB or (H, W, 4) RGBA picture, of 8 or 16 bits."""
        self._count += 1
        order = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        _, content = cv2.imencode(".png", cv2.cvtColor(picture, order))
        numbered(self._folder, self._count).write_bytes(content.tobytes())


def numbered(folder: Path, number: int) -> Path:
    """The picture of that number in a folder."""
    return folder / f"{number:06}.png"


@contextmanager
def frames_folder(path: Path) -> Iterator[Frames]:
    """A new folder of pictures at `path`: all of them once the block ends well, else none."""
    with _appearing(path) as temporary:
        yield Frames(temporary)


def join_folders(path: Path, parts: Sequence[Path]) -> int:
    """Put the pictures of `parts` into one folder, numbered through; a folder of such pictures there is replaced.

    Returns:
        How many there are.

    Raises:
        OutputError: something else stands there.
    """
    count = 0
    with _appearing(path) as temporary:
        for part in parts:
            for picture in sorted(part.iterdir(), key=lambda file: int(file.stem)):
                count += 1
                try:
                    os.link(picture, numbered(temporary, count))
                except OSError:  # file systems without links
                    shutil.copyfile(picture, numbered(temporary, count))
    return count


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~UMASK)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replaceable(path: Path) -> bool:
    """Whether nothing but numbered pictures would be lost if a folder of such were written to `path`."""
    if not path.is_dir():
        return not path.exists()
    return all(_NUMBERED.fullmatch(child.name) for child in path.iterdir())


def check_replaceable(path: Path) -> None:
    """See that nothing but numbered pictures would be lost if `path` were written.

    Raises:
        OutputError: something would.
    """
    if not replaceable(path):
        raise OutputError(f"{path}: holds other things than numbered pictures; choose another --output")
