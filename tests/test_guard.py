"""The guard: whatever fails between the camera and the picture, nothing of the room is shown."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.arrays import Frame, Matte
from figureground.backgrounds import Background, Blur, Slideshow, make_background
from figureground.errors import ModelError
from figureground.images import write_image
from figureground.live.guard import CARD, Guard
from figureground.live.plausible import Plausible
from figureground.preprocess import to_matte
from marked import leaked, room, shown, true_alpha
from scenes import BLUE, GREEN, RED, plain

WIDTH, HEIGHT = 160, 96


def matting(frame: Frame, time: float) -> Matte:
    return to_matte(true_alpha(frame))


def guard(background: str = "#00ff00") -> Guard:
    made = Guard(WIDTH, HEIGHT)
    made.background = make_background(background)
    return made


def raising(error: Exception) -> Callable[[Frame, float], Matte]:
    def fail(frame: Frame, time: float) -> Matte:
        raise error

    return fail


def of(value: int) -> Callable[[Frame, float], Matte]:
    return lambda frame, _: np.full(frame.shape[:2], value, np.uint8)


BROKEN: dict[str, Callable[[Frame, float], Matte]] = {
    "raises ours": raising(ModelError("the network gave a value that is no number")),
    "raises any": raising(RuntimeError("out of memory")),
    "an alpha": lambda frame, _: true_alpha(frame),  # type: ignore[return-value]  # which could hold what is no number
    "yes and no": lambda frame, _: true_alpha(frame) > 0.5,  # type: ignore[return-value]
    "everything": of(255),
    "almost everything": of(251),
    "too small": lambda frame, _: np.zeros((4, 4), np.uint8),
    "three channels": lambda frame, _: frame,
    "nothing": lambda frame, _: None,  # type: ignore[return-value]
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("background", ["#00ff00", "blur"])
def test_a_broken_mask_shows_the_cover_and_says_why(fault: str, background: str) -> None:
    made = guard(background)
    before = made(room(WIDTH, HEIGHT, 0.4), 0.0, matting)
    assert shown(before.picture)
    broken = made(room(WIDTH, HEIGHT, 0.5), 0.1, BROKEN[fault])
    assert broken.reason
    assert broken.matte is None
    if background == "blur":  # the picture before, blurred: nothing of this one
        other = guard(background)
        other(room(WIDTH, HEIGHT, 0.4), 0.0, matting)
        np.testing.assert_array_equal(broken.picture, other.cover(0.1, "").picture)
    else:
        np.testing.assert_array_equal(broken.picture, plain(WIDTH, HEIGHT, GREEN))
    after = made(room(WIDTH, HEIGHT, 0.6), 0.2, matting)
    assert shown(after.picture)
    assert not after.reason


def test_an_empty_mask_after_a_person_shows_the_background() -> None:
    made = guard()
    made(room(WIDTH, HEIGHT, 0.4), 0.0, matting)
    assert leaked(made(room(WIDTH, HEIGHT, 0.5), 0.1, of(0)).picture) == 0


def test_a_mask_that_jumps_to_almost_everything_is_not_believed_until_it_is_back() -> None:
    made = guard()
    made(room(WIDTH, HEIGHT, 0.4), 0.0, matting)
    for number in range(20):
        jumped = np.full((HEIGHT, WIDTH), 255, np.uint8)
        jumped[:, : WIDTH // 16] = 0
        picture = made(room(WIDTH, HEIGHT, 0.5), number / 30, lambda _, __, matte=jumped: matte)  # type: ignore[misc]
        assert leaked(picture.picture) == 0
        assert "suddenly" in picture.reason
    assert shown(made(room(WIDTH, HEIGHT, 0.5), 1.0, matting).picture)


def test_someone_who_comes_nearer_step_by_step_stays() -> None:
    made = guard()
    frame = plain(WIDTH, HEIGHT, (0, 0, 255))
    for share in np.linspace(0.3, 0.95, 14):
        matte = np.zeros((HEIGHT, WIDTH), np.uint8)
        matte[:, : round(share * WIDTH)] = 255
        assert not made(frame, 0.0, lambda _, __, matte=matte: matte).reason  # type: ignore[misc]


def broken_background(frame: Frame, matte: Matte, time: Fraction) -> Frame:
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    "background",
    [
        broken_background,
        lambda frame, matte, time: np.zeros((3, 3, 3), np.uint8),
        lambda frame, matte, time: frame.astype(np.float32),
        lambda frame, matte, time: None,
    ],
)
def test_a_broken_background_shows_a_plain_card(background: Background) -> None:
    made = guard()
    made.background = background
    picture = made(room(WIDTH, HEIGHT, 0.5), 0.0, matting)
    assert picture.reason
    np.testing.assert_array_equal(picture.picture, plain(WIDTH, HEIGHT, CARD))


def test_a_slideshow_whose_next_picture_is_gone(tmp_path: Path) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png", plain(20, 10, GREEN))
    made = guard()
    made.background = Slideshow([tmp_path / "a.png", tmp_path / "b.png"])
    assert not made(room(WIDTH, HEIGHT, 0.5), 0.0, matting).reason
    (tmp_path / "b.png").unlink()
    picture = made(room(WIDTH, HEIGHT, 0.5), 11.0, matting)
    assert "b.png" in picture.reason
    assert leaked(picture.picture) == 0


@pytest.mark.parametrize(
    "shape", [(HEIGHT, WIDTH + 1, 3), (HEIGHT * 2, WIDTH * 2, 3), (HEIGHT, WIDTH), (HEIGHT, WIDTH, 4)]
)
def test_a_frame_of_another_size_shows_the_cover(shape: tuple[int, ...]) -> None:
    frame = np.full(shape, 255, np.uint8)
    picture = guard()(frame, 0.0, matting)
    assert picture.reason
    np.testing.assert_array_equal(picture.picture, plain(WIDTH, HEIGHT, GREEN))


def test_before_the_first_picture_a_blur_has_a_plain_card() -> None:
    np.testing.assert_array_equal(guard("blur").cover(0.0, "starting").picture, plain(WIDTH, HEIGHT, CARD))


def test_the_cover_of_a_blur_has_no_detail_of_the_picture_before() -> None:
    """A checkerboard of 4 pixels a side behind and on the person is gone; what is left is a wash of colours."""
    made = guard("blur:1")
    frame = room(WIDTH, HEIGHT, 0.5)
    frame[:, :, 1] = 255 * ((np.indices((HEIGHT, WIDTH)) // 4).sum(0) % 2)
    assert not made(frame, 0.0, lambda each, _: matting(room(WIDTH, HEIGHT, 0.5), 0.0)).reason
    cover = made.cover(0.1, "late").picture.astype(int)
    assert np.abs(np.diff(cover, axis=1)).max() < 12
    assert np.abs(np.diff(cover, axis=0)).max() < 12


def test_the_standby_is_made_without_calling_anything() -> None:
    made = guard()
    made(room(WIDTH, HEIGHT, 0.5), 0.0, matting)
    made.background = broken_background
    np.testing.assert_array_equal(made.standby("late").picture, plain(WIDTH, HEIGHT, GREEN))


def halves(left: Frame, right: Frame) -> Frame:
    """The left half of one picture beside the right half of another."""
    return np.hstack([left[:, : WIDTH // 2], right[:, WIDTH // 2 :]])


def test_the_cover_of_a_blur_is_a_wash_of_the_last_safe_picture() -> None:
    """A person of two colours, all over the picture but for a rim: the cover has them on their sides, mixed between."""
    made = guard("blur")
    frame = halves(plain(WIDTH, HEIGHT, RED), plain(WIDTH, HEIGHT, BLUE))
    matte = np.full((HEIGHT, WIDTH), 255, np.uint8)
    matte[:8] = 0
    assert not made(frame, 0.0, lambda _, __: matte).reason
    for picture in (made.cover(0.1, "late"), made.standby("late")):
        assert (picture.picture.dtype, picture.picture.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
        assert (picture.matte, picture.reason) == (None, "late")
        body = picture.picture[20:].astype(int)
        assert np.abs(body[:, :20] - RED).max() <= 16
        assert np.abs(body[:, -20:] - BLUE).max() <= 16
        middle = body[:, WIDTH // 2 - 1 : WIDTH // 2 + 1]  # on the edge itself: half of each
        assert np.abs(middle - (128, 0, 128)).max() <= 24


def test_a_picture_with_a_colour_behind_is_not_kept_for_the_blur() -> None:
    """The blurred room's cover is of the blurred room's own pictures: what was shown before it was chosen is not."""
    made = guard()
    made(room(WIDTH, HEIGHT, 0.5), 0.0, matting)
    made.background = Blur()
    np.testing.assert_array_equal(made.cover(0.1, "late").picture, plain(WIDTH, HEIGHT, CARD))


def test_a_blurred_room_is_not_kept_as_another_backgrounds_standby() -> None:
    made = guard("blur")
    made(room(WIDTH, HEIGHT, 0.5), 0.0, matting)
    made.background = make_background("#00ff00")
    np.testing.assert_array_equal(made.standby("").picture, made._blurred())


def test_before_the_first_picture_the_standby_is_a_plain_card() -> None:
    for background in ("#00ff00", "blur"):
        picture = guard(background).standby("starting")
        np.testing.assert_array_equal(picture.picture, plain(WIDTH, HEIGHT, CARD))
        assert picture.picture.dtype == np.uint8
        assert picture.reason == "starting"


def test_the_standby_after_a_cover_is_that_cover() -> None:
    made = guard()
    made.cover(0.0, "starting")
    made.background = broken_background
    picture = made.standby("late")
    np.testing.assert_array_equal(picture.picture, plain(WIDTH, HEIGHT, GREEN))
    assert picture.reason == "late"


def test_a_cover_calls_the_background_with_nothing_of_the_camera_and_the_time() -> None:
    """Black, nobody, and the time to a millionth of a second."""
    asked = list[tuple[Frame, Matte, Fraction]]()

    def background(frame: Frame, matte: Matte, time: Fraction) -> Frame:
        asked.append((frame.copy(), matte.copy(), time))
        return plain(WIDTH, HEIGHT, GREEN)

    made = guard()
    made.background = background
    made.cover(1.25, "late")
    made(room(WIDTH, HEIGHT, 0.5), 2.000001, matting)
    (black, nobody, first), (frame, matte, second) = asked
    assert (black.shape, black.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert (nobody.shape, nobody.dtype) == ((HEIGHT, WIDTH), np.uint8)
    assert not black.any()
    assert not nobody.any()
    np.testing.assert_array_equal(frame, room(WIDTH, HEIGHT, 0.5))
    np.testing.assert_array_equal(matte, matting(frame, 0.0))
    assert (first, second) == (Fraction(5, 4), Fraction(2_000_001, 1_000_000))


def test_a_picture_comes_with_its_matte_and_its_stages_in_order() -> None:
    made, laps = guard(), list[str]()
    picture = made(room(WIDTH, HEIGHT, 0.5), 3.5, matting, laps.append)
    assert laps == ["background", "composite"]
    assert picture.matte is not None
    np.testing.assert_array_equal(picture.matte, matting(room(WIDTH, HEIGHT, 0.5), 3.5))


def test_the_matting_is_given_the_time_of_the_frame() -> None:
    times = list[float]()
    guard()(room(WIDTH, HEIGHT, 0.5), 3.5, lambda frame, time: (times.append(time), matting(frame, time))[1])
    assert times == [3.5]


def test_each_reason_says_what_happened() -> None:
    frame, made = room(WIDTH, HEIGHT, 0.5), guard()
    wide = np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8)
    assert made(wide, 0.0, matting).reason == f"a picture of {WIDTH + 1}x{HEIGHT} came unasked"
    assert made(frame, 0.0, raising(ModelError("no number"))).reason == "no number"
    assert made(frame, 0.0, raising(RuntimeError("out of memory\nat 0x1"))).reason == "RuntimeError: out of memory"
    assert made(frame, 0.0, of(255)).reason == "the mask covers the whole picture"
    nearly = np.full((HEIGHT, WIDTH), 255, np.uint8)
    nearly[: HEIGHT // 12] = 0
    made(frame, 0.0, matting)
    assert made(frame, 0.0, lambda _, __: nearly).reason == "the mask suddenly covers almost the whole picture"
    made.background = lambda frame, matte, time: np.zeros((3, 3, 3), np.uint8)
    assert made(frame, 0.0, matting).reason == "the background gave no picture of the right size"
    made.background = broken_background
    assert made.cover(0.0, "late").reason == "late; and the background: the disk is gone"
    assert made(frame, 0.0, matting).reason == "OSError: the disk is gone"  # said once


def test_what_a_mask_covers_is_counted_in_parts_of_255() -> None:
    """250 of 255 everywhere is over FULL, 249 is under it."""
    assert "whole picture" in guard()(room(WIDTH, HEIGHT, 0.5), 0.0, of(250)).reason
    assert guard()(room(WIDTH, HEIGHT, 0.5), 0.0, of(249)).reason == ""


def test_a_new_guard_has_a_plain_card_behind() -> None:
    np.testing.assert_array_equal(Guard(WIDTH, HEIGHT).cover(0.0, "").picture, plain(WIDTH, HEIGHT, CARD))
    assert Guard(WIDTH, HEIGHT)(room(WIDTH, HEIGHT, 0.5), 0.0, matting).reason == ""


def test_which_shares_of_the_picture_are_believed() -> None:
    """FULL hides nothing; from below BEFORE to over SUDDEN is a jump, in more than one step it is not."""
    for story, refused in [
        ((0.979,), ""),
        ((0.98,), "covers the whole"),
        ((0.5, 0.9), ""),
        ((0.699, 0.901), "suddenly"),
        ((0.7, 0.901), ""),
        ((0.5, 0.8, 0.95), ""),
        ((0.0, 0.95), "suddenly"),
    ]:
        plausible = Plausible()
        for share in story[:-1]:
            plausible(share)
        if refused:
            with pytest.raises(ModelError, match=refused):
                plausible(story[-1])
            with pytest.raises(ModelError, match=refused):  # what was not believed is nothing to go by
                plausible(story[-1])
        else:
            plausible(story[-1])


@given(
    st.lists(st.tuples(st.sampled_from([*BROKEN, "", "", ""]), st.floats(0, 1), st.booleans()), min_size=1, max_size=30)
)
@settings(deadline=None, max_examples=60)
def test_no_order_of_faults_leaks(story: list[tuple[str, float, bool]]) -> None:
    """Any faults in any order, with the background changing between blur's cover and a colour."""
    made = guard()
    green, blur = made.background, Blur()
    for number, (fault, at, blurred) in enumerate(story):
        made.background = blur if blurred else green
        picture = made(room(WIDTH, HEIGHT, at), number / 30, BROKEN.get(fault, matting))
        assert bool(picture.reason) == bool(fault)
        if not blurred:
            assert leaked(picture.picture) == 0


def test_the_marked_room_would_be_seen() -> None:
    """The test's own eye: a single pixel of the room counts."""
    picture = plain(WIDTH, HEIGHT, GREEN)
    picture[3, 4] = RED
    assert leaked(picture) == 1
