"""The live loop on a marked room: whatever breaks, no pixel of the room reaches an output, and it goes on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from figureground.errors import BackgroundError, FigureGroundError, ModelError, OutputError, SettingError
from figureground.images import write_image
from figureground.live import Live, Settings, parts
from figureground.live.outputs import recording
from figureground.rawvideo import Pipe
from figureground.sessions import PROVIDERS, usable_devices
from marked import Oracle, leaked, shown, true_alpha
from scenes import GREEN, plain
from watching import FAULTS, SIZE, Eye, wait_for, write_room

FRAMES = int(os.environ.get("FIGUREGROUND_LIVE_FRAMES", "1500"))


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_room(tmp_path_factory.mktemp("camera") / "room.mkv"))


@pytest.fixture
def oracles(monkeypatch: pytest.MonkeyPatch) -> list[Oracle]:
    """The engines a Live makes, each an Oracle."""
    made: list[Oracle] = []

    def make(*args: object, **names: object) -> Oracle:
        made.append(Oracle())
        return made[-1]

    monkeypatch.setattr(parts, "Engine", make)
    return made


@contextmanager
def running(camera: str, eye: Eye, background: str = "#00ff00", **options: Any) -> Iterator[Live]:
    settings = Settings(
        camera=camera, background=background, fps=options.pop("fps", 240.0), **options.pop("settings", {})
    )
    with Live(settings, SIZE, [eye], **options) as live:
        yield live


def is_live(live: Live) -> Callable[[], bool]:
    return lambda: live.state()["light"] == "live"


def test_the_person_stands_before_the_background_and_nothing_of_the_room(camera: str, oracles: list[Oracle]) -> None:
    eye = Eye()
    with running(camera, eye, paced=False) as live:
        wait_for(lambda: eye.people > 100)
        state = live.state()
    assert eye.leaks == 0
    assert (state["light"], state["reason"]) == ("live", "")
    assert not shown(eye.last)  # the last picture, that a virtual camera may hold, is the background
    assert eye.times == sorted(eye.times)


def test_uncovered_in_the_very_moment_the_loop_has_looked(
    camera: str, oracles: list[Oracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    covers = []

    def looked(live: Live) -> bool:
        was = live.__dict__.pop("cover asked for", False)
        covers.append(was)
        return bool(was)

    def asked(live: Live, on: bool) -> None:
        live.__dict__["cover asked for"] = on

    monkeypatch.setattr(Live, "_hidden", property(looked, asked), raising=False)
    eye = Eye()
    with running(camera, eye, paced=False) as live:
        wait_for(is_live(live))
        for _ in range(20):
            live.cover(True)
            wait_for(lambda: "cover asked for" not in live.__dict__)
        before = eye.people
        wait_for(lambda: eye.people > before + 10)
        assert not live.ended.is_set()
    assert sum(covers) == 20
    assert eye.leaks == 0


def test_faults_everywhere_leak_no_pixel(
    camera: str, oracles: list[Oracle], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every kind of fault and change, in a random order that is told, while pictures run through without a pause."""
    other = str(write_room(tmp_path / "other.mkv", frames=20, size=(200, 150)))
    write_image(tmp_path / "green.png", plain(64, 64, GREEN))
    slides = tmp_path / "slides"
    slides.mkdir()
    write_image(slides / "a.png", plain(64, 64, GREEN))
    rng = random.Random(7)
    eye = Eye()
    with running(camera, eye, paced=False) as live:
        wait_for(is_live(live))

        def fault(kind: str) -> Callable[[], None]:
            def set_it() -> None:
                for oracle in oracles:
                    oracle.fault = FAULTS.get(kind)

            return set_it

        def refused() -> None:
            with pytest.raises(FigureGroundError):
                live.change({"background": str(tmp_path / "gone.png")})

        deeds: list[Callable[[], None]] = [fault(kind) for kind in FAULTS]
        deeds += [fault("")] * len(FAULTS)
        deeds += [
            lambda: live.change({"background": str(tmp_path / "green.png")}),
            lambda: live.change({"background": "#00ff00"}),
            lambda: live.change({"background": str(slides)}),
            lambda: live.change({"model": "base"}),
            lambda: live.change({"model": "small"}),
            lambda: live.change({"camera": other}),
            lambda: live.change({"camera": camera}),
            lambda: live.change({"camera": str(tmp_path / "unplugged.mkv")}),
            lambda: live.change({"mirror": True, "fit": "contain"}),
            lambda: live.change({"mirror": False, "fit": "cover"}),
            lambda: live.change({"people": "largest", "stabilise": False, "refine": False}),
            lambda: live.change({"people": "everyone", "stabilise": True, "refine": True}),
            lambda: live.change({"look_ahead": True}),
            lambda: live.change({"look_ahead": False}),
            live.stop,
            live.start,
            lambda: live.cover(True),
            lambda: live.cover(False),
            refused,
        ]
        while eye.pictures < FRAMES:
            rng.choice(deeds)()
            time.sleep(rng.random() * 0.05)
            if rng.random() < 0.3:  # or most of the time something is stopped, covered or broken
                fault("")()
                live.start()
                live.cover(False)
                live.change({"camera": camera})
        fault("")()
        live.start()
        live.cover(False)
        live.change({"camera": camera, "mirror": False, "fit": "cover"})
        people = eye.people
        wait_for(lambda: eye.people > people + 20)
    assert eye.leaks == 0
    assert eye.people > FRAMES / 20


