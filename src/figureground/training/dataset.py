"""Annotated pictures as batches for training and validation."""

from __future__ import annotations

import csv
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame
from figureground.backgrounds import slides
from figureground.data.manifest import Item, read_manifest
from figureground.data.workers import cores
from figureground.errors import DatasetError, ImageError, reason
from figureground.images import EXTENSIONS, read_image, read_matte
from figureground.training.augment import Draw, augment
from figureground.training.config import Recipe
from figureground.training.geometry import Sample

MOST_WORKERS = 16  # each has a batch or two in memory
READ_AHEAD = 256  # pictures that may be in memory before it is known whether they fit
Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Samples:
    """Annotated pictures by number, shrunk to `side`; those in `cache`, the first ones, are kept in memory."""

    items: Sequence[Item]
    side: int
    cache: dict[int, Sample]

    @classmethod
    def load(cls, items: Sequence[Item], side: int, memory: float = 6e9) -> Samples:
        """Read the pictures with all cores, as many as fit into `memory`, in bytes; the others when asked for.

        Raises:
            ImageError: a picture or its mask cannot be read.
            DatasetError: they are not of one size.
        """
        samples = cls(items, side, {})
        sizes = np.cumsum([_bytes(item, side) for item in items])
        with ThreadPoolExecutor() as pool:
            samples.cache.update(
                enumerate(pool.map(samples._read, range(int(np.searchsorted(sizes, memory, "right")))))
            )
        return samples

    def bytes(self) -> int:
        """Of memory that the kept pictures take."""
        return sum(frame.nbytes + matte.nbytes for frame, matte in self.cache.values())

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Sample:
        return self.cache.get(number) or self._read(number)

    def mattes(self) -> Iterator[NDArray[np.uint8]]:
        """Every mask, those in memory first; the others are read as they are asked for, without their pictures.

        Raises:
            ImageError: one cannot be read.
        """
        yield from (matte for _, matte in self.cache.values())
        for item in self.items[len(self.cache) :]:
            try:
                yield _shrink(read_matte(item.mask), self.side)
            except ImageError as error:
                raise ImageError(f"{error}; {_mend(item)}") from error

    def _read(self, number: int) -> Sample:
        item = self.items[number]
        try:
            frame, matte = read_image(item.image), read_matte(item.mask)
        except ImageError as error:
            raise ImageError(f"{error}; {_mend(item)}") from error
        if matte.shape != frame.shape[:2]:
            got, wanted = matte.shape[::-1], frame.shape[1::-1]
            raise DatasetError(f"{item.mask}: mask is {got}, its picture {wanted} (width, height); {_mend(item)}")
        return _shrink(frame, self.side), _shrink(matte, self.side)


def read_splits(dataset: Path, batch: int) -> tuple[list[Item], list[Item]]:
    """The rows to learn from and those to validate on, before any picture is read.

    Raises:
        DatasetError: the manifest cannot be read, a split is empty, or there is less to learn from than a batch.
    """
    train, val = read_manifest(dataset, "train"), read_manifest(dataset, "val")
    if len(train) < batch:
        raise DatasetError(
            f"{dataset}: {len(train)} pictures in split 'train' are fewer than a batch of {batch}; "
            f"--set batch={len(train)}, or prepare more"
        )
    return train, val


class Pictures(Protocol):
    """Pictures by number, as in a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Frame: ...


@dataclass(frozen=True, slots=True)
class Files:
    """Picture files by number, shrunk to `side`; those in `cache` are kept in memory."""

    paths: Sequence[Path]
    side: int
    cache: dict[Path, Frame]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int, /) -> Frame:
        path = self.paths[number]
        kept = self.cache.get(path)
        return self._read(path) if kept is None else kept

    def keep(self, memory: float) -> None:
        """Read the first ones with all cores, as many as fit into `memory`, in bytes."""
        with ThreadPoolExecutor() as pool:
            for first in range(0, len(self.paths), READ_AHEAD):
                paths = self.paths[first : first + READ_AHEAD]
                for path, picture in zip(paths, pool.map(self._read, paths), strict=True):
                    memory -= picture.nbytes
                    if memory < 0:
                        return
                    self.cache[path] = picture

    def _read(self, path: Path) -> Frame:
        return _shrink(read_image(path), self.side)


@dataclass(frozen=True, slots=True)
class Backgrounds:
    """Pictures without people: any `scenes` may stand behind a person, any `negatives` for a whole sample."""

    scenes: Pictures = ()
    negatives: Pictures = ()


def read_backgrounds(folder: Path, side: int, negatives_only: str = "", memory: float = 0) -> Backgrounds:
    """Find the pictures of a folder, those whose name its `manifest.csv` gives to another split left out.

    Args:
        folder: the pictures.
        side: they are shrunk to this longest side, in pixels.
        negatives_only: pattern of names that are no scenes.
        memory: in bytes; as many as fit are read now, the others when they are drawn.

    Raises:
        DatasetError: no picture there, or a manifest that cannot be read.
        ImageError: one that is read now cannot be.
    """
    held_out = _held_out(folder / "manifest.csv")
    names = [path for path in slides(folder) if path.name not in held_out] if folder.is_dir() else []
    if not names:
        raise DatasetError(f"{folder}: no pictures for backgrounds here; want {' '.join(EXTENSIONS)}")
    negatives = Files(names, side, {})
    negatives.keep(memory)
    scenes = [path for path in names if not (negatives_only and path.match(negatives_only))]
    return Backgrounds(Files(scenes, side, negatives.cache), negatives)


def _held_out(manifest: Path) -> set[str]:
    if not manifest.exists():
        return set()
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            return {row["image"] for row in csv.DictReader(file) if row.get("split", "train") != "train"}
    except KeyError as error:
        raise DatasetError(f"{manifest}: column {error} is missing; want image,split") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{manifest}: cannot be read ({reason(error)})") from error


def mask_digest(item: Item) -> bytes:
    """SHA-256 of a mask's file.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        return hashlib.sha256(item.mask.read_bytes()).digest()
    except FileNotFoundError as error:
        raise ImageError(f"{item.mask}: no such file; {_mend(item)}") from error
    except OSError as error:
        raise ImageError(f"{item.mask}: cannot be read ({error.strerror}); {_mend(item)}") from error


