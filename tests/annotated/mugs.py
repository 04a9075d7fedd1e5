"""Sixty photograph-like pictures of mugs with exact masks, as somebody would bring them in COCO notation.

Mugs of many forms, colours and prints, turned, lit from a side, cut by the frame, half hidden by other things, before
crops of the photographs that scikit-image carries; some pictures hold two and some none. Plates, which are
annotated too but not asked for, balls and books share their colours and prints: colour alone finds no mug.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from annotated.rings import Mask, corner_rings, without_holes

Picture = NDArray[np.uint8]
Values = NDArray[Any]  # floats: a picture's in [0, 255], a layer's place in [-1, 1]
Rng = np.random.Generator
SIZES = ((400, 300), (300, 400), (420, 280), (320, 320), (360, 270), (270, 360), (440, 248), (288, 384))
CATEGORIES = {1: "mug", 2: "plate"}
SIDE = 256  # pixels of the square that a thing is drawn in
QUALITY = 90


@dataclass(frozen=True, slots=True)
class Layer:
    """A thing by itself: (SIDE, SIDE, 3) colours and (SIDE, SIDE) alpha in [0, 1]; `category` 0 is not annotated."""

    colour: Values
    alpha: Values
    category: int = 0


def write(folder: Path, count: int = 60, seed: int = 0) -> dict[str, Mask]:
    """Write `folder`/images and `folder`/annotations/instances.json; give every picture's mask of its mugs by name."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    photographs = _photographs()
    images, annotations, masks = list[dict[str, Any]](), list[dict[str, Any]](), dict[str, Mask]()
    for number in range(1, count + 1):
        picture, things = photograph(np.random.default_rng([seed, number]), number, photographs)
        name = f"IMG_{2000 + 7 * number}.jpg"
        Image.fromarray(picture).save(folder / "images" / name, quality=QUALITY)
        height, width = picture.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        mugs = [shape for category, shape in things if category == 1]
        masks[name] = np.any(mugs, axis=0) if mugs else np.zeros((height, width), bool)
        for category, shape in things:
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "iscrowd": 0}
            annotations.append(annotation | {"area": int(shape.sum()), "segmentation": _polygons(shape)})
    categories = [{"id": id_, "name": name} for id_, name in CATEGORIES.items()]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances.json").write_text(json.dumps(document), encoding="utf-8")
    return masks


def _polygons(shape: Mask) -> list[list[float]]:
    """In parts without holes, for a handle encloses one: COCO's polygons know none."""
    outlines = [outline for piece in without_holes(shape) for outline, _ in corner_rings(piece)]
    return [[float(value) for point in outline for value in point] for outline in outlines]


def photograph(rng: Rng, number: int, photographs: list[Picture]) -> tuple[Picture, list[tuple[int, Mask]]]:
    """A picture, and the category and visible pixels of everything annotated in it."""
    width, height = SIZES[number % len(SIZES)]
    picture = _crop(photographs[number % len(photographs)], width, height, rng)
    light = rng.uniform(-0.9, 0.9)
    mugs = 0 if number % 20 == 5 else 2 if number % 5 == 3 else 1
    behind = [_other(rng, light, photographs) for _ in range(rng.integers(0, 3))]
    before = [_other(rng, light, photographs)] if rng.random() < 0.3 else []
    layers = [*behind, *(mug(rng, light, photographs) for _ in range(mugs)), *before]
    places = _places(rng, width, height, len(behind), mugs, len(before))
    seen = list[tuple[int, Mask]]()
    for layer, place in zip(layers, places, strict=True):
        colour, alpha = _placed(layer, place, width, height)
        picture = _shadowed(picture, alpha, light)
        picture += alpha[..., None] * (colour - picture)
        seen = [(category, shape & (alpha < 0.5)) for category, shape in seen] + [(layer.category, alpha >= 0.5)]
    return _taken(picture, rng), [(category, shape) for category, shape in seen if category and shape.any()]


Place = tuple[float, float, float, float]  # centre x and y, side in pixels, degrees


def _places(rng: Rng, width: int, height: int, behind: int, mugs: int, before: int) -> list[Place]:
    """Where everything stands: mugs beside each other, what hides them at the edge of one."""
    short = min(width, height)

    def anywhere() -> Place:
        x, y = rng.uniform(0.05, 0.95, 2) * (width, height)
        return x, y, short * rng.uniform(0.3, 0.7), rng.uniform(-180, 180)

    places = [anywhere() for _ in range(behind)]
    for place in range(mugs):
        across = rng.uniform(0.25, 0.75) if mugs == 1 else rng.uniform(0.18, 0.32) + 0.5 * place
        side = short * (rng.uniform(0.65, 1.25) if mugs == 1 else rng.uniform(0.5, 0.8))
        lies = rng.random() < 0.12  # on its side
        places.append((across * width, rng.uniform(0.35, 0.7) * height, side, rng.normal(0, 9) + 90 * lies))
    for _ in range(before):
        x, y, side, _ = places[-1] if mugs else anywhere()
        angle = rng.uniform(0, 2 * np.pi)
        reach = 0.36 * side
        aside = (x + reach * np.cos(angle), y + reach * np.sin(angle))
        places.append((*aside, side * rng.uniform(0.3, 0.5), rng.uniform(-180, 180)))
    return places


