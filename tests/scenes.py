"""Pictures the tests make themselves: a figure in a room, with the exact alpha, foreground and room known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, Mask

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SOFTNESS = 4  # subpixels a side: the alpha of an edge pixel is counted, not guessed


@dataclass(frozen=True)
class Scene:
    """frame = alpha * figure + (1 - alpha) * room, rounded."""

    frame: Frame
    alpha: Alpha
    figure: Frame
    room: Frame

    def before(self, background: Frame) -> Frame:
        """The true composite: the same figure before another background."""
        return mix(self.figure, self.alpha, background)

    @property
    def person(self) -> Mask:
        mask: Mask = self.alpha == 1
        return mask

    @property
    def empty(self) -> Mask:
        mask: Mask = self.alpha == 0
        return mask


def mix(front: Frame, alpha: Alpha, back: Frame) -> Frame:
    share = alpha.astype(np.float64)[:, :, None]
    return np.rint(share * front + (1 - share) * back).astype(np.uint8)


def plain(width: int, height: int, colour: Colour) -> Frame:
    return np.full((height, width, 3), colour, np.uint8)


def noise(width: int, height: int, seed: int = 0) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def patches(width: int, height: int) -> Frame:
    """2 x 4 flat patches of eight colours, none of them grey."""
    colours = [
        [RED, GREEN, BLUE, (200, 180, 40)],
        [(40, 180, 200), (180, 40, 200), (220, 120, 90), (60, 90, 30)],
    ]
    small = np.array(colours, np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def figure_alpha(width: int, height: int, blur: float = 0.0) -> Alpha:
    """A head and shoulders in the middle; its edge is one pixel soft, softer by a Gaussian of `blur` pixels."""
    big = np.zeros((height * SOFTNESS, width * SOFTNESS), np.uint8)
    side = min(big.shape)
    middle = (big.shape[1] // 2, int(big.shape[0] * 0.35))
    cv2.circle(big, middle, side // 6, 255, -1)
    cv2.ellipse(big, (big.shape[1] // 2, big.shape[0]), (side // 3, side // 2), 0, 0, 360, 255, -1)
    alpha = big.reshape(height, SOFTNESS, width, SOFTNESS).mean((1, 3)) / 255
    if blur:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    return np.clip(alpha, 0, 1).astype(np.float32)


def make_scene(
    width: int = 160, height: int = 120, figure: Colour = (200, 150, 120), room: Colour | None = None, blur: float = 0.0
) -> Scene:
    """A figure of one colour before a textured room, or before a plain one of the colour `room`."""
    back = noise(width, height, seed=3) if room is None else plain(width, height, room)
    front, alpha = plain(width, height, figure), figure_alpha(width, height, blur)
    return Scene(mix(front, alpha, back), alpha, front, back)


def largest_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max())