def test_a_model_that_hangs_shows_the_cover_meanwhile(camera: str, oracles: list[Oracle]) -> None:
    eye = Eye()
    with running(camera, eye) as live:
        wait_for(lambda: eye.people > 5)
        hung = time.monotonic()

        def hang(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
            while time.monotonic() < hung + 2.5:
                time.sleep(0.05)
            oracles[0].fault = None
            return oracles[0].run(picture)

        oracles[0].fault = hang
        wait_for(lambda: "too long" in str(live.state()["reason"]))
        assert live.state()["light"] == "covered"
        assert not shown(eye.last)
        wait_for(is_live(live))
    assert eye.leaks == 0


def test_a_model_that_hangs_is_seen_on_the_page_alone(camera: str, oracles: list[Oracle]) -> None:
    go_on = Event()

    def hang(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        go_on.wait(30)
        return true_alpha(picture)

    with Live(Settings(camera=camera, background="#00ff00"), SIZE) as live:
        wait_for(is_live(live))
        oracles[0].fault = hang
        wait_for(lambda: "too long" in str(live.state()["reason"]))
        newest = live.preview(0, 5)
        assert newest is not None
        wait_for(lambda: (later := live.preview(newest[0], 5)) is not None and not shown(later[1]))
        go_on.set()


def test_an_output_that_hangs_is_not_said_to_be_covered(camera: str, oracles: list[Oracle]) -> None:
    """Whoever watches it still sees the person of the last picture."""
    eye, go_on = Eye(), Event()
    with running(camera, eye) as live:
        wait_for(lambda: live.state()["light"] == "live" and eye.people > 5)
        eye.blocked = go_on
        live.cover(True)
        wait_for(lambda: "takes no more pictures" in str(live.state()["reason"]))
        assert live.state()["light"] == "live"
        assert shown(eye.last)
        go_on.set()
        wait_for(lambda: live.state()["reason"] == "covered by hand")
        assert live.state()["light"] == "covered"
        assert not shown(eye.last)
    assert eye.leaks == 0


def test_a_camera_of_few_pictures_a_second_is_live_all_the_time(oracles: list[Oracle], tmp_path: Path) -> None:
    slow = write_room(tmp_path / "slow.mkv", frames=12, rate=1)
    said: list[dict[str, object]] = []
    with Live(Settings(camera=str(slow), background="#00ff00"), SIZE, [Eye()], event=said.append) as live:
        wait_for(is_live(live))
        said.clear()
        wait_for(lambda: live.state()["frames"] > 6)  # type: ignore[operator]
    assert said == []


def test_a_camera_of_a_picture_a_minute_is_not_waited_for(oracles: list[Oracle], tmp_path: Path) -> None:
    """What is seen of somebody does not stand for that long."""
    slow = write_room(tmp_path / "slow.mkv", frames=12, rate=Fraction(1, 60))
    eye = Eye()
    with Live(Settings(camera=str(slow), background="#00ff00"), SIZE, [eye]) as live:
        wait_for(is_live(live))
        wait_for(lambda: live.state()["light"] == "covered" and not shown(eye.last))
        assert "waiting for the camera" in str(live.state()["reason"])


def test_a_camera_that_is_not_there_shows_the_background_with_reason_and_remedy(
    oracles: list[Oracle], tmp_path: Path
) -> None:
    eye = Eye()
    later = tmp_path / "later.mkv"
    with running(str(later), eye) as live:
        wait_for(lambda: live.state()["remedy"])
        state = live.state()
        assert state["light"] == "covered"
        assert "later.mkv" in str(state["reason"])
        assert eye.people == 0
        write_room(later)
        wait_for(is_live(live))
    assert eye.leaks == 0


def test_while_the_model_loads_the_background_is_shown(camera: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: object, **names: object) -> Oracle:
        time.sleep(1.0)
        return Oracle()

    monkeypatch.setattr(parts, "Engine", slow)
    eye = Eye()
    with running(camera, eye) as live:
        wait_for(lambda: "loading" in str(live.state()["reason"]))
        assert eye.people == 0
        wait_for(is_live(live))
    assert eye.leaks == 0


def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason(camera: str, tmp_path: Path) -> None:
    eye = Eye()
    with Live(Settings(camera=camera, model=str(tmp_path / "none.onnx")), SIZE, [eye]) as live:
        assert live.ended.wait(20)
    assert isinstance(live.error, ModelError)
    assert eye.leaks == eye.people == 0


def test_a_device_that_is_not_there_ends_it_with_the_reason(camera: str) -> None:
    """The processor is not taken in its place."""
    absent = next(device for device in PROVIDERS if device not in usable_devices())
    eye = Eye()
    with Live(Settings(camera=camera, device=absent), SIZE, [eye]) as live:
        assert live.ended.wait(20)
    assert isinstance(live.error, ModelError)
    assert f"--device {absent}" in str(live.error)
    assert eye.people == 0


def test_an_output_that_fails_ends_it_with_the_reason(camera: str, oracles: list[Oracle]) -> None:
    eye = Eye()
    with running(camera, eye) as live:
        wait_for(is_live(live))
        eye.broken = OutputError("the virtual camera is gone")
        assert live.ended.wait(20)
    assert isinstance(live.error, OutputError)
    assert eye.closed


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"background": "no-such-file.png"}, BackgroundError),
        ({"model": "no-such-model"}, ModelError),
        ({"fps": 0}, SettingError),
        ({"fps": True}, SettingError),
        ({"cpu": 3.0}, SettingError),
        ({"people": "nobody"}, SettingError),
        ({"mirror": "yes"}, SettingError),
        ({"colour": "red"}, SettingError),
        ({"overlay": "no-such-file.png"}, FigureGroundError),
    ],
)
def test_a_wrong_setting_changes_nothing(
    camera: str, oracles: list[Oracle], changes: dict[str, object], kind: type[Exception]
) -> None:
    with running(camera, Eye()) as live:
        wait_for(is_live(live))
        before = live.state()["settings"]
        if "model" in changes:  # a real one is asked for
            parts.Engine = __import__("figureground.engine").engine.Engine  # type: ignore[misc]
        with pytest.raises(kind):
            live.change({"mirror": True, **changes})
        assert live.state()["settings"] == before


