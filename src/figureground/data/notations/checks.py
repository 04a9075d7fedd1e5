"""What notations check alike in values from strangers."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, ValidationError

from figureground.errors import DatasetError

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Size = Annotated[int, Field(ge=1, le=1 << 24)]
Id = StrictInt | StrictStr
_MEMBER = re.compile(r"int|str|float|bool|(list|dict|tuple|function-\w+)\[.*\]")
_SHORT = reprlib.Repr()  # repr of a value nested deeply would not end well
_SHORT.maxstring = _SHORT.maxother = 60


def explain(error: ValidationError | DatasetError) -> str:
    """The first thing wrong with a value, and where in it, on one line."""
    if isinstance(error, DatasetError):
        return str(error)
    errors = error.errors(include_url=False, include_context=False)
    # Of what may be one thing or another the nearest counts: the one that is wrong furthest inside.
    at = len(_plain(errors[0]["loc"]))
    of_first = [each for each in errors if _plain(each["loc"])[:at] == _plain(errors[0]["loc"])]
    nearest = max(of_first, key=lambda each: len(_plain(each["loc"])))
    alike = [each["msg"] for each in of_first if _plain(each["loc"]) == _plain(nearest["loc"])]
    words = " or ".join([alike[0], *(message.removeprefix("Input should be ") for message in alike[1:])])
    place = ".".join(str(part) for part in _plain(nearest["loc"]))
    got = _SHORT.repr(nearest["input"])
    message = f"{words}, got {got if len(got) <= 60 else got[:57] + '...'}"
    return f"{place}: {message}" if place else message


def _plain(place: Sequence[str | int]) -> list[str | int]:
    """A place without pydantic's names for the members of a union."""
    return [part for part in place if isinstance(part, int) or not _MEMBER.fullmatch(part)]


def storable(text: str) -> str:
    """Text that is not checked otherwise, in a length for a report and without the halves of characters."""
    return text[:200].encode("utf-8", "replace").decode()
