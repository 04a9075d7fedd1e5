"""The page before careless users and odd browsers: pressed twice, no room on the disk, a camera that says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, expect

from browsing import WIDE, chromium, make_camera, make_picture, static_host, tile
from figureground.compositor import cutout
from figureground.engine import Engine
from figureground.images import read_image
from figureground.web.server import STATIC
from marked import room
from marked_network import save_marked

ELSEWHERE = "figureground.test"  # a name that is not this computer's, for the browser; its pages are not secure
# What getUserMedia gives, noted; and given late, as where the user is asked first.
LATE_CAMERA = """
(() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.tracks = [];
  navigator.mediaDevices.getUserMedia = async (wish) => {
    await new Promise((done) => setTimeout(done, 400));
    const camera = await real(wish);
    window.tracks.push(...camera.getTracks());
    return camera;
  };
})()
"""
NO_STORAGE = """
for (const name of ["indexedDB", "localStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
}
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    film = [room(640, 360, place, 0.35) for place in (0.3, 0.4, 0.5, 0.6)]
    camera = make_camera(tmp_path_factory.mktemp("camera") / "room.y4m", film, 15)
    flags = ["--use-fake-ui-for-media-stream", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    with chromium(camera, flags) as browser:
        yield browser


@pytest.fixture
def host(browser: Browser) -> Iterator[str]:
    with static_host(STATIC) as host:
        yield host


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    # The service worker would fetch past the tests' routes.
    with browser.new_context(viewport=WIDE, service_workers="block") as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, tmp_path: Path) -> Page:
    """Not opened yet. Its model takes the marked figure for a person."""
    page = context.new_page()
    model = save_marked(tmp_path / "marked.onnx")
    page.route("**/small-*.onnx", lambda route: route.fulfill(body=model.read_bytes()))
    return page


def open_page(page: Page, address: str) -> None:
    """What is done to it before its program is there would be lost."""
    page.goto(address)
    expect(page.locator("#connection")).to_have_text("No frame leaves this page")


def begin(page: Page) -> None:
    page.get_by_role("button", name="Use my camera").click()
    expect_live(page)


def expect_live(page: Page) -> None:
    expect(page.locator("#light-word")).to_have_text("Live")


def expect_tracks(page: Page, *states: str) -> None:
    page.wait_for_function(
        "(wanted) => String(tracks.map((track) => track.readyState)) === wanted", arg=",".join(states)
    )


def alert(page: Page, words: str) -> Locator:
    return page.get_by_role("alert").filter(has_text=words)


def test_pressed_twice_one_camera_runs_and_is_let_go(page: Page, host: str) -> None:
    page.add_init_script(LATE_CAMERA)
    open_page(page, host)
    page.get_by_role("button", name="Use my camera").dblclick()
    expect_live(page)
    expect_tracks(page, "ended", "live")
    expect(page.locator("#picture")).to_have_count(1)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect_tracks(page, "ended", "ended")
    expect(page.locator("#picture")).to_have_count(0)


def test_a_camera_that_is_given_after_the_sample_was_begun_is_let_go(page: Page, host: str) -> None:
    page.add_init_script(LATE_CAMERA)
    open_page(page, host)
    page.get_by_role("button", name="Use my camera").click()
    page.get_by_role("button", name="Try it on a sample clip").click()
    expect_tracks(page, "ended")
    expect(page.locator("#output")).to_contain_text("Sample clip")
    expect(page.locator("#picture")).to_have_count(1)


def test_another_camera_does_not_show_who_is_covered(page: Page, host: str) -> None:
    open_page(page, host)
    begin(page)
    page.get_by_role("button", name="Cover me").click()
    page.locator("#device").dispatch_event("change")
    expect(page.get_by_role("button", name="Show me again")).to_be_visible()
    expect(page.locator("#figures")).to_contain_text("thread")
    page.wait_for_timeout(1000)
    expect(page.locator("#light-word")).to_have_text("Covered")
    page.get_by_role("button", name="Stop", exact=True).click()
    begin(page)  # which the user asked for


def test_a_camera_that_is_plugged_in_can_be_chosen(page: Page, host: str) -> None:
    """Chromium's own cameras cannot be unplugged: what it would tell of one is told by the test."""
    open_page(page, host)
    begin(page)
    expect(page.locator("#device option")).to_have_count(2)
    page.evaluate("""async () => {
      const there = await navigator.mediaDevices.enumerateDevices();
      const added = { kind: "videoinput", deviceId: "new", label: "Plugged in" };
      navigator.mediaDevices.enumerateDevices = async () => [...there, added];
      navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
    }""")
    expect(page.locator("#device option")).to_have_count(3)
    page.locator("#device").select_option("Plugged in")


# A camera's track that can be silenced; how the stream and the canvas look in the figure's middle, and what is told.
SILENCED = """
async () => {
  const { createBackgroundStream } = await import("/module.js");
  const camera = await navigator.mediaDevices.getUserMedia({ video: true });
  const frames = new MediaStreamTrackProcessor({ track: camera.getVideoTracks()[0] }).readable.getReader();
  const track = new MediaStreamTrackGenerator({ kind: "video" });
  const writer = track.writable.getWriter();
  let speaks = true;
  (async () => {
    for (;;) {
      const { value } = await frames.read();
      if (speaks) await writer.write(value);
      else value.close();
    }
  })();
  let told = "";
  const onHealth = ({ light, reason }) => (told = `${light} ${reason}`);
  const stream = createBackgroundStream(track, { background: { kind: "colour", colour: "#00ff00" }, onHealth });
  const film = document.createElement("video");
  film.muted = true;
  film.srcObject = stream.stream;
  await film.play();
  const context = new OffscreenCanvas(64, 36).getContext("2d", { willReadFrequently: true });
  const figures = (source) => {
    context.drawImage(source, 0, 0, 64, 36);
    const { data } = context.getImageData(0, 0, 64, 36);
    return Array.from({ length: 64 * 36 }, (_, at) => data[4 * at + 2] > 150).filter(Boolean).length;
  };
  const until = async (isSo) => {
    for (let tries = 0; tries < 600 && !isSo(); tries++) await new Promise((next) => setTimeout(next, 25));
    return [told, figures(film) > 0, figures(stream.canvas) > 0];
  };
  const isLive = () => told === "live " && figures(film) > 0 && figures(stream.canvas) > 0;
  const found = [await until(isLive)];
  speaks = false;
  await new Promise((next) => setTimeout(next, 400));
  stream.cover(true);
  found.push(await until(() => told.includes("by hand") && figures(film) === 0));
  stream.cover(false);
  found.push(await until(() => told.includes("no picture")));
  speaks = true;
  found.push(await until(isLive));
  speaks = false;
  found.push(await until(() => told.includes("no picture") && figures(film) === 0));
  stream.stop();
  return found;
}
"""


def test_a_silent_camera_is_covered_in_the_stream_too(page: Page, host: str) -> None:
    """By hand at once, by itself after three seconds: what others see is the stream, not the canvas."""
    open_page(page, host)
    assert page.evaluate(SILENCED) == [
        ["live ", True, True],
        ["covered covered by hand", False, False],
        ["covered the camera gives no picture", False, False],
        ["live ", True, True],
        ["covered the camera gives no picture", False, False],
    ]


STREAMING = """
async (renderer) => {
  const { createBackgroundStream } = await import("/module.js");
  const track = (await navigator.mediaDevices.getUserMedia({ video: true })).getVideoTracks()[0];
  window.told = window.failed = "";
  window.stream = createBackgroundStream(track, {
    renderer,
    background: { kind: "colour", colour: "#00ff00" },
    onHealth: ({ light, reason }) => (window.told = `${light} ${reason}`),
    onFailed: (fault) => (window.failed = fault),
  });
  const film = document.createElement("video");
  film.muted = true;
  film.srcObject = window.stream.stream;
  await film.play();
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  window.corner = () => {
    context.drawImage(film, 0, 0, 1, 1, 0, 0, 1, 1);
    return String(context.getImageData(0, 0, 1, 1).data.slice(0, 3).map((value) => Math.round(value / 50)));
  };
}
"""
IS = "([light, corner]) => told.startsWith(light) && window.corner() === corner"
GREEN, BLACK = "0,5,0", "0,0,0"


def test_a_worker_that_hangs_has_its_stream_made_black(page: Page, host: str) -> None:
    open_page(page, host)
    page.evaluate(STREAMING)
    page.wait_for_function(IS, arg=["live", GREEN])
    (worker,) = (each for each in page.workers if "worker" in each.url)
    worker.evaluate("() => void setTimeout(() => { const end = Date.now() + 6000; while (Date.now() < end); }, 0)")
    page.wait_for_function(IS, arg=["covered no answer", BLACK])
    page.wait_for_function(IS, arg=["live", GREEN])  # and back, once it draws again


def test_a_graphics_card_that_is_lost_is_told(page: Page, host: str) -> None:
    open_page(page, host)
    page.evaluate(STREAMING, "webgl")
    page.wait_for_function(IS, arg=["live", GREEN])
    browser = page.context.browser
    assert browser is not None
    browser.new_browser_cdp_session().send("Browser.crashGpuProcess")
    page.wait_for_function("failed === 'lost'")


def test_a_camera_that_never_gives_a_picture_is_told(page: Page, host: str) -> None:
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () =>"
        " new MediaStream([new MediaStreamTrackGenerator({ kind: 'video' })])"
    )
    open_page(page, host)
    page.get_by_role("button", name="Use my camera").click()
    expect(page.locator("#light-word")).to_have_text("Covered")  # the camera is on
    expect(page.locator("#light-reason")).to_contain_text("the camera gives no picture")
    expect(page.locator("#screen-note")).to_have_text("")


