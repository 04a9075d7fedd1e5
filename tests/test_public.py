"""The public face: what `import figureground` offers is named, documented, and all there is."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import figureground
from figureground import errors

TREE = ast.parse(Path(figureground.__file__).read_text(encoding="utf-8"))


def typed_names() -> dict[str, str]:
    """What a type checker sees: name to module, from the imports under `if TYPE_CHECKING`."""
    blocks = [node for node in TREE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_all_is_what_a_type_checker_sees() -> None:
    assert set(figureground.__all__) == {*typed_names(), "__version__"}
    assert figureground.__all__ == sorted(figureground.__all__)


@pytest.mark.parametrize("name", figureground.__all__)
def test_name_resolves(name: str) -> None:
    value = getattr(figureground, name)
    if name != "__version__":
        assert value is getattr(importlib.import_module(typed_names()[name]), name)
        assert inspect.getdoc(value)


def test_nothing_else_is_public() -> None:
    """Of what stands in the module beside `__all__`: only its own submodules and what its source imports."""
    for name in figureground.__all__:
        getattr(figureground, name)
    submodules = {path.stem for path in Path(figureground.__file__).parent.iterdir()}
    helpers = {"annotations", "TYPE_CHECKING", "Any"}
    names = {name for name in vars(figureground) if not name.startswith("_")}
    assert names - submodules - helpers <= set(figureground.__all__)


def test_dir_offers_what_is_not_loaded_yet() -> None:
    script = "import figureground as fg, sys; print(*dir(fg)); assert 'cv2' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(figureground.__all__) <= set(done.stdout.split())


def test_star_import_gives_all() -> None:
    names: dict[str, object] = {}
    exec("from figureground import *", names)
    assert set(figureground.__all__) == set(names) - {"__builtins__"}


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Engin'"):
        figureground.__getattr__("Engin")
    assert not hasattr(figureground, "anything")


def test_version_is_the_installed_one() -> None:
    assert figureground.__version__ == importlib.metadata.version("figureground")


def test_marked_as_typed() -> None:
    assert (Path(figureground.__file__).parent / "py.typed").exists()


def test_every_error_is_in_the_tree() -> None:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    assert all(issubclass(each, errors.FigureGroundError) for each in classes)
    drawn = re.findall(r"^[│├└─ ]*(\w+Error)\b", str(errors.__doc__), re.MULTILINE)
    assert sorted(drawn) == sorted(each.__name__ for each in classes)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "figureground", *arguments], capture_output=True, text=True)


def test_help() -> None:
    done = command("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for name in ("replace", "train", "export", "evaluate", "bench"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate"], "Missing argument"),
        (["evalute", "small"], "No such command"),
        (["replace", "x.jpg", "--blur"], "No such option"),
        (["evaluate", "small", "nowhere"], "nowhere"),
        (["replace", "nowhere.jpg"], "nowhere.jpg"),
        (["bench", "--size", "720p"], "WIDTHxHEIGHT"),
    ],
)
def test_wrong_call_is_one_message_and_code_2(arguments: list[str], said: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
