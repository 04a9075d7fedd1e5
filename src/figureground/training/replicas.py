"""One optimizer step on one device, or on several that share a batch, by the means of the Keras backend in use.

Every device holds the whole network and learns from its part of the batch; the gradients, the statistics of batch
normalisation and the sums that a loss divides by are those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from figureground.errors import RecipeError, TrainingError
from figureground.training.config import Recipe
from figureground.training.dataset import Batch
from figureground.training.model import accuracy

Learner = Callable[[Batch], tuple[float, float]]


class Devices:
    """One device, the one that the backend chooses.

    Attributes:
        count: devices of all machines together.
        machines: processes that train together, one a machine.
        machine: which of them this one is; 0 is the chief, which alone writes the run's folder.
    """

    def __init__(self, count: int = 1, machines: int = 1, machine: int = 0) -> None:
        self.count, self.machines, self.machine = count, machines, machine

    @property
    def is_chief(self) -> bool:
        return self.machine == 0

    def check(self, recipe: Recipe) -> None:
        """Refuse a recipe that these devices cannot train.

        Raises:
            RecipeError: its batch cannot be shared out evenly.
        """
        if recipe.batch % self.count:
            near = max(self.count, recipe.batch // self.count * self.count)
            raise RecipeError(
                f"batch={recipe.batch}: cannot be shared out evenly among {self.count} devices; --set batch={near}"
            )

    def scope(self) -> AbstractContextManager[Any]:
        """In which the model that learns has to be made."""
        return nullcontext()

    def learner(self, model: keras.Model) -> Learner:
        """What learns from one batch, this machine's part of it, and gives the whole batch's loss and accuracy."""
        return lambda batch: _figures(model.train_on_batch(*batch))

    def from_chief(self, figures: Sequence[float]) -> list[float]:
        """The chief's `figures`, as float32, on every machine: what they decide must be decided alike everywhere."""
        return list(figures)


class TensorFlowDevices(Devices):
    """Devices under a `tf.distribute` strategy, which keeps the network's copies alike."""

    def __init__(self, strategy: Any, machines: int = 1, machine: int = 0) -> None:
        super().__init__(strategy.num_replicas_in_sync, machines, machine)
        self._strategy = strategy

    def check(self, recipe: Recipe) -> None:
        """As of `Devices`; Keras' gradient accumulation fails under a strategy that mirrors.

        Raises:
            RecipeError: its batch cannot be shared out evenly, or its gradients are accumulated.
        """
        super().check(recipe)
        if recipe.accumulate > 1:
            raise RecipeError(
                f"accumulate={recipe.accumulate}: not on several devices with TensorFlow; "
                "--set accumulate=1 and a larger batch, or KERAS_BACKEND=jax"
            )

    def scope(self) -> AbstractContextManager[Any]:
        return self._strategy.scope()

    def learner(self, model: keras.Model) -> Learner:
        """Keras' own `train_on_batch` would give every device the whole batch and count it as often."""
        import tensorflow as tf

        strategy = self._strategy
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

        def learn(frames: Any, masks: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                logits = model(frames, training=True)
                loss = model.loss(masks, logits)
                share = loss / self.count  # the optimizer adds the devices' gradients up
            model.optimizer.apply(tape.gradient(share, model.trainable_variables), model.trainable_variables)
            return loss, keras.ops.mean(accuracy(masks, logits))

        def step(frames: Any, masks: Any, learnt: int) -> list[Any]:
            del learnt  # traced anew when another number of variables learns: `freeze_encoder`
            results = strategy.run(learn, args=(frames, masks))
            return [strategy.reduce(tf.distribute.ReduceOp.MEAN, result, axis=None) for result in results]

        traced = tf.function(step)

        def learner(batch: Batch) -> tuple[float, float]:
            frames, masks = (self._shared_out(array) for array in batch)
            try:
                return _figures(traced(frames, masks, len(model.trainable_variables)))
            except tf.errors.UnavailableError as error:
                raise TrainingError("another machine is gone; start all of them again with --resume") from error

        return learner

    def _shared_out(self, array: NDArray[Any]) -> Any:
        """This machine's part of a batch, in equal parts on its devices."""
        import tensorflow as tf

        parts = np.split(array, self.count // self.machines)
        first = self.machine * len(parts)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group - first])
        )

    def from_chief(self, figures: Sequence[float]) -> list[float]:
        if self.machines == 1:
            return super().from_chief(figures)
        import tensorflow as tf

        def send() -> Any:
            context = tf.distribute.get_replica_context()
            mine = tf.where(context.replica_id_in_sync_group == 0, tf.constant(figures, tf.float32), 0.0)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

        sent = self._strategy.experimental_local_results(self._strategy.run(tf.function(send)))
        return np.asarray(sent[0]).tolist()


class JaxDevices(Devices):
    """Devices under `keras.distribution.DataParallel`: XLA computes on the whole batch, wherever its parts are."""

    def __init__(self, distribution: Any, machines: int = 1, machine: int = 0) -> None:
        super().__init__(distribution.device_mesh.devices.size, machines, machine)
        self._distribution = distribution

    def scope(self) -> AbstractContextManager[Any]:
        return self._distribution.scope()

    def learner(self, model: keras.Model) -> Learner:
        learn = super().learner(model)

        def learner(batch: Batch) -> tuple[float, float]:
            with self._distribution.scope():
                return learn(batch)

        return learner

    def from_chief(self, figures: Sequence[float]) -> list[float]:
        if self.machines == 1:
            return super().from_chief(figures)
        from jax.experimental.multihost_utils import broadcast_one_to_all

        return np.asarray(broadcast_one_to_all(np.asarray(figures, np.float32))).tolist()


def _figures(results: Sequence[Any]) -> tuple[float, float]:
    loss, accuracy = (float(np.asarray(result)) for result in results)
    return loss, accuracy
