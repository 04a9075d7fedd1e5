"""Finding the same photograph twice: what is near, what is not, and the pairs and components against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform
from skimage import data

from figureground.arrays import Frame
from figureground.data.similar import NEAR, components, linked, near_blocks, perceptual_hash
from figureground.errors import ArrayError

Hashes = NDArray[np.uint64]


def near_duplicates(hashes: Hashes, distance: int = NEAR) -> NDArray[np.int64]:
    """All pairs of `near_blocks`, sorted."""
    pairs = np.concatenate([np.empty((0, 2), np.int64), *near_blocks(hashes, distance)])
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def bits(hashes: Hashes) -> NDArray[np.uint8]:
    return np.unpackbits(hashes.view(np.uint8), axis=-1)


def apart(first: Frame, second: Frame) -> int:
    return int((bits(perceptual_hash(first)) != bits(perceptual_hash(second))).sum())


def jpeg(image: Frame) -> Frame:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=40)
    return np.array(Image.open(file))


def half(image: Frame) -> Frame:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def brighter(image: Frame) -> Frame:
    return np.clip(image.astype(np.int16) + 20, 0, 255).astype(np.uint8)


def cropped(image: Frame) -> Frame:
    edge = max(1, image.shape[0] // 100)
    return image[edge:-edge, edge:-edge]


@pytest.fixture(scope="module")
def photographs() -> list[Frame]:
    """Six photographs that come with scikit-image."""
    return [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.cat()[::-1], data.colorwheel()]


@pytest.mark.parametrize("change", [jpeg, half, brighter, cropped])
def test_same_photograph_is_near(photographs: list[Frame], change: Callable[[Frame], Frame]) -> None:
    assert all(apart(image, change(image)) <= NEAR for image in photographs[:4])


def test_different_photographs_are_far(photographs: list[Frame]) -> None:
    hashes = np.stack([perceptual_hash(image) for image in photographs])
    assert near_duplicates(hashes, 70).tolist() == []


def test_hash_is_the_textbook_one(astronaut: Frame) -> None:
    """SciPy's transform instead of OpenCV's; only a coefficient at the median itself may fall the other way."""
    small = cv2.resize(astronaut, (64, 64), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64)
    waves = scipy.fft.dctn(grey, norm="ortho")[:16, :16].ravel()
    wanted = waves > np.median(waves[1:])
    assert (bits(perceptual_hash(astronaut)) != wanted).sum() <= 2


def test_hash_is_repeatable_and_of_256_bits(astronaut: Frame) -> None:
    first = perceptual_hash(astronaut)
    assert first.shape == (4,)
    assert first.dtype == np.uint64
    np.testing.assert_array_equal(first, perceptual_hash(astronaut.copy()))
    np.testing.assert_array_equal(first, perceptual_hash(np.asfortranarray(astronaut)))


@pytest.mark.parametrize("noise", [0, 1])
def test_flat_pictures_match_only_if_equal(noise: int) -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((40, 30, 3), level, np.uint8) for level in (0, 1, 128, 255)]
    flat += [np.full((30, 40, 3), 128, np.uint8), np.full((40, 30, 3), (200, 0, 0), np.uint8)]
    flat = [image + rng.integers(0, noise + 1, image.shape, np.uint8) * (image < 255) for image in flat]
    hashes = np.stack([perceptual_hash(image) for image in [*flat, flat[2].copy()]])
    assert near_duplicates(hashes).tolist() == [[2, 6]]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 2)])
def test_any_size_has_a_hash(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert perceptual_hash(image).shape == (4,)


def test_not_a_frame() -> None:
    with pytest.raises(ArrayError, match="uint8"):
        perceptual_hash(np.zeros((8, 8, 3), np.float32))  # type: ignore[arg-type]


def planted(count: int, seed: int) -> Hashes:
    """Random hashes, a third of them another one with up to 80 bits turned."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, (count, 4), np.uint64)
    for row in range(0, count, 3):
        turned = np.zeros(256, np.uint8)
        turned[rng.choice(256, rng.integers(0, 80), replace=False)] = 1
        hashes[row] = hashes[rng.integers(count)] ^ np.packbits(turned).view(np.uint64)
    return hashes


@pytest.mark.parametrize(("count", "distance"), [(0, 40), (1, 40), (2, 256), (300, 0), (300, 40), (700, 63)])
def test_pairs_are_those_of_a_plain_search(count: int, distance: int) -> None:
    hashes = np.unique(planted(count, seed=count), axis=0)
    near = squareform(pdist(bits(hashes), "hamming") * 256) <= distance + 1e-6 if len(hashes) > 1 else np.eye(count)
    got = near_duplicates(hashes, distance)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, np.argwhere(np.triu(near, 1)).reshape(-1, 2))


def test_pairs_across_blocks() -> None:
    """More hashes than are compared at a time: planted pairs far apart are all found."""
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 2**64, (9000, 4), np.uint64)
    hashes[[8999, 4096, 255, 8500]] = hashes[[0, 4095, 256, 300]] ^ np.uint64(0b111)
    assert near_duplicates(hashes).tolist() == [[0, 8999], [255, 256], [300, 8500], [4095, 4096]]


def test_many_equal_hashes_are_a_chain() -> None:
    hashes = planted(30_000, seed=0)[:1].repeat(30_000, axis=0)
    hashes[-1] ^= np.uint64(1)
    pairs = near_duplicates(hashes)
    assert len(pairs) == 29_999
    assert set(components(len(hashes), pairs)) == {0}


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 60))
def test_components_are_those_of_scipy(seed: int, count: int, links: int) -> None:
    pairs = np.random.default_rng(seed).integers(0, count, (links, 2))
    graph = coo_array((np.ones(links), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    smallest = np.array([np.flatnonzero(labels == label)[0] for label in labels])
    np.testing.assert_array_equal(components(count, pairs), smallest)


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 60))
def test_links_in_blocks_are_those_of_all_at_once(seed: int, count: int, links: int) -> None:
    pairs = np.random.default_rng(seed).integers(0, count, (links, 2))
    for size in (1, 7, 60):
        blocks = (pairs[start : start + size] for start in range(0, links, size))
        np.testing.assert_array_equal(linked(count, blocks), components(count, pairs))


def test_components_of_a_long_chain_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(100_000)
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    assert components(len(order), pairs).max() == 0


def test_components_without_links() -> None:
    assert components(3, np.zeros((0, 2), np.int64)).tolist() == [0, 1, 2]
    assert components(0, np.zeros((0, 2), np.int64)).tolist() == []


def test_wrong_arrays_are_told() -> None:
    with pytest.raises(ArrayError, match=r"shape \(N, 4\)"):
        near_duplicates(np.zeros((3, 2), np.uint64))
    with pytest.raises(ArrayError, match="at least 0"):
        near_duplicates(np.zeros((3, 4), np.uint64), -1)
    with pytest.raises(ArrayError, match=r"0\.\.1"):
        components(2, np.array([[0, 2]]))
    with pytest.raises(ArrayError, match=r"\(M, 2\)"):
        components(2, np.zeros(3, np.int64))