def _mend(item: Item) -> str:
    return f"prepare the dataset again, or take {item.id!r} out of its manifest.csv"


def _bytes(item: Item, side: int) -> int:
    """Of a picture and its mask in memory."""
    scale = min(1.0, side / max(item.width, item.height, 1))
    return 4 * max(1, round(item.width * scale)) * max(1, round(item.height * scale))


def _shrink(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def training_batches(
    samples: Samples,
    backgrounds: Backgrounds,
    recipe: Recipe,
    epoch: int,
    start: int = 0,
    workers: int = min(cores(), MOST_WORKERS),
    part: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """One epoch of augmented batches, each sample once, in an order drawn from seed and epoch alone.

    Every sample's randomness comes from (seed, epoch, place in the epoch), so neither threads nor a resumed
    run (`start` batches already done) change what a batch holds. A last partial batch is left out.
    `part` is (which, of how many) equal parts of each batch to make, for machines that share it.

    Yields:
        (N, S, S, 3) uint8 RGB and (N, S, S, 1) float32 masks in [0, 1].
    """
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(samples))
    steps = max(1, len(samples) // recipe.batch)
    size = recipe.batch // part[1]

    def batch(step: int) -> Batch:
        made = []
        first = step * recipe.batch + part[0] * size
        for place in range(first, first + size):
            rng = np.random.default_rng([recipe.seed, epoch, place])
            made.append(vary(samples, order[place % len(order)], backgrounds, recipe, rng))
        masks = np.stack([matte for _, matte in made])[..., None].astype(np.float32)
        return np.stack([frame for frame, _ in made]), masks / np.float32(255)

    yield from _ahead(batch, range(start, steps), workers)


def vary(samples: Samples, number: int, backgrounds: Backgrounds, recipe: Recipe, rng: np.random.Generator) -> Sample:
    """Augment one sample as `recipe` asks, other people and other backgrounds drawn from those given.

    Returns:
        (S, S, 3) uint8 RGB and (S, S) uint8, S being the recipe's `size`.
    """
    behind, empty = _drawn_from(backgrounds.scenes), _drawn_from(backgrounds.negatives)

    def other(rng: np.random.Generator) -> Sample:
        return samples[int(rng.integers(len(samples)))]

    return augment(samples[number], recipe.size, recipe.augment, rng, behind, other, empty)


def _drawn_from(pictures: Pictures) -> Draw | None:
    return (lambda rng: pictures[int(rng.integers(len(pictures)))]) if len(pictures) else None


def _ahead(make: Callable[[int], Batch], numbers: Sequence[int], workers: int) -> Iterator[Batch]:
    """`make` each number in order, a few of them ahead in threads."""
    with ThreadPoolExecutor(workers, thread_name_prefix="augment") as pool:
        waiting: deque[Future[Batch]] = deque()
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def validation_batches(samples: Samples, size: int, batch: int) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
    """Every picture once, unchanged but fitted into a size x size canvas at its own aspect ratio.

    Yields:
        (pictures, masks) as in training, and (N, S, S, 1) bool: which pixels belong to the picture. The
        last batch is filled up with pictures that have no valid pixel, so that none counts twice.
    """
    for start in range(0, len(samples), batch):
        frames = np.zeros((batch, size, size, 3), np.uint8)
        masks = np.zeros((batch, size, size, 1), np.float32)
        valid = np.zeros((batch, size, size, 1), np.bool_)
        for place, number in enumerate(range(start, min(start + batch, len(samples)))):
            frame, matte = samples[number]
            scale = size / max(matte.shape)
            width, height = (max(1, min(size, round(n * scale))) for n in matte.shape[::-1])
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            frames[place] = cv2.copyMakeBorder(frame, 0, size - height, 0, size - width, cv2.BORDER_REPLICATE)
            masks[place, :height, :width, 0] = cv2.resize(matte, (width, height), interpolation=cv2.INTER_AREA) / 255
            valid[place, :height, :width] = True
        yield (frames, masks), valid