@pytest.mark.parametrize("why", ["full", "refused"])
def test_a_background_without_room_is_there_until_the_page_is_closed(
    page: Page, host: str, tmp_path: Path, why: str
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    if why == "refused":
        page.add_init_script(NO_STORAGE)
    open_page(page, host)
    if why == "full":
        tools = page.context.new_cdp_session(page)
        tools.send("Storage.overrideQuotaForOrigin", {"origin": host, "quotaSize": 200_000})
    page.get_by_label("Add a picture or video").set_input_files(tmp_path / "large.png")
    expect(alert(page, "large.png: this browser has no room for it")).to_be_visible()
    expect(tile(page, "large.png")).to_be_checked()
    page.get_by_role("button", name="Remove large.png").click()
    expect(tile(page, "large.png")).to_have_count(0)
    expect(tile(page, "Blur")).to_be_checked()


def test_a_background_that_cannot_be_removed_is_told(page: Page, host: str, tmp_path: Path) -> None:
    open_page(page, host)
    page.get_by_label("Add a picture or video").set_input_files(make_picture(tmp_path))
    expect(tile(page, "beach.png")).to_be_checked()
    page.evaluate("void (IDBObjectStore.prototype.delete = () => { throw new DOMException('the disk is gone'); })")
    page.get_by_role("button", name="Remove beach.png").click()
    expect(alert(page, "the disk is gone")).to_be_visible()
    expect(tile(page, "beach.png")).to_be_checked()


def test_seconds_that_are_emptied_do_not_make_the_slideshow_flash(page: Page, host: str, tmp_path: Path) -> None:
    open_page(page, host)
    files = [make_picture(tmp_path, name) for name in ("one.png", "two.png")]
    page.get_by_label("Add a picture or video").set_input_files(files)
    tile(page, "Slideshow").check()
    seconds = page.get_by_label("Seconds for each picture")
    seconds.fill("")
    assert "10" in page.evaluate("localStorage.figureground.match(/seconds..(\\d+)/)[1]")
    seconds.fill("30")
    assert "30" in page.evaluate("localStorage.figureground.match(/seconds..(\\d+)/)[1]")
    page.evaluate("localStorage.figureground = JSON.stringify({ seconds: 0, mirror: false })")
    page.reload()
    expect(page.get_by_role("switch", name="Mirror")).to_be_checked()  # what cannot be is not taken


def test_recordings_stay_in_sight_and_leaving_them_is_asked(page: Page, host: str) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    open_page(page, host)
    begin(page)
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Stop", exact=True).click()
    link = page.get_by_role("link", name="Save figureground")
    expect(link).to_be_visible()
    page.evaluate("void setTimeout(() => location.reload(), 0)")
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    expect(link).to_be_visible()
    with page.expect_download():
        link.click()
    page.get_by_role("button", name="Remove figureground").click()
    expect(link).to_have_count(0)
    page.reload()
    assert asked == ["beforeunload"]


def test_a_recording_of_nothing_is_not_listed(page: Page, host: str) -> None:
    open_page(page, host)
    begin(page)
    page.get_by_role("button", name="Record").dblclick()
    expect(alert(page, "Nothing was recorded")).to_be_visible()
    expect(page.locator("#recordings")).to_be_empty()
    expect(page.get_by_role("button", name="Record")).to_be_visible()


def test_a_page_that_is_not_secure_takes_backgrounds_and_photos(page: Page, host: str, tmp_path: Path) -> None:
    open_page(page, host.replace("127.0.0.1", ELSEWHERE))
    assert not page.evaluate("isSecureContext")
    page.get_by_role("button", name="Use my camera").click()
    expect(alert(page, "pages with https")).to_be_visible()
    page.get_by_label("Add a picture or video").set_input_files(make_picture(tmp_path))
    expect(tile(page, "beach.png")).to_be_checked()
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "beach.png")
    expect(page.locator("#photo-status")).to_have_text("Done.")


