"""ARCHITECTURE.md's table of modules is what `test_layers` holds and what is there."""

from __future__ import annotations

import re
from pathlib import Path

from test_layers import RESOURCES, row, sources

PAGE = Path(__file__).parents[1] / "ARCHITECTURE.md"
TOLD_BY_THEIR_FOLDER = ("data.notations.", "camera.", "doctor.", "pictures.")


def drawn(page: str, modules: set[str]) -> dict[str, int]:
    """Each module that the table names, with the number of its row; a short name goes on with the folder before it."""
    found, number, folder = dict[str, int](), 0, ""
    lines = page.partition("| row | module |")[2].partition("\n\n")[0].splitlines()[2:]
    for numbered, names in (line.split("|")[1:3] for line in lines):
        number = int(numbered) if numbered.strip() else number
        for name in re.findall(r"`([\w.*]+)`", names):
            full = f"{folder}.{name}" if f"{folder}.{name}" in modules else name
            folder = full.rpartition(".")[0] or ("" if full in modules else folder)
            found[full] = number
    return found


def test_every_module_is_drawn_and_nothing_else() -> None:
    modules = {name for name in sources() if not name.endswith(("__init__", "__main__"))}
    told = drawn(PAGE.read_text("utf-8"), modules)
    single = {name for name in told if not name.endswith(".*")}
    assert single - modules == set()
    assert {name for name in modules - single if not name.startswith((*TOLD_BY_THEIR_FOLDER, *RESOURCES))} == set()


def test_rows_are_those_that_imports_obey() -> None:
    told = drawn(PAGE.read_text("utf-8"), set(sources()))
    wrong = {name: (number, row(name.removesuffix(".*"))) for name, number in told.items()}
    assert {name: pair for name, pair in wrong.items() if pair[1] is None or pair[0] != pair[1] + 1} == {}
