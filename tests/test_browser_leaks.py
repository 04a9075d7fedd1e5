"""In the browser nothing of the room is shown, whatever fails: a marked room before a real Chromium's camera."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from browsing import chromium, make_camera, static_host
from figureground.web.server import STATIC
from marked import leaked, room, shown
from marked_network import Fault, save_marked

SIZE = (640, 360)
MODEL = STATIC.parents[1] / "models" / "small.onnx"
# Every picture of the canvas for some seconds: how many are looked at, and those with a pixel of the room.
WATCH = """
async (seconds) => {
  const look = () => document.querySelector("#picture");
  while (look() === null) await new Promise((next) => setTimeout(next, 5));
  const canvas = look();
  const context = new OffscreenCanvas(640, 360).getContext("2d", { willReadFrequently: true });
  const end = performance.now() + 1000 * seconds;
  let [pictures, leaks, figures] = [0, 0, 0];
  while (performance.now() < end) {
    context.clearRect(0, 0, 640, 360);
    context.drawImage(canvas, 0, 0, 640, 360);
    const { data } = context.getImageData(0, 0, 640, 360);
    let [red, blue] = [0, 0];
    for (let at = 0; at < data.length; at += 4) {
      if (data[at] - Math.min(data[at + 1], data[at + 2]) > 8) red++;
      if (data[at + 2] > 200 && data[at + 1] < 100) blue++;
    }
    pictures++;
    if (red > 0) leaks++;
    if (blue > 0) figures++;
    await new Promise((next) => setTimeout(next, 15));
  }
  return [pictures, leaks, figures];
}
"""
CORNER_IS = """
(wanted) => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.drawImage(document.querySelector("#picture"), 0, 0, 1, 1, 0, 0, 1, 1);
  return String(context.getImageData(0, 0, 1, 1).data) === wanted;
}
"""


@pytest.fixture(scope="module")
def marked_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its camera shows the marked room; the figure goes from left to right and back."""
    places = [0.15 + 0.7 * abs(step / 30 - 1) for step in range(60)]
    film = [room(*SIZE, place, 0.35) for place in places]
    camera = make_camera(tmp_path_factory.mktemp("camera") / "room.y4m", film)
    with chromium(camera, ["--use-fake-ui-for-media-stream"]) as browser:
        yield browser


@pytest.fixture
def page(marked_browser: Browser) -> Iterator[Page]:
    # The service worker would fetch past the tests' routes.
    with static_host(STATIC) as host, marked_browser.new_context(service_workers="block") as context:
        page = context.new_page()
        page.goto(host)
        yield page


def use_model(page: Page, model: Path) -> None:
    page.route("**/small-*.onnx", lambda route: route.fulfill(body=model.read_bytes()))


def choose_green(page: Page) -> None:
    page.get_by_role("radio", name="Colour").check()
    page.get_by_label("Colour", exact=True).last.fill("#00ff00")


def begin(page: Page) -> None:
    page.get_by_role("button", name="Use my camera").click()


def test_not_a_pixel_of_the_room_while_it_runs(page: Page, tmp_path: Path) -> None:
    use_model(page, save_marked(tmp_path / "marked.onnx"))
    choose_green(page)
    begin(page)
    early = page.evaluate(WATCH, 1.5)  # from before the model is there
    expect(page.locator("#light-word")).to_have_text("Live")
    page.get_by_role("button", name="Record").click()
    found = [early, page.evaluate(WATCH, 2)]
    for background, corner in (("Blur", None), ("Transparent", "0,0,0,0"), ("Colour", "0,255,0,255")):
        page.get_by_role("radio", name=background).check()
        page.wait_for_timeout(500)
        if corner is not None:  # the blur shows the room, until the next frame comes
            page.wait_for_function(CORNER_IS, arg=corner)
            found.append(page.evaluate(WATCH, 0.7))
    page.get_by_role("button", name="Cover me").click()
    expect(page.locator("#light-word")).to_have_text("Covered")
    assert page.evaluate(WATCH, 0.3)[1:] == [0, 0]
    page.get_by_role("button", name="Show me again").click()
    expect(page.locator("#light-word")).to_have_text("Live")
    found.append(page.evaluate(WATCH, 0.5))
    assert [leaks for _, leaks, _ in found] == [0] * len(found)
    assert sum(figures for *_, figures in found) > 20