def test_a_browser_without_what_the_stream_needs_is_told_and_lets_the_camera_go(page: Page, host: str) -> None:
    page.add_init_script(LATE_CAMERA)
    page.add_init_script("delete HTMLCanvasElement.prototype.transferControlToOffscreen")
    open_page(page, host)
    page.get_by_role("button", name="Use my camera").click()
    expect(alert(page, "cannot draw in the background")).to_be_visible()
    expect_tracks(page, "ended")
    expect(page.locator("#screen-note")).to_have_text("")


def test_a_sample_that_is_not_there_is_no_fault_of_the_camera(page: Page, host: str) -> None:
    page.route("**/sample-*.webm", lambda route: route.abort())
    open_page(page, host)
    page.get_by_role("button", name="Try it on a sample clip").click()
    expect(alert(page, "The sample clip cannot be played")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_the_keyboard_goes_on_with_what_takes_the_place_of_a_button(page: Page, host: str) -> None:
    open_page(page, host)
    page.locator("#use-camera").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cover me")).to_be_focused()
    page.get_by_role("button", name="Stop", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Use my camera")).to_be_focused()
    page.route("**/sample-*.webm", lambda route: route.abort())
    page.get_by_role("button", name="Try it on a sample clip").click()
    page.get_by_role("button", name="Try again").focus()
    page.unroute("**/sample-*.webm")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cover me")).to_be_focused()


def test_a_program_that_is_gone_is_told(page: Page, host: str) -> None:
    page.route("**/main-*.js", lambda route: route.abort())
    page.goto(host)
    expect(page.locator("#connection")).to_have_text("This page\u2019s program cannot be loaded: reload the page.")


def test_of_two_photos_the_later_one_is_shown_and_the_other_named(page: Page, host: str) -> None:
    open_page(page, host)
    dropped = page.evaluate_handle(
        """async () => {
          const transfer = new DataTransfer();
          for (const name of ["one.png", "two.png"]) {
            const canvas = new OffscreenCanvas(40, 30);
            canvas.getContext("2d");
            transfer.items.add(new File([await canvas.convertToBlob()], name, { type: "image/png" }));
          }
          return transfer;
        }"""
    )
    page.locator("#still").dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.locator("#photo-status")).to_have_text("Done: one.png alone, for it is one photo at a time.")


def test_what_is_transparent_in_a_photo_is_white_as_in_python(page: Page, host: str, tmp_path: Path) -> None:
    picture = np.dstack([room(320, 240, 0.5), np.full((240, 320), 255, np.uint8)])
    picture[120:, :, 3] = 100
    Image.fromarray(picture).save(tmp_path / "faint.png")
    open_page(page, host)
    page.get_by_label("Choose a photo").set_input_files(tmp_path / "faint.png")
    expect(page.locator("#photo-status")).to_have_text("Done.")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the PNG").click()
    found = np.asarray(Image.open(download.value.path())).astype(int)
    frame = read_image(tmp_path / "faint.png")
    wanted = cutout(frame, Engine(tmp_path / "marked.onnx")(frame))
    assert wanted[:100, :, 3].max() == 255
    assert np.abs(found - wanted).mean() < 2


ENDED = """
async () => {
  delete window.MediaStreamTrackProcessor;
  const { createBackgroundStream } = await import("/module.js");
  const track = (await navigator.mediaDevices.getUserMedia({ video: true })).getVideoTracks()[0];
  return new Promise((done) => {
    const stream = createBackgroundStream(track, {
      onEnded: () => done("ended"),
      onHealth: ({ light }) => light === "live" && track.dispatchEvent(new Event("ended")),
    });
    setTimeout(() => done("nothing was told"), 20000);
  });
}
"""


def test_the_end_of_a_track_is_told_where_a_video_element_reads_it(page: Page, host: str) -> None:
    open_page(page, host)
    assert page.evaluate(ENDED) == "ended"
