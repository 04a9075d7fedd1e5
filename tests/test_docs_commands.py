"""Every command and Python block of the pages is run as it stands there, or excused with a reason.

The blocks of the pages run one after the other in a folder of small pictures and videos under the names that the pages
use, what stands on several pages once; own-data.md has a test of its own. They run without a network where
the system gives a namespace without interfaces; that they do not ask for one is in test_offline.py.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer

from annotated import coco
from annotated.photographs import items
from blocks import Block, blocks, excuse, is_synopsis
from figureground.arrays import Frame
from figureground.cli import app
from figureground.images import write_image
from scenes import noise, plain
from training_data import write_dataset
from videos import H264, make_video

pytest.importorskip("keras", reason="half of the commands need pip install 'figureground[train]'")

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "recipes" / "README.md"]
WALKED = ROOT / "docs" / "own-data.md"  # test_own_data.py runs it
EXIT_CODES = {"doctor": (0, 1)}  # 1: something is absent on this machine
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def of_kind(kind: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.kind == kind]


def name(block: Block) -> str:
    return f"{block.page.relative_to(ROOT)}:{block.line}"


def test_every_block_is_of_a_known_kind() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    assert [name(block) for block in found if block.kind not in ("shell", "python", "listing")] == []
    assert {block.kind for block in found} == {"shell", "python", "listing"}


# ---- what is not run


def problems(command: str) -> str:
    """What is wrong with a command line, as far as it can be told without running it."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:  # the end of a quotation that goes over several lines
        words = shlex.split(command.partition("'")[0])
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return "".join(f"make has no {word}" for word in words[1:2] if word not in targets)
    if words[0] == "python" and words[1].endswith(".py"):
        return "" if (ROOT / words[1]).exists() else f"there is no {words[1]}"
    if words[0] != "figureground":
        return ""
    if is_synopsis(command):
        known = {option for each in COMMANDS[words[1]].params for option in (*each.opts, *each.secondary_opts)}
        return " ".join(set(re.findall(r"--[a-z][a-z-]*", command.partition("#")[0])) - known)
    try:
        COMMANDS[words[1]].make_context(words[1], [word for word in _until_pipe(words[2:]) if word != "\\"])
    except Exception as error:
        return str(getattr(error, "message", "") or error)
    return ""


def _until_pipe(words: list[str]) -> list[str]:
    ends = [number for number, word in enumerate(words) if word in ("|", ">", "&&")]
    return words[: ends[0]] if ends else words


@pytest.mark.parametrize("block", of_kind("shell"), ids=name)
def test_what_is_not_run_is_what_there_is(block: Block) -> None:
    lines = [line for line in block.commands if re.match(r"figureground|make|python", line)]
    assert {line: problem for line in lines if (problem := problems(line))} == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("make demmo", "make has no demmo"),
        ("python scripts/gone.py x", "there is no scripts/gone.py"),
        ("figureground train DATASET [--recip NAME]", "--recip"),
        ("figureground train DATASET --epoch many", "--epoch"),
        ("figureground train", "dataset"),
        ("figureground live --fps 1000 --to page", "240"),
        ("figureground replace a.jpg --output b.jpg", ""),
        ("figureground live --to pipe | ffmpeg -i - out.mkv", ""),
    ],
)
def test_a_wrong_line_would_be_noticed(line: str, problem: str) -> None:
    found = problems(line)
    assert (problem in found) if problem else found == ""


@pytest.mark.parametrize("block", [block for block in of_kind("python") if block.excuse], ids=name)
def test_python_that_is_not_run_compiles_and_its_imports_are_there(block: Block) -> None:
    imports = [node for node in ast.parse(block.text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module([*imports], []), name(block), "exec"), {})


# ---- what is run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, astronaut: Frame) -> Path:
    """A folder with everything that the pages' commands take."""
    folder = tmp_path_factory.mktemp("files")
    alone = ("portrait.jpg", "me.jpg", "holiday.jpg", "scan.tif")
    for picture in (*alone, "album/one.jpg", "holiday/one.jpg", "holiday/deeper/two.png"):
        write_image(folder / picture, astronaut)
    for picture in ("beach.jpg", "office.jpg"):
        write_image(folder / picture, noise(96, 64))
    if find_spec("pillow_heif"):
        write_image(folder / "holiday.heic", astronaut)
    for video in ("talk.mp4", "wedding.mkv"):
        make_video(folder / video, [np.ascontiguousarray(astronaut[:144])] * 4, look=H264, sound="aac")
    for seed, source in enumerate(("annotated", "one", "two")):
        coco.write(folder / source, items(folder / f"pictures{seed}", 6 + 2 * seed), "runs")
    write_dataset(folder / "DATASET", 4, 2)
    small = ROOT / "src" / "figureground" / "models" / "small.onnx"
    (folder / "runs" / "mine").mkdir(parents=True)
    shutil.copy(small, folder / "runs" / "mine" / "model.onnx")
    shutil.copy(small, folder / "mine.onnx")
    write_image(folder / "plates" / "a.png", plain(64, 48, (90, 20, 20)))
    (folder / "plates" / "plates.circles").write_text("a.png plate 20 20 8\na.png plate 40 20\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """The command lines that have been run in `files`."""
    return set()


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `figureground` and `python` are those under test."""
    folder = tmp_path_factory.mktemp("bin")
    for program, line in {"figureground": '-m figureground "$@"', "python": '"$@"'}.items():
        (folder / program).write_text(f'#!/bin/sh\nexec "{sys.executable}" {line}\n', encoding="utf-8")
        (folder / program).chmod(0o755)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def without_network() -> list[str]:
    """What a command begins with to be run in a network namespace that has no interfaces, where that can be had."""
    unshare = shutil.which("unshare")
    can = unshare is not None and subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode == 0
    return [str(unshare), "-rn"] if can else []


def to_run(page: Path) -> list[tuple[str, list[str]]]:
    """Where each command or program of a page stands, and the line that runs it; the Python blocks are one program."""
    found = [block for block in blocks(page) if not block.excuse]
    lines = [
        (f"{name(block)}: {command}", ["bash", "-c", command])
        for block in found
        if block.kind == "shell"
        for command in block.commands
        if not excuse(command)
    ]
    program = "\n".join(block.text for block in found if block.kind == "python")
    return [*lines, (f"{page.name}: its Python", ["python", "-c", program])] if program else lines


def allowed(command: str) -> tuple[int, ...]:
    return next((codes for part, codes in EXIT_CODES.items() if f"figureground {part}" in command), (0,))


@pytest.mark.skipif(os.name == "nt", reason="the pages' commands are those of a POSIX shell")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != WALKED and to_run(page)], ids=lambda page: page.name
)
def test_commands_and_python_run(page: Path, files: Path, surroundings: dict[str, str], ran: set[str]) -> None:
    for where, line in to_run(page):
        key = " ".join(line[-1].partition(" #")[0].split())
        if key in ran:
            continue
        done = subprocess.run(
            [*without_network(), *line], cwd=files, env=surroundings, capture_output=True, text=True, timeout=300
        )
        assert done.returncode in allowed(where), f"{where}\n{done.stdout[-500:]}{done.stderr[-2000:]}"
        ran.add(key)


def test_most_pages_have_something_to_run() -> None:
    ran = {page.name for page in PAGES if page != WALKED and to_run(page)}
    assert {"README.md", "quickstart.md", "choosing.md", "datasets.md", "extending.md", "serve.md"} <= ran
