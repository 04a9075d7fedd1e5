"""Which devices a run trains on: what `--devices` asks for, checked against what the Keras backend sees.

Several machines are told of by the environment, one process a machine: TensorFlow reads TF_CONFIG, JAX what
`keras.distribution.initialize` reads (KERAS_DISTRIBUTION_JOB_ADDRESSES, _NUM_PROCESSES, _PROCESS_ID).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from figureground.errors import TrainingError

if TYPE_CHECKING:
    from figureground.training.replicas import Devices

MOST = 1024
BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True, slots=True)
class Asked:
    """`--devices`: cpu or gpu, or nothing for what the backend chooses; and how many on each machine."""

    kind: str = ""
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Asked:
        """Read `cpu`, `gpu`, `cpu:N`, `gpu:N`, or nothing.

        Raises:
            TrainingError: anything else.
        """
        if not text:
            return cls()
        found = re.fullmatch(r"(cpu|gpu)(?::(\d{1,4}))?", text)
        count = int(found[2] or 1) if found else 0
        if not found or not 1 <= count <= MOST:
            raise TrainingError(f"--devices {text}: want cpu, gpu, or a number of them, as in cpu:2 or gpu:4")
        return cls(found[1], count)

    def __str__(self) -> str:
        return f"--devices {self.kind}:{self.count}" if self.count > 1 else f"--devices {self.kind}"


def open_devices(asked: Asked) -> Devices:
    """Take the devices into use; to be called once, before Keras has computed anything.

    Raises:
        TrainingError: they are not there, the backend is unknown or not installed, or it cannot use several.
    """
    if asked.kind == "cpu":
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"  # read when Keras is imported
    backend = _backend()
    if backend == "torch":
        return _torch(asked)
    return _jax(asked) if backend == "jax" else _tensorflow(asked)


def _backend() -> str:
    """Keras' backend, which importing it decides."""
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name not in ("jax", "torch"):
            raise
        raise TrainingError(
            f"Keras' backend is {error.name}, which is not installed: run  pip install {error.name}  "
            "or set KERAS_BACKEND=tensorflow"
        ) from error
    except ValueError as error:
        named = os.environ.get("KERAS_BACKEND", "")
        raise TrainingError(f"KERAS_BACKEND={named}: want {', '.join(BACKENDS)} ({error})") from error
    name: str = keras.backend.backend()
    if name not in BACKENDS:
        raise TrainingError(f"Keras' backend is {name}, which cannot train; set KERAS_BACKEND to {', '.join(BACKENDS)}")
    return name


def _missing(asked: Asked, backend: str, there: int) -> TrainingError:
    sees = f"only {there} GPU" + "s" * (there > 1) if there else "no GPU, only the CPU"
    instead = f"gpu:{there}" if there > 1 else "gpu" if there else "cpu"
    return TrainingError(
        f"{asked}: Keras' {backend} backend sees {sees}; use --devices {instead}, "
        f"or install what {backend} needs for GPUs (docs/scaling.md)"
    )


def _torch(asked: Asked) -> Devices:
    import torch

    from figureground.training.replicas import Devices

    if asked.count > 1:
        raise TrainingError(
            f"{asked}: Keras trains on one device with torch; for several set KERAS_BACKEND to jax or tensorflow"
        )
    if asked.kind == "gpu" and not torch.accelerator.is_available():
        raise _missing(asked, "torch", 0)
    return Devices()


def _tensorflow(asked: Asked) -> Devices:
    import tensorflow as tf

    from figureground.training.replicas import Devices, TensorFlowDevices

    cpus, gpus = tf.config.list_physical_devices("CPU"), tf.config.list_physical_devices("GPU")
    machines, machine = _tf_config()
    kind = asked.kind or ("gpu" if gpus else "cpu")
    if kind == "gpu" and len(gpus) < asked.count:
        raise _missing(asked, "tensorflow", len(gpus))
    if asked.kind or machines > 1:
        tf.config.set_visible_devices(gpus[: asked.count] if kind == "gpu" else [], "GPU")
    if kind == "cpu" and asked.count > 1:
        one = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpus[0], [one] * asked.count)
    if machines > 1:
        return TensorFlowDevices(tf.distribute.MultiWorkerMirroredStrategy(), machines, machine)
    if asked.count == 1:
        return Devices()
    return TensorFlowDevices(tf.distribute.MirroredStrategy([f"{kind}:{place}" for place in range(asked.count)]))


def _tf_config() -> tuple[int, int]:
    """How many machines TF_CONFIG names, and which of them this one is, the chief being 0."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 1, 0
    try:
        config = json.loads(text)
        chiefs, workers = (config["cluster"].get(role, []) for role in ("chief", "worker"))
        role, index = config["task"]["type"], int(config["task"]["index"])
        machine = {"chief": 0, "worker": len(chiefs)}[role] + index
        if not 0 <= machine < len(chiefs) + len(workers):
            raise ValueError(f"no {role} {index} in its cluster")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"TF_CONFIG: cannot be understood ({type(error).__name__}: {error}); docs/scaling.md has an example"
        ) from error
    return len(chiefs) + len(workers), machine


def _jax(asked: Asked) -> Devices:
    import jax
    import keras

    from figureground.training.replicas import Devices, JaxDevices

    if asked.kind == "cpu":
        jax.config.update("jax_platforms", "cpu")
    if asked.kind == "cpu" and asked.count > 1:
        jax.config.update("jax_num_cpu_devices", asked.count)
    machines = _join_jax()
    try:
        there = jax.devices(asked.kind or None)
    except RuntimeError:  # a platform that JAX does not have
        there = []
    by_machine = [[device for device in there if device.process_index == machine] for machine in range(machines)]
    fewest = min(map(len, by_machine))
    if fewest < asked.count:
        raise _missing(asked, "jax", fewest)
    if machines == asked.count == 1:
        return Devices()
    chosen = [device for devices in by_machine for device in devices[: asked.count]]
    distribution = keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)
    return JaxDevices(distribution, machines, jax.process_index())


def _join_jax() -> int:
    """Wait for the other machines, if the environment names any; give their number, this one included."""
    import jax
    import keras

    names = ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
    told = {name: os.environ.get(f"KERAS_DISTRIBUTION_{name}", "") for name in names}
    if told["NUM_PROCESSES"] in ("", "1"):
        return 1
    try:
        keras.distribution.initialize(told["JOB_ADDRESSES"], int(told["NUM_PROCESSES"]), int(told["PROCESS_ID"]))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"KERAS_DISTRIBUTION_{', _'.join(names)}: got {', '.join(map(repr, told.values()))}, and the machines "
            f"cannot be joined ({reason}); docs/scaling.md has an example"
        ) from error
    return jax.process_count()
