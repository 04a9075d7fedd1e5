"""The site that `make docs` builds: strict, complete, self-contained."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("sphinx", reason="the site needs the dev dependencies")
pytest.importorskip("myst_parser", reason="the site needs the dev dependencies")

ROOT = Path(__file__).parents[1]


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """As the Makefile does."""
    (command,) = re.findall(r"-m sphinx (.*) -c docs ", (ROOT / "Makefile").read_text("utf-8"))
    line = [sys.executable, "-m", "sphinx", *command.split(), "-c", str(ROOT / "docs"), str(source), str(site)]
    return subprocess.run([*line, "-d", str(site.with_name("doctrees"))], capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


class Links(HTMLParser):
    """What a page leads to, and what it loads by itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.leads, self.loads = list[str](), list[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value}
        if tag == "a" and "href" in found:
            self.leads.append(found["href"])
        self.loads += [found["href"]] if tag == "link" and "href" in found else []
        self.loads += [found["src"]] if "src" in found else []


def is_foreign(address: str) -> bool:
    return bool(re.match(r"(?:[a-z]+:)?//", address))


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    reached, todo = set[Path](), [site / "index.html"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".html":
            reached.add(page)
            local = [unquote(link.partition("#")[0]) for link in Links(page).leads if not re.match(r"[a-z]+:", link)]
            todo += [(page.parent / link).resolve() for link in local if link]
    written = {page.with_suffix(".html").name for page in (ROOT / "docs").glob("*.md")}
    assert written <= {page.name for page in reached if page.parent.name == "docs"}
    assert {"README.html", "ARCHITECTURE.html"} <= {page.name for page in reached}


def test_every_page_has_the_same_navigation(site: Path) -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", index, re.MULTILINE)
    for page in ("docs/quickstart.html", "README.html", "recipes/README.html"):
        captions = re.findall(r'class="caption-text">(.+?)</span>', (site / page).read_text("utf-8"))
        assert captions == headings


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert [address for address in Links(page).loads if is_foreign(address)] == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"""url\(["']?(?:[a-z]+:)?//[^)]*|@import[^;]*//[^;]*""", sheet.read_text("utf-8")) == [], (
            sheet
        )


def test_what_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    """Pages, headings and pictures that are not there; and a page that the navigation does not have."""
    docs = tmp_path / "source" / "docs"
    docs.mkdir(parents=True)
    links = "[a](gone.md) [b](other.md#lost) [c](#absent) ![d](missing.png) [e](other.md#there)"
    (docs / "index.md").write_text(f"# A\n\n{links}\n\n## Pages\n\n[other](other.md)\n", encoding="utf-8")
    (docs / "other.md").write_text("# Other\n\n## There\n\n[here](#there)\n", encoding="utf-8")
    (docs / "lonely.md").write_text("# Lonely\n", encoding="utf-8")
    done = build(tmp_path / "source", tmp_path / "site")
    assert done.returncode != 0
    warned = [line for line in done.stderr.splitlines() if "WARNING" in line]
    for name in ("gone.md", "lost", "absent", "missing.png", "lonely.md"):
        assert sum(name in line for line in warned) == 1, (name, warned)
    assert len(warned) == 5, warned
