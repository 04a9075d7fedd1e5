"""A run's folder: what may be written into it, its settings, its surroundings and its figures."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from figureground.atomic import atomic_path, check_writable
from figureground.backgrounds import slides
from figureground.data.manifest import read_manifest
from figureground.errors import DatasetError, TrainingError, reason
from figureground.training.config import Recipe, has_checkpoint, is_finished, start_again
from figureground.training.dataset import mask_digest

# What may differ when a run goes on: none of it changes what it learns from the pictures that come.
FREE = {"epochs", "patience", "dataset", "cache_gb", "sample_every"}
PACKAGES = ("figureground", "keras", "numpy", "opencv-python-headless")


def config(recipe: Recipe, dataset: Path) -> dict[str, Any]:
    """What config.json holds: every setting, and where the dataset is; folders as they are found from anywhere."""
    rooms = str(Path(recipe.backgrounds).resolve()) if recipe.backgrounds else ""
    return asdict(recipe) | {"backgrounds": rooms, "dataset": str(dataset.resolve())}


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of config.json under the names that `--set` knows: `augment.flip` for one inside another."""
    inner = {f"augment.{name}": value for name, value in settings.get("augment", {}).items()}
    return {name: value for name, value in settings.items() if name != "augment"} | inner


def check_run(recipe: Recipe, dataset: Path, run: Path, resume: bool) -> None:
    """A run's folder holds one run: nothing else may be written over it, nor go on under its name.

    A run that was stopped before its first checkpoint has nothing to lose: it may begin again, resumed or not.

    Raises:
        TrainingError: it holds a run, none to resume, or one of other settings.
        OutputError: it cannot be written.
    """
    check_writable(run)
    if is_finished(run) and not has_checkpoint(run):
        raise TrainingError(
            f"{run}: holds a finished run without its last.npz, which cannot go on; "
            f"choose another --output, and --from {shlex.quote(str(run))} to begin with its weights"
        )
    if resume:
        _check_same(recipe, dataset, run)
    elif has_checkpoint(run):
        raise TrainingError(f"{run}: holds a run already; add --resume to go on or choose another --output")


def _check_same(recipe: Recipe, dataset: Path, run: Path) -> None:
    was, now = flat(_read_json(run / "config.json")), flat(json.loads(json.dumps(config(recipe, dataset))))
    default = flat(json.loads(json.dumps(asdict(Recipe("")))))  # what the run's version did not know yet
    for name, value in now.items():
        old = was.get(name, default.get(name))
        if name not in FREE and old != value:
            raise TrainingError(
                f"{run}: was begun with {name} {old!r}, got {value!r}; resume with the old settings, "
                "or begin another run with --from"
            )


def check_same_data(hashes: Mapping[str, str], dataset: Path, run: Path) -> None:
    """What `data_hashes` gives must be what the run was begun with; an older version noted less of it.

    Raises:
        TrainingError: it is not.
    """
    was = _read_json(run / "environment.json") if (run / "environment.json").exists() else {}
    changed = [name for name, value in hashes.items() if was.get(name, value) != value]
    if not changed:
        return
    if "backgrounds_sha256" in changed:
        raise TrainingError(
            f"{run}: its backgrounds are not the ones it was begun with; resume with those, or begin another run with "
            "--from"
        )
    other = "manifest.csv: is not the one" if "manifest_sha256" in changed else "masks: are not the ones"
    raise TrainingError(
        f"{dataset / other} that {run} was begun with; resume with that dataset, or begin another run with --from"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainingError(f"{path.parent}: no run to resume here; {start_again(path.parent)}") from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read ({reason(error)}); {start_again(path.parent)}") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path}: holds no settings of a run; {start_again(path.parent)}")
    return content


def data_hashes(dataset: Path, backgrounds: str = "") -> dict[str, str]:
    """SHA-256 of the dataset's manifest, which holds every picture's own, and of the masks of train and val together.

    Of the files in the folder `backgrounds`, if there is one, the names and sizes.

    Raises:
        DatasetError: the manifest cannot be read.
        ImageError: a mask cannot.
    """
    path = dataset / "manifest.csv"
    try:
        manifest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({reason(error)}); make a dataset with `figureground prepare`"
        ) from error
    masks = hashlib.sha256()
    with ThreadPoolExecutor() as pool:
        for digest in pool.map(mask_digest, [item for item in read_manifest(dataset) if item.split != "test"]):
            masks.update(digest)
    found = {"manifest_sha256": manifest, "masks_sha256": masks.hexdigest()}
    if backgrounds and Path(backgrounds).is_dir():
        files = [(path.name, path.stat().st_size) for path in slides(Path(backgrounds))]
        found["backgrounds_sha256"] = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return found


def environment(hashes: Mapping[str, str], seed: int) -> dict[str, str | int]:
    """What decides the weights besides the recipe: versions, machine, code and data."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
        "backend": keras.backend.backend(),
        "backend_version": sys.modules[keras.backend.backend()].__version__,
        "git_revision": _revision(),
        "seed": seed,
        **hashes,
        **{name: version(name) for name in PACKAGES},
    }


def _revision() -> str:
    """The checkout's revision, or nothing for an installed package."""
    root = Path(__file__).parents[3]
    command = ["git", f"--git-dir={root / '.git'}", f"--work-tree={root}", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def write_json(path: Path, content: object) -> None:
    """Write `content` as indented JSON.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_metrics(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write metrics.csv, a row a validation; what an older run's rows lack is left empty.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[-1].keys(), extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