@pytest.mark.parametrize("fault", ["nan", "full", "shape"])
def test_a_broken_model_shows_the_cover(page: Page, tmp_path: Path, fault: Fault) -> None:
    use_model(page, save_marked(tmp_path / "broken.onnx", fault))
    choose_green(page)
    begin(page)
    words = {"nan": "no number", "full": "covers", "shape": "shape"}
    expect(page.locator("#light-reason")).to_contain_text(words[fault])
    pictures, leaks, figures = page.evaluate(WATCH, 2.5)
    assert (pictures > 10, leaks) == (True, 0)
    assert (figures > 0) == (fault != "shape")  # between the faults it goes on


def test_the_shipped_network_with_a_broken_weight_shows_the_cover(page: Page, tmp_path: Path) -> None:
    """On kernels of our own: what is no number goes through all of its layers, and is seen at the end."""
    onnx = pytest.importorskip("onnx", reason="changing models needs onnx: pip install 'figureground[train]'")
    model = onnx.load(MODEL)
    (bias,) = (each for each in model.graph.initializer if each.name == "conv2d:bias:half")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] = np.nan
    bias.raw_data = values.tobytes()
    onnx.save(model, tmp_path / "broken.onnx")
    use_model(page, tmp_path / "broken.onnx")
    choose_green(page)
    begin(page)
    expect(page.locator("#light-reason")).to_contain_text("no number")
    expect(page.locator("#figures")).to_contain_text("WebAssembly")  # which ONNX Runtime is not called
    assert page.evaluate(WATCH, 0.5)[1:] == [0, 0]


def test_a_worker_that_hangs_has_its_last_picture_taken_away(page: Page, tmp_path: Path) -> None:
    """It can draw nothing then, not even the cover, and the last picture would pass for a live one."""
    use_model(page, save_marked(tmp_path / "marked.onnx"))
    choose_green(page)
    begin(page)
    expect(page.locator("#light-word")).to_have_text("Live")
    assert page.locator("#picture").evaluate("canvas => canvas.style.filter") == ""
    (worker,) = (each for each in page.workers if "worker" in each.url)
    worker.evaluate("() => void setTimeout(() => { const end = Date.now() + 6000; while (Date.now() < end); }, 0)")
    expect(page.locator("#light-word")).to_have_text("Covered")
    expect(page.locator("#light-reason")).to_contain_text("hangs")
    assert "blur" in page.locator("#picture").evaluate("canvas => canvas.style.filter")
    expect(page.locator("#light-word")).to_have_text("Live")  # and back, once it draws again
    assert page.locator("#picture").evaluate("canvas => canvas.style.filter") == ""


def test_without_a_model_the_camera_is_let_go(page: Page) -> None:
    def absent(route: Route) -> None:
        route.fulfill(status=404)

    page.route("**/small-*.onnx", absent)
    begin(page)
    alert = page.get_by_role("alert").filter(has_text="The model cannot be loaded")
    expect(alert).to_contain_text("404")
    expect(page.locator("#picture")).to_have_count(0)
    expect(page.locator("#light-word")).to_have_text("Stopped")
    page.unroute("**/small-*.onnx", absent)
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator("#light-word")).to_have_text("Live")


def test_a_press_before_the_program_is_there_waits_for_it(marked_browser: Browser) -> None:
    def late(route: Route) -> None:
        time.sleep(1)
        route.continue_()

    with static_host(STATIC) as host, marked_browser.new_context(service_workers="block") as context:
        page = context.new_page()
        page.route("**/main-*.js", late)
        page.goto(host)
        begin(page)
        expect(page.locator("#light-word")).to_have_text("Live")


def test_a_recording_holds_nothing_of_the_room(page: Page, tmp_path: Path) -> None:
    use_model(page, save_marked(tmp_path / "marked.onnx", "full"))
    choose_green(page)
    begin(page)
    page.get_by_role("button", name="Record").click()
    seen = 0
    for _ in range(30):
        seen += page.evaluate(WATCH, 1)[2]
        if seen > 10:
            break
    page.get_by_role("button", name="Stop recording").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save figureground").click()
    film = tmp_path / "film.webm"
    download.value.save_as(film)
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) > 5
    # Lossy, so a tinge more than elsewhere; the room itself is 255 redder.
    assert max(int((frame[:, :, 0].astype(int) - frame[:, :, 1:].min(2)).max()) for frame in frames) < 60
    assert any(shown(frame) for frame in frames)


