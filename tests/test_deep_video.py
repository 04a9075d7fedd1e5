"""Videos of more than 8 bits a channel keep them: the levels of the person, of the blurred room, and what HDR says.

Levels are written into the planes and read from them, so that no conversion of FFmpeg's stands between.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.backgrounds import Blur
from figureground.batch import replace
from figureground.compositor import Compositor, composite
from figureground.encodings import ordinary_priority
from figureground.hdr import BT2020, HLG, PQ, deepened
from figureground.images import write_image
from figureground.preprocess import to_matte
from figureground.smoothing import weighted_blur
from figureground.sources import VideoSource
from scenes import Scene, plain

Levels = NDArray[np.uint16]
SIZE = 160, 96  # width, height; the person is the right half
_LUMA = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 5: (0.299, 0.114)}
SDR, TO_PQ, TO_HLG = (1, 1, 1), (9, 9, PQ), (9, 9, HLG)
INSIDE = slice(8, 88), slice(96, 152)  # rows and columns that are the person and nothing else
ROOM = slice(8, 88), slice(8, 64)


def shown() -> NDArray[np.float64]:
    """A person full of red, whose green and blue rise in steps finer than 8 bits; a dark, even rise for a room."""
    width, height = SIZE
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    person = np.dstack([np.full_like(across, 0.9995), 0.1 + 0.3 * down, 0.1 + 0.2 * across])
    room = np.dstack([0 * across, 0.3 + 0.1 * across, 0.3 + 0.1 * across])
    return np.where((np.arange(width) >= width // 2)[None, :, None], person, room)


def planes_of(rgb: NDArray[np.float64], matrix: int, sampling: str) -> list[Levels]:
    red, blue = _LUMA[matrix]
    y = rgb @ (red, 1 - red - blue, blue)
    planes = [64 + 876 * y]
    for colour, share in ((rgb[:, :, 2], blue), (rgb[:, :, 0], red)):
        chroma = 512 + 896 * (colour - y) / (2 - 2 * share)
        height, width = chroma.shape
        if sampling in ("420", "422"):
            chroma = chroma.reshape(height, width // 2, 2).mean(2)
        if sampling == "420":
            chroma = chroma.reshape(height // 2, 2, width // 2).mean(1)
        planes.append(chroma)
    return [np.rint(plane).astype(np.uint16) for plane in planes]


def deep_video(
    path: Path, tags: tuple[int, int, int] = SDR, sampling: str = "420", codec: str = "ffv1"
) -> list[Levels]:
    """Four pictures of 10 bits; what their planes hold."""
    planes = planes_of(shown(), tags[0], sampling)
    options = {"x265-params": "log-level=error:lossless=1", "preset": "ultrafast"} if codec == "libx265" else {}
    with ordinary_priority(), av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        (stream.width, stream.height), stream.pix_fmt = SIZE, f"yuv{sampling}p10le"
        context = stream.codec_context
        (context.colorspace, context.color_primaries, context.color_trc), context.color_range = tags, 1
        for number in range(4):
            frame = av.VideoFrame(*SIZE, f"yuv{sampling}p10le")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for plane, levels in zip(frame.planes, planes, strict=True):
                lines = np.zeros((plane.height, plane.line_size // 2), "<u2")
                lines[:, : plane.width] = levels
                plane.update(lines.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return planes


def stored(path: Path) -> tuple[list[Levels], str, tuple[int, int, int, int]]:
    """The planes of the last picture, the codec with its pixels, matrix, primaries, transfer and range."""
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context.codec.canonical_name
        *_, frame = container.decode(video=0)
        lines = [np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, -1) for plane in frame.planes]
        planes = [each[:, : plane.width].copy() for each, plane in zip(lines, frame.planes, strict=True)]
        tags = frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range
        return planes, f"{codec} {frame.format.name}", tags


def part(plane: Levels, where: tuple[slice, slice]) -> NDArray[np.int64]:
    """That part of a plane, be it halved or not."""
    down, across = SIZE[1] // plane.shape[0], SIZE[0] // plane.shape[1]
    rows, columns = where
    return plane[rows.start // down : rows.stop // down, columns.start // across : columns.stop // across].astype(int)


def halved(planes: list[Levels], like: list[Levels]) -> list[Levels]:
    """Planes with colour for every pixel as those that share it among several."""
    shapes = [plane.shape[::-1] for plane in like]
    return [
        np.asarray(cv2.resize(plane, shape, interpolation=cv2.INTER_AREA))
        for plane, shape in zip(planes, shapes, strict=True)
    ]


@pytest.mark.parametrize("tags", [SDR, TO_PQ, TO_HLG])
@pytest.mark.parametrize("sampling", ["420", "422", "444"])
def test_every_level_of_the_person_is_kept(
    tmp_path: Path, red_finder: Path, tags: tuple[int, int, int], sampling: str
) -> None:
    """Through FFV1, which loses nothing: within a step of 10 bits. Rounded to 8 bits they would be up to two off."""
    before = deep_video(tmp_path / "in.mkv", tags, sampling)
    (result,) = replace(tmp_path / "in.mkv", "#204060", tmp_path / "out.mkv", model=red_finder, codec="ffv1")
    assert (result.status, result.note) == ("done", "")
    after, codec, found = stored(tmp_path / "out.mkv")
    assert (codec, found) == ("ffv1 yuv444p10le", (*tags, 1))
    for old, new in zip(before, halved(after, before), strict=True):
        assert np.abs(part(old, INSIDE) - part(new, INSIDE)).max() <= 1
    fine = part(before[0], INSIDE)
    assert np.abs(fine // 4 * 4 - fine).max() > 1  # what 8 bits would have made of it is told apart


LOSSY = [
    ("out.mp4", None, "hevc yuv420p10le"),
    ("out.mkv", None, "hevc yuv420p10le"),
    ("out.webm", None, "av1 yuv420p10le"),
    ("out.mp4", "h264", "h264 yuv420p10le"),
    ("out.mp4", "av1", "av1 yuv420p10le"),
    ("out.mov", "prores", "prores yuv422p10le"),
]


@pytest.mark.parametrize(("name", "codec", "is_"), LOSSY)
def test_codecs_that_hold_ten_bits_get_them(
    tmp_path: Path, red_finder: Path, name: str, codec: str | None, is_: str
) -> None:
    before = deep_video(tmp_path / "in.mp4", TO_PQ, codec="libx265")
    (result,) = replace(tmp_path / "in.mp4", "#204060", tmp_path / name, model=red_finder, codec=codec)
    assert (result.status, result.note) == ("done", "")
    after, found, tags = stored(tmp_path / name)
    assert (found, tags) == (is_, (*TO_PQ, 1))
    old, new = part(before[0], INSIDE), part(after[0], INSIDE)
    assert np.abs(old - new).mean() < 2.5
    assert len(np.unique(new % 4)) == 4


@pytest.mark.parametrize(
    ("name", "codec", "kind", "pixels"),
    [("out.webm", "vp9", "composite", "yuv420p"), ("out.mov", "qtrle", "composite", "rgb24")],
)
def test_a_codec_of_eight_bits_is_named(
    tmp_path: Path, red_finder: Path, name: str, codec: str, kind: str, pixels: str
) -> None:
    deep_video(tmp_path / "in.mkv", TO_HLG)
    (result,) = replace(tmp_path / "in.mkv", "#204060", tmp_path / name, kind, red_finder, codec=codec)
    assert result.note == "colours of more than 8 bits written in 8: use --codec hevc or av1 to keep them"
    with av.open(str(tmp_path / name)) as container:
        assert next(container.decode(video=0)).format.name == pixels


def test_a_matte_has_eight_bits_and_nobody_misses_more(tmp_path: Path, red_finder: Path) -> None:
    deep_video(tmp_path / "in.mkv")
    (result,) = replace(tmp_path / "in.mkv", output=tmp_path / "out.mp4", kind="alpha", model=red_finder)
    assert (result.status, result.note) == ("done", "")
    assert stored_pixels(tmp_path / "out.mp4") == "yuv420p"
    replace(tmp_path / "in.mkv", "#204060", tmp_path / "both.mp4", model=red_finder, matte=True)
    assert stored_pixels(tmp_path / "both-matte.mp4") == "yuv420p"


def stored_pixels(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.pix_fmt)


def test_a_folder_of_pictures_has_sixteen_bits(tmp_path: Path, red_finder: Path) -> None:
    deep_video(tmp_path / "in.mkv")
    replace(tmp_path / "in.mkv", "#204060", tmp_path / "out", model=red_finder, codec="png", sheet=tmp_path / "s.png")
    picture = np.asarray(cv2.imread(str(tmp_path / "out" / "000004.png"), cv2.IMREAD_UNCHANGED))[:, :, ::-1]
    assert picture.dtype == np.uint16
    assert np.abs(picture[INSIDE] / 65535 - shown()[INSIDE]).max() < 0.004  # colours shared by two times two pixels
    assert (picture[ROOM] == np.array([0x20, 0x40, 0x60]) * 257).all()
    assert cv2.imread(str(tmp_path / "s.png")).std() > 20


@pytest.mark.parametrize(("name", "codec"), [("cut.mov", None), ("cut.mkv", "ffv1"), ("cut", "png")])
def test_cutouts_keep_the_levels_too(tmp_path: Path, red_finder: Path, name: str, codec: str | None) -> None:
    before = deep_video(tmp_path / "in.mkv")
    (result,) = replace(tmp_path / "in.mkv", "transparent", tmp_path / name, model=red_finder, codec=codec)
    assert (result.status, result.note) == ("done", "")
    if codec == "png":
        picture = np.asarray(cv2.imread(str(tmp_path / name / "000001.png"), cv2.IMREAD_UNCHANGED))
        assert picture.dtype == np.uint16
        assert (picture[INSIDE][:, :, 3] == 65535).all()
        assert not picture[ROOM].any()
        return
    planes, found, _ = stored(tmp_path / name)
    assert found.split()[1].startswith("yuva444p1")
    scale = 4 if found.endswith("12le") else 1
    assert np.abs(part(planes[0], INSIDE) / scale - part(before[0], INSIDE)).max() <= (1 if codec else 3)
    assert (part(planes[3], INSIDE) // scale >= 1020).all()
    assert not part(planes[3], ROOM).any()


def test_the_blurred_room_is_not_rounded_to_eight_bits(tmp_path: Path, red_finder: Path) -> None:
    """A wall that grows brighter has steps in 8 bits: bands, which are seen on a screen of 10."""
    before = deep_video(tmp_path / "in.mkv", TO_PQ)
    replace(tmp_path / "in.mkv", "blur", tmp_path / "out.mkv", model=red_finder, codec="ffv1")
    after, _, _ = stored(tmp_path / "out.mkv")
    row = part(after[0], ROOM)[40]
    assert np.abs(row - part(before[0], ROOM)[40]).max() <= 6
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() <= 2


# ---- standard pictures behind a person of high dynamic range


def pq_light(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084's other way, in cd/m²."""
    power = level ** (32 / 2523)
    return 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (16384 / 2610)


