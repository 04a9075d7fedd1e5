"""What may be chosen while it runs, and its checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_type_hints

from figureground.errors import SettingError
from figureground.people import Which

Fitting = Literal["cover", "contain"]


@dataclass(frozen=True, slots=True)
class Settings:
    """One choice of everything.

    Attributes:
        camera: index, device, (part of a) name, file or stream.
        background: `blur`, `blur:STRENGTH`, `#rrggbb` or the path of a picture, video or folder.
        model: a shipped name or an .onnx file.
        device: what the model runs on, as `Engine` takes it.
        mirror: the picture is turned left to right, as in a mirror.
        fit: how a camera picture of another shape comes into the output's: `cover` cuts, `contain` leaves bars.
        people: who is kept.
        refine: full-resolution edges.
        stabilise: less flicker.
        look_ahead: each picture waits for the next one, which tells what was only a flicker.
        show_mask: the person is tinted, to judge the mask by.
        overlay: a picture with transparency laid over everything, as a name tag; empty: none.
        fps: pictures a second at most.
        cpu: the share of one core to stay under, 0 to 1; None: as much as the rate needs.
    """

    camera: str = "0"
    background: str = "blur"
    model: str = "small"
    device: str = "cpu"
    mirror: bool = False
    fit: Fitting = "cover"
    people: Which = "everyone"
    refine: bool = True
    stabilise: bool = True
    look_ahead: bool = False
    show_mask: bool = False
    overlay: str = ""
    fps: float = 30.0
    cpu: float | None = None

    def changed(self, changes: Mapping[str, object]) -> Settings:
        """These settings with some others.

        Raises:
            SettingError: an unknown name, or a value of the wrong type or range.
        """
        hints = get_type_hints(Settings)
        for name, value in changes.items():
            if name not in hints:
                known = ", ".join(field.name for field in fields(Settings))
                raise SettingError(f"setting {name!r}: there is none; want one of {known}")
            _check(name, value, hints[name])
        return replace(self, **changes)  # type: ignore[arg-type]


def _check(name: str, value: object, kind: object) -> None:
    choices = get_args(kind)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == "cpu":
        right, want = value is None or (number and 0.02 <= value <= 1), "0.02 to 1 (a share of one core), or nothing"  # type: ignore[operator]
    elif name == "fps":
        right, want = number and 1 <= value <= 240, "1 to 240"  # type: ignore[operator]
    elif choices:
        right, want = value in choices, f"one of {', '.join(map(str, choices))}"
    elif kind is bool:
        right, want = isinstance(value, bool), "true or false"
    else:
        right, want = isinstance(value, str) and len(value) <= 4096, "text of at most 4096 characters"
    if not right:
        raise SettingError(f"setting {name}: got {str(value)[:80]!r}; want {want}")
