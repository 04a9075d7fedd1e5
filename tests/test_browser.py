"""The page's own camera in a real Chromium: every control, every fault, and nobody else asked for anything."""

from __future__ import annotations

import base64
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect
from skimage import data

from browsing import AXE, NARROW, WIDE, chromium, make_camera, make_picture, static_host, tile, watch
from figureground.arrays import Frame
from figureground.compositor import cutout
from figureground.engine import Engine
from figureground.live import Live
from figureground.web.server import LOOPBACK, STATIC, make_app
from serving import serving
from videos import VP9, counting, make_video

MOST_BYTES = 2_000_000
READ_CANVAS = """
() => {
  const canvas = document.querySelector("#picture");
  const context = new OffscreenCanvas(64, 36).getContext("2d");
  context.drawImage(canvas, 0, 0, 64, 36);
  return [...context.getImageData(0, 0, 64, 36).data];
}
"""


def portrait(width: int, height: int, shift: float = 0.0) -> Frame:
    """The public-domain portrait, filling the width."""
    scale = width / 512
    matrix = np.array([[scale, 0, shift], [0, scale, -0.02 * height]])
    return np.asarray(
        cv2.warpAffine(data.astronaut(), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    film = [portrait(640, 360, shift) for shift in (0, 3, 6, 9, 6, 3)]
    camera = make_camera(tmp_path_factory.mktemp("camera") / "portrait.y4m", film, 15)
    flags = ["--use-fake-ui-for-media-stream", "--enable-blink-features=ForceEagerMeasureMemory"]
    with chromium(camera, flags) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(browser: Browser, live: Live, folder: Path) -> Iterator[str]:
    live.stop()
    with serving(make_app(live, folder, None, LOOPBACK)) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=WIDE) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page in this mode. Afterwards: it asked nobody but its server and complained of nothing."""
    page = context.new_page()
    asked, complaints = watch(page)
    page.goto(f"{address}/#camera")
    expect(page.locator("#connection")).to_have_text("No frame leaves this page")
    yield page
    page.close()
    assert complaints == []
    assert {url for url in asked if not url.startswith((f"{address}/", "blob:"))} == set()


def begin(page: Page) -> None:
    page.get_by_role("button", name="Use my camera").click()
    expect_live(page)


def expect_live(page: Page) -> None:
    expect(page.locator("#light-word")).to_have_text("Live")
    expect(page.locator("#light")).to_have_attribute("data-light", "live")


def colours(page: Page) -> np.ndarray:
    """The canvas, (36, 64, 4) RGBA."""
    return np.array(page.evaluate(READ_CANVAS), np.uint8).reshape(36, 64, 4)


def expect_corner(page: Page, wanted: tuple[int, ...]) -> None:
    """Wait until the picture's upper right corner, which is room, has the background's colour."""
    for _ in range(100):
        found = colours(page)[1, 62]
        if np.abs(found.astype(int) - wanted).max() <= 3:
            return
        page.wait_for_timeout(50)
    assert tuple(found) == wanted


PLAY_LATE = """
() => {
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = async function () {
    await play.call(this);
    await new Promise((done) => setTimeout(done, 600));
  };
}
"""


def as_base64(picture: Frame) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


CUT_OUT = """
async ([base64, threads]) => {
  const { cutOut } = await import("/module.js");
  const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  const png = await cutOut(new Blob([bytes], { type: "image/png" }), { threads });
  const reader = new FileReader();
  return new Promise((done) => {
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.readAsDataURL(png);
  });
}
"""


def test_the_same_alphas_as_in_python(browser: Browser, engine: Engine) -> None:
    """Wide, tall, larger and smaller than the network's input: within 2/255 of the engine's on average."""
    with static_host(STATIC) as host, browser.new_context() as context:
        page = context.new_page()
        page.goto(host)
        for width, height in ((1280, 720), (480, 640), (2600, 1400), (160, 120)):
            picture = portrait(width, height)
            found = Image.open(io.BytesIO(base64.b64decode(page.evaluate(CUT_OUT, [as_base64(picture), 1]))))
            assert (found.mode, found.size) == ("RGBA", (width, height))
            wanted = cutout(picture, engine(picture))
            apart = np.abs(np.asarray(found).astype(np.int16) - wanted)
            assert apart[..., 3].mean() < 2, (width, height)
            sure = wanted[..., 3] > 128
            assert apart[sure].mean() < 2, (width, height)
            assert not np.asarray(found)[np.asarray(found)[..., 3] == 0].any()  # nothing of the room in the file


def test_threads_change_nothing(page: Page) -> None:
    assert page.evaluate("crossOriginIsolated")
    picture = as_base64(portrait(320, 180))
    assert page.evaluate(CUT_OUT, [picture, 3]) == page.evaluate(CUT_OUT, [picture, 1])


def test_camera_and_back(page: Page) -> None:
    begin(page)
    expect(page).to_have_title("● Live | Figureground")
    expect(page.locator("#figures")).to_contain_text(re.compile(r"WebAssembly, \d thread"))
    expect(page.locator("#figures")).to_contain_text("Canvas 2D")
    expect(page.locator("#stages")).to_contain_text("Find the person")
    assert page.evaluate("crossOriginIsolated")
    page.get_by_role("button", name="Cover me").click()
    expect(page.locator("#light-word")).to_have_text("Covered")
    page.get_by_role("button", name="Show me again").click()
    expect_live(page)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#light-word")).to_have_text("Stopped")
    expect(page.locator("#picture")).to_have_count(0)
    expect(page.get_by_role("button", name="Use my camera")).to_be_visible()


def test_sample_without_a_camera(page: Page) -> None:
    page.get_by_role("button", name="Try it on a sample clip").click()
    expect_live(page)
    expect(page.locator("#output")).to_have_text("Sample clip, 1280 \u00d7 720")


def test_backgrounds(page: Page, tmp_path: Path) -> None:
    begin(page)
    tile(page, "Colour").check()
    page.locator("#colour").fill("#3366cc")
    expect_corner(page, (0x33, 0x66, 0xCC, 255))
    tile(page, "Transparent").check()
    expect_corner(page, (0, 0, 0, 0))
    tile(page, "Blur").check()
    page.get_by_label("Blur strength").fill("55")
    expect(page.locator("#strength-value")).to_have_text("55")
    for name, colour in (("one.png", (10, 200, 30)), ("two.png", (200, 20, 90))):
        Image.new("RGB", (80, 45), colour).save(tmp_path / name)
        page.get_by_label("Add a picture or video").set_input_files(tmp_path / name)
        expect(tile(page, name)).to_be_checked()
        expect_corner(page, (*colour, 255))
    tile(page, "Slideshow").check()
    page.get_by_label("Seconds for each picture").fill("1")
    expect_corner(page, (10, 200, 30, 255))
    expect_corner(page, (200, 20, 90, 255))
    film = make_video(tmp_path / "film.webm", counting(5), look=VP9)
    page.get_by_label("Add a picture or video").set_input_files(film)
    expect(tile(page, "film.webm")).to_be_checked()
    page.evaluate(PLAY_LATE)
    for name in ("Blur", "film.webm", "Colour"):
        tile(page, name).check()
    page.wait_for_timeout(1000)
    expect_corner(page, (0x33, 0x66, 0xCC, 255))  # and not the film, which was asked for before
    tile(page, "film.webm").check()
    page.get_by_role("button", name="Remove film.webm").click()
    expect(tile(page, "Blur")).to_be_checked()
    expect(tile(page, "film.webm")).to_have_count(0)
    expect_live(page)


def test_what_is_chosen_stays(page: Page, tmp_path: Path) -> None:
    page.get_by_label("Add a picture or video").set_input_files(make_picture(tmp_path))
    expect(tile(page, "beach.png")).to_be_checked()
    page.get_by_role("switch", name="Mirror").uncheck()
    page.reload()
    expect(tile(page, "beach.png")).to_be_checked()
    expect(page.get_by_role("switch", name="Mirror")).not_to_be_checked()
    expect(page.locator("#screen")).not_to_have_class(re.compile("mirrored"))
    page.get_by_role("switch", name="Mirror").check()
    expect(page.locator("#screen")).to_have_class(re.compile("mirrored"))


def test_files_that_are_no_pictures(page: Page, tmp_path: Path) -> None:
    for name in ("notes.txt", "broken.png", "broken.webm"):
        (tmp_path / name).write_bytes(b"not a picture")
    files = [tmp_path / name for name in ("notes.txt", "broken.png", "broken.webm")]
    page.get_by_label("Add a picture or video").set_input_files([*files, make_picture(tmp_path)])
    alert = page.get_by_role("alert").filter(has_text="notes.txt: want a picture or a video")
    expect(alert).to_contain_text("broken.png: not a picture this browser can read")
    expect(alert).to_contain_text("broken.webm: not a video this browser can play")
    expect(tile(page, "beach.png")).to_be_checked()
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "broken.png")
    expect(page.locator("#photo-status")).to_have_text("broken.png: not a picture this browser can read")


def test_drag_and_drop(page: Page) -> None:
    for target, name in (("#drop", "dropped.png"), ("#still", "dropped.png")):
        transfer = page.evaluate_handle(
            """async (base64) => {
              const transfer = new DataTransfer();
              const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
              transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
              return transfer;
            }""",
            as_base64(portrait(320, 240)),
        )
        page.locator(target).dispatch_event("dragover", {"dataTransfer": transfer})
        expect(page.locator(target)).to_have_class("card over")
        page.locator(target).dispatch_event("drop", {"dataTransfer": transfer})
        expect(page.locator(target)).to_have_class("card")
        if target == "#drop":
            expect(tile(page, name)).to_be_checked()
    expect(page.locator("#photo-status")).to_have_text("Done.")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the PNG").click()
    assert download.value.suggested_filename == "dropped-cutout.png"
    with Image.open(download.value.path()) as saved:
        assert (saved.mode, saved.size) == ("RGBA", (320, 240))
        assert saved.getextrema()[3] == (0, 255)


def test_before_and_after(page: Page) -> None:
    begin(page)
    expect(page.locator("#screen .raw")).to_have_count(0)
    page.get_by_role("switch", name="Before and after").check()
    raw = page.locator("#screen .raw")
    expect(raw).to_be_visible()
    page.get_by_label("How much of the picture is as it was").fill("20")
    expect(raw).to_have_css("clip-path", "inset(0px 0px 0px 80%)")  # mirrored, so it is on the left
    page.get_by_role("switch", name="Before and after").uncheck()
    expect(raw).to_have_count(0)


def test_picture_in_picture(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="Picture in picture").click()
    for _ in range(100):
        if page.evaluate("document.pictureInPictureElement !== null") or page.locator("#trouble").is_visible():
            break
        page.wait_for_timeout(50)
    if page.locator("#trouble").is_visible():
        pytest.skip(f"this Chromium has none: {page.locator('#trouble-text').inner_text()}")
    page.get_by_role("button", name="Picture in picture").click()
    expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "does not let this page use the camera"),
        ("NotFoundError", "No camera is found"),
        ("NotReadableError", "in use by another program"),
    ],
)
def test_a_camera_that_cannot_be_had_is_explained(page: Page, name: str, words: str) -> None:
    page.evaluate(
        """(name) => {
          const devices = navigator.mediaDevices;
          const real = devices.getUserMedia.bind(devices);
          devices.getUserMedia = async (wish) => {
            devices.getUserMedia = real;
            throw new DOMException("no", name);
          };
        }""",
        name,
    )
    page.get_by_role("button", name="Use my camera").click()
    alert = page.get_by_role("alert").filter(has_text=words)
    expect(alert).to_contain_text("try again")
    alert.get_by_role("button", name="Try again").click()
    expect_live(page)
    expect(alert).to_be_hidden()


def test_a_camera_that_goes_away_is_explained(page: Page) -> None:
    page.evaluate(
        """() => {
          const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wish) => (window.camera = await real(wish));
        }"""
    )
    begin(page)
    page.evaluate("window.camera.getTracks()[0].stop()")
    expect(page.get_by_role("alert").filter(has_text="The camera stopped")).to_be_visible()
    expect(page.locator("#picture")).to_have_count(0)


def test_webassembly_forbidden_is_explained(browser: Browser, address: str) -> None:
    with browser.new_context(service_workers="block") as context:
        page = context.new_page()

        def forbid(route, request):  # type: ignore[no-untyped-def]
            answer = route.fetch()
            policy = answer.headers["content-security-policy"].replace(" 'wasm-unsafe-eval'", "")
            route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

        page.route("**/assets/worker-*.js", forbid)
        page.goto(f"{address}/#camera")
        page.get_by_role("button", name="Use my camera").click()
        expect(page.get_by_role("alert").filter(has_text="does not allow WebAssembly")).to_be_visible()
        expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_works_offline_after_the_first_load(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.goto(f"{address}/#camera")
    page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")  # everything is kept by then
    context.set_offline(True)
    page.reload()
    begin(page)


def test_two_copies_at_one_host_both_work_offline(context: BrowserContext, tmp_path: Path) -> None:
    page = context.new_page()
    with static_host(tmp_path) as host:
        for copy in ("one", "two"):
            (tmp_path / copy).symlink_to(STATIC, target_is_directory=True)
            page.goto(f"{host}/{copy}/")
            page.wait_for_function("navigator.serviceWorker.controller !== null")  # what is old is removed by then
        context.set_offline(True)
        page.goto(f"{host}/one/")
        begin(page)


def test_any_static_host_will_do(browser: Browser) -> None:
    """Without a single header, and from a folder below: the service worker brings what threads need."""
    with static_host(STATIC.parent) as host, browser.new_context() as context:
        page = context.new_page()
        asked, _ = watch(page)
        page.goto(f"{host}/static/")
        expect(page.locator("#modes")).to_be_hidden()
        begin(page)  # with one thread
        page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        page.reload()
        assert page.evaluate("crossOriginIsolated")
        begin(page)
        assert {url for url in asked if not url.startswith((f"{host}/static/", "blob:"))} == set()


def test_little_is_transferred(browser: Browser, address: str) -> None:
    with browser.new_context(service_workers="block") as context:
        page = context.new_page()
        asked, _ = watch(page)
        page.goto(f"{address}/#camera")
        begin(page)
        files = {STATIC / url.removeprefix(address).split("#")[0].lstrip("/") for url in asked if "blob:" not in url}
        files = {file / "index.html" if file.is_dir() else file for file in files}
        assert sum(len(gzip.compress(file.read_bytes(), 6)) for file in files) < MOST_BYTES


def test_as_a_module(browser: Browser) -> None:
    """The stream that other pages' code gets carries the replaced picture, also while the page is hidden."""
    with static_host(STATIC) as host, browser.new_context() as context:
        page = context.new_page()
        page.goto(host)
        found = page.evaluate(
            """async () => {
              const { createBackgroundStream } = await import("/module.js");
              const camera = await navigator.mediaDevices.getUserMedia({ video: true });
              const replaced = createBackgroundStream(camera.getVideoTracks()[0], {
                background: { kind: "colour", colour: "#00ff00" },
              });
              const reader = new MediaStreamTrackProcessor({ track: replaced.stream.getVideoTracks()[0] })
                .readable.getReader();
              Object.defineProperty(document, "hidden", { value: true });
              document.dispatchEvent(new Event("visibilitychange"));
              const context = new OffscreenCanvas(64, 36).getContext("2d", { willReadFrequently: true });
              let pixels = [];
              for (let number = 0; number < 100; number++) {
                const { value: frame } = await reader.read();
                context.drawImage(frame, 0, 0, 64, 36);
                frame.close();
                pixels = [...context.getImageData(0, 0, 64, 36).data];
                const middle = pixels.slice(4 * (20 * 64 + 28), 4 * (20 * 64 + 28) + 3);
                if (middle[1] < 240) break; // the person is there
              }
              const tooMuch = { kind: "blur", strength: 500 };
              const wrong = await replaced.setBackground(tooMuch).catch((error) => error.message);
              replaced.stop();
              return [pixels, wrong, camera.getTracks()[0].readyState];
            }"""
        )
        picture = np.array(found[0], np.uint8).reshape(36, 64, 4)
        assert np.abs(picture[1, 62, :3].astype(int) - (0, 255, 0)).max() < 12
        assert picture[20, 28, 1] < 240
        assert "want a number from 1 to 100" in found[1]
        assert found[2] == "live"  # its owner's


