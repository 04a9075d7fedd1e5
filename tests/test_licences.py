"""Every package that the light install brings stands in docs/licences.md, and every extra."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")


def test_every_package_of_the_light_install_is_named() -> None:
    lock = (ROOT / "requirements" / "runtime.lock").read_text(encoding="utf-8")
    packages = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    assert len(packages) > 20
    named = {name for row in re.findall(r"^\| ([a-z0-9, -]+) \|", PAGE, re.MULTILINE) for name in row.split(", ")}
    assert packages - named == set()


def test_every_extra_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {*project["optional-dependencies"]} == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
