"""The names of losses, as a recipe writes them: `bce`, `dice`, `bce+0.5*dice`."""

from __future__ import annotations

import difflib
import math

from figureground.errors import RecipeError

LOSSES = ("bce", "dice", "iou", "lovasz", "focal")  # `training.losses` says what each is
Term = tuple[float, str]


def loss_terms(text: str) -> tuple[Term, ...]:
    """Read a weighted sum of losses: names joined by `+`, each with an optional weight and `*` before it.

    Returns:
        (weight, name) of each term, in the order written; weights are finite and above 0.

    Raises:
        RecipeError: a name that is no loss (the nearest is suggested), or a weight that is none.
    """
    return tuple(_term(part.strip(), text) for part in text.split("+"))


def _term(part: str, text: str) -> Term:
    weight, separator, name = part.rpartition("*")
    name = name.strip()
    if name not in LOSSES:
        near = difflib.get_close_matches(name, LOSSES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise RecipeError(f"loss={text}: no loss {name!r}; {hint}want a sum like bce+0.5*dice of {', '.join(LOSSES)}")
    return (_weight(weight, text) if separator else 1.0), name


def _weight(written: str, text: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise RecipeError(f"loss={text}: weight {written.strip()!r}; want a number above 0, as in bce+0.5*dice")
    return weight
