"""Paired augmentation: every geometric change hits picture and mask alike, every random choice comes from `rng`.

Pictures are Frames (RGB), masks (H, W) uint8 from 0 to 255. Only training uses this; validation never does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from figureground.arrays import Frame
from figureground.training.colour import degrade
from figureground.training.config import Augment
from figureground.training.geometry import Sample, warp
from figureground.training.scenes import clothe, crop_background, join, occlude, put_onto

Draw = Callable[[np.random.Generator], Frame]
DrawSample = Callable[[np.random.Generator], Sample]


def augment(
    sample: Sample,
    size: int,
    settings: Augment,
    rng: np.random.Generator,
    background: Draw | None = None,
    other: DrawSample | None = None,
    negative: Draw | None = None,
) -> Sample:
    """Vary one annotated picture.

    Args:
        sample: the picture and its mask.
        size: side of the square result in pixels.
        settings: what to do how often.
        rng: source of all randomness; the same state gives the same result.
        background: draws a picture without people; without it no background is swapped.
        other: draws another annotated picture, whose person may join this one.
        negative: draws a picture without people to stand for this sample now and then.

    Returns:
        (size, size, 3) uint8 RGB and (size, size) uint8.
    """
    if negative is not None and rng.random() < settings.negative:
        frame, matte = crop_background(negative(rng), size, rng), np.zeros((size, size), np.uint8)
    else:
        frame, matte = _scene(sample, size, settings, rng, background, other)
    return degrade(frame, settings, rng), matte


def _scene(
    sample: Sample,
    size: int,
    settings: Augment,
    rng: np.random.Generator,
    background: Draw | None,
    other: DrawSample | None,
) -> Sample:
    frame, matte = warp(sample, size, settings, rng)
    if background is not None and rng.random() < settings.swap_background:
        frame = put_onto(crop_background(background(rng), size, rng), frame, matte, settings, rng)
    if other is not None and rng.random() < settings.second_person:
        for _ in range(1 if settings.others == 1 else int(rng.integers(1, settings.others + 1))):
            frame, matte = join((frame, matte), warp(other(rng), size, settings, rng))
    if rng.random() < settings.occluder:
        frame, matte = occlude(frame, matte, rng)
    if rng.random() < settings.clothes:
        frame = clothe(frame, matte, rng)
    return frame, matte
