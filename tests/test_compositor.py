"""The person before another background, and nothing of the room with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from figureground.arrays import Alpha, Frame
from figureground.compositor import (
    GUIDE_SIDE,
    GUIDE_SIGMA,
    Compositor,
    composite,
    composite_in_place,
    cutout,
    deep_on_transparency,
    on_transparency,
)
from figureground.errors import ArrayError
from figureground.preprocess import to_matte
from scenes import BLUE, GREEN, RED, Scene, largest_difference, make_scene, mix, noise, plain

WHITE = (255, 255, 255)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Frame, Alpha, Frame]:
    """A frame, an alpha with zeros, ones and all between, and a background, of any size."""
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = ndimage.gaussian_filter(rng.random((height, width)), draw(st.sampled_from([0.0, 2.0, 6.0])))
    low, high = np.quantile(smooth, [draw(st.sampled_from([0, 0.3, 0.8])), draw(st.sampled_from([0.85, 1.0]))])
    alpha = np.clip((smooth - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    frame, background = (rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2))
    return frame, alpha, background


@given(pictures())
@settings(deadline=None, max_examples=60)
def test_where_alpha_is_0_stands_the_background_and_where_it_is_1_the_frame(
    made: tuple[Frame, Alpha, Frame],
) -> None:
    frame, alpha, background = made
    got = composite(frame, alpha, background)
    np.testing.assert_array_equal(got[alpha == 0], background[alpha == 0])
    np.testing.assert_array_equal(got[alpha == 1], frame[alpha == 1])


@given(pictures(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_a_pixel_less_than_half_person_changes_nothing(made: tuple[Frame, Alpha, Frame], seed: int) -> None:
    """Whatever the camera saw there, not one value of the result depends on it: the room cannot leak."""
    frame, alpha, background = made
    other = frame.copy()
    room = alpha <= 0.5
    other[room] = np.random.default_rng(seed).integers(0, 256, (int(room.sum()), 3))
    np.testing.assert_array_equal(composite(other, alpha, background), composite(frame, alpha, background))
    np.testing.assert_array_equal(cutout(other, alpha), cutout(frame, alpha))


@pytest.mark.parametrize(("width", "height"), [(160, 120), (640, 480), (1280, 720)])
def test_no_pixel_of_a_marked_room_leaks(width: int, height: int) -> None:
    """A blue person in a red room: no red reaches a pixel that is half person or less."""
    scene = make_scene(width, height, figure=BLUE, room=RED)
    edge = scene.alpha <= 0.5
    got = composite(scene.frame, scene.alpha, plain(width, height, GREEN))
    assert np.count_nonzero(got[edge][:, 0]) == 0
    assert np.count_nonzero(cutout(scene.frame, scene.alpha)[edge][:, 0]) == 0
    assert np.count_nonzero((scene.alpha > 0) & edge) > 100


@pytest.mark.parametrize(("width", "height", "blur"), [(320, 240, 3.0), (1280, 720, 3.0), (1280, 720, 10.0)])
def test_a_marked_room_hardly_tints_even_the_widest_edge(width: int, height: int, blur: float) -> None:
    scene = make_scene(width, height, figure=BLUE, room=RED, blur=blur)
    edge = scene.alpha <= 0.5
    got = composite(scene.frame, scene.alpha, plain(width, height, GREEN))
    assert got[edge][:, 0].max() <= 8
    assert mix(scene.frame, scene.alpha, plain(width, height, GREEN))[edge][:, 0].max() >= 60


@given(pictures(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_the_background_counts_by_what_is_not_person(made: tuple[Frame, Alpha, Frame], seed: int) -> None:
    frame, alpha, background = made
    black = composite(frame, alpha, np.zeros_like(frame)).astype(float)
    want = black + (1 - alpha[:, :, None]) * background
    assert np.abs(composite(frame, alpha, background) - want).max() <= 2


def test_a_soft_pixel_lies_between_person_and_background() -> None:
    scene = make_scene(figure=(180, 160, 140), blur=2)
    got = composite(scene.frame, scene.alpha, plain(160, 120, (20, 30, 40)))
    soft = (scene.alpha > 0.05) & (scene.alpha < 0.95)
    assert (got[soft] >= (20, 30, 40)).all()
    plain_room = make_scene(figure=(180, 160, 140), room=(180, 160, 140), blur=2)
    got = composite(plain_room.frame, plain_room.alpha, plain(160, 120, (20, 30, 40)))
    assert (got <= (181, 161, 141)).all()
    assert (got >= (20, 30, 40)).all()


@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("room", [None, RED, WHITE, (0, 0, 0)])
def test_an_edge_is_freed_of_the_room(blur: float, room: tuple[int, int, int] | None) -> None:
    """The true figure and alpha are known: the result is nearer the true composite than the plain mixture is."""
    scene = make_scene(320, 240, room=room, blur=blur)
    background = noise(320, 240, seed=9)
    edge = (scene.alpha > 0) & (scene.alpha < 1)
    true = scene.before(background)[edge].astype(float)
    ours = np.abs(composite(scene.frame, scene.alpha, background)[edge] - true).mean()
    naive = np.abs(mix(scene.frame, scene.alpha, background)[edge] - true).mean()
    assert ours < 0.6 * naive


def reference_nearby(frame: Frame, matte: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The weighted mean of the sure pixels around each, in float64 and by another library; small pictures only."""
    voice = np.where(matte > 128, np.maximum(np.clip((matte - 128.0) / 127, 0, 1) ** 16, 1e-6), 0)
    options = {"sigma": GUIDE_SIGMA, "mode": "nearest", "radius": round(3 * GUIDE_SIGMA)}
    smooth = [ndimage.gaussian_filter(voice * frame[:, :, i], **options) for i in range(3)]
    share = ndimage.gaussian_filter(voice, **options)
    if voice.sum() == 0:
        return np.full(frame.shape, 128.0)
    mean = (voice[:, :, None] * frame).sum((0, 1)) / voice.sum()
    near: NDArray[np.float64] = (np.dstack(smooth) + 1e-4 * mean) / (share + 1e-4)[:, :, None]
    return near


