"""Colours, and what cameras and codecs do to them. Frames in and out, (H, W, 3) uint8 RGB; masks stay as they are."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.training.config import Augment
from figureground.training.geometry import happens


def degrade(frame: Frame, settings: Augment, rng: np.random.Generator) -> Frame:
    """Vary colours and spoil the picture as cameras and codecs do, in the order in which they do it."""
    if rng.random() < settings.colour:
        frame = _recolour(frame, rng)
    if rng.random() < settings.grey:
        frame = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < settings.blur:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.4, 1.6))
    if happens(settings.motion, rng):
        frame = _blur_along_a_line(frame, int(rng.integers(3, 10)), rng.uniform(0, 180))
    if rng.random() < settings.dark:
        levels = np.arange(256, dtype=np.float32)[:, None] * rng.uniform(0.15, 0.5) + np.zeros(3)
        frame = _add_noise(apply_levels(frame, levels), rng.uniform(4, 12), rng)
    elif rng.random() < settings.noise:
        frame = _add_noise(frame, rng.uniform(1, 10), rng)
    if rng.random() < settings.jpeg:
        frame = _jpeg(frame, int(rng.integers(25, 90)))
    return frame


def match_colours(frame: Frame, like: Frame, strength: float) -> Frame:
    """Move the mean and spread of each channel towards those of `like` (after Reinhard et al. 2001, in RGB)."""
    mean, spread = (values.ravel() for values in cv2.meanStdDev(frame))
    want_mean, want_spread = (values.ravel() for values in cv2.meanStdDev(like))
    gain = 1 + strength * (np.clip(want_spread / np.maximum(spread, 1), 0.5, 2) - 1)
    shift = (1 - strength) * mean + strength * want_mean - gain * mean
    levels = np.arange(256, dtype=np.float32)[:, None] * gain + shift
    return apply_levels(frame, levels)


def match_light(frame: Frame, room: NDArray[np.bool_], like: Frame, strength: float) -> Frame:
    """Light a picture as `like` is lit: its brightness by a gamma, white balance by one gain a channel (grey world).

    Args:
        frame: the picture to change.
        room: (H, W), where it shows what is to resemble `like`; under a tenth of the picture says nothing of its light.
        like: a picture of any size.
        strength: at 1 the means of the room and of `like` meet, as far as a gamma of 0.6 to 1.7 and gains of 0.8 to
            1.25 can: a dark floor is no dark room, and a lawn is green by daylight, too; at 0 nothing changes.
    """
    if room.mean() < 0.1:
        return frame
    means = cv2.mean(like)[:3], cv2.mean(frame, room.astype(np.uint8))[:3]
    # Away from 0 and 1, where a gamma does nothing and black has no colour.
    want, have = ((np.array(mean) + 8) / 271 for mean in means)
    gamma = np.clip(np.log(want.mean()) / np.log(have.mean()), 0.6, 1.7)
    balance = np.clip(want / have * (have.mean() / want.mean()), 0.8, 1.25)
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** gamma**strength
    return apply_levels(frame, levels * balance**strength * 255)


def apply_levels(frame: Frame, levels: NDArray[Any]) -> Frame:
    """Map each channel through its column of `levels`, (256, 3), rounded and cut off at 0 and 255."""
    table = np.clip(levels + 0.5, 0, 255).astype(np.uint8)[None]
    return cv2.LUT(frame, table)


def _recolour(frame: Frame, rng: np.random.Generator) -> Frame:
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = rng.uniform(0.5, 1.4)
        frame = cv2.addWeighted(frame, keep, grey, 1 - keep, 0)
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** np.exp(rng.normal(0, 0.25))
    contrast = rng.uniform(0.7, 1.3) * np.exp(rng.normal(0, 0.06, 3))  # white balance: one gain a channel
    levels = (levels - 0.5) * contrast + 0.5 + rng.normal(0, 0.08)
    return apply_levels(frame, levels * 255)


def _blur_along_a_line(frame: Frame, length: int, angle: float) -> Frame:
    """As a camera or person that moves by `length` pixels, at `angle` degrees, while the shutter is open."""
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1
    middle = ((length - 1) / 2, (length - 1) / 2)
    kernel = cv2.warpAffine(line, cv2.getRotationMatrix2D(middle, angle, 1), (length, length))
    return cv2.filter2D(frame, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _jpeg(frame: Frame, quality: int) -> Frame:
    # imencode takes RGB for BGR, imdecode gives it back the same way round.
    data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _add_noise(frame: Frame, sigma: float, rng: np.random.Generator) -> Frame:
    # A tile of noise rolled to a random place: fresh normals for every pixel cost more than all else here.
    top, left = rng.integers(0, _NOISE.shape[0], 2)
    height, width = frame.shape[:2]
    rows = (np.arange(height) + top) % _NOISE.shape[0]
    columns = (np.arange(width) + left) % _NOISE.shape[1]
    return np.clip(frame + _NOISE[rows[:, None], columns] * sigma, 0, 255).astype(np.uint8)


_NOISE = np.random.default_rng(0).standard_normal((512, 512, 3), np.float32)
