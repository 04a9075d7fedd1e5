"""Scripts in a process of their own, for what is decided when Keras is imported: its backend and its devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# Kernels compiled without optimisation run the few steps of a test slower, but are there in a third of the time.
XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
INSTALL = {"tensorflow": "pip install 'figureground[train]'", "jax": "make dev", "torch": "make backends"}


def surroundings(backend: str) -> dict[str, str]:
    """The environment of a process with this backend, tests' own modules within its reach."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: {INSTALL[backend]}")
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_FLAGS": XLA}


def in_process(backend: str, script: str, *arguments: object) -> Any:
    """What `script`, run with a backend, prints in its last line, in JSON."""
    line = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(line, env=surroundings(backend), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
