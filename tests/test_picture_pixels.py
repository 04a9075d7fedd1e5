"""The pixels of pictures through `replace`: 16 bits, crops, and strips, in which large ones are worked on."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import putchunk

from figureground import profiles, refine
from figureground.arrays import Frame
from figureground.batch import replace
from figureground.batch.picture import subject
from figureground.compositor import Compositor, composite_in_place, deep_on_transparency, on_transparency
from figureground.errors import OutputError
from figureground.images import read_image
from figureground.pictures import Metadata, read_picture, write_picture
from figureground.preprocess import to_matte
from figureground.refine import enlarged_levels, refined_levels
from figureground.runtimes.peers import open_model
from picturefiles import SAID, TAGS, XMP, made, person, photograph, sure, swapped_profile
from scenes import GREEN, figure_alpha, make_scene, noise, plain
from test_images import STORED

# ---- 16 bits


@pytest.mark.parametrize("orientation", [1, 2, 6, 7])
@pytest.mark.parametrize("before", [".png", ".tif"])
@pytest.mark.parametrize("after", [".png", ".tif"])
def test_sixteen_bits_are_kept_in_a_cutout(
    tmp_path: Path, red_finder: Path, before: str, after: str, orientation: int
) -> None:
    pixels = person(bits=16)
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    said = Metadata(None, {**SAID, TAGS.Orientation: orientation}, XMP, (300.0, 300.0))
    deep_file(tmp_path / f"in{before}", stored, said, orientation)
    result = made(tmp_path / f"in{before}", red_finder, f"out{after}", kind="cutout")
    bgra = cv2.imread(str(result), cv2.IMREAD_UNCHANGED)
    assert bgra is not None
    assert (bgra.dtype, bgra.shape) == (np.uint16, (64, 96, 4))
    np.testing.assert_array_equal(bgra[sure()][:, :, 2::-1], pixels[sure()])
    assert (bgra[sure()][:, :, 3] == 65535).all()
    assert not bgra[:12, :20].any(), "nothing of the room"
    with Image.open(result) as picture:
        picture.load()
        assert {tag: picture.getexif()[tag] for tag in SAID} == SAID
        assert picture.getexif().get(274, 1) == 1
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert b"Harbour" in picture.info["xmp"]


def deep_file(path: Path, pixels: np.ndarray, said: Metadata, orientation: int) -> None:
    """A picture of 16 bits by OpenCV, its EXIF put in by hand."""
    tags = Image.Exif()
    for tag, value in (said.exif or {}).items():
        tags[tag] = value
    if path.suffix == ".png":
        ok, content = cv2.imencode(".png", pixels[:, :, ::-1])
        assert ok
        data = content.tobytes()
        extra = io.BytesIO()
        putchunk(extra, b"eXIf", tags.tobytes()[6:])
        putchunk(extra, b"pHYs", (11811).to_bytes(4, "big") * 2, b"\1")
        putchunk(extra, b"iTXt", b"XML:com.adobe.xmp", b"\0\0\0\0\0", said.xmp or b"")
        path.write_bytes(data[:33] + extra.getvalue() + data[33:])
    else:
        tifffile = pytest.importorskip("tifffile")
        values = [(tag, "s", 0, value, True) for tag, value in SAID.items() if tag != TAGS.ImageDescription]
        values += [(274, "H", 1, orientation, True), (700, "B", len(XMP), XMP, True)]
        tifffile.imwrite(
            path,
            np.ascontiguousarray(pixels),
            photometric="rgb",
            compression="zlib",
            description=SAID[TAGS.ImageDescription],
            metadata=None,
            extratags=values,
            resolution=(300, 300),
            resolutionunit="INCH",
        )


@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 99),
    suffix=st.sampled_from([".png", ".tif"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_sixteen_bits_written_are_read_again(tmp_path: Path, size: tuple[int, int], seed: int, suffix: str) -> None:
    rgba = np.random.default_rng(seed).integers(0, 65536, (*size, 4), np.uint16)
    write_picture(tmp_path / f"deep{suffix}", rgba, Metadata(swapped_profile(), {TAGS.Make: "Acme"}, XMP, (72.0, 72.0)))
    bgra = cv2.imread(str(tmp_path / f"deep{suffix}"), cv2.IMREAD_UNCHANGED)
    assert bgra is not None
    np.testing.assert_array_equal(bgra[:, :, [2, 1, 0, 3]], rgba)
    with Image.open(tmp_path / f"deep{suffix}") as picture:
        picture.load()
        assert (picture.mode, picture.info["icc_profile"]) == ("RGBA", swapped_profile())
        np.testing.assert_array_equal(np.asarray(picture), rgba >> 8)


def test_a_composite_of_sixteen_bits_has_eight(tmp_path: Path, red_finder: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), person(bits=16)[:, :, ::-1])
    got = cv2.imread(str(made(tmp_path / "in.png", red_finder, "out.png", background="#008040")), -1)
    assert got is not None
    assert got.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_broken_picture_of_sixteen_bits_is_refused(
    tmp_path: Path, red_finder: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    path = tmp_path / f"in{suffix}"
    deep_file(path, person(bits=16), Metadata(), 1)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    (result,) = replace(path, kind="cutout", output=tmp_path / "out.png", model=red_finder)
    assert result.status == "failed"
    assert f"{path}: cannot be read" in result.reason or f"{path}: not a picture" in result.reason
    # Of a TIFF the library inside Pillow says so itself, and cannot be told not to.
    assert suffix == ".tif" or capfd.readouterr() == ("", "")


def test_transparent_and_grey_pictures_of_sixteen_bits(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 65536, (9, 7, 4), np.uint16)
    write_picture(tmp_path / "clear.png", rgba, Metadata())
    share = rgba[:, :, 3:] / 65535
    got = read_picture(tmp_path / "clear.png", deep=True).pixels
    assert np.abs(got - (share * rgba[:, :, :3] + (1 - share) * 65535)).max() <= 1
    Image.fromarray(rgba[:, :, 0]).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(read_picture(tmp_path / "grey.tif", deep=True).pixels[:, :, 1], rgba[:, :, 0])


def test_a_transparent_grey_picture_of_sixteen_bits_keeps_them(tmp_path: Path, red_finder: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (9, 7), np.uint16)
    lines = np.stack([grey, np.full_like(grey, 65535)], axis=2).astype(">u2").view(np.uint8).reshape(9, -1)
    with (tmp_path / "in.png").open("wb") as file:  # Pillow and OpenCV write none
        file.write(b"\x89PNG\r\n\x1a\n")
        putchunk(file, b"IHDR", struct.pack(">IIBBBBB", 7, 9, 16, 4, 0, 0, 0))
        putchunk(file, b"IDAT", zlib.compress(np.pad(lines, ((0, 0), (1, 0))).tobytes()))
        putchunk(file, b"IEND", b"")
    cut = cv2.imread(str(made(tmp_path / "in.png", red_finder, "out.png", kind="cutout")), cv2.IMREAD_UNCHANGED)
    assert cut.dtype == np.uint16
    shown = cut[:, :, 3] == 65535
    assert shown.any()
    np.testing.assert_array_equal(cut[shown][:, 0], grey[shown])


# ---- cropping


@given(seed=st.integers(0, 999), margin=st.sampled_from([0.0, 7.5, 100.0]))
@settings(max_examples=60)
def test_a_crop_holds_the_person_and_no_more(seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    person = np.zeros(rng.integers(1, 60, 2), bool)
    ys, xs = (np.sort(rng.integers(0, side, 2)) for side in person.shape)
    person[ys[0], xs[0]] = person[ys[1], xs[1]] = True
    rows, columns = subject(person, margin)
    height, width = ys[1] - ys[0] + 1, xs[1] - xs[0] + 1
    more = round(max(height, width) * margin / 100)
    assert (rows.start, rows.stop) == (max(0, ys[0] - more), min(person.shape[0], ys[1] + 1 + more))
    assert (columns.start, columns.stop) == (max(0, xs[0] - more), min(person.shape[1], xs[1] + 1 + more))


@pytest.mark.parametrize(("kind", "name"), [("cutout", "out.png"), ("alpha", "out.png"), ("cutout", "out.tif")])
def test_a_crop_is_a_part_of_the_whole(tmp_path: Path, red_finder: Path, kind: str, name: str) -> None:
    photograph(tmp_path / "in.png", person())
    with Image.open(made(tmp_path / "in.png", red_finder, "whole.png", kind=kind)) as picture:
        whole = np.asarray(picture)
    with Image.open(made(tmp_path / "in.png", red_finder, name, kind=kind, crop=True, margin=5.0)) as picture:
        part, inner = np.asarray(picture), picture.getexif().get_ifd(ExifTags.IFD.Exif)
    rows, columns = subject((whole if kind == "alpha" else whole[:, :, 3]) >= 13, 5.0)
    assert rows.start > 0
    np.testing.assert_array_equal(part, whole[rows, columns])
    assert (inner[TAGS.ExifImageHeight], inner[TAGS.ExifImageWidth]) == part.shape[:2]


def test_there_is_nothing_to_crop_to_where_nobody_is(tmp_path: Path, red_finder: Path) -> None:
    Image.fromarray(plain(30, 20, GREEN)).save(tmp_path / "empty.png")
    (result,) = replace(tmp_path / "empty.png", kind="cutout", crop=True, model=red_finder)
    assert result.status == "failed"
    assert result.reason.endswith("empty.png: nobody is seen in it, so there is nothing to crop to; leave --crop out")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.png"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"crop": True}, "--crop: a composite keeps its size"),
        ({"crop": True, "kind": "alpha", "margin": 101.0}, "--margin 101: want 0 to 100"),
        ({"kind": "alpha", "margin": 5.0}, "--margin: only means something with --crop"),
    ],
)
def test_a_crop_that_cannot_be_is_refused(tmp_path: Path, asked: dict[str, object], said: str) -> None:
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    with pytest.raises(OutputError, match=said):
        replace(tmp_path / "a.png", **asked)  # type: ignore[arg-type]


def test_a_video_is_not_cropped(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(OutputError, match=r"a\.mp4: --crop is for pictures"):
        replace(tmp_path / "a.mp4", kind="cutout", crop=True)


# ---- large pictures, in strips


@pytest.fixture
def in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (profiles, refine):
        monkeypatch.setattr(module, "STRIP", 1000)


SIZES = st.tuples(st.integers(1, 150), st.integers(1, 150))


@given(size=SIZES, seed=st.integers(0, 99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_strips_make_the_same_picture(size: tuple[int, int], seed: int) -> None:
    frame, background = noise(*size, seed), noise(*size, seed + 1)
    matte = to_matte(figure_alpha(*size, blur=3.0))
    whole = on_transparency(frame, matte), Compositor()(frame, matte, background).copy()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(profiles, "STRIP", 700)
        np.testing.assert_array_equal(on_transparency(frame, matte), whole[0])
        composite_in_place(frame, matte, background)
        np.testing.assert_array_equal(frame, whole[1])


@given(size=SIZES, seed=st.integers(0, 99), most=st.sampled_from([255, 65535]))
@settings(max_examples=60)
def test_strips_make_the_same_alpha(size: tuple[int, int], seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    frame, alpha = noise(*size, seed), rng.random(rng.integers(1, 40, 2), np.float32)
    whole = enlarged_levels(alpha, *size, most), refined_levels(frame, alpha, most)
    with pytest.MonkeyPatch.context() as patched:
        for module in (profiles, refine):
            patched.setattr(module, "STRIP", 700)
        parts = enlarged_levels(alpha, *size, most), refined_levels(frame, alpha, most)
    for one, other in zip(whole, parts, strict=True):
        assert one.dtype == other.dtype == (np.uint8 if most == 255 else np.uint16)
        assert np.abs(one.astype(int) - other).max() <= 1


def test_levels_are_the_alpha_rounded(astronaut: Frame, engine: object) -> None:
    model = open_model("small")
    np.testing.assert_array_equal(model.levels(astronaut), to_matte(model(astronaut)))
    assert np.abs(model.levels(astronaut, 65535) / 65535 - model(astronaut)).max() < 1e-5


@pytest.mark.usefixtures("in_strips")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_read_in_strips_is_the_same(tmp_path: Path, orientation: int) -> None:
    photograph(tmp_path / "in.png", noise(70, 50), orientation, swapped_profile())
    got = read_image(tmp_path / "in.png")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(profiles, "STRIP", 1_000_000)
        np.testing.assert_array_equal(got, read_image(tmp_path / "in.png"))


def test_sixteen_bits_are_composed_as_eight_are() -> None:
    scene = make_scene(blur=2.0)
    matte = to_matte(scene.alpha)
    eight = on_transparency(scene.frame, matte)
    deep = deep_on_transparency(scene.frame.astype(np.uint16) * 257, matte.astype(np.uint16) * 257)
    assert np.abs(deep / 257 - eight).max() <= 1.5
    assert not deep[matte == 0].any()
