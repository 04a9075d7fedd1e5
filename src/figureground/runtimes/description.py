"""How somebody else's model wants its input and gives its output, read from a small TOML file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from figureground.errors import ModelError

CHOICES = {
    "layout": ("NHWC", "NCHW"),
    "channels": ("RGB", "BGR"),
    "fit": ("stretch", "letterbox"),
    "resize": ("linear", "nearest", "area", "cubic"),
    "activation": ("none", "sigmoid", "softmax"),
}
MAX_SIZE = 8192
MOST, LEAST = 1e12, 1e-12  # of any number, and of what is divided by
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Description:
    """A model's input and output; docs/evaluation.md explains each key.

    A channel's value is low + pixel / 255 * (high - low), with `range` (low, high), then minus `mean`, over `std`;
    both in the model's channel order. `size` is (width, height); None: what the file says. `fill` is the grey, 0 to
    255, around a letterboxed picture.
    """

    size: tuple[int, int] | None = None
    layout: str = "NHWC"
    channels: str = "RGB"
    range: tuple[float, float] = (0.0, 1.0)
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    fit: str = "stretch"
    fill: float = 0.0
    resize: str = "linear"
    output: int = 0
    channel: int = 0
    activation: str = "none"


def described(file: Path) -> tuple[Path, Description | None]:
    """The model's file and its description, if it has one.

    `file` is a model, described by a TOML of its name with `.toml` added if there is one; or it is itself a TOML
    that says where the model is: `model = "PATH"`, from the TOML's folder.

    Raises:
        ModelError: the TOML cannot be read, or a key of it is unknown or has a wrong value.
    """
    if file.suffix == ".toml":
        values = _read(file)
        model = values.pop("model", None)
        if not isinstance(model, str):
            raise ModelError(f'{file}: says no model; want model = "PATH", from the folder of this file')
        return file.parent / model, _description(file, values, file.parent / model)
    beside = file.parent / f"{file.name}.toml"  # "." has no name
    # Of files alone: a `small.toml` does not describe the shipped model. And exists of os.path is False where a folder
    # may not be entered, where Path's fails.
    if file.suffix not in (".onnx", ".tflite") or not os.path.exists(beside):
        return file, None
    values = _read(beside)
    values.pop("model", None)
    return file, _description(beside, values, file)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # some editors put a mark before the text
    except (OSError, ValueError, RecursionError) as error:  # no text, no TOML, a number of 5,000 digits, deep brackets
        raise ModelError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from error


def _description(file: Path, values: dict[str, Any], model: Path) -> Description:
    known = [field.name for field in fields(Description)]
    for name, value in values.items():
        if name not in known:
            raise ModelError(f"{file}: {name!r} is no setting; use model, {', '.join(known)}")
        wanted = _wrong(name, value)
        if wanted:
            raise ModelError(f"{file}: {name} = {value!r}; want {wanted}")
    layout = {"layout": "NCHW" if model.suffix == ".onnx" else "NHWC"}
    return Description(**layout | {name: _frozen(value) for name, value in values.items()})


def _wrong(name: str, value: object) -> str:
    """What is wanted of a setting instead of `value`; empty if that is right."""
    if name in CHOICES:
        return "" if value in CHOICES[name] else " or ".join(CHOICES[name])
    if name in ("output", "channel"):
        return "" if _is_whole(value) and value in range(1000) else "a whole number from 0"
    if name == "fill":
        return "" if _are_numbers([value], 1) and 0 <= float(str(value)) <= 255 else "a number from 0 to 255"
    if name == "size":
        right = _are_numbers(value, 2) and all(_is_whole(side) and 0 < side <= MAX_SIZE for side in _listed(value))
        return "" if right else f"[width, height], each 1 to {MAX_SIZE}"
    if name == "range":
        return "" if _are_numbers(value, 2) else "[low, high]"
    right = _are_numbers(value, 3) and not (name == "std" and any(abs(each) < LEAST for each in _listed(value)))
    return "" if right else "three numbers" + (", none of them 0" if name == "std" else "")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_numbers(value: object, count: int) -> bool:
    numbers = _listed(value)
    are_numbers = all(_is_whole(each) or isinstance(each, float) for each in numbers)
    return len(numbers) == count and are_numbers and all(abs(each) <= MOST for each in numbers)


def _frozen(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value
