"""The notebook for learners, run from its first cell to its last on a few made photographs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from annotated import coco, supervisely
from annotated.coco import Item
from annotated.photographs import photograph
from figureground.images import write_image
from videos import H264, make_video

pytest.importorskip("tensorflow", reason="the notebook needs pip install 'figureground[train]'")

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "from_photographs_to_a_unet.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
SMALLER = "WIDTH, SIZE, BATCH, EPOCHS = 1 / 8, 64, 4, 9\nCAMERA, SECONDS = 'camera.mp4', 3.0"
# Reads cells from stdin and runs them one after the other in one namespace, as a notebook does.
KERNEL = """\
import json, sys, matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
names, figures = {"__name__": "__main__"}, []
pyplot.show = lambda: (figures.extend(pyplot.get_fignums()), pyplot.close("all"))
for number, cell in enumerate(json.load(sys.stdin)):
    print(f"cell {number}", file=sys.stderr)
    exec(compile(cell, f"cell {number}", "exec"), names)
print("figures shown:", len(figures))
"""


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def person(seed: int) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """A bright figure, in every third picture two of them, before dark patches; and the true mask."""
    rng = np.random.default_rng(seed)
    frame, pixels = photograph(seed, 96, 72) // 3, np.zeros((72, 96), np.uint8)
    for _ in range(2 if seed % 3 == 0 else 1):
        centre = (int(rng.uniform(20, 76)), int(rng.uniform(30, 50)))
        cv2.ellipse(pixels, centre, (int(rng.uniform(9, 16)), int(rng.uniform(15, 25))), 0, 0, 360, 1, -1)
    frame[pixels == 1] = (230, 190, 160)
    return frame, pixels == 1


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the notebook prints, run as it stands but for the sizes in its cell of parameters."""
    folder = tmp_path_factory.mktemp("notebook")
    items: list[Item] = []
    for seed in range(24):
        frame, mask = person(seed)
        write_image(folder / "made" / f"{seed:03}.png", frame)
        items.append((f"{seed:03}.png", folder / "made" / f"{seed:03}.png", mask))
    coco.write(folder / "photographs" / "coco", items[:12], "runs")
    supervisely.write(folder / "photographs" / "supervisely", items[12:], "bitmaps")
    make_video(folder / "camera.mp4", [person(seed)[0] for seed in range(8)], look=H264)
    cells = [source(cell) for cell in CELLS if cell["cell_type"] == "code"]
    cells.insert(1, SMALLER)
    line = [sys.executable, "-c", KERNEL]
    done = subprocess.run(line, input=json.dumps(cells), cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_it_goes_the_whole_way(printed: str) -> None:
    assert "photographs/coco: coco, 12 pictures" in printed
    assert "photographs/supervisely: supervisely, 12 pictures" in printed
    assert re.search(r"annotations: \d+ accepted, 0 repaired, 0 rejected", printed)
    assert "31,031,745 parameters at full width" in printed
    assert len(re.findall(r"^epoch \d: loss", printed, re.MULTILINE)) == 9
    assert re.search(r"^nobody, anywhere +0\.\d+ +0\.000", printed, re.MULTILINE)
    assert re.search(r"^the shipped `small` +[01]\.\d+", printed, re.MULTILINE)
    assert re.search(r"figures shown: 1\d", printed)


def test_its_network_learns(printed: str) -> None:
    found = re.search(r"^this U-Net +0\.\d+ +(0\.\d+)", printed, re.MULTILINE)
    assert found
    assert float(found[1]) > 0.5


def test_the_live_loop_ran(printed: str) -> None:
    state = json.loads(printed[printed.rindex('{\n "light"') : printed.rindex("}") + 1])
    assert state["frames"] > 0
    assert state["light"] in ("live", "covered")


def test_it_is_committed_without_outputs() -> None:
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    assert [number for number, cell in enumerate(code) if "parameters" in cell["metadata"].get("tags", [])] == [0]
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)


def test_its_links_lead_somewhere() -> None:
    text = "\n".join(source(cell) for cell in CELLS if cell["cell_type"] == "markdown")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert links
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []
