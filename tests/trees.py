"""What is in a folder, for tests that look at all of it."""

from __future__ import annotations

from pathlib import Path

from figureground.batch.manifest import NAME


def tree(folder: Path) -> dict[str, bytes]:
    """A folder's files by their paths in it, but the manifest of `replace`, which tests/test_folders.py reads."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
