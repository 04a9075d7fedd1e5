"""The layer rule: a module imports only from the rows above its own (ARCHITECTURE.md draws them)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "figureground"

# Lowest first. A name with a star is a sub-package, whose modules may import each other but not in a circle.
ROWS: tuple[tuple[str, ...], ...] = (
    ("version", "errors"),
    ("arrays", "atomic", "threads"),
    ("profiles", "sessions"),
    ("images", "frames", "hdr", "encodings", "preprocess", "smoothing"),
    ("refine",),
    ("engine", "temporal", "people", "compositor", "pictures.*", "sources", "tracks", "camera.*"),
    ("sinks", "virtualcam", "backgrounds", "pipeline", "rawvideo", "runtimes.*"),
    ("data.*",),
    ("evaluation.*", "batch.*", "live.*"),
    ("training.*",),
    ("web.*",),
    ("doctor.*",),
    ("bench", "terminal"),
    ("cli_data",),
    ("cli_training", "cli_live", "cli_replace"),
    ("cli",),
    ("__init__", "__main__"),
)
RESOURCES = ("models",)  # a folder of files: it holds no code, so it stands in no row
# Who alone may import a library, be it at the top or inside a function.
OWNERS: dict[str, str | tuple[str, ...]] = {
    "keras": "training.",
    "tensorflow": "training.",
    "jax": "training.",
    "torch": "training.",
    "onnx": "training.",
    "matplotlib": "training.",
    "onnxruntime": ("sessions", "training.export_onnx"),  # the latter for its quantisation only
    "openvino": "runtimes.exported",
    "ai_edge_litert": "runtimes.exported",
    "pyvirtualcam": "virtualcam",
    "ray": "batch.cluster",
    "fsspec": "batch.places",
    "starlette": "web.",
    "uvicorn": "web.",
    "anyio": "web.",
    "python_multipart": "web.",
    "websockets": "web.",
    "pycocotools": "data.",
    "shapely": "data.",
    "pydantic": "data.",
    "jinja2": "data.",
    "pillow_heif": "images",
}
FORBIDDEN = {("data", "engine")}  # though the rows would let it: preparing data must not depend on a model


def sources() -> dict[str, str]:
    """Every module of the package, by its name inside it, with its text."""
    root = SOURCE / PACKAGE
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*.py"))
    }


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in a module but what stands under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from statements(other)
        else:
            yield node
            yield from statements(node)


def imported(text: str, modules: Mapping[str, str]) -> set[str]:
    """The dotted names a module imports, as precise as they can be told; relative imports begin with a dot."""
    names: set[str] = set()
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{base}.{alias.name}".removeprefix(f"{PACKAGE}.")
                names.add(f"{base}.{alias.name}" if inner in modules else base)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            names.add("(dynamic)")
    return names


def row(module: str) -> int | None:
    for number, names in enumerate(ROWS):
        if module in names or f"{module.partition('.')[0]}.*" in names:
            return number
    return None


def violations(modules: Mapping[str, str]) -> list[str]:
    """What breaks the rule, a line each."""
    found, edges = [], dict[str, set[str]]()
    for module, text in modules.items():
        names = imported(text, modules)
        inside = {inner(name) for name in names if name.partition(".")[0] == PACKAGE}
        edges[module] = inside - {module}
        if module.partition(".")[0] in RESOURCES:
            found += [f"{module} is a resource folder, it imports {name}" for name in names]
            continue
        if row(module) is None:
            found.append(f"{module} stands in no row")
            continue
        found += [f"{module} imports {name} relatively or by a computed name" for name in names if name[0] in ".("]
        found += [f"{module} imports {name}" for name in inside if not allowed(module, name)]
        found += [f"{module} imports {name}" for name in names if not owned(module, name.partition(".")[0])]
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        found.append(f"a circle: {' imports '.join(reversed(error.args[1]))}")
    return found


def inner(name: str) -> str:
    """`figureground.data.manifest` as `data.manifest`, the package itself as `__init__`."""
    return name.removeprefix(PACKAGE).lstrip(".") or "__init__"


def allowed(module: str, name: str) -> bool:
    mine, other = row(module), row(name)
    if mine is None or other is None or (module.partition(".")[0], name) in FORBIDDEN:
        return False
    return other < mine or (other == mine and "." in module and module.partition(".")[0] == name.partition(".")[0])


def owned(module: str, library: str) -> bool:
    owners = OWNERS.get(library, module)
    return any(
        module == owner or (owner.endswith(".") and module.startswith(owner))
        for owner in ([owners] if isinstance(owners, str) else owners)
    )


def lazy_door(text: str) -> str:
    """The package's own `__init__`, whose one computed import is what keeps importing it cheap."""
    return text.replace("import_module(f", "known_homes(f")


def real() -> dict[str, str]:
    modules = sources()
    return modules | {"__init__": lazy_door(modules["__init__"])}


def test_rule_holds() -> None:
    assert violations(real()) == []


def test_rows_name_what_is_there() -> None:
    modules = sources()
    for name in (name for names in ROWS for name in names):
        assert name in modules or (name.endswith(".*") and f"{name[:-2]}.__init__" in modules), f"{name} is gone"


@pytest.mark.parametrize(
    ("module", "planted", "complaint"),
    [
        ("errors", "from figureground.arrays import Frame", "errors imports arrays"),
        ("arrays", "from figureground import cli", "arrays imports cli"),
        ("arrays", "import figureground.images", "arrays imports images"),
        ("images", "def f():\n    from figureground.engine import Engine", "images imports engine"),
        ("sinks", "from figureground.pipeline import run", "sinks imports pipeline"),
        ("data.manifest", "import figureground.engine as e", "data.manifest imports engine"),
        ("batch", "from figureground.evaluation.metrics import iou", "batch imports evaluation.metrics"),
        ("engine", "if True:\n    import keras", "engine imports keras"),
        ("bench", "def f():\n    import tensorflow as tf", "bench imports tensorflow"),
        ("cli", "import matplotlib.pyplot", "cli imports matplotlib.pyplot"),
        ("training.fit", "import onnxruntime", "training.fit imports onnxruntime"),
        ("training.export_files", "import openvino", "training.export_files imports openvino"),
        ("evaluation.metrics", "from onnx import helper", "evaluation.metrics imports onnx"),
        ("cli", "from . import engine", "cli imports . relatively or by a computed name"),
        ("cli", "import importlib\nimportlib.import_module('keras')", "cli imports (dynamic) relatively"),
        ("preprocess", "if TYPE_CHECKING:\n    pass\nelse:\n    import keras", "preprocess imports keras"),
        ("training.losses", "import figureground.training.fit", "a circle: "),
        ("models.__init__", "import numpy", "models.__init__ is a resource folder"),
        ("utils", "", "utils stands in no row"),
        ("cli", "from figureground.utils import x", "cli imports utils"),
    ],
)
def test_checker_sees_a_planted_violation(module: str, planted: str, complaint: str) -> None:
    modules = real()
    found = violations(modules | {module: f"{modules.get(module, '')}\n{planted}\n"})
    assert any(line.startswith(complaint) for line in found), found


@pytest.mark.parametrize("planted", ["if TYPE_CHECKING:\n    from figureground.cli import app", "import keras"])
def test_checker_lets_pass_what_it_should(planted: str) -> None:
    modules = real()
    assert violations(modules | {"training.config": f"{modules['training.config']}\n{planted}\n"}) == []
