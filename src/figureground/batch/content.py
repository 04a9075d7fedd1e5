"""What files hold, in a few characters: what tells that a model or a background is another one than before."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from figureground.backgrounds import slides
from figureground.engine import shipped_models
from figureground.runtimes.peers import model_files


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(path: Path) -> list[str]:
    """Of a background's file, or of all pictures of its folder; of neither, nothing."""
    files = slides(path) if path.is_dir() else [path]
    return [sha256(file) for file in files if file.is_file()]


def model_hashes(model: str) -> list[str]:
    """Of all that decides what a model does, its weights first; where it lies does not count."""
    shipped = shipped_models().get(model)
    if shipped is not None:  # the engine takes no other file for it
        return [str(shipped["sha256"])]
    return [_unless_changed(file, os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in model_files(model)]


@lru_cache(16)
def _unless_changed(file: Path, size: int, modified: int) -> str:
    return sha256(file)