# ---- things


def _grid() -> tuple[Values, Values]:
    across, down = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2)
    return across, down


def _inside(distance: Values) -> Values:
    """The alpha of a region from the signed distance to its outline, positive inside, in halves of SIDE."""
    return np.clip(distance * SIDE / 2 + 0.5, 0, 1)


def _ellipse(x: Values, y: Values, across: float, down: float) -> Values:
    return (1 - np.hypot(x / across, y / down)) * min(across, down)


def mug(rng: Rng, light: float, photographs: list[Picture]) -> Layer:
    """A tapered cylinder with an opening, something in it, a print around it and a handle to its right or left."""
    x, y = _grid()
    radius, tall, open_ = rng.uniform(0.36, 0.5), rng.uniform(0.4, 0.62), rng.uniform(0.16, 0.4)
    taper = rng.uniform(-0.12, 0.28)
    x = x + 0.18  # room for the handle
    at = radius * (1 - taper * np.clip((y + tall) / (2 * tall), 0, 1))  # the radius at each height
    flat = open_ * at
    bend = np.sqrt(np.clip(1 - (x / at) ** 2, 0, 1))
    side = np.minimum(np.minimum(at - np.abs(x), tall + flat * bend - y), y + tall)
    body = np.maximum(side, _ellipse(x, y + tall, radius, open_ * radius))
    around = np.arcsin(np.clip(x / at, -1, 1))
    print_ = _print(rng, around / np.pi + 0.5, (y - flat * bend) / 2 + 0.5, photographs)
    colour = _lit(print_, np.cos(around - light), rng)
    colour = _opening(colour, x, y + tall, radius, open_, light, rng)
    handle, alpha = _handle(x, y, radius * (1 - taper / 2), tall, print_, light, rng)
    whole = _inside(body)
    mixed = whole[..., None] * colour + (1 - whole[..., None]) * handle
    layer = np.dstack([mixed, np.maximum(whole, alpha)])
    if rng.random() < 0.5:
        layer = layer[:, ::-1]
    return Layer(layer[..., :3], layer[..., 3], 1)


def _opening(colour: Values, x: Values, y: Values, radius: float, open_: float, light: float, rng: Rng) -> Values:
    """The rim, the wall behind it, what is in the mug."""
    rim = rng.uniform(0.03, 0.06)
    inner = _ellipse(x, y, radius - rim, (radius - rim) * open_)
    edge = (_inside(_ellipse(x, y, radius, radius * open_)) - _inside(inner))[..., None]
    colour = colour + edge * (np.minimum(colour * 1.25 + 25, 250) - colour)
    wall = _tone(rng, 130, 235) * (0.6 + 0.3 * np.clip(x / radius * -light + 0.3, -1, 1))[..., None]
    colour = colour + _inside(inner)[..., None] * (wall - colour)
    level = rng.uniform(0.1, 0.5) * open_
    drink = np.array([(62, 34, 18), (118, 78, 46), (150, 70, 20), (225, 215, 198)][rng.integers(4)], float)
    within = np.minimum(_ellipse(x, y - level * radius, radius * 0.88, radius * 0.88 * open_), inner)
    glint = 0.8 + 0.5 * np.exp(-(((x / radius - 0.4 * light) / 0.3) ** 2))
    return colour + _inside(within)[..., None] * (drink * glint[..., None] - colour)


def _handle(
    x: Values, y: Values, radius: float, tall: float, print_: Values, light: float, rng: Rng
) -> tuple[Values, Values]:
    thick, high = rng.uniform(0.05, 0.085), tall * rng.uniform(0.55, 0.75)
    out = rng.uniform(0.22, 0.32)
    from_middle = np.hypot((x - radius) / out, (y - 0.05) / high)
    off = (from_middle - 1) * out  # of the tube's middle line
    tube = np.sqrt(np.clip(1 - (off / thick) ** 2, 0, 1))
    plain = np.broadcast_to(print_.reshape(-1, 3).mean(axis=0), print_.shape)
    return _lit(plain, tube * 0.9 + 0.1 * light, rng), _inside(np.where(x > 0, thick - np.abs(off), -1))


