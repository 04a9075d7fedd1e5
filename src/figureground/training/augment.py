"""Paired augmentation: every geometric change hits picture and mask alike, every random choice comes from `rng`.

Pictures are Frames (RGB), masks (H, W) uint8 from 0 to 255. Only training uses this; validation never does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.training.config import Augment

Matte = NDArray[np.uint8]
Sample = tuple[Frame, Matte]
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
        frame, matte = _crop_background(negative(rng), size, rng), np.zeros((size, size), np.uint8)
    else:
        frame, matte = warp(sample, size, settings, rng)
        if background is not None and rng.random() < settings.swap_background:
            frame = _onto(_crop_background(background(rng), size, rng), frame, matte, rng)
        if other is not None and rng.random() < settings.second_person:
            frame, matte = _join((frame, matte), warp(other(rng), size, settings, rng))
        if rng.random() < settings.occluder:
            frame, matte = _occlude(frame, matte, rng)
        if rng.random() < settings.clothes:
            frame = _clothe(frame, matte, rng)
    return degrade(frame, settings, rng), matte


def warp(sample: Sample, size: int, settings: Augment, rng: np.random.Generator) -> Sample:
    """Flip, rotate, zoom, shift and stretch picture and mask with one affine map."""
    frame, matte = sample
    height, width = matte.shape
    side = max(height, width) * np.exp(rng.uniform(*np.log(settings.zoom)))
    stretch = np.exp(rng.uniform(-settings.stretch, settings.stretch))
    angle = np.deg2rad(rng.uniform(-settings.rotate, settings.rotate))
    flip = -1.0 if rng.random() < settings.flip else 1.0
    scale = np.array([size / side * stretch * flip, size / side / stretch])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    # The crop's centre moves within the picture where the crop is smaller, and a little where it is not.
    room = np.maximum(np.array([width, height]) - side, 0) / 2 + settings.shift * side / 2
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * room
    matrix = np.column_stack([turn, size / 2 - turn @ centre])
    border = cv2.BORDER_REFLECT_101 if rng.random() < 0.5 else cv2.BORDER_REPLICATE
    frame = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    matte = cv2.warpAffine(matte, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    return frame, matte


def _crop_background(frame: Frame, size: int, rng: np.random.Generator) -> Frame:
    height, width = frame.shape[:2]
    side = max(1, int(min(height, width) * rng.uniform(0.5, 1.0)))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    crop = frame[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR)


def _onto(background: Frame, frame: Frame, matte: Matte, rng: np.random.Generator) -> Frame:
    """Put the person on another background, its edge drawn in a little and softened against the old fringe."""
    alpha = matte
    if rng.random() < 0.7:
        alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.5:
        background = _match_colours(background, frame, rng.uniform(0.2, 0.8))
    if rng.random() < 0.3:  # shallow depth of field
        background = cv2.GaussianBlur(background, (0, 0), rng.uniform(0.6, 3.0))
    return _blend(frame, background, alpha)


def _match_colours(frame: Frame, like: Frame, strength: float) -> Frame:
    """Move the mean and spread of each channel towards those of `like` (after Reinhard et al. 2001, in RGB)."""
    mean, spread = (values.ravel() for values in cv2.meanStdDev(frame))
    want_mean, want_spread = (values.ravel() for values in cv2.meanStdDev(like))
    gain = 1 + strength * (np.clip(want_spread / np.maximum(spread, 1), 0.5, 2) - 1)
    shift = (1 - strength) * mean + strength * want_mean - gain * mean
    levels = np.arange(256, dtype=np.float32)[:, None] * gain + shift
    return _apply_levels(frame, levels)


def _blend(frame: Frame, background: Frame, alpha: Matte) -> Frame:
    weight = alpha.astype(np.float32) * (1 / 255)
    return cv2.blendLinear(frame, background, weight, 1 - weight)


def _join(first: Sample, second: Sample) -> Sample:
    """The second person stands in front of the first picture."""
    return _blend(second[0], first[0], second[1]), np.maximum(first[1], second[1])


def _occlude(frame: Frame, matte: Matte, rng: np.random.Generator) -> Sample:
    """Cover a random convex patch with one colour or with a blurred pattern; it is no person."""
    size = matte.shape[0]
    patch = _patch(size, rng.uniform(0.1, 0.9, 2), rng.uniform(0.06, 0.16), rng)
    colour = np.full_like(frame, rng.integers(0, 256, 3, np.uint8))
    if rng.random() < 0.5:
        texture = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
        colour = cv2.addWeighted(colour, 0.6, texture, 0.4, 0)
    hidden = matte.astype(np.uint16) * (255 - patch.astype(np.uint16)) // 255
    return _blend(colour, frame, patch), hidden.astype(np.uint8)


def _clothe(frame: Frame, matte: Matte, rng: np.random.Generator) -> Frame:
    """Paint a convex part of the person in one colour, its folds showing through more or less; it stays the person."""
    rows, columns = np.nonzero(matte > 128)
    if not len(rows):
        return frame
    size, place = matte.shape[0], int(rng.integers(len(rows)))
    centre = np.array([columns[place], rows[place]]) / size
    patch = _patch(size, centre, rng.uniform(0.08, 0.3), rng)
    share = cv2.multiply(cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.5, 3.0)), matte, scale=rng.uniform(0.6, 1) / 255)
    return _blend(np.full_like(frame, rng.integers(0, 256, 3, np.uint8)), frame, share)


def _patch(size: int, centre: NDArray[Any], spread: float, rng: np.random.Generator) -> Matte:
    """A random convex shape; `centre` and `spread` in parts of the size."""
    points = (rng.normal(0, spread, (6, 2)) + centre) * size
    patch = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(patch, cv2.convexHull(points.astype(np.int32)), 255, lineType=cv2.LINE_AA)
    return patch


def degrade(frame: Frame, settings: Augment, rng: np.random.Generator) -> Frame:
    """Vary colours and spoil the picture as cameras and codecs do; the mask stays as it is."""
    if rng.random() < settings.colour:
        frame = _recolour(frame, rng)
    if rng.random() < settings.grey:
        frame = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < settings.blur:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < settings.dark:
        levels = np.arange(256, dtype=np.float32)[:, None] * rng.uniform(0.15, 0.5) + np.zeros(3)
        frame = _add_noise(_apply_levels(frame, levels), rng.uniform(4, 12), rng)
    elif rng.random() < settings.noise:
        frame = _add_noise(frame, rng.uniform(1, 10), rng)
    if rng.random() < settings.jpeg:
        frame = _jpeg(frame, int(rng.integers(25, 90)))
    return frame


def _jpeg(frame: Frame, quality: int) -> Frame:
    # imencode takes RGB for BGR, imdecode gives it back the same way round.
    data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _recolour(frame: Frame, rng: np.random.Generator) -> Frame:
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = rng.uniform(0.5, 1.4)
        frame = cv2.addWeighted(frame, keep, grey, 1 - keep, 0)
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** np.exp(rng.normal(0, 0.25))
    contrast = rng.uniform(0.7, 1.3) * np.exp(rng.normal(0, 0.06, 3))  # white balance: one gain a channel
    levels = (levels - 0.5) * contrast + 0.5 + rng.normal(0, 0.08)
    return _apply_levels(frame, levels * 255)


def _apply_levels(frame: Frame, levels: NDArray[Any]) -> Frame:
    """Map each channel through its column of `levels`, (256, 3)."""
    table = np.clip(levels + 0.5, 0, 255).astype(np.uint8)[None]
    return cv2.LUT(frame, table)


def _add_noise(frame: Frame, sigma: float, rng: np.random.Generator) -> Frame:
    # A tile of noise rolled to a random place: fresh normals for every pixel cost more than all else here.
    noise = _NOISE * sigma
    top, left = rng.integers(0, _NOISE.shape[0], 2)
    height, width = frame.shape[:2]
    rows = (np.arange(height) + top) % _NOISE.shape[0]
    columns = (np.arange(width) + left) % _NOISE.shape[1]
    return np.clip(frame + noise[rows[:, None], columns], 0, 255).astype(np.uint8)


_NOISE = np.random.default_rng(0).standard_normal((512, 512, 3), np.float32)
