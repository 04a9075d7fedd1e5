"""What the pages say about the program is what the program says, and their links lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import ExifTags, Image

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "cli.md"
MODELS = ROOT / "src" / "figureground" / "models" / "models.json"
NAMED = [ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")]
PAGES = sorted(path for path in [*NAMED, *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*.md")] if path.exists())


def cli_reference(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "scripts" / "cli_reference.py"), *arguments]
    own = {"PYTHONPATH": str(ROOT / "src")}  # of this checkout, whichever is installed
    return subprocess.run(script, capture_output=True, text=True, env=environment | own if environment else None)


def test_cli_reference_is_up_to_date() -> None:
    done = cli_reference(str(REFERENCE), "--check")
    assert done.returncode == 0, done.stderr


def test_cli_reference_is_the_same_everywhere(tmp_path: Path) -> None:
    done = cli_reference(str(tmp_path / "new" / "cli.md"), COLUMNS="40", FORCE_COLOR="1", SHELL="/bin/zsh")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "cli.md").read_bytes() == REFERENCE.read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cli.md"]
    assert max(len(line) for line in REFERENCE.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("content", [None, "", "# Command line\n"])
def test_cli_reference_notices_a_stale_page(tmp_path: Path, content: str | None) -> None:
    page = tmp_path / "cli.md"
    if content is not None:
        page.write_text(content, encoding="utf-8")
    done = cli_reference(str(page), "--check")
    assert done.returncode == 1
    assert "make docs" in done.stderr
    assert (page.read_text(encoding="utf-8") if page.exists() else None) == content


@pytest.mark.parametrize("command", ["replace", "train"])
def test_cli_reference_is_what_help_prints(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "figureground", command, "--help"], capture_output=True, text=True, check=True
    )
    said = done.stdout.replace("python -m figureground", "figureground")
    assert " ".join(said.split()) in " ".join(REFERENCE.read_text(encoding="utf-8").split())


def test_the_page_on_privacy_says_that_results_tell_the_place(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 20.0, 0.0)}
    Image.new("RGB", (64, 48)).save(tmp_path / "trip.jpg", exif=exif)
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| results of `replace` |"))
    for options, is_told in (([], True), (["--strip-metadata"], False)):
        command = [sys.executable, "-m", "figureground", "replace", "trip.jpg", "--output", f"{is_told}.jpg", *options]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        with Image.open(tmp_path / f"{is_told}.jpg") as made:
            assert bool(made.getexif().get_ifd(ExifTags.IFD.GPSInfo)) == is_told
    assert "place" in row
    assert "`--strip-metadata`" in row
    assert "no EXIF" not in row


def broken_links(page: Path) -> list[str]:
    """The page's relative links (and pictures) that lead to no file; code is no link."""
    text = re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*<?(\S+?)>?\s*$", text, re.MULTILINE)
    targets += [(source, "") for source in re.findall(r"""(?:src|href)=["']([^"']+)""", text)]
    links = [inline or reference for inline, reference in targets]
    paths = [link.partition("#")[0] for link in links if not re.match(r"[a-z][a-z+.-]*:", link)]
    return [path for path in paths if path and not (page.parent / unquote(path)).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "with space.md").touch()
    page.write_text(
        "[a](page.md#top) [b](https://example.org/x) [c](#here) ![d](gone.png) [e](with%20space.md)\n"
        "`[f](code.md)`\n\n```sh\n[g](fenced.md)\n```\n\n"
        '[h][ref] <img src="lost.svg"> <a href="mailto:x@example.org">i</a>\n\n[ref]: nowhere/h.md\n',
        encoding="utf-8",
    )
    assert broken_links(page) == ["gone.png", "nowhere/h.md", "lost.svg"]


def table(page: Path, first: str) -> dict[str, list[str]]:
    """Of the table whose head begins with `first`: the rows' first cells, without ticks, to the others."""
    parts = page.read_text(encoding="utf-8").split("\n\n")
    block = next(part for part in parts if part.startswith(first))
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in block.splitlines()]
    return {cells[0]: cells[1:] for cells in rows}


def shipped(name: str, source: str, measure: str, digits: int = 3) -> str:
    return f"{json.loads(MODELS.read_text(encoding='utf-8'))[name]['scores'][source][measure]:.{digits}f}"


@pytest.mark.parametrize("name", ["small", "base"])
def test_scores_in_the_readme_are_those_of_the_shipped_models(name: str) -> None:
    *sources, accuracy = table(ROOT / "README.md", "| model |")["model"]
    *scores, total = table(ROOT / "README.md", "| model |")[name]
    assert scores == [f"{shipped(name, each, 'iou')} / {shipped(name, each, 'boundary_f')}" for each in sources]
    assert (accuracy, total) == ("pixel accuracy", shipped(name, "overall", "accuracy", 4))


@pytest.mark.parametrize(("column", "name"), [(0, "small"), (1, "base")])
def test_figures_to_choose_by_are_those_of_the_shipped_models(column: int, name: str) -> None:
    told = {row: cells[column] for row, cells in table(ROOT / "docs" / "choosing.md", "| | ").items()}
    entry = json.loads(MODELS.read_text(encoding="utf-8"))[name]
    assert told["sees a picture with as many pixels as a square of"] == str(entry["size"])
    assert told["file"] == f"{(MODELS.parent / entry['file']).stat().st_size / 1e6:.1f} MB"
    rows = {row: re.search(r"\(([a-z0-9, ]+)\)", row) for row in told if row.startswith("IoU, ")}
    for row, sources in rows.items():
        names = sources[1].split(", ") if sources else ["overall"]
        assert told[row] == ", ".join(shipped(name, source, "iou") for source in names)
    assert told["boundary F, all"] == shipped(name, "overall", "boundary_f")
    assert told["pixel accuracy, 631 pictures"] == shipped(name, "overall", "accuracy")