@given(pictures())
@settings(deadline=None, max_examples=40)
def test_the_composite_is_its_formula(made: tuple[Frame, Alpha, Frame]) -> None:
    frame, alpha, background = made
    matte = np.rint(alpha.astype(np.float64) * 255)
    share = (matte / 255)[:, :, None]
    sure = np.clip((matte - 128) / 127, 0, 1)[:, :, None]
    person = sure * frame + (1 - sure) * reference_nearby(frame, matte.astype(np.uint8))
    want = share * person + (1 - share) * background
    assert np.abs(composite(frame, alpha, background) - want).max() <= 2.5


def test_large_pictures_have_the_colours_of_small_ones() -> None:
    """Above GUIDE_SIDE the nearby colours are found on a small copy: enlarged four times, much the same comes out."""
    scene = make_scene(GUIDE_SIDE, 240, blur=2)
    large = [np.asarray(np.repeat(np.repeat(a, 4, axis=0), 4, axis=1)) for a in (scene.frame, scene.alpha)]
    background = plain(GUIDE_SIDE * 4, 960, GREEN)
    small = composite(scene.frame, scene.alpha, plain(GUIDE_SIDE, 240, GREEN))
    assert largest_difference(composite(large[0], large[1], background)[2::4, 2::4], small) <= 6


