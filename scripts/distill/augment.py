"""What `training.augment` does to a photograph, done to whole batches on the GPU, and to their masks.

Pictures are (N, 3, S, S) float32 RGB in [0, 1], alphas (N, 1, S, S).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

CANVAS = 384  # pixels a side of what a photograph lies in, at the top left


class Photographs:
    """Photographs and their masks in the GPU's memory.

    Args:
        pictures: (M, 4, CANVAS, CANVAS) uint8 RGB and mask.
        sizes: (M, 2) height and width of each within its canvas.
    """

    def __init__(self, pictures: Any, sizes: Any, device: Any) -> None:
        self.pictures, self.sizes = pictures.to(device), sizes.to(device)

    def __len__(self) -> int:
        return len(self.sizes)

    def crops(self, rows: Any, zoom: tuple[float, float], rotate: float, side: int) -> Any:
        """(N, 4, side, side) crops by chance, in [0, 1]; `zoom` 1: as many pixels as the photograph has."""
        return sampled(self.pictures[rows], crop_points(self.sizes[rows], zoom, rotate, side))

    def whole(self, rows: Any, side: int) -> Any:
        """(N, 4, side, side): each photograph stretched into a square."""
        height, width = self.sizes[rows].float().unbind(1)
        y, x = square(side, self.sizes.device)
        points = torch.stack([(x + 0.5) * width[:, None, None], (y + 0.5) * height[:, None, None]], -1)
        return sampled(self.pictures[rows], points)


def sampled(pictures: Any, points: Any) -> Any:
    """`pictures`, uint8, at (N, S, S, 2) points x, y in pixels."""
    grid = points / (CANVAS / 2) - 1
    return functional.grid_sample(pictures.float() / 255, grid, padding_mode="border", align_corners=False)


def square(side: int, device: Any) -> Any:
    """The pixels' centres in [-0.5, 0.5]: rows, columns."""
    centres = (torch.arange(side, device=device) + 0.5) / side - 0.5
    return torch.meshgrid(centres, centres, indexing="ij")


def uniform(n: int, low: float, high: float, device: Any) -> Any:
    return torch.rand(n, device=device) * (high - low) + low


def chance(n: int, probability: float, device: Any) -> Any:
    return torch.rand(n, device=device) < probability


def each(values: Any) -> Any:
    """One value a sample, to go with (N, C, H, W)."""
    return values[:, None, None, None]


def crop_points(sizes: Any, zoom: tuple[float, float], rotate: float, side: int) -> Any:
    n, device = len(sizes), sizes.device
    height, width = sizes.float().unbind(1)
    span = torch.sqrt(height * width) * torch.exp(uniform(n, math.log(zoom[0]), math.log(zoom[1]), device))
    stretch = torch.exp(uniform(n, -0.1, 0.1, device))
    centres = []
    for length in (width, height):
        room = (length - span).clamp(min=0) / 2 + 0.1 * span
        centres.append(length / 2 + uniform(n, -1, 1, device) * room)
    angle = torch.randn(n, device=device) * math.radians(rotate) / 2
    rows, columns = square(side, device)
    flip = torch.where(chance(n, 0.5, device), -1.0, 1.0)
    right = columns[None] * (span * stretch * flip)[:, None, None]
    down = rows[None] * (span / stretch)[:, None, None]
    cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    x = centres[0][:, None, None] + cosine * right - sine * down
    y = centres[1][:, None, None] + sine * right + cosine * down
    mirror = chance(n, 0.5, device)[:, None, None]
    inside = []
    for place, length in ((x, width[:, None, None]), (y, height[:, None, None])):
        place = torch.where(mirror, reflected(place, length), place)
        inside.append(torch.minimum(place.clamp(min=0.5), length - 0.5))
    return torch.stack(inside, -1)


def reflected(place: Any, length: Any) -> Any:
    place = torch.remainder(place, 2 * length)
    return torch.where(place > length, 2 * length - place, place)


