"""Every codec holds what it is given: decoded back, it is the same picture, or nearly; or the call is refused."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from figureground import encodings
from figureground.arrays import Frame
from figureground.batch import plan, replace
from figureground.batch.options import Options
from figureground.compositor import composite
from figureground.encodings import Encoding, encoding_for
from figureground.engine import Engine
from figureground.errors import OutputError
from figureground.preprocess import to_matte
from figureground.sinks import VideoSink
from figureground.sources import VideoSource
from scenes import plain
from videos import H264, make_video, read_film, read_sound

BACK = (0, 90, 200)


@pytest.fixture(scope="module")
def person(astronaut: Frame) -> Frame:
    return np.ascontiguousarray(astronaut[:128, 40:200])


def film(folder: Path, person: Frame, width: int, height: int) -> Path:
    shown = np.asarray(cv2.resize(person, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return make_video(folder / "in.mp4", [shown] * 4, 25, H264 if not width % 2 else None, sound="aac")


def decoded(path: Path, alpha: bool = False) -> Iterator[NDArray[np.uint8]]:
    """Pictures as RGB or RGBA; of a folder, too."""
    if path.is_dir():
        for file in sorted(path.iterdir()):
            picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            yield cv2.cvtColor(np.asarray(picture), cv2.COLOR_BGRA2RGBA if alpha else cv2.COLOR_BGR2RGB)
        return
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        name = stream.codec_context.codec.canonical_name
        decoder = av.codec.Codec("libvpx-vp9", "r").create("video") if alpha and name == "vp9" else None
        for packet in container.demux(stream):
            for frame in packet.decode() if decoder is None else decoder.decode(packet if packet.size else None):
                yield np.asarray(_rgb(frame, "rgba" if alpha else "rgb24"))


def _rgb(frame: av.VideoFrame, pixels: str) -> NDArray[np.uint8]:
    if not frame.format.name.startswith("yuv"):
        return np.asarray(frame.reformat(format=pixels).to_ndarray(), np.uint8)
    matrix = frame.colorspace if frame.colorspace != 2 else 5
    shown = frame.reformat(format=pixels, src_colorspace=matrix, src_color_range=1, dst_color_range=2, threads=1)
    return np.asarray(shown.to_ndarray(), np.uint8)


OPAQUE = [
    ("out.mp4", None, "h264", 3),
    ("out.mp4", "h264", "h264", 3),
    ("out.mp4", "hevc", "hevc", 4),
    ("out.mkv", "hevc", "hevc", 4),
    ("out.mp4", "vp9", "vp9", 4),
    ("out.webm", None, "vp9", 4),
    ("out.mp4", "av1", "av1", 4),
    ("out.webm", "av1", "av1", 4),
    ("out.mov", "prores", "prores", 3),
    ("out.mkv", "ffv1", "ffv1", 0),
    ("out.mov", "qtrle", "qtrle", 0),
    ("out", "png", "png", 0),
]


@pytest.mark.parametrize(("name", "codec", "is_", "mean"), OPAQUE)
@pytest.mark.parametrize("size", [(160, 128), (161, 127)])
def test_a_composite_comes_back(
    tmp_path: Path,
    person: Frame,
    engine: Engine,
    name: str,
    codec: str | None,
    is_: str,
    mean: float,
    size: tuple[int, int],
) -> None:
    source = film(tmp_path, person, *size)
    (result,) = replace(source, "#005ac8", tmp_path / name, codec=codec)
    assert (result.status, result.reason, result.frames) == ("done", "", 4)
    frame = next(decoded(source))
    want = composite(frame, engine(frame), plain(*size, BACK))
    got = list(decoded(tmp_path / name))
    assert len(got) == 4
    assert got[0].shape == (size[1], size[0], 3)
    # The stabiliser adds nothing to a first frame, the stream's refiner a little.
    assert np.abs(got[0].astype(int) - want).mean() <= mean + 0.5
    if (tmp_path / name).is_file():
        assert read_film(tmp_path / name).codec == is_
        assert read_sound(tmp_path / name) is not None
        assert result.note == ("sound track 1 (aac) re-encoded to opus" if name.endswith("webm") else "")
    else:
        assert result.note == "1 other track not kept: a folder holds only pictures"


TRANSPARENT = [
    ("out.mov", None, "prores", 3),
    ("out.webm", None, "vp9", 24),
    ("out.mkv", None, "ffv1", 0),
    ("out.mkv", "vp9", "vp9", 24),
    ("out.mov", "qtrle", "qtrle", 0),
    ("out", "png", "png", 0),
]


@pytest.mark.parametrize(("name", "codec", "is_", "bound"), TRANSPARENT)
@pytest.mark.parametrize("size", [(160, 128), (161, 127)])
def test_a_cutout_comes_back_with_its_alpha(
    tmp_path: Path, person: Frame, name: str, codec: str | None, is_: str, bound: int, size: tuple[int, int]
) -> None:
    source = film(tmp_path, person, *size)
    replace(source, output=tmp_path / "lossless.mkv", kind="alpha", codec="ffv1")
    mattes = [picture[:, :, 0] for picture in decoded(tmp_path / "lossless.mkv")]
    (result,) = replace(source, "transparent", tmp_path / name, codec=codec)
    assert (result.status, result.reason, result.frames) == ("done", "", 4)
    got = list(decoded(tmp_path / name, alpha=True))
    assert len(got) == 4
    for picture, matte, frame in zip(got, mattes, decoded(source), strict=True):
        apart = np.abs(picture[:, :, 3].astype(int) - matte)
        assert apart.max() <= bound
        assert apart.mean() <= 1
        sure = matte == 255
        assert sure.any()
        assert np.abs(picture[sure][:, :3].astype(int) - frame[sure]).mean() <= 4
    if (tmp_path / name).is_file():
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].codec_context.codec.canonical_name == is_


def test_hevc_has_the_tag_that_apple_wants(tmp_path: Path, person: Frame) -> None:
    replace(film(tmp_path, person, 160, 128), "#000000", tmp_path / "out.mp4", codec="hevc")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_a_codec_that_is_not_here_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encodings._OPAQUE, "av1", Encoding("libelsewhere", "yuv420p", {}))
    with pytest.raises(
        OutputError, match=r"^codec 'av1': is no codec that is here; want one of h264, hevc, vp9, prores"
    ):
        encoding_for(Path("a.mp4"), False, "av1")


@pytest.mark.parametrize(
    ("name", "transparent", "codec", "reason"),
    [
        ("a.mp4", False, "divx", "codec 'divx': is no codec that is here; want one of h264"),
        ("a.mov", True, "h264", "codec 'h264': holds no transparency; want one of prores, vp9, ffv1, qtrle, png"),
        ("a.webm", False, "h264", "a.webm: .webm holds no h264; use .mp4 or .mov or .mkv, or another --codec"),
        ("a.mp4", False, "prores", "a.mp4: .mp4 holds no prores; use .mov or .mkv"),
        ("a.mp4", False, "png", "a.mp4: .mp4 holds no png; use a folder, its name without suffix"),
        ("a.mp4", True, "vp9", "a.mp4: .mp4 holds no transparent video"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, transparent: bool, codec: str, reason: str) -> None:
    with pytest.raises(OutputError, match="^" + re.escape(reason)):
        encoding_for(Path(name), transparent, codec)


def test_a_codec_without_transparency_is_refused_before_anything_is_read() -> None:
    with pytest.raises(OutputError, match="holds no transparency"):
        Options("cutout", codec="h264")


@pytest.mark.parametrize(
    ("input_", "kind", "codec", "want"),
    [
        ("a.mp4", "composite", "prores", "a-composite.mov"),
        ("a.mkv", "composite", "prores", "a-composite.mkv"),
        ("a.webm", "composite", "h264", "a-composite.mp4"),
        ("a.mp4", "composite", "vp9", "a-composite.mp4"),
        ("a.avi", "composite", "av1", "a-composite.mp4"),
        ("a.mp4", "cutout", "ffv1", "a-cutout.mkv"),
        ("a.mp4", "cutout", "png", "a-cutout"),
        ("a.mkv", "cutout", None, "a-cutout.mkv"),
    ],
)
def test_a_result_has_the_name_its_codec_wants(
    tmp_path: Path, input_: str, kind: str, codec: str | None, want: str
) -> None:
    (tmp_path / input_).touch()
    (item,) = plan([tmp_path / input_], None, Options(kind, codec=codec))
    assert (item.input, item.output) == (str(tmp_path / input_), str(tmp_path / want))


def test_a_folder_of_pictures_is_replaced_by_its_like_and_nothing_else_is(tmp_path: Path, person: Frame) -> None:
    source, out = film(tmp_path, person, 160, 128), tmp_path / "frames"
    for frames in (4, 2):
        (result,) = replace(source, "transparent", out, codec="png", frames=frames)
        assert (result.status, result.output) == ("done", str(out))
        assert sorted(path.name for path in out.iterdir()) == [f"{n:06}.png" for n in range(1, frames + 1)]
    (tmp_path / "mine" / "in").mkdir(parents=True)
    (tmp_path / "mine" / "in" / "letter.txt").write_text("Dear all,")
    (result,) = replace(source, "transparent", tmp_path / "mine", codec="png")
    assert (result.status, result.reason) == (
        "failed",
        f"{tmp_path / 'mine' / 'in'}: holds other things than numbered pictures; choose another --output",
    )
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["figureground-manifest.jsonl", "in"]


def test_a_matte_is_exact_where_the_codec_is(tmp_path: Path, person: Frame, engine: Engine) -> None:
    source = film(tmp_path, person, 160, 128)
    replace(source, output=tmp_path / "out.mkv", kind="alpha", codec="ffv1")
    frame = next(decoded(source))
    matte = next(decoded(tmp_path / "out.mkv"))
    assert np.abs(matte[:, :, 1].astype(int) - to_matte(engine(frame))).mean() < 1


def test_one_picture_alone_is_a_video_in_every_codec(tmp_path: Path, red_finder: Path) -> None:
    source = make_video(tmp_path / "in.mp4", [plain(64, 48, (255, 0, 0))] * 3)
    for name, codec, *_ in OPAQUE:
        target = tmp_path / f"{codec}-{name}"
        (result,) = replace(source, "#000000", target, model=red_finder, codec=codec, frames=1)
        assert (name, result.status, len([*decoded(target)])) == (name, "done", 1)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' threads are not looked at")
def test_av1_does_not_go_before_everything_else_on_the_machine(tmp_path: Path) -> None:
    """SVT-AV1 sees to that where root runs it, for this thread and what it starts, too."""
    source = make_video(tmp_path / "in.mp4", [plain(64, 48, (200, 0, 0))] * 3, look=H264)
    policies = []
    with VideoSource(source) as frames, av.open(str(tmp_path / "av1.webm"), "w") as container:
        sink = VideoSink(container, encoding_for(tmp_path / "x.webm", False, "av1"), frames)
        for frame in frames:
            sink.send(frame, frames.time)
            policies.append({os.sched_getscheduler(int(each)) for each in os.listdir("/proc/self/task")})
        sink.finish()
    assert policies == [{os.SCHED_OTHER}] * 3