@given(st.lists(pictures(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_a_compositor_in_its_kept_memory_gives_the_same(stream: list[tuple[Frame, Alpha, Frame]]) -> None:
    compositor = Compositor()
    for frame, alpha, background in [*stream, *stream]:
        got = compositor(frame, to_matte(alpha), background)
        np.testing.assert_array_equal(got, composite(frame, alpha, background))


def test_a_compositor_writes_into_the_same_memory_again(scene: Scene) -> None:
    compositor, background = Compositor(), plain(160, 120, GREEN)
    first = compositor(scene.frame, to_matte(scene.alpha), background)
    assert compositor(scene.frame, to_matte(scene.alpha), background) is first


def test_composite_gives_new_memory_and_changes_none(scene: Scene) -> None:
    background = plain(160, 120, GREEN)
    for array in (scene.frame, scene.alpha, background):
        array.flags.writeable = False
    first, second = (composite(scene.frame, scene.alpha, background) for _ in range(2))
    assert not np.shares_memory(first, second)


def with_nan(alpha: Alpha) -> Alpha:
    alpha = alpha.copy()
    alpha[0, 0] = np.nan
    return alpha


@pytest.mark.parametrize("compose", [composite, lambda frame, alpha, _: cutout(frame, alpha)])
def test_a_wrong_alpha_is_refused(scene: Scene, compose: object) -> None:
    assert callable(compose)
    background = plain(160, 120, GREEN)
    wrong: list[tuple[object, str]] = [
        (with_nan(scene.alpha), "must lie in"),
        (scene.alpha.astype(np.float64), "must be float32"),
        (to_matte(scene.alpha), "must be float32"),
        (scene.alpha > 0.5, "must be float32"),
        (scene.alpha * 2, "must lie in"),
        (scene.alpha[1:], "must have the frame's size"),
        (scene.alpha.T, "must have the frame's size"),
        (scene.alpha[:, :, None], "must have shape"),
    ]
    for alpha, message in wrong:
        with pytest.raises(ArrayError, match=message):
            compose(scene.frame, alpha, background)


def test_a_wrong_frame_or_background_is_refused(scene: Scene) -> None:
    background = plain(160, 120, GREEN)
    with pytest.raises(ArrayError, match="frame must be uint8"):
        composite(scene.frame.astype(np.float32), scene.alpha, background)  # type: ignore[arg-type]
    with pytest.raises(ArrayError, match="background must have shape"):
        composite(scene.frame, scene.alpha, background[:, :, 0])
    with pytest.raises(
        ArrayError, match=r"background must have the frame's shape \(120, 160, 3\), got \(119, 160, 3\)"
    ):
        composite(scene.frame, scene.alpha, background[1:])


def test_a_cutout_holds_the_alpha_straight(scene: Scene) -> None:
    got = cutout(scene.frame, scene.alpha)
    assert got.shape == (120, 160, 4)
    np.testing.assert_array_equal(got[:, :, 3], np.rint(scene.alpha.astype(np.float64) * 255))
    np.testing.assert_array_equal(got[scene.person][:, :3], scene.frame[scene.person])


@given(pictures())
@settings(deadline=None, max_examples=40)
def test_a_cutout_is_black_where_nobody_is(made: tuple[Frame, Alpha, Frame]) -> None:
    frame, alpha, _ = made
    assert not cutout(frame, alpha)[alpha == 0].any()


def test_a_cutout_laid_on_a_background_is_the_composite() -> None:
    scene = make_scene(blur=2)
    background = noise(160, 120, seed=5)
    rgba = cutout(scene.frame, scene.alpha)
    laid = mix(rgba[:, :, :3], (rgba[:, :, 3] / 255).astype(np.float32), background)
    assert largest_difference(laid, composite(scene.frame, scene.alpha, background)) <= 3


def test_a_cutout_of_a_soft_edge_has_the_figures_own_colour() -> None:
    scene = make_scene(figure=(200, 150, 120), room=BLUE, blur=1)
    rgba = cutout(scene.frame, scene.alpha)
    edge = (scene.alpha > 0.02) & (scene.alpha < 0.98)
    assert np.abs(rgba[edge][:, :3].astype(int) - (200, 150, 120)).mean() < 10
    assert np.abs(scene.frame[edge].astype(int) - (200, 150, 120)).mean() > 40


@pytest.mark.parametrize("share", [0.1, 0.4, 0.5])
def test_where_nobody_is_sure_the_room_still_does_not_show(share: float) -> None:
    alpha = np.full((40, 60), share, np.float32)
    frames = [plain(60, 40, colour) for colour in (RED, BLUE)]
    red, blue = (composite(frame, alpha, plain(60, 40, GREEN)) for frame in frames)
    np.testing.assert_array_equal(red, blue)


def test_a_single_pixel_that_is_barely_person_keeps_its_colour() -> None:
    frame, alpha = plain(320, 240, RED), np.zeros((240, 320), np.float32)
    frame[5, 7], alpha[5, 7] = BLUE, 129 / 255
    got = composite(frame, alpha, plain(320, 240, GREEN))
    assert np.abs(got[5, 7].astype(int) - (0, 126, 129)).max() <= 2


@given(st.floats(0, 1, width=32))
@example(0.5)
def test_an_alpha_in_eight_bits_is_rounded(share: float) -> None:
    assert abs(int(to_matte(np.full((2, 2), share, np.float32))[0, 0]) - share * 255) <= 0.5 + 1e-4


def test_a_background_that_cannot_be_written_is_there_again_wherever_a_person_was() -> None:
    compositor, rng = Compositor(), np.random.default_rng(3)
    walls = [noise(60, 40, seed) for seed in (1, 2)]
    for wall in walls:
        wall.flags.writeable = False
    for number in range(40):
        matte = np.zeros((40, 60), np.uint8)
        top, left = rng.integers(0, 35), rng.integers(0, 55)
        matte[top : top + 9, left : left + 9] = rng.integers(0, 256, matte[top : top + 9, left : left + 9].shape)
        frame, wall = noise(60, 40, number), walls[number // 3 % 2]
        if number % 5 == 4:  # what fails on the way must not be taken for done
            with pytest.raises(ArrayError):
                compositor(frame, matte[1:], wall)
        np.testing.assert_array_equal(compositor(frame, matte, wall), Compositor()(frame, matte, wall))


# ---- where the nearby colours come from, and 16 bits

BOXES = [(0, 0, 250, 200), (200, 100, 400, 320), (410, 290, 640, 480), (0, 0, 640, 480), (300, 0, 340, 480)]


def ramp(width: int, height: int) -> Frame:
    """Red grows from left to right, green from top to bottom, as steep as 8 bits allow; blue is their sum, halved."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.rint(np.dstack([across, down, (across + down) / 2])).astype(np.uint8)


@pytest.mark.parametrize(("left", "top", "right", "bottom"), BOXES)
@pytest.mark.parametrize("enlarged", [1, 2.3])
def test_the_nearby_colour_is_that_of_this_very_place(
    left: int, top: int, right: int, bottom: int, enlarged: float
) -> None:
    """In the midst of a person coloured by a ramp, what is half sure has the ramp's own colour."""
    width, height = round(640 * enlarged), round(480 * enlarged)
    matte = np.zeros((height, width), np.uint8)
    left, top, right, bottom = (round(side * enlarged) for side in (left, top, right, bottom))
    matte[top:bottom, left:right] = 255
    rng, margin = np.random.default_rng(5), round(18 * enlarged)
    rows = rng.integers(top + margin, bottom - margin, 300)
    columns = rng.integers(left + margin, right - margin, 300)
    matte[rows, columns] = 128  # nothing of the frame's own colour
    frame = ramp(width, height)
    hidden = frame.copy()
    hidden[rows, columns] = 255 - frame[rows, columns]
    got = cutout(hidden, (matte / 255).astype(np.float32))[rows, columns, :3].astype(float)
    off = got - frame[rows, columns]
    assert np.abs(off).max() <= 3
    assert np.abs(off.mean(0)).max() <= 0.75
    in_place = hidden.copy()
    composite_in_place(in_place, matte, np.zeros_like(frame))
    np.testing.assert_array_equal(in_place, Compositor()(hidden, matte, np.zeros_like(frame)))
    assert np.abs(in_place[rows, columns] * (255 / 128) - frame[rows, columns]).max() <= 5


def test_many_soft_pixels_are_all_painted() -> None:
    """More than OpenCV reads in one row; each is half of the person's colour, which sure pixels all around tell."""
    matte = np.full((600, 800), 128, np.uint8)
    matte[::4, ::4] = 255
    frame = plain(800, 600, (200, 100, 50))
    got = Compositor()(frame, matte, plain(800, 600, (0, 0, 0)))
    assert np.abs(got[matte == 128].astype(int) - (100, 50, 25)).max() <= 1


def test_sixteen_bits_are_kept_where_the_person_is_sure() -> None:
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 65536, (40, 60, 3), np.uint16)
    levels = rng.integers(0, 65536, (40, 60), np.uint16)
    levels[:20] = rng.choice(np.array([0, 100, 128, 129, 65406, 65407, 65535], np.uint16), (20, 60))
    matte = np.rint(levels / 257)
    got = deep_on_transparency(frame, levels)
    assert (got.dtype, got.shape) == (np.uint16, (40, 60, 4))
    np.testing.assert_array_equal(got[:, :, 3], np.where(matte > 0, levels, 0))
    np.testing.assert_array_equal(got[matte == 255][:, :3], frame[matte == 255])
    assert not got[matte == 0].any()


def test_sixteen_bits_of_soft_pixels_are_their_formula() -> None:
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 65536, (48, 64, 3), np.uint16)
    smooth = ndimage.gaussian_filter(rng.random((48, 64)), 4)
    matte = (np.clip((smooth - 0.45) / 0.1, 0, 1) * 255).astype(np.uint8)
    got = deep_on_transparency(frame, matte.astype(np.uint16) * 257)[:, :, :3].astype(float)
    sure = np.clip((matte.astype(float) - 128) / 127, 0, 1)[:, :, None]
    want = sure * frame + (1 - sure) * 257 * reference_nearby((frame >> 8).astype(np.uint8), matte)
    soft = (matte > 0) & (matte < 255)
    assert np.count_nonzero(soft) > 500
    assert np.abs(got - want)[soft].max() <= 1.5 * 257


def test_what_a_soft_pixel_keeps_of_its_own_colour_is_rounded() -> None:
    """White among a black person, before black: what is seen is its share alone, alpha times how sure it is."""
    frame, background, compositor = plain(21, 21, (0, 0, 0)), plain(21, 21, (0, 0, 0)), Compositor()
    frame[10, 10] = WHITE
    matte = np.full((21, 21), 255, np.uint8)
    for level in range(100, 191):
        matte[10, 10] = level
        share = level / 255 * max(0, level - 128) / 127
        assert (compositor(frame, matte, background)[10, 10] == round(share * 255)).all(), level


@pytest.mark.parametrize("where", [(0, 0), (0, 59), (39, 0), (39, 59), (17, 23)])
def test_a_person_of_one_pixel(where: tuple[int, int]) -> None:
    frame, background = noise(60, 40, 1), noise(60, 40, 2)
    for share in (255, 200):
        matte = np.zeros((40, 60), np.uint8)
        matte[where] = share
        got = Compositor()(frame, matte, background)
        want = background.copy()
        want[where] = np.rint(frame[where] * (share / 255) + background[where] * (1 - share / 255))
        assert largest_difference(got, want) <= (0 if share == 255 else 2)
        cut = on_transparency(frame, matte)
        assert cut[where][3] == share
        assert np.abs(cut[where][:3].astype(int) - frame[where]).max() <= 2
        assert np.count_nonzero(cut.any(2)) == 1


def test_without_anybody_there_is_nothing_but_background() -> None:
    frame, background, nobody = noise(60, 40, 1), noise(60, 40, 2), np.zeros((40, 60), np.uint8)
    assert not on_transparency(frame, nobody).any()
    assert not deep_on_transparency(frame.astype(np.uint16) * 257, nobody.astype(np.uint16)).any()
    np.testing.assert_array_equal(Compositor()(frame, nobody, background), background)
    composite_in_place(frame, nobody, background)
    np.testing.assert_array_equal(frame, background)


def test_a_compositor_takes_frames_of_another_size() -> None:
    compositor = Compositor()
    for width, height in [(60, 40), (40, 60), (61, 40), (60, 40)]:
        scene, wall = make_scene(width, height), noise(width, height, 4)
        wall.flags.writeable = False
        matte = to_matte(scene.alpha)
        np.testing.assert_array_equal(compositor(scene.frame, matte, wall), Compositor()(scene.frame, matte, wall))


def test_sixteen_bits_are_mixed_by_their_shares() -> None:
    """Of a person of one colour, so that what is nearby is that colour: every alpha, to the level."""
    matte = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(3, axis=1)
    person, room = (np.full((16, 48, 3), levels, np.uint16) for levels in ((128 * 257, 0, 65535), (1, 40000, 65535)))
    share = matte[:, :, None] / 255
    wanted = np.rint(share * person + (1 - share) * room)
    got = Compositor()(person, matte, room)
    assert got.dtype == np.uint16
    assert np.abs(got - wanted).max() <= 1


def test_a_compositor_of_eight_bits_may_be_given_sixteen() -> None:
    compositor, matte = Compositor(), np.full((20, 30), 255, np.uint8)
    for depth in (np.uint8, np.uint16, np.uint8):
        frame = np.full((20, 30, 3), 200, depth)
        got = compositor(frame, matte, np.zeros_like(frame))
        assert got.dtype == depth
        np.testing.assert_array_equal(got, frame)


def test_a_background_that_was_written_over_is_laid_anew() -> None:
    """As the blurred room is: the same array, another picture."""
    compositor, scene, wall = Compositor(), make_scene(64, 48), plain(64, 48, (0, 0, 0))
    matte = to_matte(scene.alpha)
    compositor(scene.frame, matte, wall)
    wall[:] = WHITE
    np.testing.assert_array_equal(compositor(scene.frame, matte, wall), Compositor()(scene.frame, matte, wall))


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2049])
def test_any_number_of_soft_pixels(count: int) -> None:
    matte = np.zeros((64, 64), np.uint8)
    matte.reshape(-1)[:count] = 204
    got = Compositor()(plain(64, 64, (250, 100, 0)), matte, plain(64, 64, (0, 0, 200)))
    assert np.abs(got[matte > 0].astype(int) - (200, 80, 40)).max() <= 2
