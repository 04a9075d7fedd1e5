"""What notations check alike in values from strangers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, ValidationError

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Size = Annotated[int, Field(ge=1, le=1 << 24)]
Id = StrictInt | StrictStr


def explain(error: ValidationError) -> str:
    """The first thing wrong with a value, and where in it, on one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    got = repr(first["input"])
    message = f"{first['msg']}, got {got if len(got) <= 60 else got[:57] + '...'}"
    return f"{place}: {message}" if place else message
