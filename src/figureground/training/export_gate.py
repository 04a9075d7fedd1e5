"""An exported file beside the Keras model it came from, on real pictures; and whether it is good enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import keras
import numpy as np

from figureground.arrays import Alpha, Frame, Mask
from figureground.data.manifest import Item
from figureground.errors import ModelError
from figureground.evaluation.evaluate import read_truth
from figureground.evaluation.metrics import iou, pixel_accuracy
from figureground.images import read_image
from figureground.preprocess import Fit, to_input
from figureground.refine import to_alpha

MOST_DROP = 0.002  # of mean IoU
TOLERANCE = 1e-4  # of any pixel's alpha, where no number was rounded
Progress = Callable[[int, int], None]


class Network(Protocol):
    """An exported file run by its own runtime: `Engine`, `ExportedModel`."""

    def fit(self, width: int, height: int) -> Fit: ...

    def run(self, picture: Frame) -> Alpha: ...


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one picture, or over several: mean pixel accuracy and IoU, as `evaluate` has them; median milliseconds."""

    accuracy: float
    iou: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """An exported file and its Keras model on the same inputs; `worst` is the largest difference of any alpha."""

    pictures: int
    exported: Figures
    keras: Figures
    worst: float

    @property
    def drop(self) -> float:
        """How much lower the exported file's IoU is."""
        return self.keras.iou - self.exported.iou


def compare(
    network: Network, reference: Callable[[Frame], Alpha], items: Sequence[Item], progress: Progress | None = None
) -> Comparison:
    """Run an exported file and its `reference` in turn on every picture of `items`, at least one.

    Both see the same input and go the same way back to the picture's size. The second call of each is timed: the
    first may prepare the network for a new size. `progress` is called with the pictures done and the pictures in all.

    Raises:
        ModelError: the file cannot be run, or gives alphas of another shape.
        DatasetError: a mask of another size than its picture.
        ImageError: a picture or mask cannot be read.
    """
    rows = []
    for number, item in enumerate(items, 1):
        rows.append(_picture(network, reference, item))
        if progress is not None:
            progress(number, len(items))
    exported, wanted, worst = zip(*rows, strict=True)
    return Comparison(len(items), _over(exported), _over(wanted), max(worst))


def _over(each: Sequence[Figures]) -> Figures:
    accuracy, iou = np.mean([(one.accuracy, one.iou) for one in each], axis=0).tolist()
    return Figures(accuracy, iou, float(np.median([one.milliseconds for one in each])))


def _picture(network: Network, reference: Callable[[Frame], Alpha], item: Item) -> tuple[Figures, Figures, float]:
    frame = read_image(item.image)
    truth = read_truth(item, frame) >= 128
    fit = network.fit(frame.shape[1], frame.shape[0])
    picture = to_input(frame, fit)
    wanted, wanted_time = _timed(reference, picture)
    alpha, alpha_time = _timed(network.run, picture)
    if alpha.shape != wanted.shape:  # numpy would broadcast some wrong shapes into a difference that looks right
        raise ModelError(f"the exported file's alpha has shape {alpha.shape}, Keras' has {wanted.shape}")
    worst = float(np.abs(alpha - wanted).max())
    return _figures(frame, alpha, fit, truth, alpha_time), _figures(frame, wanted, fit, truth, wanted_time), worst


def _timed(run: Callable[[Frame], Alpha], picture: Frame) -> tuple[Alpha, float]:
    run(picture)
    begin = time.perf_counter()
    alpha = run(picture)
    return alpha, (time.perf_counter() - begin) * 1000


def _figures(frame: Frame, output: Alpha, fit: Fit, truth: Mask, milliseconds: float) -> Figures:
    guess = to_alpha(frame, output, fit) >= 0.5
    return Figures(pixel_accuracy(guess, truth), iou(guess, truth), milliseconds)


def keras_alpha(model: keras.Model) -> Callable[[Frame], Alpha]:
    """A network of `unet` as a function from (H, W, 3) uint8 RGB to (H, W) float32, as a graph where Keras has one."""
    # XLA makes these networks several times slower in TensorFlow on a CPU; JAX has nothing else.
    model.compile(jit_compile=keras.backend.backend() == "jax")
    return lambda picture: np.asarray(model.predict_on_batch(picture[None]))[0, :, :, 0]


def refusal(got: Comparison, exact: bool) -> str:
    """Why a file is not good enough to be kept; empty if it is.

    Args:
        got: its figures.
        exact: whether its numbers are float32 as in Keras, so that every alpha must be the same.
    """
    over = f"over {got.pictures} val pictures"
    if not got.drop <= MOST_DROP:  # written so that a NaN is refused too
        return (
            f"its IoU {over} is {got.exported.iou:.4f}, {got.drop:.4f} under Keras' {got.keras.iou:.4f}; "
            f"at most {MOST_DROP} is allowed"
        )
    if exact and not got.worst <= TOLERANCE:
        return f"an alpha is {got.worst:.3g} off Keras' {over}; at most {TOLERANCE:g} is allowed"
    return ""