def test_white_behind_a_person_of_hdr_is_the_reference_white(tmp_path: Path, red_finder: Path) -> None:
    deep_video(tmp_path / "in.mkv", TO_PQ)
    write_image(tmp_path / "white.png", plain(64, 48, (255, 255, 255)))
    for name, background in (("a.mkv", "#ffffff"), ("b.mkv", tmp_path / "white.png")):
        replace(tmp_path / "in.mkv", str(background), tmp_path / name, model=red_finder, codec="ffv1")
        luma = part(stored(tmp_path / name)[0][0], ROOM)
        assert pq_light((luma - 64) / 876) == pytest.approx(203, rel=0.02)


def test_levels_of_standard_pictures_in_hdr() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    light = np.where(grey <= 10, grey / 255 / 12.92, ((grey / 255 + 0.055) / 1.055) ** 2.4)
    made = deepened(grey, PQ, BT2020) / 65535
    np.testing.assert_allclose(pq_light(made), 203 * light, atol=0.02, rtol=0.01)
    hybrid = deepened(grey, HLG, 1)[0, :, 0] / 65535
    assert hybrid[[0, 255]] == pytest.approx([0, 0.75], abs=1e-3)
    assert (np.diff(hybrid) > 0).all()
    red = deepened(np.array([[[255, 0, 0]]], np.uint8), PQ, BT2020)[0, 0]
    assert pq_light(red / 65535) == pytest.approx([203 * 0.6274, 203 * 0.0691, 203 * 0.0164], rel=0.02)
    np.testing.assert_array_equal(deepened(grey, 1, 1), grey.astype(np.uint16) * 257)


