"""Finding the same photograph twice: a perceptual hash of 256 bits, and the pairs of hashes that are close."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from figureground.arrays import Frame, check_frame
from figureground.errors import ArrayError

# Measured on 5,573 photographs of seven sources. The same photograph at JPEG quality 20, a third of its size or a
# fifth brighter is at most 22 bits away; 1 % cropped off each side at most 30, 2 % at most 40 nine times in ten. Out of
# 15 million pairs, the nearest two shots of one sitting are 52 bits apart and the nearest two people 64. Each 4 bits
# less makes such accidents 2.6 times rarer, so 40 leaves room for some 100,000 pictures.
NEAR = 40
_WORDS = 4  # of 64 bits
_SIDE = 64  # pixels a side before the transform
_KEPT = 16  # lowest frequencies kept, each way: 256 coefficients, a bit each
_FLAT = 1.0  # grey levels of standard deviation: below, the coefficients are noise
_ROWS, _COLUMNS = 256, 4096  # hashes compared at a time: 8 MB for their first words


def perceptual_hash(image: Frame) -> NDArray[np.uint64]:
    """Give a picture's DCT hash, a (4,) uint64 array of 256 bits (Zauner 2010, section 3.2.1: pHash).

    `image` is an (H, W, 3) uint8 RGB Frame of any size. A bit says whether one of the 16 x 16 lowest coefficients of
    the grey picture, scaled to 64 x 64, lies over their median: brightness, contrast, size and compression hardly
    change that. A flat picture has no such pattern; its hash is a digest (BLAKE2b) of its pixels, so that only an
    equal picture is near it.

    Raises:
        ArrayError: not a Frame.
    """
    check_frame(image)
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if grey.std() < _FLAT:
        return _digest(image)
    waves = cv2.dct(grey)[:_KEPT, :_KEPT].ravel()
    bits = waves > np.median(waves[1:])  # the first is the mean, far above all others
    return np.packbits(bits).view(np.uint64)


def _digest(image: Frame) -> NDArray[np.uint64]:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=8 * _WORDS)
    digest.update(image.tobytes())
    return np.frombuffer(digest.digest(), np.uint64).copy()


def near_blocks(hashes: NDArray[np.uint64], distance: int = NEAR) -> Iterator[NDArray[np.int64]]:
    """Find the hashes that differ in at most `distance` bits, as (M, 2) int64 pairs i < j, a million at most at a time.

    `hashes` is (N, 4) uint64, a row a picture. Equal hashes are linked in a chain, each to the next, and only the
    first of them is paired with others: a thousand copies give 999 pairs. Every pair is compared, a block at a time:
    the memory grows with N, the time with N squared (100,000 pictures take some 20 seconds).

    Raises:
        ArrayError: not an (N, 4) uint64 array, or a distance below 0.
    """
    if hashes.ndim != 2 or hashes.shape[1] != _WORDS or hashes.dtype != np.uint64:
        raise ArrayError(f"hashes must be uint64 of shape (N, {_WORDS}), got {hashes.dtype} {hashes.shape}")
    if distance < 0:
        raise ArrayError(f"distance must be at least 0 bits, got {distance}")
    order = np.lexsort(hashes.T)  # stable: equal hashes keep their order
    ordered = hashes[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    yield np.stack([order[:-1], order[1:]], axis=1)[~new[1:]].astype(np.int64)
    firsts = np.sort(order[new])
    for pairs in _close(hashes[firsts], distance):
        yield firsts[pairs].astype(np.int64)


def _close(hashes: NDArray[np.uint64], distance: int) -> Iterator[NDArray[np.int64]]:
    """Pairs i < j of unequal hashes, block by block."""
    words = np.ascontiguousarray(hashes.T)
    for top in range(0, len(hashes), _ROWS):
        for left in range(top, len(hashes), _COLUMNS):
            yield _close_in_block(words, top, left, distance)


def _close_in_block(words: NDArray[np.uint64], top: int, left: int, distance: int) -> NDArray[np.int64]:
    rows, columns = words[:, top : top + _ROWS, None], words[:, None, left : left + _COLUMNS]
    # Half the bits tell nearly all pairs apart; the rest are only compared for what is left.
    differing = np.bitwise_count(rows[0] ^ columns[0])
    differing += np.bitwise_count(rows[1] ^ columns[1])
    i, j = np.nonzero(differing <= distance)
    i, j = i + top, j + left
    ahead = i < j
    i, j = i[ahead], j[ahead]
    exact = np.bitwise_count(words[:, i] ^ words[:, j]).sum(axis=0, dtype=np.int64)
    return np.stack([i, j], axis=1)[exact <= distance]


def linked(count: int, blocks: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """As `components`, of pairs that come a block at a time, in memory that does not grow with their number."""
    labels = np.arange(count, dtype=np.int64)
    for pairs in blocks:
        fresh = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
        if len(fresh):
            labels = components(count, np.concatenate([np.stack([np.arange(count), labels], axis=1), fresh]))
    return labels


def components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each of `count` pictures the smallest index of those it is linked to, as (count,) int64.

    `pairs` is (M, 2) int64, indices from 0 to count - 1. Links are followed through others, so that a chain is one
    component (Shiloach and Vishkin 1982: hook roots, then shorten the paths).

    Raises:
        ArrayError: `pairs` is not of shape (M, 2), or holds an index outside.
    """
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ArrayError(f"pairs must have shape (M, 2), got {pairs.shape}")
    if pairs.size and not (pairs.min() >= 0 and pairs.max() < count):
        raise ArrayError(f"pairs must lie in 0..{count - 1}, got {pairs.min()} to {pairs.max()}")
    labels = np.arange(count, dtype=np.int64)
    while True:
        ends = labels[pairs]
        if (ends[:, 0] == ends[:, 1]).all():
            return labels
        np.minimum.at(labels, ends.max(axis=1), ends.min(axis=1))
        while not np.array_equal(shorter := labels[labels], labels):
            labels = shorter
