"""Which annotations are of the classes asked for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_KINDS = ("poly", "polygon", "bmp", "bitmap", "mask", "brush", "rle", "box", "bbox", "rect", "seg", "instance")
IGNORED = ("neutral", "ignore", "ignored", "void")  # neither object nor background, by the notations' own words


def is_wanted(label: str, classes: Sequence[str]) -> bool:
    """Whether `label` is one of `classes`, whatever its case, or one of them with an ending.

    Tools make `person_poly`, `Person 2` and `person-1` of one class; `personal` and `person shadow` are others, and so
    is 10 for 1.
    """
    return any(re.fullmatch(rf"{re.escape(_folded(wanted))}{_end(wanted)}", _folded(label)) for wanted in classes)


def _end(wanted: str) -> str:
    number = r"\W*_*\d+" if not wanted[-1:].isdecimal() else r"[\W_]+\d+"
    return rf"(?:[\W_]+(?:{'|'.join(_KINDS)}))?(?:{number})?"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip()).casefold()


def is_ignored(label: str) -> bool:
    """Whether a label marks a region to ignore."""
    return label.strip(" _").casefold() in IGNORED