# ---- the parts


def test_compositor_in_sixteen_bits_is_the_one_of_eight(scene: Scene, background: Frame) -> None:
    matte = to_matte(scene.alpha)
    deep = Compositor()(scene.frame.astype(np.uint16) * 257, matte, background.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - composite(scene.frame, scene.alpha, background)).max() <= 1.5
    np.testing.assert_array_equal(deep[matte == 255], scene.frame[matte == 255].astype(np.uint16) * 257)


@pytest.fixture
def background(scene: Scene) -> Frame:
    return plain(scene.frame.shape[1], scene.frame.shape[0], (10, 200, 90))


def test_no_pixel_of_the_room_leaks_in_sixteen_bits(scene: Scene, background: Frame) -> None:
    matte = to_matte(scene.alpha)
    behind = background.astype(np.uint16) * 257
    other = scene.frame.astype(np.uint16) * 257
    made = Compositor()(other, matte, behind).copy()
    other[matte <= 127] = 65535
    np.testing.assert_array_equal(Compositor()(other, matte, behind), made)


def test_blur_in_sixteen_bits_is_the_one_of_eight(scene: Scene) -> None:
    matte, frame = to_matte(scene.alpha), scene.frame
    eight = Blur()(frame, matte, Fraction(0)).copy()
    assert np.abs(Blur()(frame.astype(np.uint16) * 257, matte, Fraction(0)) / 257 - eight).max() <= 1.5
    assert (weighted_blur(np.zeros((4, 4, 3), np.uint16), np.zeros((4, 4), np.float32), 2.0) == 32768).all()


