"""The starting point's way through a frame, kept to measure against."""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np

from figureground.arrays import Frame
from figureground.errors import TrainingError


def starting_point(frame: Frame, threads: int) -> Callable[[], Frame]:
    """What the student project did with each webcam frame: `model.predict`, then a composite in float64.

    The 31 M U-Net is untrained here: weights do not change its speed.

    Raises:
        TrainingError: TensorFlow runs in this process already with another number of threads.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from figureground.training.unet import classic_unet

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise TrainingError("TensorFlow runs in this process already; measure in a fresh one") from error
    model = classic_unet()
    background = np.asarray(frame[::-1], np.float64)

    def call() -> Frame:
        picture = cv2.resize(frame, (256, 256))[None]
        alpha = np.asarray(model.predict(picture, verbose=0))[0, :, :, 0]
        share = np.asarray(cv2.resize(alpha, frame.shape[1::-1]), np.float64)[:, :, None]
        return (share * frame + (1 - share) * background).astype(np.uint8)

    return call
