"""The site that `make docs` builds out of README, docs/ and the pages they lead to, as they stand in the repository.

The navigation is `index.md`: a section for each of its headings, with the pages it links to there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from figureground.version import __version__

project = "figureground"
copyright = author = "The figureground developers"
version = release = __version__
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "recipes/*.md", "src/figureground/models/cards/*.md"]
exclude_patterns = [".*", "web", "tests", "scripts", "benchmarks", "checkpoints", "dist", "demo"]
nitpicky = True
myst_heading_anchors = 4  # so that page.md#a-heading leads where it leads in the repository
highlight_language = "none"
html_theme = "furo"
html_title = project
html_static_path = ["style"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sourcelink = False


def navigation(page: str) -> str:
    """Hidden tables of contents: one for each heading of the second level, of the pages linked below it."""
    trees = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        links = re.findall(r"\[([^\]]+)\]\(([^)#:]+)\.md\)", section)
        entries = [f"{text} </{os.path.normpath(PurePosixPath(root_doc).parent / link)}>" for text, link in links]
        if entries:
            caption = section.partition("\n")[0]
            trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", ""]))
    return "\n".join(trees)


def add_navigation(app: Any, docname: str, source: list[str]) -> None:
    if docname == root_doc:
        source[0] += "\n" + navigation(source[0])


def add_front_door(app: Any, exception: Exception | None) -> None:
    """Whoever opens the site's folder comes to its first page."""
    if exception is None:
        target = f"{root_doc}.html"
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={target}"><a href="{target}">{project}</a>\n'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
    app.connect("build-finished", add_front_door)