def test_memory_stays_flat_over_many_backgrounds(page: Page, tmp_path: Path) -> None:
    begin(page)
    Image.new("RGB", (1920, 1080), (10, 200, 30)).save(tmp_path / "large.png")
    page.get_by_label("Add a picture or video").set_input_files(tmp_path / "large.png")
    names = ("Colour", "large.png", "Transparent", "large.png", "Blur")

    def switch(rounds: int) -> int:
        for _ in range(rounds):
            for name in names:
                tile(page, name).check()
                page.wait_for_timeout(50)
        return int(page.evaluate("performance.measureUserAgentSpecificMemory().then((found) => found.bytes)"))

    before = switch(3)
    after = switch(8)
    assert after < 1.1 * before + 2_000_000, (before, after)


@pytest.mark.parametrize(("scheme", "size"), [("light", NARROW), ("dark", WIDE)], ids=["light-narrow", "dark-wide"])
def test_looks(browser: Browser, address: str, scheme: str, size: ViewportSize) -> None:
    """No sideways scrolling and nothing that axe finds wrong: at first, live, with a fault."""
    if not AXE.exists():
        pytest.skip("axe-core is absent: make web")
    with browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{address}/#camera")
        page.add_script_tag(path=AXE)
        expect(page.get_by_role("button", name="Use my camera")).to_be_visible()
        for act in ("", "live", "fault"):
            if act == "live":
                begin(page)
                page.get_by_role("switch", name="Before and after").check()
            elif act == "fault":
                page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')) }")
                page.get_by_role("button", name="Stop", exact=True).click()
                page.get_by_role("button", name="Use my camera").click()
                expect(page.get_by_role("alert").filter(has_text="cannot be used")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
            wrong = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
            assert wrong == [], act


def test_by_keyboard_alone(page: Page) -> None:
    page.locator("#use-camera").focus()
    page.keyboard.press("Enter")
    expect_live(page)
    walked = []
    page.get_by_role("heading", level=1).click()  # from the top
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() == 0 or focused.get_attribute("id") in walked:
            break
        walked.append(focused.get_attribute("id"))
    wanted = ["mode-camera", "mode-pipeline", "cover", "stop", "compare", "record", "float", "tile-blur", "strength"]
    assert walked == [*wanted, "upload", "device", "mirror", "photo"]


def test_the_other_mode_is_a_link_away(page: Page) -> None:
    page.get_by_role("link", name="This computer\u2019s pipeline").click()
    expect(page.locator("#connection")).to_have_text("Connected")
    expect(page.get_by_role("link", name="This computer\u2019s pipeline")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="This page\u2019s camera").click()
    expect(page.get_by_role("button", name="Use my camera")).to_be_visible()
