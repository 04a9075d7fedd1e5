"""The settings of a training run."""

from __future__ import annotations

import difflib
import runpy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from figureground.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Augment:
    """How training samples are varied; probabilities in [0, 1], all else as commented."""

    flip: float = 0.5
    rotate: float = 12.0  # degrees either way
    zoom: tuple[float, float] = (0.55, 1.25)  # side of the crop in parts of the picture's longest side
    shift: float = 0.15  # of the crop's side, either way
    stretch: float = 0.1  # change of the aspect ratio either way
    colour: float = 0.8  # brightness, contrast, gamma, saturation, white balance
    grey: float = 0.03
    blur: float = 0.15
    noise: float = 0.2
    jpeg: float = 0.2
    dark: float = 0.08  # low light with its noise
    swap_background: float = 0.4  # needs `Recipe.backgrounds`
    second_person: float = 0.08
    occluder: float = 0.08
    negative: float = 0.06  # a background without any person; needs `Recipe.backgrounds`


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run, from data to weights."""

    name: str
    # network
    network: str = "light"  # light | classic
    width: float = 1.0  # of the classic network's channels
    dropout: float = 0.0
    size: int = 160  # training crops are size x size
    input_size: int = 256  # longest side of what the shipped model sees
    start: str = ""  # .keras file of the same network whose weights to begin with
    # data
    backgrounds: str = ""  # folder of pictures without people
    augment: Augment = Augment()
    cache_side: int = 320  # pictures are kept in memory with at most this longest side
    # optimisation
    batch: int = 32
    epochs: int = 30
    learning_rate: float = 1e-3
    schedule: str = "cosine"  # cosine | halve (every `halve_every` epochs) | constant
    warmup_epochs: float = 1.0
    halve_every: int = 10
    optimizer: str = "adamw"  # adamw | adam
    weight_decay: float = 1e-4
    loss: str = "bce_dice"  # bce | bce_dice
    boundary_weight: float = 0.0  # extra weight of pixels at the mask's edge in the cross-entropy
    average: float = 0.0  # decay of the weights' moving average per step; 0: none
    mixed_precision: bool = False
    # when to look and when to stop
    validate_every: int = 1  # epochs
    patience: int = 0  # validations without a better `val_loss` before stopping; 0: never
    seed: int = 0


Settings = TypeVar("Settings", Recipe, Augment)


def find_recipe(name: str) -> Path:
    """The file of a recipe by name, or the path given.

    Raises:
        RecipeError: neither a recipe's name nor a file.
    """
    package = Path(__file__).parents[1]
    folders = [package / "recipes", package.parents[1] / "recipes"]  # in a wheel; in a checkout
    if name.endswith(".py") and Path(name).exists():
        return Path(name)
    for folder in folders:
        if (folder / f"{name}.py").exists():
            return folder / f"{name}.py"
    known = sorted({path.stem for folder in folders for path in folder.glob("*.py")})
    raise RecipeError(f"recipe {name!r}: no such recipe or file; there are {', '.join(known)}")


def read_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and change single settings, each given as `name=value` or `augment.name=value`.

    Raises:
        RecipeError: no such recipe, no RECIPE in it, an unknown setting (the nearest is suggested) or a value
            of the wrong type.
    """
    path = find_recipe(name)
    recipe = runpy.run_path(str(path)).get("RECIPE")
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{path}: defines no RECIPE = Recipe(...)")
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise RecipeError(f"--set {setting}: want name=value")
        recipe = _changed(recipe, key, value)
    return recipe


def _changed(recipe: Recipe, key: str, value: str) -> Recipe:
    if key.startswith("augment."):
        return replace(recipe, augment=_with(recipe.augment, key.removeprefix("augment."), value))
    return _with(recipe, key, value)


def _with(settings: Settings, key: str, value: str) -> Settings:
    names = [field.name for field in fields(settings)]
    if key not in names:
        near = difflib.get_close_matches(key, names, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
        raise RecipeError(f"--set {key}={value}: no such setting{hint}")
    return replace(settings, **{key: _parsed(key, value, getattr(settings, key))})


def _parsed(key: str, value: str, old: Any) -> Any:
    """`value` as the type of the setting's `old` value."""
    try:
        if isinstance(old, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(old, tuple):
            numbers = tuple(float(part) for part in value.split(","))
            if len(numbers) != len(old):
                raise ValueError(value)
            return numbers
        return type(old)(value)
    except (KeyError, ValueError, TypeError) as error:
        raise RecipeError(f"--set {key}={value}: want a value like {old!r}") from error
