"""What several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from hypothesis import Phase, settings
from skimage import data
from starlette.applications import Starlette

from figureground.arrays import Frame
from figureground.encodings import first_in_line
from figureground.engine import Engine
from figureground.images import write_image
from figureground.live import Live, Settings
from figureground.web.server import LOOPBACK, make_app
from figureground.web.service import Service
from networks import save_network
from scenes import Scene, make_scene
from serving import asking, living, serving

# A busy machine is slow; no test of ours is about time.
settings.register_profile("patient", deadline=None)
# For `make mutants`, which runs them many times and does not care for the smallest example.
settings.register_profile("brief", deadline=None, max_examples=10, phases=(Phase.explicit, Phase.generate))
settings.load_profile("patient")

# Files that take minutes begin first: at the end one alone would keep a single process busy.
LONG = {
    "backends",
    "cluster",
    "devices",
    "export_run",
    "fit",
    "interrupted",
    "own_data",
    "round_trips",
    "train_to_engine",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no photographs here: {SHARED} is absent")
    return SHARED


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine("small")


@pytest.fixture(scope="session")
def astronaut() -> Frame:
    """A public-domain portrait (NASA, 1999), 256x256; the face lies around row 55, column 110."""
    portrait = cv2.resize(data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    return np.asarray(portrait, np.uint8)


@pytest.fixture
def photo(tmp_path: Path, astronaut: Frame) -> Path:
    write_image(tmp_path / "astro.png", astronaut)
    return tmp_path / "astro.png"


@pytest.fixture(autouse=True, scope="module")
def ordinary() -> Iterator[None]:
    """No test leaves this process before everything else on the machine, as SVT-AV1 does with root's: a browser that
    is started from there keeps all others waiting."""
    yield
    assert not first_in_line()


@pytest.fixture
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """For processes that cannot write: what counts their lines for `make coverage` could not either.

    With `preexec_fn` they have to be given the environment, too: what counts puts itself back into it after a fork.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="session")
def red_finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes the red channel for the alpha: it finds red people and no others."""
    return save_network(tmp_path_factory.mktemp("models") / "red.onnx")


# A server of the page, a folder for its backgrounds and somebody who asks it.


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Without a camera where the module says `CAMERALESS = True`: the service needs none."""
    if getattr(request.module, "CAMERALESS", False):
        with Live(Settings(), (64, 36), start=False) as live:
            yield live
        return
    with living(tmp_path_factory.mktemp("camera")) as live:
        yield live


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "backgrounds"


@pytest.fixture(scope="module")
def app(live: Live, folder: Path) -> Starlette:
    return make_app(live, folder, None, LOOPBACK)


@pytest.fixture(scope="module")
def address(app: Starlette) -> Iterator[str]:
    with serving(app) as address:
        yield address


@pytest.fixture
def own(app: Starlette) -> Service:
    """The service of that server."""
    found: Service = app.state.service
    return found


@pytest.fixture
def client(address: str, live: Live, folder: Path) -> Iterator[httpx.Client]:
    with asking(address, live, folder) as client:
        yield client
