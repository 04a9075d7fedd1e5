"""The control page in a real browser, before a real server and a `Live` that is fed from a file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from browsing import AXE, NARROW, WIDE, chromium, make_picture, tile, watch
from figureground.live import Live
from figureground.web.server import LOOPBACK, make_app
from serving import serving
from videos import H264, VP9, counting, make_video


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(browser: Browser, live: Live, folder: Path) -> Iterator[str]:
    with serving(make_app(live, folder, None, LOOPBACK)) as address:
        yield address


@pytest.fixture(autouse=True)
def as_it_was(live: Live) -> Iterator[None]:
    """Whatever a test did to `live` is undone."""
    before = settings(live)
    yield
    live.change(before)
    live.cover(False)
    live.start()


@pytest.fixture
def page(browser: Browser, address: str, live: Live, folder: Path) -> Iterator[Page]:
    """The page, connected. Afterwards: it asked nobody but its server and complained of nothing."""
    with browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        asked, complaints = watch(page)
        open_page(page, address)
        yield page
        page.close()
    shutil.rmtree(folder, ignore_errors=True)
    refused = "Failed to load resource: the server responded with a status of 400"  # which the page puts into words
    assert [complaint for complaint in complaints if not complaint.startswith(refused)] == []
    assert {url for url in asked if not url.startswith((f"{address}/", "blob:"))} == set()


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#connection")).to_have_text("Connected")
    expect(page.locator("#light-word")).to_have_text("Live")


def settings(live: Live) -> dict[str, Any]:
    found = live.state()["settings"]
    assert isinstance(found, dict)
    return found


def expect_setting(page: Page, live: Live, name: str, value: object) -> None:
    """Wait until the server has a setting, as it does soon after a control was used."""
    for _ in range(100):
        if settings(live)[name] == value:
            return
        page.wait_for_timeout(50)
    assert settings(live)[name] == value


def test_light_says_live_covered_stopped(page: Page) -> None:
    light, lamp = page.locator("#light"), page.locator("#light .lamp")
    looks = []

    def expect_light(word: str) -> None:
        expect(page.locator("#light-word")).to_have_text(word)
        expect(light).to_have_attribute("data-light", word.lower())
        expect(page).to_have_title(f"{'●◆■'[len(looks) % 3]} {word} | Figureground")
        shape = (
            "e => [getComputedStyle(e).borderRadius, getComputedStyle(e).transform, getComputedStyle(e).borderWidth]"
        )
        looks.append((lamp.evaluate(shape), light.evaluate("e => getComputedStyle(e).borderColor")))

    expect_light("Live")
    page.get_by_role("button", name="Cover me").click()
    expect_light("Covered")
    expect(page.locator("#light-reason")).to_have_text("Only the background is seen. Why: covered by hand.")
    page.get_by_role("button", name="Stop the camera").click()
    expect_light("Stopped")
    expect(page.get_by_text("The camera is off", exact=True)).to_be_visible()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#light-word")).to_have_text("Covered")
    page.get_by_role("button", name="Show me again").click()
    expect(page.locator("#light-word")).to_have_text("Live")
    shapes, colours = [str(shape) for shape, _ in looks], {colour for _, colour in looks}
    assert len({*shapes}) == len(colours) == 3, "neither shape nor colour is shared"


def test_preview_moves_and_figures_come(page: Page) -> None:
    image = page.locator("#preview")
    expect(image).to_have_js_property("naturalWidth", 320)
    seen = {image.screenshot() for _ in range(6) if page.wait_for_timeout(100) is None}
    assert len(seen) > 2, "the figure of the film changes its colour"
    expect(page.locator("#figures")).to_contain_text("of 15")
    expect(page.locator("#stages li")).not_to_have_count(0)
    expect(page.locator("#output")).to_have_text(re.compile("320 . 180 to page"))


def test_backgrounds_are_chosen(page: Page, live: Live) -> None:
    tile(page, "Colour").check(force=True)
    expect(page.get_by_label("Blur strength")).to_be_hidden()
    page.get_by_label("Colour", exact=True).last.fill("#123456")
    expect_setting(page, live, "background", "#123456")
    tile(page, "Transparent").check(force=True)
    expect_setting(page, live, "background", "transparent")
    tile(page, "Blur").check(force=True)
    page.get_by_label("Blur strength").fill("55")
    expect_setting(page, live, "background", "blur:55")
    expect(tile(page, "Blur")).to_be_checked()


def test_a_choice_made_elsewhere_is_shown(page: Page, live: Live) -> None:
    live.change({"background": "#00ff7f", "mirror": True})
    expect(tile(page, "Colour")).to_be_checked()
    expect(page.locator("#colour")).to_have_value("#00ff7f")
    expect(page.get_by_role("switch", name="Mirror")).to_be_checked()


def test_upload_choose_and_remove(page: Page, live: Live, folder: Path, tmp_path: Path) -> None:
    film = make_video(tmp_path / "waves.webm", counting(5), look=VP9)
    page.get_by_label("Add a picture or video").set_input_files([make_picture(tmp_path), film])
    expect(page.locator("#upload-status")).to_have_text("waves.webm is added and chosen.")
    expect(tile(page, "waves.webm")).to_be_checked()
    expect_setting(page, live, "background", str(next(folder.glob("*/background.webm"))))
    expect(page.locator(".tile img")).to_have_count(2)
    for image in page.locator(".tile img").all():
        expect(image).to_have_js_property("naturalWidth", 320)

    page.get_by_role("button", name="Remove beach.png").click()
    expect(tile(page, "beach.png")).to_have_count(0)
    expect(page.locator("#upload-status")).to_have_text("beach.png is removed.")
    expect(tile(page, "waves.webm")).to_be_focused()


def test_a_background_in_use_is_not_removed(page: Page, tmp_path: Path) -> None:
    page.get_by_label("Add a picture or video").set_input_files(make_picture(tmp_path))
    expect(tile(page, "beach.png")).to_be_checked()
    page.get_by_role("button", name="Remove beach.png").click()
    alert = page.get_by_role("alert").filter(has_text="beach.png is in use: choose another background first")
    expect(alert).to_be_visible()
    page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_be_hidden()
    expect(tile(page, "beach.png")).to_have_count(1)


def test_drag_and_drop(page: Page, tmp_path: Path) -> None:
    data = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            return transfer;
        }""",
        list(make_picture(tmp_path).read_bytes()),
    )
    page.locator("#drop").dispatch_event("dragover", {"dataTransfer": data})
    expect(page.locator("#drop")).to_have_class("card over")
    page.locator("#drop").dispatch_event("drop", {"dataTransfer": data})
    expect(tile(page, "dropped.png")).to_be_checked()
    expect(page.locator("#drop")).to_have_class("card")


