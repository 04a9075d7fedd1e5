"""What can be told of pictures and their masks without a model: a few numbers of each, and what looks wrong."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame, Mask
from figureground.data.manifest import Item
from figureground.data.similar import perceptual_hash
from figureground.data.workers import in_parallel
from figureground.errors import FigureGroundError
from figureground.images import read_image, read_matte

T = TypeVar("T")
Place = NDArray[np.uint64]  # (GRID, GRID), 255 for each mask that is person in all of a cell
GRID = 32  # cells a side of the position map
SPECK = 0.0002  # of the picture: 26 pixels of 416 x 312
STRAY = 0.02  # of the diagonal: specks nearer to the person are a ragged edge, further away they are a slip
CUT = 0.08  # of the picture's width: straight tops shorter than this are caps and hair
STRAIGHT = 0.6  # of the width a little further down: a round head is 0.3 to 0.5
_CHUNK = 16  # pictures a process measures at a time
_SHARPNESS_SIDE = 256  # pixels, so that pictures of any size compare
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)

KINDS = {
    "unreadable": "a picture or mask that cannot be read",
    "size": "a mask, or a manifest's row, of another size than the picture",
    "empty": "no person in the mask",
    "full": "the mask is the whole picture",
    "rectangle": "the mask is a filled rectangle, as from a bounding box",
    "cut top": "the person's top is a straight line away from the picture's border",
    "specks": "tiny pieces of mask away from the person",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A picture by itself: size in pixels, mean grey in 0..255, variance of the Laplacian, perceptual hash."""

    width: int
    height: int
    brightness: float
    sharpness: float
    hash: bytes


@dataclass(frozen=True, slots=True)
class Outline:
    """A mask by itself: share of the picture, parts and specks, length of the boundary in diagonals."""

    coverage: float
    parts: int
    specks: int
    boundary: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something wrong or odd, of one of `KINDS`; the higher `weight`, the odder among its kind."""

    kind: str
    detail: str
    weight: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the manifest; `look` or `outline` is None where the file cannot be read; `digest` is its SHA-256."""

    digest: bytes
    look: Look | None
    outline: Outline | None
    doubts: tuple[Doubt, ...]


def measure_all(
    items: Sequence[Item], workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Measured], dict[str, Place]]:
    """Measure every picture, in `workers` processes (left out: one a core); the order is that of `items`.

    Gives the figures, and for each source where its people are, summed up.

    Raises:
        FigureGroundError: a process was killed, as happens when the memory is full.
    """
    measured: dict[int, Measured] = {}
    places: dict[str, Place] = defaultdict(lambda: np.zeros((GRID, GRID), np.uint64))
    chunks = ((start, (items[start : start + _CHUNK],)) for start in range(0, len(items), _CHUNK))
    for start, chunk in in_parallel(_measure_chunk, chunks, 1 if len(items) <= _CHUNK else workers):
        for row, (each, place) in enumerate(chunk, start):
            measured[row] = each
            places[items[row].source] += place
            if progress is not None:
                progress(len(measured), len(items))
    return [measured[row] for row in range(len(items))], places


