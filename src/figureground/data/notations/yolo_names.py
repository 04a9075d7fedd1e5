"""The names of YOLO's classes: `names` in a YAML file, or a line each in classes.txt or obj.names.

Of YAML only what the writers of such files use is understood: a list or a mapping of plain or quoted names, in
brackets or a line each, without escapes, anchors, tags or names over several lines.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from figureground.data.folders import Finder
from figureground.errors import DatasetError

_MAX_FILE = 1 << 18  # bytes
_KEY = re.compile(r"^[\"']?names[\"']?[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_NAME = r"\"[^\"\n]*+\"|'(?:[^'\n]|'')*+'|[^\s,\[\]{}'\"#&*!|>%@`-][^,\[\]{}\n]*+"
_ITEM = re.compile(rf"\s*+(?:(\d{{1,9}})\s*+:\s*+)?({_NAME})\s*+(?:,\s*+|$)")
_LINE = re.compile(rf"[ \t]*+(?:-|[\"']?(\d{{1,9}})[\"']?[ \t]*+:)[ \t]++({_NAME})")
_COMMENT = re.compile(r"(?:^|[ \t])#.*$", re.MULTILINE)


def class_names(folder: Path, root: Path) -> dict[int, str]:
    """The classes by number, as said in `folder` or the nearest one above it, up to `root`; {} if nowhere.

    Raises:
        DatasetError: a file that should say so cannot be understood.
    """
    places = [place for place in (folder, *folder.parents) if place.is_relative_to(root)]
    try:
        files = (file for place in places for file in _candidates(place, root, place.stat().st_mtime_ns))
        named = (_named(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
        return next((names for names in named if names), {})
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the names of the classes cannot be read ({error})") from error


@lru_cache(maxsize=64)
def _candidates(folder: Path, root: Path, changed: int) -> list[Path]:
    """The files of a folder that may name classes; every label asks, so they are not listed anew each time."""
    yaml = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml"))
    finder = Finder(root)
    return [path for path in (*yaml, folder / "classes.txt", folder / "obj.names") if finder.holds(path)]


@lru_cache(maxsize=64)
def _named(file: Path, size: int, changed: int) -> dict[int, str]:
    if size > _MAX_FILE:
        raise DatasetError(f"{file}: more than {_MAX_FILE >> 10} KiB")
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix.lower() not in (".yaml", ".yml"):
        return dict(enumerate(line.strip() for line in text.rstrip().splitlines()))
    names = _of_yaml(text)
    if names is None:
        raise DatasetError(f"{file}: its names cannot be understood; write a list, a line each: - person")
    return names


def _of_yaml(text: str) -> dict[int, str] | None:
    """The names in a YAML file, {} if it has none, None if they are not understood."""
    text = _COMMENT.sub("", text)
    key = _KEY.search(text)
    if not key:
        return {}
    if key[1][:1] in ("[", "{"):
        return _of_brackets(text[key.start(1) :])
    return None if key[1].strip() else _of_lines(text[key.end() :])


def _of_brackets(text: str) -> dict[int, str] | None:
    """The names in [...] or {...}."""
    closing = "]" if text.startswith("[") else "}"
    end = text.find(closing)
    if end < 0:
        return None
    inside, at, names = text[1:end].strip(), 0, dict[int, str]()
    while at < len(inside):
        match = _ITEM.match(inside, at)
        if not match or (match[1] is None) != (closing == "]"):
            return None
        names[len(names) if match[1] is None else int(match[1])] = _plain(match[2])
        at = match.end()
    return names or None


def _of_lines(text: str) -> dict[int, str] | None:
    """The names in lines that begin with a dash or a number."""
    names = dict[int, str]()
    for line in text.splitlines():
        match = _LINE.fullmatch(line.rstrip())
        if match:
            names[len(names) if match[1] is None else int(match[1])] = _plain(match[2])
        elif line.strip() and line[0] not in " \t-":
            break
        elif line.strip():
            return None
    return names or None


def _plain(name: str) -> str:
    if name[0] == "'":
        return name[1:-1].replace("''", "'")
    return name[1:-1] if name[0] == '"' else name.strip()
