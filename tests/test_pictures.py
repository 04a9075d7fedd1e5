"""Pictures through `replace`: every format, their own colours, 16 bits, what they say, and nothing of the old room."""

from __future__ import annotations

import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from figureground.arrays import Frame
from figureground.batch import replace
from figureground.errors import ModelError
from figureground.images import HEIC_EXTENSIONS, read_image
from figureground.pictures import Metadata, read_picture, write_picture
from figureground.preprocess import to_matte
from figureground.runtimes.peers import open_model
from picturefiles import (
    BLOB,
    INNER,
    INTEROP,
    NOTE,
    PLACE,
    PREVIEW,
    SAID,
    TAGS,
    made,
    person,
    photograph,
    preview_in,
    sure,
    swapped_profile,
)
from scenes import BLUE, RED, largest_difference, noise, plain
from test_evaluation_peers import described_mirror
from videos import H264, make_video, read_film

PEERS = Path(__file__).parents[2] / "shared" / "peers"
needs_heic = pytest.mark.skipif(not find_spec("pillow_heif"), reason="HEIC needs pip install 'figureground[heic]'")
EXACT = [(suffix, kind) for suffix in (".png", ".tif", ".webp") for kind in ("cutout", "alpha")]
EXACT += [(suffix, "composite") for suffix in (".png", ".tif", ".bmp")]
LOSSY = (".jpg", ".avif", ".heic")
HOLD_ALL = [".jpg", ".png", ".webp", ".tif", ".avif", pytest.param(".heic", marks=needs_heic)]


# ---- what files say


@pytest.mark.parametrize("suffix", HOLD_ALL)
def test_what_a_picture_says_is_kept_but_for_what_shows_the_old_room(
    tmp_path: Path, red_finder: Path, suffix: str
) -> None:
    before = photograph(tmp_path / f"in{suffix}", person(), orientation=6)
    assert BLOB in before.read_bytes()
    with Image.open(before) as picture:
        assert suffix in (".tif", ".avif") or preview_in(picture.info["exif"]) == PREVIEW
    after = made(before, red_finder, f"out{suffix}", background="#008040")
    content = after.read_bytes()
    assert not any(hidden in content for hidden in (PREVIEW, NOTE, NOTE[5:36], BLOB[:76], BLOB[-60:]))
    with Image.open(after) as picture:
        assert picture.size == (64, 96), "upright"
        tags = picture.getexif()
        assert tags.get(274, 1) == 1
        assert {tag: tags[tag] for tag in SAID} == SAID
        inner = tags.get_ifd(ExifTags.IFD.Exif)
        assert {tag: inner[tag] for tag in INNER} == INNER
        assert (inner[TAGS.ExifImageWidth], inner[TAGS.ExifImageHeight]) == (64, 96)
        assert tags.get_ifd(ExifTags.IFD.GPSInfo) == PLACE
        assert tags.get_ifd(ExifTags.IFD.Interop) == ({} if suffix == ".tif" else INTEROP)
        assert tags.get_ifd(ExifTags.IFD.IFD1) == {}
        assert b"<dc:title>Harbour</dc:title>" in picture.info["xmp"]
        assert b'Orientation="6"' not in picture.info["xmp"]
        if suffix in (".jpg", ".png", ".tif"):
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("suffix", HOLD_ALL)
def test_names_keep_their_letters(tmp_path: Path, red_finder: Path, suffix: str) -> None:
    """EXIF's text is ASCII by its standard and UTF-8 by custom; Pillow writes question marks instead."""
    artist, owner, said = "Jürgen Löß".encode(), "Zoë 李".encode(), Image.Exif()
    said[TAGS.Artist], said[ExifTags.IFD.Exif] = "A" * len(artist), {TAGS.CameraOwnerName: "B" * len(owner)}
    content = said.tobytes().replace(b"A" * len(artist), artist).replace(b"B" * len(owner), owner)
    Image.fromarray(person()).save(tmp_path / "in.png", exif=content)
    after = [made(tmp_path / "in.png", red_finder, f"out{suffix}")]
    if suffix in (".png", ".tif"):
        after.append(tmp_path / f"deep{suffix}")
        write_picture(after[1], np.zeros((8, 8, 4), np.uint16), read_picture(tmp_path / "in.png").metadata)
    for path in after:
        with Image.open(path) as picture:
            tags = picture.getexif()
            assert tags[TAGS.Artist].encode("latin-1") == artist
            assert tags.get_ifd(ExifTags.IFD.Exif)[TAGS.CameraOwnerName].encode("latin-1") == owner


