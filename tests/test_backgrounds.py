"""What stands behind the person: upright, of the right shape and speed, and free of the person."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]

from figureground.arrays import Frame, Matte
from figureground.backgrounds import Background, Blur, Slideshow, Still, blur_strength, colour, cover, make_background
from figureground.errors import BackgroundError
from figureground.images import write_image
from figureground.preprocess import to_matte
from scenes import BLUE, GREEN, RED, figure_alpha, largest_difference, noise, plain
from videos import Look, make_sound, make_video

NOW = Fraction(0)


def nobody(frame: Frame) -> Matte:
    return np.zeros(frame.shape[:2], np.uint8)


def behind(background: Background, width: int = 40, height: int = 30, time: Fraction = NOW) -> Frame:
    """What stands behind a grey frame; a copy, since a background may keep its memory."""
    frame = plain(width, height, (128, 128, 128))
    return background(frame, nobody(frame), time).copy()


def cold_room(width: int, height: int, seed: int) -> Frame:
    """Noise of green and blue without any red, smooth enough to survive a blur."""
    room = noise(width, height, seed)
    room[:, :, 0] = 0
    return room


@given(
    st.integers(24, 200), st.integers(24, 200), st.floats(1, 100), st.integers(0, 99), st.sampled_from([0.0, 1.0, 3.0])
)
@settings(deadline=None, max_examples=60)
def test_no_colour_of_the_person_enters_the_blurred_room(
    width: int, height: int, strength: float, seed: int, softness: float
) -> None:
    alpha = figure_alpha(width, height, softness)
    frame = cold_room(width, height, seed)
    frame[alpha > 0.02] = RED
    assert np.count_nonzero(Blur(strength)(frame, to_matte(alpha), NOW)[:, :, 0]) == 0


@given(st.data(), st.sampled_from([1.0, 20.0, 100.0]))
@settings(deadline=None, max_examples=60)
def test_no_colour_of_a_person_of_any_place_and_size_enters_the_blurred_room(
    data: st.DataObject, strength: float
) -> None:
    width, height = 320, 180
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, min(width, left + 240))), data.draw(st.integers(top + 1, height))
    alpha = np.zeros((height, width), np.float32)
    alpha[top:bottom, left:right] = 1
    frame = cold_room(width, height, 1)
    frame[alpha > 0] = RED
    assert np.count_nonzero(Blur(strength)(frame, to_matte(alpha), NOW)[:, :, 0]) == 0


@pytest.mark.parametrize("strength", [1, 20, 100])
def test_a_plain_room_stays_plain_even_behind_the_person(strength: float) -> None:
    alpha = figure_alpha(320, 180)
    frame = plain(320, 180, (10, 200, 90))
    frame[alpha > 0] = RED
    assert largest_difference(Blur(strength)(frame, to_matte(alpha), NOW), plain(320, 180, (10, 200, 90))) <= 1


def test_where_only_the_person_is_seen_the_blur_is_grey() -> None:
    frame = plain(64, 48, RED)
    assert (Blur()(frame, np.full((48, 64), 255, np.uint8), NOW) == 128).all()


@pytest.mark.parametrize(
    ("width", "height", "strength", "bound", "margin"), [(200, 150, 20, 1, 0), (640, 360, 20, 4, 40)]
)
def test_an_empty_room_is_blurred_by_a_gaussian(
    width: int, height: int, strength: float, bound: float, margin: int
) -> None:
    """The sigma is in thousandths of the longest side; a large one is computed on a small copy."""
    smooth = ndimage.gaussian_filter(noise(width, height).astype(np.float64), (4, 4, 0))
    frame = np.clip((smooth - smooth.mean()) * 8 + 128, 0, 255).astype(np.uint8)
    got = Blur(strength)(frame, nobody(frame), NOW)
    sigma = strength / 1000 * max(width, height)
    want = ndimage.gaussian_filter(frame.astype(np.float64), (sigma, sigma, 0), mode="nearest")
    inside = (slice(margin, height - margin), slice(margin, width - margin))
    assert np.abs(got - want)[inside].max() <= bound


def test_a_blur_says_its_strength() -> None:
    assert blur_strength("blur") == 20
    assert blur_strength("blur:1") == 1
    assert blur_strength("blur:37.5") == 37.5
    assert blur_strength("blur:100") == 100
    assert blur_strength("beach.jpg") is None
    assert blur_strength("blurred.jpg") is None


@pytest.mark.parametrize("spec", ["blur:", "blur:0", "blur:101", "blur:-3", "blur:much", "blur:nan", "blur:inf"])
def test_a_strength_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(BackgroundError, match="the strength must be a number from 1 to 100, as in blur:20"):
        make_background(spec)


def test_a_spec_of_blur_blurs_as_strongly_as_it_says() -> None:
    frame = noise(160, 120)
    spread = [make_background(spec)(frame, nobody(frame), NOW).std() for spec in ("blur:2", "blur:10", "blur:60")]
    assert spread[0] > 1.5 * spread[1] > 2 * spread[2]
    default, same = (make_background(spec)(frame, nobody(frame), NOW) for spec in ("blur", "blur:20"))
    np.testing.assert_array_equal(default, same)


def ramps(width: int, height: int) -> Frame:
    """Red tells how far right a pixel lies, green how far down."""
    across, down = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return np.dstack([across * 255, down * 255, np.zeros_like(across)]).astype(np.uint8)


@given(st.integers(8, 200), st.integers(8, 200), st.integers(8, 200), st.integers(8, 200))
@settings(deadline=None, max_examples=100)
def test_a_covering_picture_keeps_its_shape_and_its_middle(
    width: int, height: int, out_width: int, out_height: int
) -> None:
    got = cover(ramps(width, height), out_width, out_height).astype(float)
    assert got.shape == (out_height, out_width, 3)
    scale = max(out_width / width, out_height / height)
    # Where each pixel must come from, were the picture not cut at whole pixels.
    across = 0.5 + (np.arange(out_width) + 0.5 - out_width / 2) / scale / width
    down = 0.5 + (np.arange(out_height) + 0.5 - out_height / 2) / scale / height
    assert np.abs(got[:, :, 0] - across * 255).max() <= 255 * 1.5 / width + 2
    assert np.abs(got[:, :, 1] - down[:, None] * 255).max() <= 255 * 1.5 / height + 2


def test_a_picture_of_the_frames_size_covers_it_unchanged() -> None:
    np.testing.assert_array_equal(cover(noise(40, 30), 40, 30), noise(40, 30))


@pytest.mark.parametrize(("picture", "frame"), [((1, 1), (50, 3)), ((500, 1), (3, 40)), ((3, 700), (1, 1))])
def test_a_picture_of_any_shape_covers_a_frame_of_any_shape(picture: tuple[int, int], frame: tuple[int, int]) -> None:
    assert (cover(plain(*picture, GREEN), *frame) == GREEN).all()


def test_a_colour_fills_the_frame() -> None:
    assert colour("#12abEF").tolist() == [[[0x12, 0xAB, 0xEF]]]
    assert (behind(make_background("#0000ff")) == BLUE).all()


def test_a_picture_is_fitted_once_and_again_for_another_size() -> None:
    still = Still(noise(80, 60))
    frame = plain(40, 30, RED)
    first = still(frame, nobody(frame), NOW)
    assert still(frame, nobody(frame), Fraction(9)) is first
    assert behind(still, 31, 47).shape == (47, 31, 3)


def test_a_turned_photograph_stands_upright_in_the_background(tmp_path: Path) -> None:
    upright = np.vstack([plain(30, 10, BLUE), plain(30, 10, GREEN)])
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(behind(make_background(str(tmp_path / "photo.png")), 30, 20), upright)


def counting_video(path: Path, frames: int, rate: int | Fraction) -> Path:
    """Picture n is grey, 20 n bright."""
    return make_video(path, [plain(32, 32, (20 * n, 20 * n, 20 * n)) for n in range(frames)], rate)


def shown(background: Background, times: Sequence[Fraction]) -> list[int]:
    return [round(behind(background, 16, 16, time).mean() / 20) for time in times]


@pytest.mark.parametrize("rate", [10, 25, 30, 60])
@pytest.mark.parametrize("begin", [Fraction(0), Fraction(7, 3)])
def test_a_video_loops_at_its_own_speed(tmp_path: Path, rate: int, begin: Fraction) -> None:
    background = make_background(str(counting_video(tmp_path / "back.mp4", 7, rate)))
    times = [Fraction(n, 30) for n in range(75)]
    want = [int(time * rate) % 7 for time in times]
    assert shown(background, [begin + time for time in times]) == want


def test_a_video_keeps_up_with_frames_that_come_rarely(tmp_path: Path) -> None:
    background = make_background(str(counting_video(tmp_path / "back.mp4", 8, 25)))
    times = [Fraction(0), Fraction(1, 5), Fraction(1, 2), Fraction(29, 10), Fraction(31, 10)]
    assert shown(background, times) == [int(time * 25) % 8 for time in times]


def test_a_video_of_one_frame_stands_still(tmp_path: Path) -> None:
    path = make_video(tmp_path / "still.mp4", [plain(32, 32, (80, 80, 80))])
    assert shown(make_background(str(path)), [Fraction(n, 30) for n in range(6)]) == [4] * 6


def test_an_animated_gif_loops(tmp_path: Path) -> None:
    levels = [Image.fromarray(plain(32, 32, (value, value, value))) for value in (20, 100, 220)]
    levels[0].save(tmp_path / "back.gif", save_all=True, append_images=levels[1:], duration=100, loop=0)
    times = [Fraction(n, 20) for n in range(12)]
    assert shown(make_background(str(tmp_path / "back.gif")), times) == [1, 1, 5, 5, 11, 11] * 2


def test_a_video_covers_the_frame_with_its_colours(tmp_path: Path) -> None:
    pictures = [np.hstack([plain(32, 64, RED), plain(32, 64, BLUE)])] * 3
    background = make_background(str(make_video(tmp_path / "back.mp4", pictures, look=Look())))
    got = behind(background, 80, 40)
    assert largest_difference(got[:, :36], plain(36, 40, RED)) <= 6
    assert largest_difference(got[:, 44:], plain(36, 40, BLUE)) <= 6


def test_a_folder_is_a_slideshow_by_name(tmp_path: Path) -> None:
    for name, picture in (("b.png", plain(8, 8, GREEN)), ("a.jpg", plain(8, 8, (90, 90, 90))), ("c.PNG", noise(8, 8))):
        write_image(tmp_path / name, picture)
    (tmp_path / "notes.txt").write_text("no picture")
    background = make_background(str(tmp_path))
    assert isinstance(background, Slideshow)
    seen = [behind(background, 8, 8, Fraction(time)) for time in (0, 9.99, 10, 19, 20, 30, 65)]
    for number, want in enumerate(
        [plain(8, 8, (90, 90, 90))] * 2 + [plain(8, 8, GREEN)] * 2 + [noise(8, 8)] + [plain(8, 8, (90, 90, 90))] * 2
    ):
        np.testing.assert_array_equal(seen[number], want)


def test_of_a_slideshow_only_the_pictures_shown_are_decoded(tmp_path: Path) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png", noise(80, 60))
    cut = tmp_path / "b.png"
    cut.write_bytes(cut.read_bytes()[:-3000])
    background = make_background(str(tmp_path))
    behind(background, time=Fraction(9))
    with pytest.raises(BackgroundError, match=r"^background .*b\.png: cannot be read"):
        behind(background, time=Fraction(10))


def make_unreadable(folder: Path) -> None:
    (folder / "letter.jpg").write_text("Dear all")
    (folder / "letter.mp4").write_text("Dear all")
    (folder / "empty.png").write_bytes(b"")
    make_sound(folder / "sound.mp4")
    (folder / "none").mkdir()
    (folder / "broken").mkdir()
    write_image(folder / "broken" / "a.png", plain(4, 4, RED))
    (folder / "broken" / "b.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.jpg", "no such file; want blur, blur:20, #rrggbb, transparent or a path"),
        ("#12345", "no such file; want blur"),
        ("letter.jpg", "not a picture this can read"),
        ("letter.mp4", "not a video this can read"),
        ("empty.png", "not a picture this can read"),
        ("sound.mp4", "there is no video in this file"),
        ("none", "no pictures in this folder"),
        ("broken", r"b\.png: not a picture this can read"),
    ],
)
def test_a_background_that_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    make_unreadable(tmp_path)
    with pytest.raises(BackgroundError, match=reason) as caught:
        make_background(str(tmp_path / name))
    assert str(caught.value).startswith("background ")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes among its files")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.mp4")
    with pytest.raises(BackgroundError, match="neither a file nor a folder"):
        make_background(str(tmp_path / "b.mp4"))
