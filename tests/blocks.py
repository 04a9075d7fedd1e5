"""The commands and Python blocks of a Markdown page, and whether each is to be run or why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

SHELL, PYTHON = ("sh", "bash"), ("python",)
SHOWN = ("text", "toml", "html", "js")  # what is printed, written into files, or runs in a browser
PROGRAMS = "figureground|make|pip|python|sudo|export|uv|git|docker|echo|srun|sbatch|ssh|curl|ffmpeg|ray"
_BEGINS = re.compile(rf"(?:{PROGRAMS})\b", re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
# Lines that no test runs as they stand, by how they begin. What can be said of them without running them is
# (`test_what_is_not_run_is_what_there_is`): their options, make's targets, the scripts that are named.
EXCUSED = {
    "figureground (live|serve)": "wants a camera and runs until Ctrl-C: test_live_process.py, test_server.py",
    "figureground train": "takes minutes: test_own_data.py, test_run.py, test_interrupted.py",
    "figureground export": "wants a trained run: test_own_data.py, test_export_run.py",
    "figureground bench": "measures for a minute",
    "figureground replace .*--watch": "runs until Ctrl-C: test_folders.py",
    "figureground replace .*--cluster": "starts Ray: test_cluster.py",
    "figureground replace .*s3://": "wants an object store: test_places.py",
    "figureground replace .*--model mp_selfie": "wants a peer's file: test_pictures.py",
    "figureground replace .*--from 1:20": "wants a longer film: test_video.py",
    "make": "sets up a checkout",
    "pip|uv": "installs something",
    "sudo|echo .*sudo|ssh|curl|docker|srun|sbatch|ray": "is for another machine, or for its administrator",
    "export": "is for several machines: test_devices.py",
    r"python (scripts|benchmarks)/": "wants photographs and hours, or a GPU",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: `line` of the page where it begins, and why it is not run, or nothing."""

    page: Path
    line: int
    kind: str
    text: str
    excuse: str

    @property
    def commands(self) -> list[str]:
        """Its command lines, whole ones, without comments."""
        lines = self.text.replace("\\\n", " ").replace("|\n", "| ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(page: Path) -> list[Block]:
    """Every block of a page: `kind` is shell, python or listing, or the name of a language nobody has thought of."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [
        Block(page, token.map[0] + 1 if token.map else 0, _kind(token), token.content, excuse)
        for excuse, token in _with_comments(tokens)
        if token.type in ("fence", "code_block")
    ]


def _with_comments(tokens: list[Token]) -> Iterator[tuple[str, Token]]:
    """Each token with the reason in a comment that stands just before it."""
    excuse = ""
    for token in tokens:
        yield excuse, token
        found = _NOT_RUN.search(token.content) if token.type == "html_block" else None
        excuse = found[1] if found else ""


def _kind(token: Token) -> str:
    name = token.info.split()[0] if token.info.strip() else ""
    if name in SHELL or (not name and _BEGINS.search(token.content)):
        return "shell"
    if name in PYTHON:
        return "python"
    return "listing" if not name or name in SHOWN else name


def excuse(command: str) -> str:
    """Why a command line is not run, or nothing."""
    if is_synopsis(command):
        return "says what options there are"
    return next((reason for start, reason in EXCUSED.items() if re.match(rf"(?:{start})\b", command)), "")


def is_synopsis(command: str) -> bool:
    """Whether it is a form to be filled in, as `figureground prepare SOURCE... [--strict]`."""
    return bool(re.search(r"[A-Z]\.\.\.| \[", command.partition("#")[0]))