@pytest.mark.parametrize("suffix", HOLD_ALL)
def test_stripped_of_metadata_it_says_nothing_but_its_colours(tmp_path: Path, red_finder: Path, suffix: str) -> None:
    before = photograph(tmp_path / f"in{suffix}", person(), profile=swapped_profile())
    after = made(before, red_finder, f"out{suffix}", background="#008040", strip_metadata=True)
    with Image.open(after) as picture:
        tags = picture.getexif()
        assert not set(SAID) & set(tags)
        assert not tags.get_ifd(ExifTags.IFD.Exif)
        assert not tags.get_ifd(ExifTags.IFD.GPSInfo)
        assert not picture.info.get("xmp")
        assert picture.info["icc_profile"] == swapped_profile()
    assert b"Harbour" not in after.read_bytes()
    assert b"Acme" not in after.read_bytes()


@pytest.mark.parametrize("kind", ["cutout", "alpha"])
def test_cutouts_and_mattes_say_it_too(tmp_path: Path, red_finder: Path, kind: str) -> None:
    before = photograph(tmp_path / "in.jpg", person(), profile=swapped_profile())
    with Image.open(made(before, red_finder, "out.png", kind=kind)) as picture:
        assert picture.getexif()[TAGS.Make] == "Acme"
        # A matte is grey: a profile of RGB colours would make the file invalid.
        assert ("icc_profile" in picture.info) == (kind == "cutout")


def test_metadata_too_long_for_a_jpeg_is_left_out_of_it(tmp_path: Path) -> None:
    said = Metadata(exif={TAGS.ImageDescription: "x" * 70_000}, xmp=b"<x/>" + b" " * 70_000)
    write_picture(tmp_path / "long.jpg", noise(8, 8), said)
    with Image.open(tmp_path / "long.jpg") as picture:
        assert not picture.getexif()
    write_picture(tmp_path / "long.png", noise(8, 8), said)
    with Image.open(tmp_path / "long.png") as picture:
        assert len(picture.getexif()[TAGS.ImageDescription]) == 70_000