def colour(x: Any) -> Any:
    """Gamma, brightness, contrast, saturation and white balance of four pictures in five; one in twenty grey."""
    n, device = len(x), x.device
    on = chance(n, 0.8, device)

    def factor(low: float, high: float) -> Any:
        return each(torch.where(on, uniform(n, low, high, device), torch.ones(n, device=device)))

    x = x ** each(torch.where(on, torch.exp(uniform(n, -0.45, 0.45, device)), torch.ones(n, device=device)))
    x = x * factor(0.65, 1.4)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * factor(0.65, 1.4)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * factor(0.4, 1.5)
    x = x * torch.exp(torch.randn(n, 3, device=device) * 0.12 * on[:, None])[:, :, None, None]
    is_grey = each(chance(n, 0.05, device))
    return torch.where(is_grey, x.mean(1, keepdim=True), x).clamp(0, 1)


def filtered(x: Any, kernels: Any) -> Any:
    """Each picture by a (N, h, w) kernel of its own."""
    n, (height, width) = len(x), kernels.shape[1:]
    half = (width // 2, width // 2, height // 2, height // 2)
    y = functional.pad(x.reshape(1, n * 3, *x.shape[2:]), half, mode="replicate")
    return functional.conv2d(y, kernels.repeat_interleave(3, 0)[:, None], groups=n * 3).reshape(x.shape)


def blur(x: Any, half: int = 4) -> Any:
    steps = torch.arange(-half, half + 1, device=x.device).float()
    sigma = uniform(len(x), 0.5, 2.2, x.device)[:, None]
    kernel = torch.exp(-steps * steps / (2 * sigma * sigma))
    kernel = kernel / kernel.sum(1, keepdim=True)
    return filtered(filtered(x, kernel[:, None, :]), kernel[:, :, None])


def motion(x: Any, half: int = 7) -> Any:
    n, device = len(x), x.device
    steps = torch.arange(-half, half + 1, device=device).float()
    y_steps, x_steps = torch.meshgrid(steps, steps, indexing="ij")
    angle = uniform(n, 0, math.pi, device)[:, None, None]
    along = x_steps * torch.cos(angle) + y_steps * torch.sin(angle)
    across = y_steps * torch.cos(angle) - x_steps * torch.sin(angle)
    kernel = (1 - across.abs()).clamp(min=0) * (along.abs() <= uniform(n, 2, half, device)[:, None, None])
    return filtered(x, kernel / kernel.sum((1, 2), keepdim=True))


# Annex K of ITU-T T.81, row by row.
LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
YCBCR = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


def jpeg(x: Any) -> Any:
    """Rounded as a JPEG of quality 12 to 80 is, colours at full resolution."""
    n, device, (height, width) = len(x), x.device, x.shape[2:]
    steps = torch.arange(8, device=device).float()
    dct = torch.cos((2 * steps[None] + 1) * steps[:, None] * math.pi / 16) / 2
    dct[0] /= math.sqrt(2)
    mix = torch.tensor(YCBCR, device=device)
    y = torch.einsum("ij,njhw->nihw", mix, x * 255).reshape(n, 3, height // 8, 8, width // 8, 8)
    quality = uniform(n, 12, 80, device)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = torch.tensor((LUMA, CHROMA, CHROMA), device=device).float()[:, None, :, None]
    table = (table * scale.reshape(n, 1, 1, 1, 1, 1)).clamp(min=1)
    parts = torch.round(torch.einsum("ka,ncyaxb,lb->ncykxl", dct, y, dct) / table) * table
    y = torch.einsum("ka,ncykxl,lb->ncyaxb", dct, parts, dct).reshape(x.shape)
    return (torch.einsum("ij,njhw->nihw", torch.linalg.inv(mix), y) / 255).clamp(0, 1)


def some(x: Any, share: float, change: Callable[[Any], Any]) -> Any:
    """`change` a share of the batch, chosen by chance, in place."""
    rows = torch.randperm(len(x), device=x.device)[: max(1, int(len(x) * share))]
    x[rows] = change(x[rows])
    return x


def camera(x: Any) -> Any:
    """What lenses, sensors and codecs do: blur, low light and what a camera makes of it, noise, JPEG, 8 bits."""
    n, device = len(x), x.device
    none, ones = torch.zeros(n, device=device), torch.ones(n, device=device)
    x = some(some(x, 0.15, blur), 0.06, motion)
    dark = chance(n, 0.1, device)
    light = torch.where(dark, torch.exp(uniform(n, math.log(0.08), math.log(0.5), device)), ones)
    sigma = torch.where(chance(n, 0.3, device), uniform(n, 0, 0.06, device), none) + dark * uniform(n, 0, 0.03, device)
    coarse = torch.randn(n, 3, x.shape[2] // 2, x.shape[3] // 2, device=device)
    coarse = functional.interpolate(coarse, scale_factor=2, mode="nearest")
    x = x * each(light) + (torch.randn_like(x) * 0.7 + coarse * 0.5) * each(sigma)
    turned_up = dark & chance(n, 0.6, device)
    x = x * each(torch.where(turned_up, uniform(n, 0.4, 1, device) / light, ones))
    x = some(x.clamp(0, 1), 0.25, jpeg)
    return torch.round(x.clamp(0, 1) * 255) / 255


def repainted(x: Any, alpha: Any, share: float) -> Any:
    """Parts of some people in another colour, as clothes have it."""
    n, device, side = len(x), x.device, x.shape[2]
    patches = functional.interpolate(torch.rand(n, 1, 6, 6, device=device), size=(side, side), mode="bicubic")
    patches = ((patches - 0.58) * 12).clamp(0, 1) * alpha * each(chance(n, share, device))
    paint = (torch.rand(n, 3, 1, 1, device=device) * (0.4 + 1.2 * x.mean(1, keepdim=True))).clamp(0, 1)
    return x + (paint - x) * patches * each(uniform(n, 0.6, 1.0, device))


def before(x: Any, alpha: Any, backgrounds: Any, swap: Any) -> Any:
    """The people of the samples where `swap` says so before other backgrounds, some in their light."""
    n, device = len(x), x.device
    own = uniform(n, 0.75, 1.25, device)
    behind = backgrounds.mean((2, 3), keepdim=True)
    tone = (x * alpha).sum((2, 3), keepdim=True) / (alpha.sum((2, 3), keepdim=True) + 1)
    matched = 0.5 + 0.5 * (behind / (tone + 0.05)).clamp(0.4, 2.0)
    lit = x * each(own) * torch.where(each(chance(n, 0.4, device)), matched, torch.ones_like(matched))
    return torch.where(each(swap), lit * alpha + backgrounds * (1 - alpha), x)


def with_others(x: Any, alpha: Any, share: float) -> tuple[Any, Any]:
    """Some with the sample before them in the batch as somebody else, in front or behind."""
    n, device = len(x), x.device
    is_front = each(chance(n, 0.5, device))
    other = alpha.roll(1, 0) * each(chance(n, share, device)) * torch.where(is_front, torch.ones_like(alpha), 1 - alpha)
    return x * (1 - other) + x.roll(1, 0) * other, alpha + other - alpha * other


def scenes(
    people: Photographs, rows: Any, swap: Any, backgrounds: Photographs, behind: Any, empty: int, side: int
) -> tuple[Any, Any]:
    """A batch of pictures and alphas.

    Args:
        people: who is in them.
        rows: (N,) of `people`.
        swap: (N,) the probability of each to stand before another background.
        backgrounds: what may stand behind, and what shows nobody.
        behind: (N,) of `backgrounds`.
        empty: how many pictures of nobody come after.
        side: in pixels.
    """
    device = rows.device
    got = people.crops(rows, (0.55, 1.7), 12.0, side)
    x, alpha = got[:, :3], got[:, 3:]
    x = repainted(x, alpha, 0.12)
    x = before(x, alpha, backgrounds.crops(behind, (0.4, 1.6), 6.0, side)[:, :3], torch.rand_like(swap) < swap)
    x, alpha = with_others(x, alpha, 0.08)
    nobody = backgrounds.crops(torch.randint(len(backgrounds), (empty,), device=device), (0.35, 1.6), 6.0, side)[:, :3]
    x = torch.cat([x, nobody])
    alpha = torch.cat([alpha, torch.zeros(empty, 1, side, side, device=device)])
    return camera(colour(x.clamp(0, 1))), alpha