def test_both_ways_to_draw_agree(page: Page, tmp_path: Path) -> None:
    """The shaders, which a graphics card runs, and the canvas: the same picture from the same frame."""
    picture = room(*SIZE, 0.4)
    picture[:120, 100:160] = np.arange(60, dtype=np.uint8)[None, :, None] * 4
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    use_model(page, save_marked(tmp_path / "marked.onnx"))
    pictures = []
    for renderer in ("canvas", "webgl"):
        found = page.evaluate(DRAWN, [base64.b64encode(data.getvalue()).decode(), renderer])
        pictures.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(found)))).astype(np.int16))
    assert all(shown(each.astype(np.uint8)) and leaked(each.astype(np.uint8)) == 0 for each in pictures)
    apart = np.abs(pictures[0] - pictures[1])
    assert apart.mean() < 0.5, apart.mean()


DRAWN = """
async ([base64, renderer]) => {
  const { createBackgroundStream } = await import("/module.js");
  const picture = await createImageBitmap(await (await fetch("data:image/png;base64," + base64)).blob());
  const still = document.createElement("canvas");
  still.width = picture.width;
  still.height = picture.height;
  const context = still.getContext("2d");
  const track = still.captureStream(10).getVideoTracks()[0];
  const canvas = document.createElement("canvas");
  let live = 0;
  const background = { kind: "colour", colour: "#00ff00" };
  const options = { canvas, renderer, background, onHealth: (health) => (live += health.light === "live") };
  const stream = createBackgroundStream(track, options);
  while (live < 3) {
    context.drawImage(picture, 0, 0);
    await new Promise((next) => setTimeout(next, 60));
  }
  const out = document.createElement("canvas");
  out.width = picture.width;
  out.height = picture.height;
  out.getContext("2d").drawImage(canvas, 0, 0);
  stream.stop();
  return out.toDataURL("image/png").split(",")[1];
}
"""


@pytest.mark.parametrize("renderer", ["canvas", "webgl"])
def test_no_ghost_trails_before_a_room_as_dark_as_the_figure(page: Page, tmp_path: Path, renderer: str) -> None:
    rooms = []
    for step in range(8):
        picture = room(*SIZE, 0.25 + 0.06 * step)
        picture[picture[:, :, 0] == 255] = (97, 0, 0)
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "PNG")
        rooms.append(base64.b64encode(data.getvalue()).decode())
    use_model(page, save_marked(tmp_path / "marked.onnx"))
    trails = page.evaluate(TRAILS, [rooms, renderer])
    assert len(trails) == 12
    assert max(trails) < 1500  # pixels of 8,000 that a step uncovers


# While the figure goes to the right, how many pixels of the canvas show a little of it more than 12 pixels to its left.
TRAILS = """
async ([rooms, renderer]) => {
  const { createBackgroundStream } = await import("/module.js");
  const load = async (one) => createImageBitmap(await (await fetch("data:image/png;base64," + one)).blob());
  const pictures = await Promise.all(rooms.map(load));
  const still = document.createElement("canvas");
  [still.width, still.height] = [pictures[0].width, pictures[0].height];
  const context = still.getContext("2d");
  const track = still.captureStream(10).getVideoTracks()[0];
  const canvas = document.createElement("canvas");
  const background = { kind: "colour", colour: "#00ff00" };
  const stream = createBackgroundStream(track, { canvas, renderer, background });
  const seen = new OffscreenCanvas(still.width, still.height).getContext("2d", { willReadFrequently: true });
  const trails = [];
  for (let step = 0; trails.length < 12; step++) {
    context.drawImage(pictures[step % pictures.length], 0, 0);
    await new Promise((next) => setTimeout(next, 100));
    seen.drawImage(canvas, 0, 0);
    const { data, width, height } = seen.getImageData(0, 0, still.width, still.height);
    let [trail, figure] = [0, 0];
    for (let row = 0; row < height; row++) {
      const blues = Array.from({ length: width }, (_, x) => data[4 * (row * width + x) + 2]);
      const first = blues.findIndex((blue) => blue >= 240);
      figure += first >= 0;
      trail += blues.slice(0, Math.max(0, first - 12)).filter((blue) => blue > 12).length;
    }
    if (figure > 0) trails.push(trail);
  }
  stream.stop();
  return trails;
}
"""
