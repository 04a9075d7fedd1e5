"""What notations check alike in values from strangers."""

from __future__ import annotations

import reprlib
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, ValidationError

from figureground.errors import DatasetError

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Size = Annotated[int, Field(ge=1, le=1 << 24)]
Id = StrictInt | StrictStr
_SHORT = reprlib.Repr()  # repr of a value nested deeply would not end well
_SHORT.maxstring = _SHORT.maxother = 60


def explain(error: ValidationError | DatasetError) -> str:
    """The first thing wrong with a value, and where in it, on one line."""
    if isinstance(error, DatasetError):
        return str(error)
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    got = _SHORT.repr(first["input"])
    message = f"{first['msg']}, got {got if len(got) <= 60 else got[:57] + '...'}"
    return f"{place}: {message}" if place else message


def storable(text: str) -> str:
    """Text that is not checked otherwise, in a length for a report and without the halves of characters."""
    return text[:200].encode("utf-8", "replace").decode()
