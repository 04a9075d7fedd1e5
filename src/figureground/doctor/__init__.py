"""Tries every part of the program on this machine, and says for each what mends it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence

from figureground.doctor import linux, machine, parts
from figureground.doctor.check import Check, tried
from figureground.web.uploads import data_folder

__all__ = ["Check", "checks", "report"]


def checks() -> list[Check]:
    """Every part, tried for real: takes some seconds, more where a camera gives no picture."""
    looks: dict[str, Callable[[], Check | list[Check]]] = {
        "cameras": parts.camera_list,
        "virtual camera": parts.virtual_camera,
        "models": parts.models,
        "codecs": parts.codecs,
        "cores": machine.cores,
        "memory": machine.memory,
        "folders": lambda: machine.folders(data_folder()),
        "browser": machine.browser,
        "extras": parts.extras,
    }
    if sys.platform == "linux":
        looks |= {"v4l2loopback": linux.module, "group video": linux.permission, "snaps": linux.snaps}
    return [check for name, look in looks.items() for check in tried(name, look)]


def report(found: Sequence[Check]) -> str:
    """The checks for people: a line each, and below it what mends it."""
    wide = max(len(check.name) for check in found)
    lines = []
    for check in found:
        head = f"{check.status:<8}{check.name:<{wide}}  "
        lines += textwrap.wrap(check.detail, 100, initial_indent=head, subsequent_indent=" " * len(head)) or [head]
        if check.remedy:
            lines.append(f"{'':<8}  {check.remedy}")  # never wrapped: it is there to be copied
    return "\n".join(lines)