def test_values_of_wrong_types_are_left_out(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[TAGS.Make], tags[TAGS.ImageDescription] = "Acme", "no number"
    as_a_number = tags.tobytes().replace(struct.pack("<HH", TAGS.ImageDescription, 2), struct.pack("<HH", 282, 2))
    Image.fromarray(noise(8, 8)).save(tmp_path / "in.png", exif=as_a_number)
    picture = read_picture(tmp_path / "in.png")
    write_picture(tmp_path / "out.png", picture.pixels, picture.metadata)
    with Image.open(tmp_path / "out.png") as written:
        assert written.getexif()[TAGS.Make] == "Acme"


# ---- colours


def test_colours_are_the_pictures_own(tmp_path: Path, red_finder: Path) -> None:
    """Through the profile its blue is red: the network, which must see that, finds it, and the file keeps it blue."""
    pixels = person()[:, :, ::-1].copy()
    photograph(tmp_path / "in.png", pixels, profile=swapped_profile())
    after = made(tmp_path / "in.png", red_finder, "out.png", background="#ff8000")
    with Image.open(after) as picture:
        got = np.asarray(picture)
        assert picture.info["icc_profile"] == swapped_profile()
    np.testing.assert_array_equal(got[sure()], pixels[sure()])
    assert np.abs(got[2, 2].astype(int) - (0, 128, 255)).max() <= 2, "the background is orange through the profile"
    assert np.abs(read_image(after)[2, 2].astype(int) - (255, 128, 0)).max() <= 2


def test_a_transparent_picture_has_its_profile_honoured(tmp_path: Path, red_finder: Path) -> None:
    rgba = np.dstack([person()[:, :, ::-1], np.full((64, 96), 255, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "in.png", icc_profile=swapped_profile())
    with Image.open(made(tmp_path / "in.png", red_finder, "out.png", kind="cutout")) as picture:
        got = np.asarray(picture)
    np.testing.assert_array_equal(got[sure()], rgba[sure()])


def test_profiles_of_other_colours_are_not_passed_on(tmp_path: Path) -> None:
    grey = Image.fromarray(noise(8, 8)[:, :, 0])
    grey.save(tmp_path / "grey.png", icc_profile=b"no profile")
    assert read_picture(tmp_path / "grey.png").metadata.profile is None
    grey.convert("CMYK").save(tmp_path / "print.tif", icc_profile=swapped_profile())
    assert read_picture(tmp_path / "print.tif").metadata.profile is None


# ---- formats


@pytest.mark.parametrize("suffix", HOLD_ALL)
@pytest.mark.parametrize("kind", ["composite", "cutout", "alpha"])
def test_every_kind_in_every_format(tmp_path: Path, red_finder: Path, suffix: str, kind: str) -> None:
    if (suffix, kind) == (".jpg", "cutout"):
        return  # which is refused: test_replace.py
    pixels = person()
    Image.fromarray(pixels).save(tmp_path / "in.png")
    after = made(tmp_path / "in.png", red_finder, f"out{suffix}", kind=kind, background="#008040")
    with Image.open(after) as picture:
        got = np.asarray(picture.convert({"composite": "RGB", "cutout": "RGBA", "alpha": "L"}[kind]))
    want = pixels[sure()]
    if kind == "cutout":
        want = np.dstack([want, np.full(want.shape[:2], 255, np.uint8)])
    elif kind == "alpha":
        want = np.full(want.shape[:2], 255, np.uint8)
    # A composite as WebP is lossy; noise is the worst that can happen to colours of half the resolution.
    is_lossy = suffix in LOSSY or (suffix, kind) == (".webp", "composite")
    if not is_lossy:
        np.testing.assert_array_equal(got[sure()], want)
    elif kind == "alpha":
        assert largest_difference(got[sure()], want) <= 3
    else:
        assert np.abs(got[sure()].astype(float).mean((0, 1)) - want.mean((0, 1))).max() < 12


@given(size=st.tuples(st.integers(1, 90), st.integers(1, 90)), seed=st.integers(0, 99), way=st.sampled_from(EXACT))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_the_person_and_the_alpha_are_exact(
    tmp_path: Path, red_finder: Path, size: tuple[int, int], seed: int, way: tuple[str, str]
) -> None:
    suffix, kind = way
    frame, model = cv2.blur(noise(*size, seed), (3, 3)) // 2 * 3, open_model(str(red_finder))
    Image.fromarray(frame).save(tmp_path / "in.png")
    after = made(tmp_path / "in.png", red_finder, f"out{suffix}", kind=kind, background="#008040")
    levels = model.levels(frame)
    with Image.open(after) as picture:
        got = np.asarray(picture.convert({"composite": "RGB", "cutout": "RGBA", "alpha": "L"}[kind]))
    if kind == "alpha":
        np.testing.assert_array_equal(got, levels)
        return
    np.testing.assert_array_equal(got[levels == 255][:, :3], frame[levels == 255])
    if kind == "cutout":
        np.testing.assert_array_equal(got[:, :, 3], levels)
        assert suffix == ".webp" or not got[levels == 0].any()
    else:
        assert (got[levels == 0] == (0, 128, 64)).all()


@needs_heic
@pytest.mark.parametrize("suffix", HEIC_EXTENSIONS)
def test_heic_is_read_upright_and_written_again(tmp_path: Path, red_finder: Path, suffix: str) -> None:
    photograph(tmp_path / f"in{suffix}", plain(96, 64, (250, 10, 10)), orientation=6)
    after = made(tmp_path / f"in{suffix}", red_finder, f"out{suffix}", background="#000000")
    frame = read_image(after)
    assert frame.shape == (96, 64, 3)
    assert np.abs(frame[48, 32].astype(int) - (250, 10, 10)).max() < 8


def test_without_heic_the_command_that_installs_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "in.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    Image.fromarray(noise(8, 8)).save(tmp_path / "in.png")
    script = "import sys; sys.modules['pillow_heif'] = None; from figureground.cli import main; main()"
    for name, output in (("in.heic", "out.png"), ("in.png", "out.heic")):
        command = [sys.executable, "-c", script, "replace", name, "--output", output, "--background", "#000000"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        heic = name if "heic" in name else output
        want = f"figureground: {heic}: HEIC needs another package: run  pip install 'figureground[heic]'\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", want)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".tif"])
def test_of_several_pictures_the_first_is_taken_and_that_is_said(tmp_path: Path, red_finder: Path, suffix: str) -> None:
    first, *others = (Image.fromarray(np.roll(person(), 8 * number, 1)) for number in range(3))
    first.save(
        tmp_path / f"in{suffix}",
        save_all=True,
        append_images=others,
    )
    (result,) = replace(tmp_path / f"in{suffix}", "#008040", tmp_path / "out.png", model=red_finder)
    assert (result.status, result.note) == ("done", "the first of its 3 pictures")
    command = [sys.executable, "-m", "figureground", "replace", f"in{suffix}", "--output", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "out.png  (1 frame)\n"
    assert done.stderr == "figureground: out.png: the first of its 3 pictures\n"


# ---- other people's models


@pytest.mark.skipif(not PEERS.is_dir(), reason="no peers here")
@pytest.mark.skipif(not find_spec("ai_edge_litert"), reason="LiteRT needs pip install 'figureground[peers]'")
def test_another_model_is_what_evaluate_measures(tmp_path: Path, astronaut: Frame) -> None:
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    alpha = open_model(str(PEERS / "mp_selfie.tflite"))(astronaut)
    with Image.open(made(tmp_path / "a.png", PEERS / "mp_selfie.tflite", "out.png", kind="alpha")) as picture:
        np.testing.assert_array_equal(np.asarray(picture), to_matte(alpha))
    assert alpha[50:70, 100:120].min() > 0.9


def test_a_described_model_serves_pictures_videos_and_pipes(tmp_path: Path) -> None:
    """The model gives the picture's blue channel, as its description says: a blue person is found by it alone."""
    model = described_mirror(tmp_path, "channel = 2")
    frame = np.hstack([plain(64, 96, (0, 0, 0)), plain(64, 96, BLUE), plain(64, 96, RED)])
    Image.fromarray(frame).save(tmp_path / "a.png")
    make_video(tmp_path / "a.mp4", [frame] * 3, look=H264)
    results = replace(
        [tmp_path / "a.png", tmp_path / "a.mp4"], "#008040", tmp_path / "out", model=Path(model).with_suffix(".onnx")
    )
    assert [result.reason for result in results] == ["", ""]
    want = np.array([[0, 128, 64], BLUE, [0, 128, 64]], np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.png")[48, 32::64], want)
    assert largest_difference(read_film(tmp_path / "out" / "a.mp4").pictures[2][48, 32::64], want) <= 12
    command = [sys.executable, "-m", "figureground", "replace", "-", "--pipe", "rgb24:192x96", "--model", model]
    done = subprocess.run([*command, "--kind", "alpha"], input=frame.tobytes() * 2, capture_output=True, check=True)
    assert np.frombuffer(done.stdout, np.uint8).reshape(2, 96, 192)[1, 48, 32::64].tolist() == [0, 255, 0]


def test_a_description_that_is_wrong_is_told_before_the_work(tmp_path: Path) -> None:
    model = described_mirror(tmp_path, "chanels = 'BGR'")
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ModelError, match=r"peer\.onnx\.toml: 'chanels' is no setting"):
        replace(tmp_path / "a.png", model=model)


def test_threads_share_a_described_model(tmp_path: Path) -> None:
    model = open_model(described_mirror(tmp_path))
    frames = [noise(300 - number, 200, number) for number in range(16)]
    alone = [model(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(model, frames), strict=True):
            np.testing.assert_array_equal(one, other)
        for frame, (seen, alpha) in zip(frames, pool.map(model.look, frames), strict=True):
            np.testing.assert_allclose(alpha, seen[:, :, 0] / np.float32(255), atol=1e-6)
            assert seen.shape[:2] == alpha.shape
            assert not np.shares_memory(seen, frame)