def _other(rng: Rng, light: float, photographs: list[Picture]) -> Layer:
    """A plate, a ball or a book."""
    x, y = _grid()
    kind = rng.integers(3)
    print_ = _print(rng, x / 2 + 0.5, y / 2 + 0.5, photographs)
    if kind == 0:
        down = rng.uniform(0.35, 0.9)
        from_rim = np.hypot(x / 0.9, y / (0.9 * down))
        well = 0.82 + 0.25 * np.tanh((from_rim - 0.62) * 14) * np.sign(x * light + 0.2)
        return Layer(_lit(print_, well, rng), _inside(_ellipse(x, y, 0.9, 0.9 * down)), 2)
    if kind == 1:
        depth = np.sqrt(np.clip(1 - (x**2 + y**2) / 0.64, 0, 1))
        facing = x / 0.8 * np.sin(light) - y / 0.8 * 0.5 + depth * np.cos(light)
        return Layer(_lit(print_, facing, rng), _inside(_ellipse(x, y, 0.8, 0.8)))
    width, height = rng.uniform(0.4, 0.9), rng.uniform(0.25, 0.9)
    facing = 0.75 + 0.15 * x * light
    return Layer(_lit(print_, facing, rng), _inside(np.minimum(width - np.abs(x), height - np.abs(y))))


def _print(rng: Rng, across: Values, down: Values, photographs: list[Picture]) -> Values:
    """One tone, two in stripes or dots, or a photograph, over places in [0, 1]; (SIDE, SIDE, 3)."""
    first, second = _tone(rng, 30, 240), _tone(rng, 30, 240)
    kind, often = rng.choice(5, p=(0.15, 0.1, 0.5, 0.15, 0.1)), rng.uniform(3, 9)
    if kind == 4:
        photo = photographs[rng.integers(len(photographs))]
        places = (np.clip(across, 0, 0.999) * photo.shape[1], np.clip(down, 0, 0.999) * photo.shape[0])
        return cv2.remap(photo, *(place.astype(np.float32) for place in places), cv2.INTER_AREA).astype(float)
    dots = 0.3 - np.hypot((across * often) % 1 - 0.5, (down * often) % 1 - 0.5)
    pattern = (np.sin(6.3 * often * down), np.sin(6.3 * often * across), np.ones_like(across), dots)[kind]
    return np.where(pattern[..., None] > 0, first, second)


def _tone(rng: Rng, low: float, high: float) -> Values:
    """A colour, mostly a muted one, as those of things are."""
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.normal(0, 45, 3), 15, 250)


def _lit(colour: Values, facing: Values, rng: Rng) -> Values:
    """Lambert's law with ambient light, and a highlight where the surface is glossy."""
    facing = np.clip(facing, 0, 1)[..., None]
    return colour * (0.35 + 0.75 * facing) + rng.uniform(0, 90) * facing**24


# ---- the camera


def _placed(layer: Layer, place: Place, width: int, height: int) -> tuple[Values, Values]:
    x, y, side, degrees = place
    matrix = cv2.getRotationMatrix2D((SIDE / 2 - 0.5, SIDE / 2 - 0.5), degrees, side / SIDE)
    matrix[:, 2] += (x - SIDE / 2, y - SIDE / 2)
    alpha = layer.alpha[..., None]
    moved = cv2.warpAffine(np.dstack([layer.colour * alpha, alpha]), matrix, (width, height), flags=cv2.INTER_LINEAR)
    alpha = moved[..., 3]
    return moved[..., :3] / np.maximum(alpha, 1e-6)[..., None], alpha


def _shadowed(picture: Values, alpha: Values, light: float) -> Values:
    """What a thing throws beside it, away from the light."""
    reach = 0.06 * min(alpha.shape)
    matrix = np.array([[1, 0, -2 * light * reach], [0, 1, reach]])
    thrown = cv2.GaussianBlur(cv2.warpAffine(alpha, matrix, alpha.shape[::-1]), (0, 0), reach / 1.5)
    return picture * (1 - 0.5 * thrown)[..., None]


def _photographs() -> list[Picture]:
    """Those in scikit-image's wheel that are large enough and show no cup."""
    names = ("astronaut", "brick", "chelsea", "grass", "rocket", "gravel", "immunohistochemistry")
    pictures = [np.asarray(getattr(data, name)()) for name in names]
    return [picture if picture.ndim == 3 else np.dstack([picture] * 3) for picture in pictures]


def _crop(photo: Picture, width: int, height: int, rng: Rng) -> Values:
    """A part of a photograph in another white balance, out of focus now and then."""
    scale = min(photo.shape[1] / width, photo.shape[0] / height) * rng.uniform(0.45, 1)
    across, down = int(width * scale), int(height * scale)
    left, top = (int(rng.integers(0, room + 1)) for room in (photo.shape[1] - across, photo.shape[0] - down))
    part = cv2.resize(photo[top : top + down, left : left + across], (width, height), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if rng.random() < 0.4:
        part = cv2.GaussianBlur(part, (0, 0), rng.uniform(1, 5))
    return np.clip(part * rng.uniform(0.7, 1.15, 3), 0, 255)


def _taken(picture: Values, rng: Rng) -> Picture:
    """Exposure, a little blur, noise."""
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.1))
    picture = 255 * (np.clip(picture, 0, 255) / 255) ** rng.uniform(0.75, 1.35)
    return np.clip(picture + rng.normal(0, rng.uniform(1, 7), picture.shape), 0, 255).astype(np.uint8)