def test_nobody_watching_closes_the_camera(camera: str, oracles: list[Oracle]) -> None:
    eye, watched = Eye(), [True]
    with running(camera, eye, watched=lambda: watched[0]) as live:
        wait_for(is_live(live))
        watched[0] = False
        wait_for(lambda: "nobody" in str(live.state()["reason"]))
        assert live.state()["light"] == "stopped"
        assert live.state()["camera"]["name"] == ""  # type: ignore[index]
        assert not shown(eye.last)
        watched[0] = True
        wait_for(is_live(live))


def test_the_preview_is_the_picture_that_goes_out(camera: str, oracles: list[Oracle]) -> None:
    eye = Eye()
    with running(camera, eye) as live:
        wait_for(is_live(live))
        number = 0
        for _ in range(5):
            got = live.preview(after=number, timeout=10)
            assert got is not None
            assert got[0] > number
            assert leaked(got[1]) == 0
            number = got[0]
        assert live.preview(after=10**9, timeout=0.05) is None


def test_mask_and_overlay_are_drawn(camera: str, oracles: list[Oracle], tmp_path: Path) -> None:
    tag = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    tag[:20, :30] = (250, 250, 250, 255)
    write_image(tmp_path / "tag.png", tag)
    eye = Eye()
    with running(camera, eye, settings={"overlay": str(tmp_path / "tag.png"), "show_mask": True}) as live:
        wait_for(is_live(live))
        wait_for(lambda: eye.pictures > 20)
        assert (eye.last[:20, :30] == 250).all()
        tinted = (eye.last[:, :, 0] > 80) & (eye.last[:, :, 2] > 150) & (eye.last[:, :, 0] < 120)
        assert tinted.any()


