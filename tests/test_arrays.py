"""What may pass for a frame and an alpha, and what is said of the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from figureground.arrays import Alpha, Frame, check_alpha, check_frame
from figureground.errors import ArrayError, FigureGroundError

FRAME = np.zeros((4, 6, 3), np.uint8)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2).map(lambda shape: (*shape, 3))))
def test_every_rgb_picture_is_a_frame(frame: Frame) -> None:
    assert check_frame(frame) is frame


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([[[1, 2, 3]]], "frame must be a numpy array, got list"),
        (None, "frame must be a numpy array, got NoneType"),
        (np.zeros((4, 6), np.uint8), "frame must have shape (height, width, 3) in RGB order, got (4, 6)"),
        (np.zeros((4, 6, 4), np.uint8), "frame must have shape (height, width, 3) in RGB order, got (4, 6, 4)"),
        (np.zeros((1, 4, 6, 3), np.uint8), "frame must have shape (height, width, 3) in RGB order, got (1, 4, 6, 3)"),
        (np.zeros((0, 6, 3), np.uint8), "frame must have shape (height, width, 3) in RGB order, got (0, 6, 3)"),
        (np.zeros((4, 6, 3), np.float32), "frame must be uint8 in 0..255, got float32"),
        (np.zeros((4, 6, 3), np.int64), "frame must be uint8 in 0..255, got int64"),
    ],
)
def test_what_is_no_frame_is_refused_with_what_came(wrong: object, message: str) -> None:
    with pytest.raises(ArrayError) as caught:
        check_frame(wrong)
    assert str(caught.value) == message


def test_the_message_calls_the_array_what_the_caller_calls_it() -> None:
    with pytest.raises(ArrayError, match=r"^background must be a numpy array, got int$"):
        check_frame(3, "background")
    with pytest.raises(ArrayError, match=r"^matte must be a numpy array, got int$"):
        check_alpha(3, name="matte")


@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(0, 1, width=32)), st.integers(0, 255)
)
def test_every_map_of_shares_is_an_alpha_of_its_own_size(alpha: Alpha, level: int) -> None:
    assert check_alpha(alpha) is alpha
    assert check_alpha(alpha, like=np.full((*alpha.shape, 3), level, np.uint8)) is alpha


def shares(value: float) -> NDArray[np.float32]:
    alpha = np.full((4, 6), 0.5, np.float32)
    alpha[1, 2] = value
    return alpha


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([[0.5]], "alpha must be a numpy array, got list"),
        (np.zeros((4, 6, 1), np.float32), "alpha must have shape (height, width), got (4, 6, 1)"),
        (np.zeros((4, 0), np.float32), "alpha must have shape (height, width), got (4, 0)"),
        (np.zeros((4, 6), np.float64), "alpha must be float32 in [0, 1], got float64; divide uint8 by 255"),
        (np.zeros((4, 6), np.uint8), "alpha must be float32 in [0, 1], got uint8; divide uint8 by 255"),
        (np.zeros((4, 6), np.bool_), "alpha must be float32 in [0, 1], got bool; divide uint8 by 255"),
        (np.zeros((6, 4), np.float32), "alpha must have the frame's size (4, 6), got (6, 4)"),
        (shares(-0.25), "alpha must lie in [0, 1], got -0.25 to 0.5"),
        (shares(255), "alpha must lie in [0, 1], got 0.5 to 255"),
        (shares(np.nan), "alpha must lie in [0, 1], got nan to nan"),
        (shares(np.inf), "alpha must lie in [0, 1], got 0.5 to inf"),
    ],
)
def test_what_is_no_alpha_is_refused_with_what_came(wrong: object, message: str) -> None:
    with pytest.raises(ArrayError) as caught:
        check_alpha(wrong, like=FRAME)
    assert str(caught.value) == message


def test_an_array_error_is_also_a_value_error() -> None:
    assert issubclass(ArrayError, ValueError)
    assert issubclass(ArrayError, FigureGroundError)
