"""What a region of the VGG Image Annotator is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from figureground.data.labels import is_wanted
from figureground.data.notations.checks import storable

_CLASS_KEYS = ("class", "label", "name", "type", "category")


@dataclass(slots=True)
class Labels:
    """Finds the class of a region among its attributes, whose names are as the annotator chose.

    It is the value, the option chosen or the box ticked that is asked for, else the first of an attribute called
    class, label, name, type or category, else of any. Where no region of a file has any, all are of the class asked
    for first.
    """

    classes: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)  # a project's: by attribute, what its options stand for
    found: bool = False  # whether a region of the file has any

    def survey(self, attributes: Any) -> None:
        """Take note of a region's attributes, before any region is labelled."""
        self.found = self.found or (isinstance(attributes, dict) and bool(self._names(attributes)))

    def of(self, attributes: dict[str, Any]) -> str:
        """The class of a region with these attributes; "" if it has none though others have."""
        names = self._names(attributes)
        wanted = next((name for name in names if is_wanted(name, self.classes)), "")
        return storable(wanted or next(iter(names), "" if self.found else self.classes[0]))

    def _names(self, attributes: dict[str, Any]) -> list[str]:
        keys = sorted(attributes, key=lambda key: key.lower() not in _CLASS_KEYS)
        names = [name for key in keys for name in self._values(key, attributes[key])]
        if not names and len(keys) == 1 and keys[0].lower() not in _CLASS_KEYS and attributes[keys[0]] in ("", True):
            return keys  # such as {"person": ""}
        return [name for name in names if name.strip()]

    def _values(self, key: str, value: Any) -> Iterator[str]:
        options = self.options.get(key)
        chosen = [name for name, ticked in value.items() if ticked] if isinstance(value, dict) else [value]
        for name in chosen:
            if not isinstance(name, str | int | float) or isinstance(name, bool):
                continue
            shown = options.get(str(name)) if isinstance(options, dict) else None
            if isinstance(shown, str):
                yield shown
            yield str(name)
