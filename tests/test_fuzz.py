"""A short run of every fuzzing target; `make fuzz` runs them for longer."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = [Path(__file__).with_name(f"fuzz_{name}.py") for name in ("readers", "inputs")]
TARGETS = [
    (script, target)
    for script in SCRIPTS
    for target in re.findall(r'^    "(\w+)": ', script.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.skipif(not find_spec("atheris"), reason="atheris is not installed: it is for Linux on x86-64 only")
@pytest.mark.parametrize(("script", "target"), TARGETS, ids=[target for _, target in TARGETS])
def test_no_bytes_break_a_reader(script: Path, target: str, tmp_path: Path) -> None:
    # By a shell that stays: Linux counts the peak memory of whoever starts a program as the program's own, and these
    # tests have TensorFlow loaded, which is more than libFuzzer allows.
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    command = [*shell, sys.executable, str(script), target, str(tmp_path), "-runs=500", "-seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # At least: every second libFuzzer also runs again what it found and wrote into the folder.
    ran = re.search(r"Done (\d+) runs", done.stderr)
    assert ran, done.stderr[-3000:]
    assert int(ran[1]) >= 500
