"""Recipes: those that ship can be read, and a wrong setting is refused before an hour of training."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from figureground.errors import RecipeError
from figureground.training.config import CHOICES, Augment, Recipe, find_recipe, read_recipe
from figureground.training.loss_terms import loss_terms

FOLDER = Path(__file__).parents[1] / "recipes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def one_line(error: pytest.ExceptionInfo[RecipeError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_recipes_are_there() -> None:
    assert {"classic", "small", "base", "light"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipe(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    assert find_recipe(name) == FOLDER / f"{name}.py"
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert f"figureground train DATASET --recipe {name} " in text, "its docstring says how to run it"


def test_classic_is_the_starting_point() -> None:
    recipe = read_recipe("classic")
    wanted = {"network": "classic", "size": 256, "batch": 32, "learning_rate": 6e-4, "optimizer": "adam", "loss": "bce"}
    wanted |= {"schedule": "halve", "halve_every": 10, "patience": 5, "epochs": 30, "warmup_epochs": 0.0, "width": 1.0}
    assert {name: value for name, value in asdict(recipe).items() if name in wanted} == wanted
    drawn = {name: value for name, value in asdict(recipe.augment).items() if value}
    assert drawn == {"flip": 0.5, "rotate": 20.0, "zoom": (0.9, 1.1), "shift": 0.1, "others": 1}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("bce", [(1.0, "bce")]),
        ("bce+0.5*dice", [(1.0, "bce"), (0.5, "dice")]),
        (" 2 * focal + lovasz ", [(2.0, "focal"), (1.0, "lovasz")]),
        ("1e-1*iou", [(0.1, "iou")]),
    ],
)
def test_loss_is_a_weighted_sum(text: str, terms: list[tuple[float, str]]) -> None:
    assert list(loss_terms(text)) == terms
    assert read_recipe("small", [f"loss={text}"]).loss == text


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("learning_rate=0.01", "learning_rate", 0.01),
        ("learning_rate=1e-4", "learning_rate", 1e-4),
        ("boundary_weight=2", "boundary_weight", 2.0),
        ("network=classic", "network", "classic"),
        ("backgrounds=../a=b/c", "backgrounds", "../a=b/c"),
        ("start=", "start", ""),
        ("mixed_precision=true", "mixed_precision", True),
        ("mixed_precision=False", "mixed_precision", False),
    ],
)
def test_set(setting: str, name: str, value: object) -> None:
    base = read_recipe("small")
    got = read_recipe("small", [setting])
    assert got == replace(base, **{name: value})
    assert type(getattr(got, name)) is type(value)


def test_set_augmentation() -> None:
    got = read_recipe("light", ["augment.flip=0.25", "augment.zoom=0.5, 1.5", "batch=8"])
    assert got == replace(read_recipe("light"), augment=Augment(flip=0.25, zoom=(0.5, 1.5)), batch=8)


def test_the_last_of_two_counts() -> None:
    assert read_recipe("small", ["epochs=3", "epochs=4"]).epochs == 4


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("learning_rat=1", "did you mean learning_rate?"),
        ("epoch=1", "did you mean epochs?"),
        ("augment.flipp=1", "--set augment.flipp=1: no such setting; did you mean augment.flip?"),
        ("augment.zzzzzz=1", "no such setting"),
        ("qqqq=1", "there are .*learning_rate"),
        ("augment=0", "did you mean augment"),
        ("epochs", "want name=value"),
        ("epochs=", "want a value like 200"),
        ("epochs=2.5", "want a value like 200"),
        ("epochs=many", "--set epochs=many"),
        ("learning_rate=fast", "want a value like"),
        ("mixed_precision=1", "want a value like True"),
        ("augment.zoom=1", r"--set augment\.zoom=1: want a value like \(0\.55, 1\.25\)"),
        ("augment.zoom=1,2,3", "want a value like"),
        ("augment.flip=often", "want a value like 0.5"),
        ("augment.zoom=0,1", "from 0.01 to 100"),
        ("augment.zoom=1,inf", "from 0.01 to 100"),
        ("augment.zoom=1.5,0.5", "smaller first"),
        ("network=clasic", "network=clasic: want one of light, small, base, classic"),
        ("schedule=linear", "cosine, halve, constant"),
        ("optimizer=sgd", "adamw, adam"),
        ("augment.flip=1.5", "augment.flip=1.5: want 0 to 1"),
        ("augment.jpeg=-0.1", "want 0 to 1"),
        ("augment.shift=nan", "want 0 to 1"),
        ("augment.rotate=181", "want 0 to 180"),
        ("augment.perspective=0.3", "want 0 to 0.2"),
        ("augment.others=0", "want 1 to 8"),
        ("loss=dcie", "loss=dcie: no loss 'dcie'; did you mean dice.*bce, dice, iou, lovasz, focal"),
        ("loss=bce+2*lovas", "did you mean lovasz"),
        ("loss=xyz", "no loss 'xyz'; want a sum like"),
        ("loss=", "no loss ''"),
        ("loss=bce+", "no loss ''"),
        ("loss=0*bce", "weight '0'; want a number above 0"),
        ("loss=-1*bce", "weight '-1'"),
        ("loss=bce+inf*dice", "weight 'inf'"),
        ("loss=a*dice", "weight 'a'"),
        ("loss=2*3*dice", r"weight '2\*3'"),
        ("size=100", "size=100: want a multiple of 32"),
        ("size=0", "multiple of 32"),
        ("input_size=250", "multiple of 32"),
        ("size=99968", "size=99968: want a multiple of 32 up to 4096"),
        ("batch=0", "batch=0: want 1 or more"),
        ("epochs=0", "1 or more"),
        ("cache_side=0", "1 or more"),
        ("validate_every=0", "1 or more"),
        ("halve_every=0", "1 or more"),
        ("dropout=1", "below 1"),
        ("average=-0.5", "0 or more and below 1"),
        ("seed=-1", "0 or more"),
        ("patience=-1", "0 or more"),
        ("cache_gb=nan", "0 or more"),
        ("width=nan", "width=nan: want above 0 and up to 16"),
        ("width=0", "above 0"),
        ("width=-1", "above 0"),
        ("width=1e9", "up to 16"),
        ("seed=99999999999999999999", r"seed=99999999999999999999: want 0 or more and below 2\*\*32"),
        ("learning_rate=-1", "0 or more, and finite"),
        ("learning_rate=nan", "0 or more, and finite"),
        ("learning_rate=inf", "learning_rate=inf: want 0 or more, and finite"),
        ("warmup_epochs=nan", "finite"),
        ("weight_decay=-0.1", "finite"),
        ("boundary_weight=inf", "finite"),
    ],
)
def test_wrong_setting(setting: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as error:
        read_recipe("light", [setting])
    assert setting.partition("=")[0].removeprefix("augment.") in one_line(error)


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_complete(name: str) -> None:
    for choice in CHOICES[name]:
        Recipe("x", **{name: choice})
    assert getattr(Recipe("x"), name) in CHOICES[name]


def test_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(
        RecipeError, match=r"recipe 'smal': no such recipe or file; there are .*classic.*small"
    ) as error:
        read_recipe("smal")
    one_line(error)
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe("gone/mine.py")


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_recipe_of_ones_own(tmp_path: Path) -> None:
    path = write(
        tmp_path, "from figureground.training.config import Recipe\nRECIPE = Recipe(name='mine', epochs=2 + 1)\n"
    )
    assert read_recipe(path, ["seed=5"]) == Recipe("mine", epochs=3, seed=5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "defines no RECIPE"),
        ("RECIPE = {'name': 'mine'}", "defines no RECIPE"),
        ("RECIPE = ", "SyntaxError"),
        ("import gone_library", "ModuleNotFoundError"),
        (
            "from figureground.training.config import Recipe\nRECIPE = Recipe('x', epoch=2)",
            r"mine\.py: line 2: cannot be run \(TypeError: .*'epoch'\); did you mean epochs\?",
        ),
        (
            "from figureground.training.config import Augment\n\nAUGMENT = Augment(rotat=2)",
            r"line 3: .*; did you mean rotate\?",
        ),
        ("import sys\nsys.exit(0)", r"mine\.py: line 2: cannot be run \(SystemExit: 0\)"),
        (
            "from figureground.training.config import Recipe\nRECIPE = Recipe('x', batch=0)",
            r"mine\.py: line 2: batch=0: want 1 or more",
        ),
    ],
)
def test_broken_recipe_of_ones_own(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as error:
        read_recipe(write(tmp_path, text))
    assert "mine.py" in one_line(error)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("batch=8.0", "batch=8.0: want a whole number, got float"),
        ("epochs=1.5", "epochs=1.5: want a whole number, got float"),
        ("epochs=True", "epochs=True: want a whole number, got bool"),
        ("learning_rate='3e-4'", "learning_rate='3e-4': want a number, got str"),
        ("network=None", "network=None: want a text, got NoneType"),
        ("mixed_precision=1", "mixed_precision=1: want True or False, got int"),
        ("augment={'flip': 1}", r"augment={'flip': 1}: want Augment\(...\), got dict"),
        ("augment=Augment(flip='often')", r"augment\.flip='often': want a number, got str"),
        ("augment=Augment(others=2.0)", r"augment\.others=2.0: want a whole number, got float"),
        ("augment=Augment(zoom=1.0)", r"augment\.zoom=1.0: want two numbers, as in \(0.5, 1.5\), got float"),
        ("augment=Augment(zoom=(1, 1, 1))", r"augment\.zoom=\(1, 1, 1\): want two numbers"),
    ],
)
def test_a_setting_of_the_wrong_type_in_a_recipe(tmp_path: Path, setting: str, said: str) -> None:
    text = f"from figureground.training.config import Augment, Recipe\n\nRECIPE = Recipe(name='x', {setting})"
    with pytest.raises(RecipeError, match=rf"mine\.py: line 3: {said}") as error:
        read_recipe(write(tmp_path, text))
    one_line(error)


def test_a_whole_number_may_stand_for_any_number(tmp_path: Path) -> None:
    """And `--set` still takes what its setting takes, not what the recipe happens to give."""
    text = "from figureground.training.config import *\n"
    text += "RECIPE = Recipe('x', network='classic', width=1, augment=Augment(flip=1, zoom=(1, 1)))"
    recipe = read_recipe(write(tmp_path, text), ["width=0.5", "augment.flip=0.25", "augment.zoom=0.5,1"])
    assert recipe == Recipe("x", network="classic", width=0.5, augment=Augment(flip=0.25, zoom=(0.5, 1.0)))


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("small", ["size=1024"], "at most cache_side=416 pixels a side and would be enlarged; --set cache_side=1024"),
        ("small", ["width=0.5"], "--set width: has no effect without network=classic"),
        ("light", ["network=small", "dropout=0.5"], "--set dropout: has no effect without network=classic"),
        ("light", ["optimizer=adam", "weight_decay=0.1"], "--set weight_decay: has no effect without optimizer=adamw"),
        ("small", ["augment.negative=1"], "--set augment.negative: has no effect without backgrounds=FOLDER"),
    ],
)
def test_settings_that_others_make_useless(name: str, settings: list[str], said: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_recipe(name, settings)
    assert said in one_line(error)


def test_settings_that_belong_together() -> None:
    assert read_recipe("small", ["size=1024", "cache_side=1024"]).size == 1024
    assert read_recipe("small", ["width=0.5", "network=classic"]).width == 0.5
    assert read_recipe("small", ["augment.negative=0"]).augment.negative == 0
    assert read_recipe("small", ["augment.zoom=(0.5, 1.5)"]) == read_recipe("small", ["augment.zoom=0.5,1.5"])


def test_recipe_is_frozen() -> None:
    recipe: Any = Recipe("x")
    with pytest.raises(AttributeError):
        recipe.epochs = 2
