"""Build sdist and wheel, install the wheel in an environment of its own, and use it there as a stranger would.

    python scripts/check_package.py requirements/runtime.lock .cache/astronaut.png dist

The wheel is built from the sdist, so both are checked. OUTPUT gets the two files and figureground.cdx.json, the list of
what the light install consists of (CycloneDX).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

INSIDE = (
    "figureground/models/small.onnx",
    "figureground/models/base.onnx",
    "figureground/models/models.json",
    "figureground/models/cards/small.md",
    "figureground/checkpoints/small.keras",
    "figureground/recipes/small.py",
    "figureground/py.typed",
    "figureground/web/static/index.html",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lock", type=Path)
    parser.add_argument("portrait", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    wheel = build(options.output)
    missing = [name for name in INSIDE if name not in zipfile.ZipFile(wheel).namelist()]
    if missing:
        sys.exit(f"{wheel}: lacks {', '.join(missing)} (make web builds the page)")
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder) / "clean", options.lock, wheel)
        use(python, Path(folder), options.portrait)
        describe(python, options.output / "figureground.cdx.json")
    print(f"{wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB) and its sdist are sound; installed and used")


def build(output: Path) -> Path:
    """The wheel, made from the sdist beside it."""
    for old in (*output.glob("*.whl"), *output.glob("*.tar.gz")):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", output, ".")
    (wheel,) = output.glob("*.whl")
    return wheel


def install(folder: Path, lock: Path, wheel: Path) -> Path:
    """The Python of a new environment that holds the light runtime and the wheel, and nothing else."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    run(*pip, "--require-hashes", "-r", lock)
    run(*pip, "--no-deps", wheel)
    return python


def use(python: Path, folder: Path, portrait: Path) -> None:
    """What a stranger does first; away from the checkout, so that only what is installed can be found."""
    run(python, "-m", "figureground", "--version", cwd=folder)
    for kind in ("composite", "cutout"):
        done = run(python, "-m", "figureground", "replace", portrait.resolve(), "--kind", kind, "--json",
                   "--output", folder / f"{kind}.png", cwd=folder)  # fmt: skip
        (result,) = json.loads(done)["results"]
        if result["status"] != "done":
            sys.exit(f"replace --kind {kind}: {result['reason']}")
    script = "import figureground as fg, figureground.web.server as s; fg.Engine('base'); assert s.STATIC.is_dir()"
    run(python, "-I", "-c", script, cwd=folder)


def describe(python: Path, output: Path) -> None:
    """List what is installed, with versions and licences."""
    run(sys.executable, "-m", "cyclonedx_py", "environment", python, "--output-reproducible", "--output-file", output)


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a command; end with its own words if it fails."""
    words: Sequence[str] = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