def test_what_is_no_picture_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a picture", encoding="utf-8")
    film = tmp_path / "film.mp4"
    film.write_bytes(make_video(tmp_path / "whole.mp4", counting(5), look=H264).read_bytes()[:500])
    page.get_by_label("Add a picture or video").set_input_files([text, film, make_picture(tmp_path)])
    alert = page.get_by_role("alert").filter(has_text="notes.txt: want a picture (JPEG")
    expect(alert).to_contain_text("film.mp4: not a video this can read")
    expect(tile(page, "beach.png")).to_be_checked()  # what could be taken was taken


def test_every_setting_reaches_live(page: Page, live: Live) -> None:
    before = settings(live)
    page.get_by_label("Who is shown").select_option("The largest person")
    expect_setting(page, live, "people", "largest")
    page.get_by_label("Fit", exact=True).select_option("Whole picture, with borders")
    expect_setting(page, live, "fit", "contain")
    page.get_by_label("Frames per second").select_option("20")
    expect_setting(page, live, "fps", 20)
    page.get_by_label("Processor limit").select_option("50 % of a core")
    expect_setting(page, live, "cpu", 0.5)
    page.get_by_label("Processor limit").select_option("No limit")
    expect_setting(page, live, "cpu", None)
    for words, name in (
        ("Mirror", "mirror"),
        ("Show the mask", "show_mask"),
        ("Refine edges", "refine"),
        ("Stabilise", "stabilise"),
        ("Look ahead", "look_ahead"),
    ):
        page.get_by_role("switch", name=words).click()
        expect_setting(page, live, name, not before[name])
    expect(page.get_by_label("Model").locator("option")).to_have_text(["base", "small"])
    expect(page.get_by_role("switch", name="Overlay")).to_be_hidden()
    live.change(before)


