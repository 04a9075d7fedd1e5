"""`explore`: what is planted in a small dataset is found, the page stands alone, and every figure is in the JSON."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from figureground.arrays import Mask
from figureground.data.explore import Exploration, explore, table
from figureground.data.explore_page import MEASURES, draw, load_template, render, write_page
from figureground.data.measure import KINDS, SPECK, Look, Measured, look_at, trace
from figureground.data.pairs import Entry, find_pairs
from figureground.errors import DatasetError
from scenes import figure_alpha, noise
from training_data import Picture, person, write_dataset, write_manifest, write_picture

EVIL = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
SIZE = 96
Rows = list[dict[str, Any]]


def odd_masks() -> dict[str, Picture]:
    """A mask of each odd kind, and one that is fine; the picture is 96 x 96."""
    head = (figure_alpha(SIZE, SIZE) * 255).astype(np.uint8)
    box, cut, specks = np.zeros_like(head), head.copy(), head.copy()
    box[30:70, 20:60] = 255
    cut[:40] = 0
    specks[4, 4] = 255
    return {
        "fine": head,
        "empty": np.zeros_like(head),
        "full": np.full_like(head, 255),
        "rectangle": box,
        "cut top": cut,
        "specks": specks,
    }


def plant(folder: Path) -> Rows:
    """The pictures of `planted`, written; gives their rows."""
    rng = np.random.default_rng(9)
    rows = []
    for number, (name, matte) in enumerate(odd_masks().items()):
        rows.append(write_picture(folder, name, noise(SIZE, SIZE, number), matte, "train", EVIL))
        rows[-1]["licence"] = f"{EVIL}-licence"
    first, matte = person(rng, SIZE, SIZE)
    rows.append(write_picture(folder, "original", first, matte, "train"))
    again = BytesIO()
    Image.fromarray(first).resize((72, 72), Image.Resampling.BOX).save(again, "JPEG", quality=70)
    lighter = np.clip(np.array(Image.open(again)).astype(np.int16) + 8, 0, 255).astype(np.uint8)
    rows.append(write_picture(folder, "copy", lighter, matte[:72, :72], "val"))
    rows.append(write_picture(folder, "file", first, matte, "train"))
    for split in ("train", "val"):
        rows.append(write_picture(folder, f"video-{split}", *person(rng, SIZE, SIZE), split) | {"group": "video"})
    return rows + broken(folder, rng)


def broken(folder: Path, rng: np.random.Generator) -> Rows:
    rows = [write_picture(folder, name, *person(rng)) for name in ("cut", "gone", "text", "small", "lied")]
    (folder / "images/cut.png").write_bytes((folder / "images/cut.png").read_bytes()[:2000])
    (folder / "masks/gone.png").unlink()
    (folder / "masks/text.png").write_text(EVIL, encoding="utf-8")
    write_picture(folder, "other", *person(rng, 32, 32))
    (folder / "masks/other.png").replace(folder / "masks/small.png")
    rows[4]["width"] = 65
    rows[3]["id"] = f"{EVIL}-id"
    return rows


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    write_manifest(folder, plant(folder))
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("clean"), train=30, val=10, sizes=((64, 64), (96, 64)))


@pytest.fixture(scope="module")
def found(planted: Path) -> Exploration:
    return explore(planted, workers=1)


@pytest.fixture(scope="module")
def page(found: Exploration, planted: Path) -> str:
    return render(found, planted, load_template())


def ids(exploration: Exploration, kind: str) -> set[str]:
    return {finding.picture.id for finding in exploration.findings if finding.kind == kind}


@pytest.mark.parametrize("kind", ["empty", "full", "rectangle", "cut top", "specks"])
def test_odd_mask_is_found(found: Exploration, kind: str) -> None:
    assert ids(found, kind) == {kind}
    assert found.found[kind] == 1


def test_broken_files_are_findings_with_a_reason(found: Exploration) -> None:
    assert ids(found, "unreadable") == {"cut", "gone", "text"}
    reasons = {finding.picture.id: finding.detail for finding in found.findings if finding.kind == "unreadable"}
    assert reasons["gone"] == "gone.png: no such file"
    assert "not a picture" in reasons["text"]
    assert reasons["cut"].startswith("cut.png: cannot be read")


def test_samples_can_all_be_shown(found: Exploration) -> None:
    assert {"cut", "gone", "text", "empty"}.isdisjoint(sample.picture.id for sample in found.samples)


def test_wrong_sizes_are_found(found: Exploration) -> None:
    details = {finding.picture.id: finding.detail for finding in found.findings if finding.kind == "size"}
    assert details.pop(f"{EVIL}-id") == "mask 32x32, picture 64x64"
    assert details.pop("lied") == "manifest 65x64, picture 64x64"
    assert not details


def test_leaks_and_copies_are_found(found: Exploration) -> None:
    pairs = {(pair.first.id, pair.second.id): (pair.kind, pair.leak) for pair in found.pairs}
    assert pairs == {  # of equal files only the first is paired with the copy
        ("original", "copy"): ("near-duplicate", True),
        ("original", "file"): ("identical file", False),
        ("video-train", "video-val"): ("shared group", True),
    }
    assert found.leaks == 2
    assert found.repeated == 2


def test_a_video_gives_no_pair_for_every_two_frames() -> None:
    """All frames of a still camera are near-duplicates: their pairs would grow with the square of their number."""
    frames, rng = 600, np.random.default_rng(0)
    entries = [
        Entry(f"{n}", "s", f"{n // 2}", "val" if n % 5 == 4 else "train", "", f"{n}.png", f"{n}m.png")
        for n in range(frames)
    ]
    bits = np.zeros((frames, 256), np.uint8)
    for row in bits:
        row[rng.choice(256, 10, replace=False)] = 1  # any two are at most 20 bits apart
    measured = [
        Measured(f"{n}".encode(), Look(8, 8, 1.0, 1.0, np.packbits(row).tobytes()), None, ())
        for n, row in enumerate(bits)
    ]
    pairs, repeated = find_pairs(entries, measured)
    assert repeated == frames - 1
    assert len(pairs) < 3 * frames
    leaking = {entry.id for pair in pairs if pair.leak for entry in (pair.first, pair.second)}
    assert {entry.id for entry in entries if entry.split == "val"} <= leaking
    for pair in (pair for pair in pairs if pair.kind == "near-duplicate"):
        j = int(pair.second.id)
        alike = [n for n in range(j) if relation(entries[n], entries[j]) == relation(pair.first, pair.second)]
        assert pair.distance == min(int((bits[n] ^ bits[j]).sum()) for n in alike)


def relation(first: Entry, second: Entry) -> tuple[bool, bool]:
    leak = first.split != second.split
    return leak, not leak and first.group == second.group


def test_clean_dataset_is_clean(clean: Path) -> None:
    got = explore(clean, workers=1)
    assert got.findings == []
    assert got.pairs == []
    assert (got.repeated, got.leaks) == (0, 0)
    assert [source.pictures for source in got.sources] == [20, 20]
    assert got.overall.splits == {"train": 30, "val": 10, "test": 0}
    assert [(size.width, size.height, size.pictures) for size in got.sizes] == [(64, 64, 20), (96, 64, 20)]


def test_result_does_not_depend_on_workers(clean: Path) -> None:
    steps: list[tuple[int, int]] = []
    alone = explore(clean, workers=1)
    assert explore(clean, workers=2, progress=lambda done, total: steps.append((done, total))) == alone
    assert steps == [(number, 40) for number in range(1, 41)]


def test_figures_are_those_of_the_files(clean: Path) -> None:
    got = explore(clean, workers=1)
    masks = [np.array(Image.open(path)) >= 128 for path in sorted((clean / "masks").iterdir())]
    coverage = [mask.mean() for mask in masks]
    spread = got.overall.spreads["coverage"]
    assert spread.mean == pytest.approx(np.mean(coverage), abs=1e-4)
    assert (spread.minimum, spread.maximum) == pytest.approx((min(coverage), max(coverage)), abs=1e-4)
    assert spread.median == pytest.approx(np.median(coverage), abs=1e-4)
    assert np.mean(got.overall.position) == pytest.approx(np.mean(coverage), abs=0.005)
    assert all(sum(histogram.counts) == 40 for histogram in got.histograms.values())
    square = np.mean([mask.reshape(32, 2, 32, -1).mean((1, 3)) for mask in masks], axis=0)
    np.testing.assert_allclose(got.overall.position, square, atol=0.01)


def test_samples(clean: Path) -> None:
    got = explore(clean, workers=1)
    day = [sample for sample in got.samples if sample.picture.source == "day"]
    assert [sample.why for sample in day] == ["random"] * 6 + ["smallest"] * 3 + ["largest"] * 3
    assert len({sample.picture.id for sample in day}) == 12
    small, large = ([each.coverage for each in day if each.why == why] for why in ("smallest", "largest"))
    assert small == sorted(small)
    assert large == sorted(large, reverse=True)
    assert max(small) <= min(each.coverage for each in day if each.why == "random")


@given(arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_trace_counts_like_scipy(mask: Mask) -> None:
    got, doubts = trace(mask)
    _, number = scipy.ndimage.label(mask, np.ones((3, 3)))
    assert got.parts + got.specks == number
    assert got.coverage == pytest.approx(mask.mean())
    edge = mask & ~scipy.ndimage.binary_erosion(mask, border_value=True)
    assert got.boundary == pytest.approx(edge.sum() / math.hypot(*mask.shape))
    mirrored, same = trace(mask[:, ::-1])
    assert mirrored == got
    assert {doubt.kind for doubt in doubts} == {doubt.kind for doubt in same} <= {*KINDS}


def test_specks_at_the_edge_are_no_doubt() -> None:
    mask = np.zeros((300, 300), np.bool_)
    mask[100:250, 100:200] = True
    mask[98, 150] = mask[102, 99] = True
    mask[97, 140] = True
    outline, doubts = trace(mask)
    assert (outline.parts, outline.specks) == (1, 2)
    assert not [doubt for doubt in doubts if doubt.kind == "specks"]
    assert 300 * 300 * SPECK > 1
    mask[10, 10:12] = True
    details = [doubt.detail for doubt in trace(mask)[1] if doubt.kind == "specks"]
    assert details == ["1 away from the person, 2 pixels in all"]


@pytest.mark.parametrize(("top", "expected"), [(0, []), (120, ["cut top"])])
def test_cut_top(top: int, expected: list[str]) -> None:
    mask = figure_alpha(240, 240) >= 0.5
    rows = mask.copy()
    rows[:top] = False
    assert [doubt.kind for doubt in trace(rows)[1]] == expected
    assert trace(rows[top:])[1] == []  # the same cut at the picture's border is none


def test_look_is_scipys() -> None:
    image = noise(256, 180)
    grey = (image @ np.array([0.299, 0.587, 0.114])).round()
    got = look_at(image)
    assert (got.width, got.height) == (256, 180)
    assert got.brightness == pytest.approx(grey.mean(), abs=0.1)
    assert got.sharpness == pytest.approx(scipy.ndimage.laplace(grey, mode="mirror").var(), rel=0.01)


class Reader(HTMLParser):
    """What a page is made of: tags with their attributes, and the text inside each kind of tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "a tag is closed that is not the last opened"

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self.open), data))

    def all(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def test_page_stands_alone(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert not reader.all("script", "link", "iframe", "object", "embed", "base", "form", "audio", "video")
    for _, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
        assert not {"srcset", "action", "background", "poster"} & attributes.keys()
    style = "".join(text for tags, text in reader.texts if tags[-1:] == ("style",))
    assert style.count("{") == style.count("}")
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page


def test_page_can_be_read_by_all(page: str) -> None:
    reader = Reader(page)
    assert reader.all("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in reader.all("meta"))
    assert any(tags[-1] == "title" and text.strip() for tags, text in reader.texts if len(tags) == 3)
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(image["alt"].strip() for image in reader.all("img"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in reader.all("svg"))
    assert len(reader.all("caption")) == len(reader.all("table"))
    assert all("scope" in cell for cell in reader.all("th"))
    names = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"][1:] for link in reader.all("a")} <= {*names}
    assert "prefers-color-scheme: dark" in page


def test_text_of_the_dataset_is_escaped(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{ 7 * 7 }}" in page
    texts = " ".join(text for _, text in Reader(page).texts)
    for written in (EVIL, f"{EVIL}-id", f"{EVIL}-licence"):
        assert written in texts


def test_findings_stand_in_the_page(page: str, found: Exploration) -> None:
    texts = " ".join(text for _, text in Reader(page).texts)
    for finding in found.findings:
        assert finding.picture.id in texts
        assert finding.detail in texts
    for pair in found.pairs:
        assert pair.kind in texts
    assert texts.count("cannot be read") > 1  # the place of a picture that cannot be drawn


NUMBER = re.compile(r"\d[\d,.]*\d%?|\d%?")


def leaves(value: Any) -> Iterator[float | str]:
    """Every number and text of a JSON document, and the lengths of its lists."""
    if isinstance(value, dict):
        yield from value
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        yield len(value)
        for each in value:
            yield from leaves(each)
    elif value is not None:
        yield value


def test_every_figure_of_the_page_is_in_the_json(page: str, found: Exploration) -> None:
    all_ = {*leaves(json.loads(json.dumps(asdict(found))))}
    known = {leaf for leaf in all_ if not isinstance(leaf, str)}
    # What the page itself works out: shares of all pictures, findings that are no broken files, rows by kind of pair.
    known |= {count / found.overall.pictures for count in known}
    known |= {sum(found.found.values()) - found.found["unreadable"]}
    known |= {sum(pair.same_group == same and not pair.leak for pair in found.pairs) for same in (True, False)}
    written = {measure.write(number) for number in known for measure in MEASURES.values()}
    written |= {token for leaf in all_ if isinstance(leaf, str) for token in NUMBER.findall(leaf)}
    shown = {"td", "strong", "summary", "text", "h3", "figcaption"}
    texts = [text for tags, text in Reader(page).texts if shown & {*tags}]
    tokens = {token for text in texts for token in NUMBER.findall(text)}
    assert len(tokens) > 50
    assert tokens <= written


def test_page_of_a_dataset_where_nothing_can_be_read(tmp_path: Path) -> None:
    rows = [write_picture(tmp_path, "a", *person(np.random.default_rng(0)))]
    write_manifest(tmp_path, rows)
    (tmp_path / "images/a.png").unlink()
    (tmp_path / "masks/a.png").unlink()
    got = explore(tmp_path)
    assert got.found["unreadable"] == 2
    assert got.overall.spreads == {}
    Reader(render(got, tmp_path, load_template()))
    assert "unreadable 2" in table(got)


def test_outline_is_drawn(planted: Path) -> None:
    small = draw(planted / "images/fine.png", planted / "masks/fine.png")
    assert small is not None
    assert (small.width, small.height) == (SIZE, SIZE)
    bare = draw(planted / "images/fine.png", planted / "masks/gone.png")
    assert bare is not None
    assert bare.uri != small.uri
    assert draw(planted / "images/cut.png", planted / "masks/cut.png") is None


def test_page_is_written_whole(found: Exploration, planted: Path, tmp_path: Path) -> None:
    write_page(found, planted, tmp_path / "new" / "page.html", load_template())
    assert (tmp_path / "new/page.html").read_text(encoding="utf-8").endswith("</html>")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_no_dataset(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.csv"):
        explore(tmp_path / name)


def command(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "figureground", "explore"]
    return subprocess.run([*start, *map(str, arguments)], capture_output=True, text=True, cwd=folder)


def test_command_writes_the_page_and_a_table(planted: Path, tmp_path: Path) -> None:
    done = command(planted, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nreport.html\n")
    assert "leaks between splits:" in done.stdout
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_command_prints_json_and_nothing_else(planted: Path, found: Exploration, tmp_path: Path) -> None:
    done = command(planted, "--json", "--output", "there.html", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(json.dumps(asdict(found)))
    assert [path.name for path in tmp_path.iterdir()] == ["there.html"]


def test_command_says_what_is_wrong(tmp_path: Path) -> None:
    done = command("nowhere", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("figureground: nowhere/manifest.csv: cannot be read")


def test_a_page_that_is_a_folder_is_told_before_the_work(tmp_path: Path) -> None:
    done = command("no-dataset", "--output", tmp_path, folder=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr == f"figureground: {tmp_path}: is a folder; name the file to write, as in {tmp_path}/report.html\n"
    )


def test_a_page_does_not_take_the_place_of_anything_else(planted: Path) -> None:
    manifest = (planted / "manifest.csv").read_bytes()
    done = command(planted, "--output", planted / "manifest.csv", folder=planted)
    assert (done.returncode, (planted / "manifest.csv").read_bytes()) == (2, manifest)
    assert "want a name that ends in .html or .htm" in done.stderr


def test_command_names_the_missing_extra(planted: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['jinja2'] = None; from figureground.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "explore", str(planted)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "pip install 'figureground[train]'" in done.stderr
    assert not list(tmp_path.iterdir())
