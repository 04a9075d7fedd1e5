"""What the arrays of this package are: shape, dtype, range, channel order.

| name  | shape     | dtype   | range    | meaning                                   |
| ----- | --------- | ------- | -------- | ----------------------------------------- |
| Frame | (H, W, 3) | uint8   | 0..255   | a picture, channels **RGB**, sRGB encoded |
| Alpha | (H, W)    | float32 | [0, 1]   | share of the person in each pixel         |
| Mask  | (H, W)    | bool    |          | person or not                             |
| Matte | (H, W)    | uint8   | 0..255   | an alpha in 8 bits, to be painted with    |
| Deep  | (H, W, 3) | uint16  | 0..65535 | RGB of pictures with more than 8 bits     |

Every public function takes and gives these; the `check_*` functions stand at the border. Whatever holds
BGR or YUV (OpenCV's codecs, video frames) turns it into a Frame where it enters.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from figureground.errors import ArrayError

Frame = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]
Matte = NDArray[np.uint8]
Deep = NDArray[np.uint16]
Colours = TypeVar("Colours", Frame, Deep)  # what works on either


def check_frame(frame: object, name: str = "frame") -> Frame:
    """Return `frame` if it is an (H, W, 3) uint8 array with at least one pixel.

    Raises:
        ArrayError: it is not; the message says what came instead.
    """
    if not isinstance(frame, np.ndarray):
        raise ArrayError(f"{name} must be a numpy array, got {type(frame).__name__}")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ArrayError(f"{name} must have shape (height, width, 3) in RGB order, got {frame.shape}")
    if frame.dtype != np.uint8:
        raise ArrayError(f"{name} must be uint8 in 0..255, got {frame.dtype}")
    return frame


def check_alpha(alpha: object, like: Frame | None = None, name: str = "alpha") -> Alpha:
    """Return `alpha` if it is an (H, W) float32 array in [0, 1], of the size of `like` if given.

    Raises:
        ArrayError: it is not, or it holds a NaN; the message says what came instead.
    """
    if not isinstance(alpha, np.ndarray):
        raise ArrayError(f"{name} must be a numpy array, got {type(alpha).__name__}")
    if alpha.ndim != 2 or 0 in alpha.shape:
        raise ArrayError(f"{name} must have shape (height, width), got {alpha.shape}")
    if alpha.dtype != np.float32:
        raise ArrayError(f"{name} must be float32 in [0, 1], got {alpha.dtype}; divide uint8 by 255")
    if like is not None and alpha.shape != like.shape[:2]:
        raise ArrayError(f"{name} must have the frame's size {like.shape[:2]}, got {alpha.shape}")
    low, high = float(alpha.min()), float(alpha.max())
    if not (low >= 0.0 and high <= 1.0):  # written so that a NaN fails too
        raise ArrayError(f"{name} must lie in [0, 1], got {low:g} to {high:g}")
    return alpha


def check_matte(matte: object, like: Frame | Deep, name: str = "matte") -> Matte:
    """Return `matte` if it is an (H, W) uint8 array of the size of `like`.

    Raises:
        ArrayError: it is not; the message says what came instead.
    """
    if not isinstance(matte, np.ndarray):
        raise ArrayError(f"{name} must be a numpy array, got {type(matte).__name__}")
    if matte.dtype != np.uint8:
        raise ArrayError(f"{name} must be uint8 in 0..255, got {matte.dtype}")
    if matte.shape != like.shape[:2]:
        raise ArrayError(f"{name} must have the frame's size {like.shape[:2]}, got {matte.shape}")
    return matte