def test_a_fault_is_an_alert_with_its_remedy(page: Page, live: Live, tmp_path: Path) -> None:
    camera = settings(live)["camera"]
    live.change({"camera": str(tmp_path / "gone.mp4")})
    alert = page.get_by_role("alert").filter(has_text="What helps:")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text("gone.mp4")
    expect(page.locator("#light-word")).to_have_text("Covered")
    live.change({"camera": camera})
    expect(alert).to_be_hidden()
    expect(page.locator("#light-word")).to_have_text("Live")


def test_by_keyboard_alone(page: Page, live: Live, tmp_path: Path) -> None:
    page.get_by_label("Add a picture or video").set_input_files(make_picture(tmp_path))
    expect(tile(page, "beach.png")).to_be_checked()
    walked = []
    page.locator("body").evaluate("e => e.ownerDocument.activeElement.blur()")
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() == 0 or focused.get_attribute("id") in walked:
            break
        walked.append(focused.get_attribute("id") or focused.get_attribute("aria-label"))
        outlined = "e => [e, e.nextElementSibling].some(x => x && parseFloat(getComputedStyle(x).outlineWidth) >= 2)"
        assert focused.evaluate(outlined), f"the focus on {walked[-1]} is not seen"
    wanted = [
        "mode-camera",
        "mode-pipeline",
        "cover",
        "start-stop",
        "Remove beach.png",
        "upload",
        "set-camera",
        "set-people",
        "set-fit",
        "set-mirror",
    ]
    wanted += [
        "set-show_mask",
        "set-model",
        "set-fps",
        "set-cpu",
        "set-refine",
        "set-stabilise",
        "set-look_ahead",
        "decisions",
    ]
    assert [name for name in walked if not (name or "").startswith("tile-")] == wanted

    page.locator("#cover").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#light-word")).to_have_text("Covered")
    page.keyboard.press("Space")
    expect(page.locator("#light-word")).to_have_text("Live")
    tile(page, "beach.png").focus()
    page.keyboard.press("ArrowLeft")
    expect(tile(page, "Transparent")).to_be_checked()
    expect_setting(page, live, "background", "transparent")
    page.get_by_role("switch", name="Mirror").focus()
    page.keyboard.press("Space")
    expect_setting(page, live, "mirror", True)


def test_connection_lost_and_found(browser: Browser, live: Live, tmp_path: Path) -> None:
    app = make_app(live, tmp_path, None, LOOPBACK)
    with browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        with serving(app) as address:
            open_page(page, address)
        lost = re.compile("Connection lost.* Trying again")
        expect(page.locator("#connection")).to_have_text(lost)
        expect(page.locator("#light-word")).to_have_text("Unknown")
        expect(page).to_have_title("? | Figureground")
        expect(page.locator("#preview[src]")).to_have_count(0)
        expect(page.locator("#page")).to_have_js_property("inert", True)
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDE["width"]
        with serving(app, int(address.rpartition(":")[2])):
            expect(page.locator("#connection")).to_have_text("Connected")
            expect(page.locator("#light-word")).to_have_text("Live")


@pytest.mark.parametrize(("scheme", "size"), [("light", NARROW), ("dark", WIDE)], ids=["light-narrow", "dark-wide"])
def test_looks(browser: Browser, address: str, live: Live, tmp_path: Path, scheme: Any, size: ViewportSize) -> None:
    """No sideways scrolling and nothing that axe finds wrong, in the lights' states and with a fault."""
    if not AXE.exists():
        pytest.skip("axe-core is absent: make web")
    # Only for the test's own script, which is no part of the page.
    with browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True) as context:
        page = context.new_page()
        open_page(page, address)
        page.add_script_tag(path=AXE)
        for word, act in (
            ("Live", lambda: None),
            ("Covered", lambda: live.change({"camera": str(tmp_path / "gone.mp4")})),
            ("Stopped", live.stop),
        ):
            act()
            expect(page.locator("#light-word")).to_have_text(word)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
            wrong = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
            assert wrong == [], word


def test_the_token_opens_the_page(browser: Browser, live: Live, tmp_path: Path) -> None:
    token = "long enough, is it not?"
    with serving(make_app(live, tmp_path, token, LOOPBACK)) as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("body")).to_contain_text("this needs the token")
        page.goto(f"{address}/?token={token}")
        expect(page.locator("#light-word")).to_have_text("Live")
        assert page.url == f"{address}/"
        page.get_by_role("button", name="Cover me").click()
        expect(page.locator("#light-word")).to_have_text("Covered")
