"""Picture files of every kind in, frames out; and back, whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageCms

from figureground.arrays import Frame
from figureground.atomic import atomic_path, check_file, check_writable
from figureground.errors import ImageError, OutputError
from figureground.images import EXTENSIONS, read_image, read_levels, read_matte, read_rgba, write_image
from scenes import BLUE, GREEN, RED, largest_difference, make_scene, noise, patches, plain

Pixels = NDArray[np.uint8]


def save(path: Path, pixels: NDArray[np.generic], mode: str | None = None, **options: object) -> Path:
    picture = Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


def test_a_colour_profile_is_honoured_or_passed_over(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), (200, 100, 50))
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "srgb.png", icc_profile=own)
    assert np.abs(read_image(tmp_path / "srgb.png").astype(int) - (200, 100, 50)).max() <= 1
    # The same profile with its red and blue primaries exchanged.
    swapped = own.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    picture.save(tmp_path / "swapped.png", icc_profile=swapped)
    assert np.abs(read_image(tmp_path / "swapped.png").astype(int) - (50, 100, 200)).max() <= 2
    picture.save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert (read_image(tmp_path / "broken.png") == (200, 100, 50)).all()


def test_paths_may_be_strings(tmp_path: Path) -> None:
    name = str(tmp_path / "a.png")
    write_image(name, np.full((2, 3, 3), 7, np.uint8))
    assert (read_image(name) == 7).all()


def test_postscript_under_the_name_of_a_jpeg_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n")
    with pytest.raises(ImageError, match=r"e\.jpg: not a picture this can read"):
        read_image(tmp_path / "e.jpg")


@pytest.mark.parametrize("suffix", EXTENSIONS)
def test_red_stays_red_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    write_image(path, patches(64, 32))
    assert largest_difference(read_image(path)[4::16, 4::16], patches(64, 32)[4::16, 4::16]) <= 24
    with Image.open(path) as picture:
        by_pillow = np.asarray(picture.convert("RGB"))
    assert largest_difference(by_pillow[4::16, 4::16], patches(64, 32)[4::16, 4::16]) <= 24


@given(pixels=st.one_of(*(arrays(np.uint8, shape) for shape in [(5, 7, 3), (1, 1, 3), (9, 2, 3), (3, 8)])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_png_keeps_every_pixel(tmp_path: Path, pixels: Pixels) -> None:
    write_image(tmp_path / "picture.png", pixels)
    want = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    np.testing.assert_array_equal(read_image(tmp_path / "picture.png"), want)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read_image(save(tmp_path / "grey.png", grey)), np.dstack([grey] * 3))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    mask = np.indices((9, 11)).sum(0) % 3 == 0
    np.testing.assert_array_equal(read_image(save(tmp_path / "bit.png", mask))[:, :, 1], mask * 255)


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    Image.fromarray(patches(40, 20)).quantize(8).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), patches(40, 20))


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    path = save(tmp_path / "print.jpg", np.hstack([plain(32, 32, RED), plain(32, 32, BLUE)]), "CMYK", quality=95)
    got = read_image(path).astype(int)
    assert got[16, 8, 0] > 200 > got[16, 8, 2] + 100
    assert got[16, 56, 2] > 200 > got[16, 56, 0] + 100


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    Image.fromarray(np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)).save(path)
    for read in (read_image, read_matte, read_levels, read_rgba):
        with pytest.raises(ImageError, match=r"float.tif: its pixels are floating-point numbers; save it with 8 or 16"):
            read(path)


def test_sixteen_bits_are_rounded_to_eight(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    got = read_image(save(tmp_path / "deep.png", levels))
    np.testing.assert_array_equal(got[:, :, 0], np.rint(levels / 65535 * 255))


@pytest.mark.parametrize(("name", "depth"), [("16.png", "u2"), ("16.tif", ">u2"), ("32.tif", "i4"), ("8.png", "u1")])
def test_an_opaque_picture_of_any_depth_is_the_same_with_and_without_alpha(
    tmp_path: Path, name: str, depth: str
) -> None:
    most = 255 if depth == "u1" else 65535
    levels = np.linspace(0, most, 4096).reshape(64, 64).astype(depth)
    rgba = read_rgba(save(tmp_path / name, levels))
    assert (rgba[:, :, 3] == 255).all()
    np.testing.assert_array_equal(rgba[:, :, :3], read_image(tmp_path / name))
    assert abs(rgba[:, :, 0].mean() - 127.5) < 1


def test_transparency_is_kept_straight(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    write_image(tmp_path / "clear.png", rgba)
    np.testing.assert_array_equal(read_rgba(tmp_path / "clear.png"), rgba)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    share = rgba[:, :, 3:] / 255
    want = share * rgba[:, :, :3] + (1 - share) * 255
    write_image(tmp_path / "clear.png", rgba)
    assert np.abs(read_image(tmp_path / "clear.png") - want).max() <= 1


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
def test_a_transparent_palette_colour_lies_over_white(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode="P")
    picture.putpalette([*RED, *GREEN])
    picture.save(tmp_path / "clear.png", transparency=1)
    assert read_image(tmp_path / "clear.png")[0].tolist() == [list(RED), [255, 255, 255]]


def test_a_single_pixel_is_a_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "dot.png", plain(1, 1, GREEN))
    assert read_image(tmp_path / "dot.png").tolist() == [[list(GREEN)]]


# EXIF 2.3, table of tag 274: how the stored rows and columns lie in the upright picture; here the way back.
STORED: dict[int, Callable[[Frame], Frame]] = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_a_turned_photograph_is_read_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = noise(12, 8)
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    options = {"lossless": True} if suffix == ".webp" else {}
    path = save(tmp_path / f"photo{suffix}", stored, exif=exif, **options)
    np.testing.assert_array_equal(read_image(path), upright)


@pytest.mark.parametrize("orientation", STORED)
def test_a_turned_jpeg_is_read_upright(tmp_path: Path, orientation: int) -> None:
    upright = patches(64, 32)
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    got = read_image(save(tmp_path / "photo.jpg", stored, exif=exif, quality=95))
    assert got.shape == upright.shape
    assert largest_difference(got[8::16, 8::16], upright[8::16, 8::16]) <= 12


def test_a_matte_is_one_channel(tmp_path: Path) -> None:
    matte = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read_matte(save(tmp_path / "matte.png", matte)), matte)
    np.testing.assert_array_equal(read_matte(save(tmp_path / "rgb.png", np.dstack([matte] * 3))), matte)


def test_a_matte_of_sixteen_bits_keeps_its_half(tmp_path: Path) -> None:
    deep = np.array([[0, 32768, 65535]], np.uint16)
    assert np.abs(read_matte(save(tmp_path / "deep.png", deep)).astype(int) - [[0, 128, 255]]).max() <= 1


def whole_jpeg() -> bytes:
    memory = io.BytesIO()
    Image.fromarray(make_scene().frame).save(memory, "JPEG")
    return memory.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunks + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


BROKEN = {
    "truncated.jpg": (whole_jpeg()[:-800], "cannot be read"),
    "head.jpg": (whole_jpeg()[:100], "cannot be read|not a picture"),
    "letter.jpg": (b"Dear all,\nthis is no picture.\n", "not a picture this can read; want .jpg"),
    "empty.png": (b"", "not a picture this can read"),
    "hollow.png": (png_header(30, 30), "cannot be read"),
    "huge.png": (png_header(60_000, 60_000), "over the limit of 100 megapixels; shrink it"),
    "large.png": (png_header(10_001, 10_000), "10001x10000 is over the limit of 100 megapixels; shrink it"),
    "within.png": (png_header(10_000, 10_000), "cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("read", [read_image, read_matte])
def test_what_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, name: str, read: Callable[[Path], Pixels]
) -> None:
    content, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_picture_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: no such file$"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="not a regular file"):
        read_image(tmp_path)


def encoded(kind: str) -> bytes:
    memory = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(noise(24, 31)).save(memory, kind, exif=exif)
    return memory.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on broken EXIF
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_damaged_bytes_end_in_a_picture_or_a_named_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(kind))
    places = st.integers(0, min(len(content) - 1, 600))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        content[place] = value
    path = tmp_path / "damaged"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        frame = read_image(path)
    except ImageError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - reading may also succeed
    else:
        assert frame.dtype == np.uint8


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "wide.webp"
    path.write_bytes(b"what stood here before")
    with pytest.raises(OutputError, match=r"wide\.webp: cannot be written \(.*16383"):
        write_image(path, plain(16_400, 2, RED))
    assert path.read_bytes() == b"what stood here before"
    assert os.listdir(tmp_path) == ["wide.webp"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nothing_is_written_in_the_place_of_a_pipe_or_a_device(tmp_path: Path) -> None:
    """As root, `--output /dev/null` would have left the whole system without one."""
    os.mkfifo(tmp_path / "a.png")
    for write in (
        lambda: write_image(tmp_path / "a.png", plain(2, 2, RED)),
        lambda: check_file(tmp_path / "a.png", "b"),
    ):
        with pytest.raises(OutputError, match=r"a\.png: is no regular file; choose another name"):
            write()
    assert (tmp_path / "a.png").is_fifo()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_write_leaves_nothing(tmp_path: Path, interruption: type[BaseException]) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "result.png") as temporary:
            temporary.write_bytes(b"half")
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".png"
            raise interruption

    with pytest.raises(interruption):
        write()
    assert os.listdir(tmp_path) == []


def test_nothing_stands_at_the_name_until_the_write_is_done(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "result.png"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert os.listdir(path.parent) == ["result.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_what_is_written_as_the_umask_says(tmp_path: Path) -> None:
    script = """
