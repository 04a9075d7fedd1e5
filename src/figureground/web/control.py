"""What the page sees of `Live` and what it may ask of it: names and ids in both directions, never a path.

A camera, background, overlay or model that was named on the command line is called `given` towards the page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figureground.engine import shipped_models
from figureground.errors import FigureGroundError
from figureground.web.uploads import Backgrounds, Kept

if TYPE_CHECKING:
    from figureground.live import Live

GIVEN = "given"
_SPEC = re.compile(r"blur(:\d{1,3}(\.\d{1,3})?)?|#[0-9a-fA-F]{6}|transparent")
_TYPES = {
    "camera": "text",
    "background": "text",
    "model": "text",
    "fit": "text",
    "people": "text",
    "overlay": "text",
    "mirror": "true or false",
    "refine": "true or false",
    "stabilise": "true or false",
    "look_ahead": "true or false",
    "show_mask": "true or false",
    "fps": "a number",
    "cpu": "a number or null",
}


class Control:
    """`live` as the page has it; `backgrounds` are those the page may choose."""

    def __init__(self, live: Live, backgrounds: Backgrounds) -> None:
        self.live = live
        self.backgrounds = backgrounds
        settings = _settings(live.state())
        self._given = {name: settings[name] for name in ("camera", "background", "overlay", "model")}
        self._is_model_given = settings["model"] not in shipped_models()

    @property
    def given(self) -> Kept | None:
        """The background of the command line, where that is a file or folder."""
        path = Path(self._given["background"])
        is_own = _SPEC.fullmatch(str(path)) or self.backgrounds.id_of(str(path))
        return None if is_own else Kept(GIVEN, path.name, path)

    def state(self) -> dict[str, Any]:
        """`Live.state()` with ids and names for paths; `can_overlay` says whether the command line named an overlay."""
        state: dict[str, Any] = dict(self.live.state())
        settings = _settings(state)
        background, overlay = settings["background"], settings["overlay"]
        if not _SPEC.fullmatch(background):
            settings["background"] = self.backgrounds.id_of(background) or GIVEN
        settings["overlay"] = GIVEN if overlay else ""
        if settings["camera"] == self._given["camera"]:
            settings["camera"] = GIVEN
        if settings["model"] not in shipped_models():
            settings["model"] = GIVEN
        told = {name: self._without_paths(state[name]) for name in ("reason", "remedy")}
        camera = state["camera"] | {"name": self._without_paths(state["camera"]["name"])}
        models = [*state["models"], GIVEN] if self._is_model_given else state["models"]
        can_overlay = bool(self._given["overlay"])
        return state | told | {"settings": settings, "camera": camera, "models": models, "can_overlay": can_overlay}

    def change(self, changes: object) -> None:
        """Change some of the settings, as the page spells them.

        Raises:
            FigureGroundError: one of them is not there, of the wrong type, or nothing the page may ask for.
        """
        if not isinstance(changes, dict) or not changes:
            raise FigureGroundError("want a JSON object of settings to change")
        state: dict[str, Any] = dict(self.live.state())
        checked = {name: self._checked(name, value, state) for name, value in changes.items()}
        try:
            self.live.change(checked)
        except FigureGroundError as error:
            raise FigureGroundError(self._without_paths(str(error))) from error

    def is_shown(self, kept: Kept) -> bool:
        return Path(_settings(self.live.state())["background"]) == kept.path

    def _without_paths(self, fault: str) -> str:
        """What went wrong, with names for the paths of files and folders."""
        for place in self._given.values():
            # A device is named by its path in the remedies, which are lines to run.
            if len(Path(place).parts) > 1 and "://" not in place and not place.startswith("/dev/"):
                for path in (place, str(Path(place)), repr(place)[1:-1]):  # some faults quote it
                    fault = fault.replace(path, Path(place).name)
        return self.backgrounds.named(fault)

    def _checked(self, name: str, value: object, state: dict[str, Any]) -> object:
        wanted = _TYPES.get(name)
        if wanted is None:
            raise FigureGroundError(f"no setting is called {name[:40]!r}; there are {', '.join(_TYPES)}")
        if not _is(value, wanted):
            raise FigureGroundError(f"{name}: want {wanted}")
        if not isinstance(value, str):
            return value
        match name:
            case "background":
                return self._background(value)
            case "overlay":
                choices = {"": "", GIVEN: self._given["overlay"]}
            case "camera":
                choices = {device: device for device in (camera["device"] for camera in state["cameras"])}
                choices[GIVEN] = self._given["camera"]
            case "model":
                choices = {model: model for model in state["models"]}
                choices |= {GIVEN: self._given["model"]} if self._is_model_given else {}
            case _:
                return value  # words that name no file: Live knows which there are
        if value not in choices:
            raise FigureGroundError(f"{name} {value[:80]!r}: not one of those the page offers")
        return choices[value]

    def _background(self, value: str) -> str:
        if _SPEC.fullmatch(value):
            return value
        kept = self.given if value == GIVEN else self.backgrounds.get(value)
        if kept is None:
            raise FigureGroundError(f"background {value[:80]!r}: not one of those the page offers")
        return str(kept.path)


def _settings(state: dict[str, object]) -> dict[str, Any]:
    settings = state["settings"]
    assert isinstance(settings, dict)
    return dict(settings)


def _is(value: object, wanted: str) -> bool:
    if wanted == "text":
        return isinstance(value, str)
    if wanted == "true or false":
        return isinstance(value, bool)
    if value is None:
        return wanted.endswith("null")
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e4 < value < 1e4  # no NaN either