def test_a_recording_holds_what_was_sent(camera: str, oracles: list[Oracle], tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    settings = Settings(camera=camera, background="#00ff00", fps=60)
    with Live(settings, SIZE, [recording(path, *SIZE, fps=60)]) as live:
        wait_for(lambda: live.state()["frames"] > 90)  # type: ignore[operator]
        assert not path.exists()
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) >= 90
    assert sum(shown(picture) for picture in pictures) > 40


def test_a_pipe_whose_reader_has_gone_ends_it(camera: str, oracles: list[Oracle]) -> None:
    read, write = os.pipe()
    with Live(Settings(camera=camera, background="#00ff00"), SIZE, [Pipe(write)]) as live:
        whole = b""
        while len(whole) < SIZE[0] * SIZE[1] * 3:
            whole += os.read(read, 1 << 16)
        os.close(read)
        assert live.ended.wait(20)
    os.close(write)
    assert isinstance(live.error, OutputError)


def test_who_is_covered_while_a_picture_takes_long_is_not_on_it(camera: str, oracles: list[Oracle]) -> None:
    """Asked for while the model is at it, the cover comes before what the model finds."""
    eye = Eye()
    with running(camera, eye) as live:
        wait_for(lambda: eye.people > 5)
        people: list[int] = []

        def slow(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
            oracles[0].fault = None
            live.cover(True)
            people.append(eye.people)
            return oracles[0].run(picture)

        oracles[0].fault = slow
        wait_for(lambda: live.state()["reason"] == "covered by hand")
        assert eye.people == people[0]
        live.cover(False)
        wait_for(is_live(live))


def test_a_frame_that_waited_for_the_next_is_not_shown_after_a_pause(camera: str, oracles: list[Oracle]) -> None:
    """With look-ahead a frame is held back; the camera closed and opened again, it is another one's."""
    eye = Eye()
    with running(camera, eye, settings={"look_ahead": True}) as live:
        wait_for(lambda: eye.people > 5)
        live.stop()
        wait_for(lambda: live.state()["light"] == "stopped")
        live.start()
        people = eye.people
        wait_for(lambda: eye.people > people + 5)
    assert eye.times == sorted(eye.times)


def test_a_video_chosen_late_begins_then(camera: str, oracles: list[Oracle], tmp_path: Path) -> None:
    """Hours of it are not decoded to catch up."""
    behind = tmp_path / "behind.mkv"
    with av.open(str(behind), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        for _ in range(15):
            picture = plain(*SIZE, GREEN)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    eye = Eye()
    with running(camera, eye) as live:
        wait_for(is_live(live))
        live._begun -= 100 * 3600
        live.change({"background": str(behind)})
        people = eye.people
        wait_for(lambda: eye.people > people + 20)
        assert live.state()["light"] == "live"
    assert eye.leaks == 0


def test_fewer_pictures_than_the_camera_gives(camera: str, oracles: list[Oracle]) -> None:
    eye = Eye()
    with running(camera, eye, fps=10.0) as live:
        wait_for(lambda: eye.people > 12)
        assert live.state()["output"]["fps"] <= 13  # type: ignore[index]