def _measure_chunk(items: Sequence[Item]) -> list[tuple[Measured, NDArray[np.uint8]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow remarks on broken EXIF is no finding
        return [measure(item) for item in items]


def measure(item: Item) -> tuple[Measured, NDArray[np.uint8]]:
    """Measure one picture; never raises for a file that is missing or broken, but says so among the doubts.

    Gives the figures, and where the person is as a (GRID, GRID) uint8 map, 255 where all of a cell is person.
    """
    doubts: list[Doubt] = []
    digest = _attempt(_digest, item.image, doubts) or b""
    image = _attempt(read_image, item.image, doubts) if digest else None
    matte = _attempt(read_matte, item.mask, doubts)
    mask = None if matte is None else matte >= 128
    doubts += _sizes(item, image, mask)
    look = None if image is None else look_at(image)
    place = np.zeros((GRID, GRID), np.uint8)
    if mask is None:
        return Measured(digest, look, None, tuple(doubts)), place
    outline, odd = trace(mask)
    place[:] = cv2.resize(mask.astype(np.uint8) * 255, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return Measured(digest, look, outline, (*doubts, *odd)), place


def _attempt(read: Callable[[Path], T], path: Path, doubts: list[Doubt]) -> T | None:
    try:
        return read(path)
    except FigureGroundError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{path}: {error.strerror or error}"
    except Exception as error:  # out of memory, say: the other pictures must not suffer
        reason = f"{path}: {type(error).__name__}: {error}"
    doubts.append(Doubt("unreadable", reason.strip().splitlines()[0].replace(f"{path}", path.name, 1), 1.0))
    return None


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _sizes(item: Item, image: Frame | None, mask: Mask | None) -> list[Doubt]:
    if image is None:
        return []
    size = image.shape[1::-1]
    found = []
    if mask is not None and mask.shape != image.shape[:2]:
        found.append(Doubt("size", f"mask {_by(mask.shape[::-1])}, picture {_by(size)}", 2.0))
    if (item.width, item.height) != size:
        found.append(Doubt("size", f"manifest {_by((item.width, item.height))}, picture {_by(size)}", 1.0))
    return found


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def look_at(image: Frame) -> Look:
    """Measure an (H, W, 3) uint8 RGB picture.

    Brightness is the mean of its grey (ITU-R BT.601 luma). Sharpness is the variance of the Laplacian of that grey,
    scaled to a longest side of 256 pixels (Pech-Pacheco et al. 2000): low for a blurred picture, but for a plain
    one, too.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = _SHARPNESS_SIDE / max(height, width)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    fixed = cv2.resize(grey, small, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    sharpness = float(cv2.Laplacian(fixed, cv2.CV_64F).var())
    return Look(width, height, float(grey.mean()), sharpness, perceptual_hash(image).tobytes())


def trace(mask: Mask) -> tuple[Outline, list[Doubt]]:
    """Measure an (H, W) bool mask and say what is odd about it.

    Parts are 8-connected and at least `SPECK` of the picture; smaller ones are specks. The boundary is the number of
    mask pixels with a 4-neighbour in the picture outside the mask, over the diagonal in pixels.
    """
    area, count = mask.size, int(np.count_nonzero(mask))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    tiny = areas < SPECK * area
    length = np.count_nonzero(boundary(mask)) / math.hypot(*mask.shape)
    outline = Outline(count / area, int((~tiny).sum()), int(tiny.sum()), length)
    if count in (0, area):
        return outline, [Doubt("full" if count else "empty", "", 1.0)]
    boxes = stats[1:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    doubts = _rectangle(boxes, areas)
    for largest in np.flatnonzero(areas == areas.max()):  # of several as large, any
        doubts = doubts or _cut_top(labels == largest + 1, int(boxes[largest, 1]))
    if tiny.any() and not tiny.all():
        doubts += _stray(labels, np.concatenate([[False], tiny]))
    return outline, doubts


def boundary(mask: Mask) -> Mask:
    """The pixels of an (H, W) bool mask with a 4-neighbour in the picture outside it, as a mask."""
    # Outside the picture counts as mask, so that the picture's border eats nothing away.
    inside = cv2.erode(mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=(1,))
    edge: Mask = mask & (inside == 0)
    return edge


def _rectangle(boxes: NDArray[np.int32], areas: NDArray[np.int32]) -> list[Doubt]:
    width, height = (int(side) for side in boxes[0, 2:])
    if len(areas) > 1 or areas[0] != width * height:
        return []
    return [Doubt("rectangle", f"{width}x{height} pixels, all filled", float(areas[0]))]


def _cut_top(part: Mask, top: int) -> list[Doubt]:
    """A doubt where the part's top row is long, and about as long as the row 2 % of the picture further down."""
    height, width = part.shape
    if top <= max(2, 0.01 * height):
        return []
    length = _longest_run(part[top])
    below = np.count_nonzero(part[min(height - 1, top + max(2, round(0.02 * height)))])
    if length < CUT * width or length < STRAIGHT * below:
        return []
    return [Doubt("cut top", f"straight for {length} pixels, {length / width:.0%} of the width", length / width)]


def _longest_run(row: NDArray[np.bool_]) -> int:
    steps = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return int((steps[1::2] - steps[::2]).max(initial=0))


def _stray(labels: NDArray[np.int32], tiny: NDArray[np.bool_]) -> list[Doubt]:
    """A doubt where specks lie further from the larger parts than `STRAY`; `tiny` says which labels are specks."""
    specks = tiny[labels]
    person = (labels > 0) & ~specks
    away = cv2.distanceTransform((~person).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    far = specks & (away > STRAY * math.hypot(*labels.shape))
    number, pixels = len(np.unique(labels[far])), int(np.count_nonzero(far))
    if not number:
        return []
    return [Doubt("specks", f"{number} away from the person, {pixels} pixels in all", float(number))]
