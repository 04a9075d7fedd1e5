"""Decoded pictures as Frames: every pixel of any width, in memory that is nobody else's."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from figureground.frames import colorspace, to_frame
from scenes import noise


@pytest.mark.parametrize("size", [(64, 48), (333, 187), (1, 1), (1280, 720)])
@pytest.mark.parametrize("kind", ["rgb24", "gbrp", "bgr0"])
def test_every_pixel_is_there(size: tuple[int, int], kind: str) -> None:
    picture = noise(*size, 1)
    decoded = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=kind)
    frame = to_frame(decoded, colorspace(decoded), VideoReformatter(), 1)
    np.testing.assert_array_equal(frame, picture)
    assert frame.flags.c_contiguous


@pytest.mark.parametrize("size", [(64, 48), (333, 187)])
@pytest.mark.parametrize("kind", ["rgb24", "bgr0"])
def test_a_picture_outlives_what_it_was_made_of(size: tuple[int, int], kind: str) -> None:
    reformatter, kept = VideoReformatter(), []
    for seed in range(12):
        decoded = av.VideoFrame.from_ndarray(noise(*size, seed), format="rgb24").reformat(format=kind)
        frame = to_frame(decoded, colorspace(decoded), reformatter, 1)
        if kind == "rgb24":  # what a decoder may write to again
            np.asarray(memoryview(decoded.planes[0]))[:] = 0
        kept.append(frame)
        del decoded
    for seed, frame in enumerate(kept):
        np.testing.assert_array_equal(frame, noise(*size, seed))
