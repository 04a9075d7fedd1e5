"""The settings of a training run."""

from __future__ import annotations

import difflib
import json
import math
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from figureground.errors import RecipeError
from figureground.preprocess import STRIDE
from figureground.training.loss_terms import loss_terms

CHOICES = {
    "network": ("light", "small", "base", "classic"),
    "schedule": ("cosine", "halve", "constant"),
    "optimizer": ("adamw", "adam"),
    "choose_by": ("val_loss", "val_iou"),
}
MOST_PEOPLE = 8
_KINDS = {
    str: "a text",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    tuple[float, float]: "two numbers, as in (0.5, 1.5)",
}


def _check_kinds(settings: Recipe | Augment, prefix: str = "") -> None:
    """Refuse a value that is not of the type its setting is annotated with."""
    for name, kind in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if not _is_of(value, kind):
            wanted = _KINDS.get(kind) or f"{kind.__name__}(...)"
            raise RecipeError(f"{prefix}{name}={value!r}: want {wanted}, got {type(value).__name__}")


def _is_of(value: object, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_is_of, value, kinds))
    if kind is float:
        kind = int | float
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


@dataclass(frozen=True, slots=True)
class Augment:
    """How training samples are varied; probabilities in [0, 1], all else as commented."""

    # geometry, of picture and mask alike
    flip: float = 0.5
    flip_vertical: float = 0.0
    rotate: float = 12.0  # degrees either way
    zoom: tuple[float, float] = (0.55, 1.25)  # side of the crop in parts of the picture's longest side
    crop: float = 1.0  # how far a crop smaller than the picture may lie off its centre, in parts of the room there is
    shift: float = 0.075  # further off, either way, in parts of the crop's side
    cut: float = 0.0  # the crop moved to where one of its edges cuts the person
    stretch: float = 0.1  # change of the aspect ratio either way
    perspective: float = 0.0  # how far each of the crop's corners may move, in parts of its side
    mirror: float = 0.5  # what lies outside the picture mirrors it; else its edge goes on
    # colours and what cameras and codecs do
    colour: float = 0.8  # brightness, contrast, gamma, saturation, white balance
    grey: float = 0.03
    blur: float = 0.15
    motion: float = 0.0  # blur along a line
    noise: float = 0.2
    jpeg: float = 0.2
    dark: float = 0.08  # low light with its noise
    # scenes
    swap_background: float = 0.4  # needs `Recipe.backgrounds`
    match_person: float = 0.0  # of swapped ones: the person in the brightness and white balance of the background
    second_person: float = 0.08
    others: int = 1  # how many more people `second_person` may bring
    occluder: float = 0.08
    clothes: float = 0.0  # part of the person painted over in one colour, still the person
    negative: float = 0.06  # a background without any person; needs `Recipe.backgrounds`

    def __post_init__(self) -> None:
        """Refuse what is of the wrong type or out of its range.

        Raises:
            RecipeError: a setting that is.
        """
        _check_kinds(self, "augment.")
        if not 0.01 <= self.zoom[0] <= self.zoom[1] <= 100:
            raise RecipeError(f"augment.zoom={self.zoom}: want two numbers from 0.01 to 100, the smaller first")
        if not 1 <= self.others <= MOST_PEOPLE:
            raise RecipeError(f"augment.others={self.others}: want 1 to {MOST_PEOPLE}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise RecipeError(f"augment.{name}={value}: want {low:g} to {high:g}")


# Whatever else `Augment` holds is a probability or a share. Corners that move by a quarter of a side could give a dent.
_RANGES = {field.name: (0.0, 1.0) for field in fields(Augment) if field.name not in ("zoom", "others")}
_RANGES |= {"rotate": (0.0, 180.0), "perspective": (0.0, 0.2), "stretch": (0.0, 2.0)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run, from data to weights."""

    name: str
    # network
    network: str = "light"  # light | small | base | classic
    width: float = 1.0  # of the classic network's channels
    dropout: float = 0.0  # of the classic network
    size: int = 160  # training crops are size x size
    input_size: int = 256  # side of the square with as many pixels as the shipped model sees
    start: str = ""  # weights of the same network to begin with: small, a .keras file or a run folder
    freeze_encoder: int = 0  # epochs in which only the decoder learns
    # data
    backgrounds: str = ""  # folder of pictures without people
    negatives_only: str = ""  # pattern of names there that must not stand behind a person, as clothes must not
    augment: Augment = Augment()
    cache_side: int = 320  # pictures are kept in memory with at most this longest side
    cache_gb: float = 6.0  # for pictures in memory; what does not fit is read again every epoch
    # optimisation
    batch: int = 32
    accumulate: int = 1  # batches whose mean gradient makes one step of the optimizer
    epochs: int = 30
    learning_rate: float = 1e-3
    schedule: str = "cosine"  # cosine | halve (every `halve_every` epochs) | constant
    warmup_epochs: float = 1.0
    halve_every: int = 10
    optimizer: str = "adamw"  # adamw | adam
    weight_decay: float = 1e-4
    loss: str = "bce+0.5*dice"  # a weighted sum of bce, dice, iou, lovasz, focal
    boundary_weight: float = 0.0  # extra weight of pixels at the mask's edge in bce, the cross-entropy
    average: float = 0.0  # decay of the weights' moving average per step; 0: none
    mixed_precision: bool = False
    # when to look and when to stop
    validate_every: int = 1  # epochs
    sample_every: int = 10  # epochs from one sheet of predictions to the next; 0: only of the best weights
    # Which weights are the best: val_loss (lowest; plain cross-entropy, whatever `loss` is) | val_iou (highest)
    choose_by: str = "val_loss"
    patience: int = 0  # validations without better weights before stopping; 0: never
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what could only fail, or train something else than was asked for, an hour later.

        Raises:
            RecipeError: a setting that is of the wrong type or out of its range.
        """
        _check_kinds(self)
        for name, choices in CHOICES.items():
            self._require(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        loss_terms(self.loss)
        for name in ("size", "input_size"):
            side = getattr(self, name)
            holds = STRIDE <= side <= _LARGEST and side % STRIDE == 0
            self._require(name, holds, f"a multiple of {STRIDE} up to {_LARGEST}")
        for names, (least, most, wanted) in _LIMITS.items():
            for name in names.split():
                self._require(name, least <= getattr(self, name) <= most, wanted)

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise RecipeError(f"{name}={getattr(self, name)}: want {wanted}")


_LARGEST = 4096  # pixels a side: beyond, a single sample is more than memory holds
# The least and the most that settings may be; what is no number at all is neither.
_LIMITS = {
    "cache_side batch epochs halve_every validate_every accumulate": (1, math.inf, "1 or more"),
    "patience freeze_encoder sample_every cache_gb": (0, math.inf, "0 or more"),
    "learning_rate warmup_epochs weight_decay boundary_weight": (0, sys.float_info.max, "0 or more, and finite"),
    "dropout average": (0, math.nextafter(1, 0), "0 or more and below 1"),
    "width": (math.ulp(0), 16, "above 0 and up to 16"),
    "seed": (0, 2**32 - 1, "0 or more and below 2**32"),  # what numpy and the Keras backends take
}


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
            of the wrong type or out of its range.
    """
    path = find_recipe(name)
    try:
        recipe = runpy.run_path(str(path)).get("RECIPE")
    except RecipeError as error:
        raise RecipeError(f"{path}: {_line(path, error)}{error}") from error
    except (Exception, SystemExit) as error:  # a recipe is the user's own program: anything may go wrong in it
        reason = f"{type(error).__name__}: {error}"
        raise RecipeError(f"{path}: {_line(path, error)}cannot be run ({reason}){_hint(error)}") from error
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{path}: defines no RECIPE = Recipe(...)")
    return _with(recipe, settings)


def _line(path: Path, error: BaseException) -> str:
    """Where in a recipe it went wrong; a syntax error says so itself."""
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {numbers[-1]}: " if numbers else ""


def _hint(error: BaseException) -> str:
    """The setting that is nearest to one that a recipe made up."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    near = difflib.get_close_matches(unknown[1], [*_names(Recipe), *_names(Augment)], 1) if unknown else []
    return f"; did you mean {near[0]}?" if near else ""


def has_checkpoint(run: Path) -> bool:
    """Whether a folder holds a run that can go on, which no other may take the place of."""
    return (run / "last.npz").exists()


def is_finished(run: Path) -> bool:
    """Whether a folder holds a run that came to its end; no other may take its place either."""
    return (run / "report.html").exists()


def start_again(run: Path) -> str:
    """The remedy where a run cannot be resumed: one that is not refused in turn."""
    elsewhere = " and with another --output" if has_checkpoint(run) or is_finished(run) else ""
    return f"start again without --resume{elsewhere}"


def read_run(run: Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe a run was begun with, out of its config.json, with single settings changed as in `read_recipe`.

    Raises:
        RecipeError: no run there, or none that this version can go on with.
    """
    path = run / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        del config["dataset"]
        augment = config["augment"] | {"zoom": tuple(config["augment"]["zoom"])}
        recipe = Recipe(**config | {"augment": Augment(**augment)})
    except FileNotFoundError as error:
        raise RecipeError(f"{run}: no run to resume here; {start_again(run)}") from error
    except (OSError, ValueError, KeyError, TypeError, RecipeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise RecipeError(f"{path}: cannot be gone on with ({reason}); {start_again(run)}") from error
    return _with(recipe, settings)


def _with(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise RecipeError(f"--set {setting}: want name=value")
        recipe = _changed(recipe, key, value)
    _check_together(recipe, [setting.partition("=")[0] for setting in settings])
    return recipe


def _check_together(recipe: Recipe, changed: Sequence[str]) -> None:
    """Refuse settings that others make useless, of those that somebody changed; a recipe may hold what it likes."""
    if recipe.size > recipe.cache_side and {"size", "cache_side"} & {*changed}:
        raise RecipeError(
            f"size={recipe.size}: pictures are kept with at most cache_side={recipe.cache_side} pixels a side and "
            f"would be enlarged; --set cache_side={recipe.size} or more"
        )
    is_classic, has_rooms = recipe.network == "classic", bool(recipe.backgrounds)
    needs = {
        "width": (is_classic, "network=classic"),
        "dropout": (is_classic, "network=classic"),
        "weight_decay": (recipe.optimizer == "adamw", "optimizer=adamw"),
        "augment.swap_background": (has_rooms or not recipe.augment.swap_background, "backgrounds=FOLDER"),
        "augment.negative": (has_rooms or not recipe.augment.negative, "backgrounds=FOLDER"),
    }
    for name in changed:
        holds, needed = needs.get(name, (True, ""))
        if not holds:
            raise RecipeError(f"--set {name}: has no effect without {needed}")


def _changed(recipe: Recipe, key: str, value: str) -> Recipe:
    single = {name for name in _names(recipe) if name != "augment"}
    known = single | {f"augment.{name}" for name in _names(recipe.augment)}
    if key not in known:
        near = difflib.get_close_matches(key, sorted(known), 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
        raise RecipeError(f"--set {key}={value}: no such setting; {hint}")
    if key in single:
        return replace(recipe, **{key: _parsed(key, value, recipe, key)})
    name = key.removeprefix("augment.")
    return replace(recipe, augment=replace(recipe.augment, **{name: _parsed(key, value, recipe.augment, name)}))


def _names(settings: Recipe | Augment | type[Recipe | Augment]) -> list[str]:
    return [field.name for field in fields(settings)]


def _parsed(key: str, value: str, settings: Recipe | Augment, name: str) -> Any:
    """`value` as the type that the setting `name` is annotated with."""
    kind = get_type_hints(type(settings))[name]
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        if get_origin(kind) is tuple:
            parts = value.strip("()[] ").split(",")
            return tuple(each(part) for each, part in zip(get_args(kind), parts, strict=True))
        return kind(value)
    except (KeyError, ValueError, TypeError) as error:
        raise RecipeError(f"--set {key}={value}: want a value like {getattr(settings, name)!r}") from error
