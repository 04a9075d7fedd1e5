"""What the light install promises: nothing of the runtime needs, or loads, the heavy libraries."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import figureground

HEAVY = {
    "ai_edge_litert",
    "jax",
    "keras",
    "matplotlib",
    "onnx",
    "openvino",
    "pillow_heif",
    "pyvirtualcam",
    "ray",
    "tensorflow",
    "torch",
}
RUNTIME = {"av", "cv2", "onnxruntime", "starlette", "uvicorn"}


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages in `sys.modules` of a fresh process that has imported `modules`."""
    script = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script, *modules], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def runtime_modules() -> list[str]:
    """Every module but training; `__main__` would run the program."""
    found = pkgutil.walk_packages(figureground.__path__, "figureground.")
    return [m.name for m in found if ".training" not in m.name and not m.name.endswith("__main__")]


def test_runtime_loads_nothing_heavy() -> None:
    modules = runtime_modules()
    assert {"figureground.engine", "figureground.cli", "figureground.bench", "figureground.data.manifest"} <= {*modules}
    loaded = loaded_by(*modules)
    assert loaded & HEAVY == set()
    assert loaded >= RUNTIME, "so that the names looked for are the names they load under"


def test_bare_import_loads_no_runtime_either() -> None:
    assert loaded_by("figureground") & (HEAVY | RUNTIME) == set()


def test_a_training_module_would_be_noticed() -> None:
    pytest.importorskip("tensorflow", reason="the training part needs pip install 'figureground[train]'")
    assert {"keras", "tensorflow"} <= loaded_by("figureground.training.losses") & HEAVY
