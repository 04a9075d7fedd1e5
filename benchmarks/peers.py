"""Accuracy of ours beside the peers' on one dataset, as the table in the README; needs both folders.

python benchmarks/peers.py [DATASET] [PEERS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from figureground.arrays import Alpha, Frame
from figureground.engine import Engine
from figureground.errors import FigureGroundError
from figureground.evaluation.evaluate import evaluate
from figureground.runtimes.peers import TfliteModel

DATASET, PEERS = Path("../shared/data/people"), Path("../shared/peers")


def main() -> None:
    places = [Path(argument) for argument in sys.argv[1:]]
    dataset, peers = (places + [DATASET, PEERS][len(places) :])[:2]
    if not dataset.exists():
        print(f"peers: not measured, there is no dataset at {dataset}")
        return
    models: dict[str, Callable[[], Callable[[Frame], Alpha]]] = {
        "`small`": lambda: Engine("small"),
        "`base`": lambda: Engine("base"),
        "MediaPipe Selfie, general": lambda: TfliteModel(peers / "mp_selfie.tflite"),
        "MediaPipe Selfie, landscape": lambda: TfliteModel(peers / "mp_landscape.tflite"),
    }
    for name, make in models.items():
        try:
            result = evaluate(make(), dataset, "val", name)
        except FigureGroundError as error:
            print(f"{name}: not measured ({error})")
            continue
        if name == "`small`":
            print(f"| model | {' | '.join(result.sources)} | pixel accuracy |")
            print("| --- |" + " --- |" * (len(result.sources) + 1))
        cells = [f"{got.iou:.3f} / {got.boundary_f:.3f}" for got in result.sources.values()]
        print(f"| {name} | {' | '.join(cells)} | {result.overall.accuracy:.4f} |")


if __name__ == "__main__":
    main()
