"""Write the reference of the command line, or check that it is up to date.

python scripts/cli_reference.py docs/cli.md [--check]

The text is what `--help` prints, at a fixed width and without colour, so that every machine writes the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from figureground.atomic import atomic_path
from figureground.cli import app

WIDTH = 100
HEAD = """# Command line

What `figureground --help` and each command's `--help` say. Written by `make docs`; a test fails when it is stale.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is stale")
    options = parser.parse_args()
    wanted = reference()
    if options.check:
        if not options.path.exists() or options.path.read_text(encoding="utf-8") != wanted:
            sys.exit(f"{options.path}: stale; run  make docs")
        return
    with atomic_path(options.path) as temporary:
        temporary.write_text(wanted, encoding="utf-8")


def reference() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD]
    for name, text in helps(get_command(app), "figureground", None):
        parts.append(f"## {name}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


def helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    """The full name and the help of a command and of all below it, in the order the program lists them."""
    context = command.context_class(command, info_name=name, parent=parent, terminal_width=WIDTH, color=False)
    yield context.command_path, command.get_help(context)
    for sub in getattr(command, "commands", {}):
        yield from helps(command.commands[sub], sub, context)


if __name__ == "__main__":
    main()
