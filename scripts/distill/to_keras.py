"""Weights that `train.py` brought back, as a run that `export` and `ship_model.py` take.

    python scripts/distill/to_keras.py small small.pt DATASET runs/small

Needs torch and TensorFlow. The Keras network must give the PyTorch network's alphas, or nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import networks
from figureground.training.config import read_recipe
from figureground.training.model import build_network
from figureground.training.run import config, write_json

MOST = 1e-4  # of difference in alpha; float32 sums in another order come to 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("small", "base"))
    for name in ("weights", "dataset", "run"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    recipe = read_recipe(options.name)
    theirs = getattr(networks, options.name)().eval()
    theirs.load_state_dict(torch.load(options.weights, map_location="cpu", weights_only=True))
    ours = build_network(recipe)
    ours.set_weights(list(weights(theirs)))
    worst = difference(ours, theirs)
    if worst > MOST:
        raise SystemExit(f"{options.weights}: alphas differ by up to {worst:.1e}; want at most {MOST:.0e}")
    options.run.mkdir(parents=True, exist_ok=True)
    ours.save(options.run / "best.keras")
    write_json(options.run / "config.json", config(recipe, options.dataset))
    checkpoint = Path("checkpoints") / f"{options.name}.keras"
    halved(ours, recipe).save(checkpoint)
    print(f"{options.run}: alphas differ by up to {worst:.1e}; {checkpoint}: {checkpoint.stat().st_size // 1000} kB")


def weights(network: Any) -> list[NDArray[np.float32]]:
    """All weights in the order and the layout of Keras."""
    got: list[Any] = []
    for part in network.parts():
        if isinstance(part, nn.BatchNorm2d):
            got += [part.weight, part.bias, part.running_mean, part.running_var]
        elif isinstance(part, nn.ConvTranspose2d):
            got += [part.weight.permute(2, 3, 1, 0), part.bias]
        elif part.groups > 1:
            got.append(part.weight.permute(2, 3, 0, 1))
        else:
            got.append(part.weight.permute(2, 3, 1, 0))
    arrays = [weight.detach().float().numpy() for weight in got]
    if isinstance(network, networks.SmallUNet):
        # The mean of 2x2 pixels and the first convolution, stride 2, in one: every weight for each of four pixels.
        arrays[0] = arrays[0].repeat(2, axis=0).repeat(2, axis=1) / 4
    return arrays


def difference(ours: keras.Model, theirs: Any) -> float:
    picture = np.random.default_rng(0).integers(0, 256, (1, 160, 256, 3), np.uint8)
    with torch.no_grad():
        scaled = torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = torch.sigmoid(theirs(scaled))[0, 0].numpy()
    return float(np.abs(np.asarray(ours(picture, training=False))[0, :, :, 0] - wanted).max())


def halved(network: keras.Model, recipe: Any) -> keras.Model:
    """The same network with its weights kept in half precision: a file of half the size, to begin other runs with."""
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float16")
    try:
        copy = build_network(recipe)
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    copy.set_weights(network.get_weights())
    return copy


if __name__ == "__main__":
    main()