def test_sources_say_how_deep_they_are_and_give_every_bit(tmp_path: Path) -> None:
    deep_video(tmp_path / "in.mkv", sampling="444")
    with VideoSource(tmp_path / "in.mkv") as source:
        frame = next(iter(source))
        deep = source.deep_frame()
    assert source.deep
    assert np.abs(deep / 65535 - shown()).max() < 0.0021  # a step of 10 bits is a thousandth
    assert np.abs(deep / 257 - frame).max() <= 1


def test_a_turned_video_of_ten_bits_is_upright(tmp_path: Path, red_finder: Path) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=error"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        stream.set_display_rotation(90)
        picture = plain(96, 64, (0, 60, 60))
        picture[:, :40] = 255, 60, 60
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p10le", threads=1)
        for frame.pts in range(3):  # when one or two are decoded x265 leaves to chance
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (result,) = replace(tmp_path / "in.mp4", "#000000", tmp_path / "out", model=red_finder, codec="png")
    assert result.status == "done"
    made = np.asarray(cv2.imread(str(tmp_path / "out" / "000001.png"), cv2.IMREAD_UNCHANGED))
    with VideoSource(tmp_path / "in.mp4") as source:
        seen = next(iter(source))
    assert (made.shape, made.dtype) == ((96, 64, 3), np.uint16)
    person = seen[:, :, 0] > 250
    assert np.abs(made[:, :, ::-1][person] / 257 - seen[person]).max() <= 3


def test_the_note_stands_in_json_and_manifest(tmp_path: Path, red_finder: Path) -> None:
    (tmp_path / "in").mkdir()
    deep_video(tmp_path / "in" / "a.webm", codec="libsvtav1")
    (result,) = replace(tmp_path / "in", "#000000", tmp_path / "out", model=red_finder, codec="vp9")
    (line,) = (tmp_path / "out" / "figureground-manifest.jsonl").read_text().splitlines()
    assert json.loads(line)["note"] == result.note != ""
