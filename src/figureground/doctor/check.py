"""What one look at one part gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from figureground.errors import FigureGroundError

Status = Literal["works", "warning", "broken", "absent"]


@dataclass(frozen=True, slots=True)
class Check:
    """A part, how it is, and, where something is wrong, the line that mends it.

    absent: not there, which is no fault where it is not needed; warning: works, but not as well as it could.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def tried(name: str, look: Callable[[], Check | list[Check]]) -> list[Check]:
    """What `look` finds; a part that fails while it is tried is broken, and the others are still looked at."""
    try:
        found = look()
    except FigureGroundError as error:
        return [Check(name, "broken", str(error))]
    except Exception as error:  # a doctor must not fall ill
        return [Check(name, "broken", f"{type(error).__name__}: {error}", "report this with the line above")]
    return found if isinstance(found, list) else [found]