import os, sys
os.umask(0o027)  # as a shell sets it, before the program starts
import numpy
from figureground.images import write_image
write_image(sys.argv[1], numpy.zeros((2, 2, 3), numpy.uint8))
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "shared.png")], check=True)
    assert stat.S_IMODE((tmp_path / "shared.png").stat().st_mode) == 0o640


def test_a_suffix_that_cannot_hold_the_picture_is_refused(tmp_path: Path) -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    with pytest.raises(OutputError, match=r"JPEG holds no transparency; use \.png or \.webp"):
        write_image(tmp_path / "clear.jpg", rgba)
    with pytest.raises(OutputError, match=r"cannot write \.psd; use one of \.jpg"):
        write_image(tmp_path / "clear.psd", rgba)
    with pytest.raises(OutputError, match="cannot write a file without suffix"):
        write_image(tmp_path / "clear", rgba)
    assert os.listdir(tmp_path) == []


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"result\.png: cannot be written .* choose another place"):
        write_image(tmp_path / "file" / "result.png", plain(2, 2, RED))
    with pytest.raises(OutputError, match=r"cannot be written .* choose another --output"):
        check_writable(tmp_path / "file" / "new" / "folder")


def test_a_writable_folder_is_left_as_it_is(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder")
    check_writable(tmp_path)
    assert os.listdir(tmp_path) == []
