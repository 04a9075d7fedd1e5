"""Which annotations are of the classes asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

IGNORED = ("neutral", "ignore", "ignored", "void")  # neither object nor background, by the notations' own words


def is_wanted(label: str, classes: Sequence[str]) -> bool:
    """Whether `label` is one of `classes`, whatever its case, or one of them with an ending.

    Tools make `person_poly`, `Person 2` and `person-1` of one class; `personal` is another, and so is 10 for 1.
    """
    name = label.strip().casefold()
    return any(re.match(rf"{re.escape(wanted.casefold())}{_end(wanted)}", name) for wanted in classes)


def _end(wanted: str) -> str:
    return r"(?![^\W_])" if wanted[-1:].isdecimal() else r"(?![^\W\d_])"


def is_ignored(label: str) -> bool:
    """Whether a label marks a region to ignore."""
    return label.strip().casefold() in IGNORED
