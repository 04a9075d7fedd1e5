"""Put a run's best weights into the package: the ONNX file (weights in float16) and its entry in models.json.

python scripts/ship_model.py small runs/small DATASET
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

from figureground.atomic import atomic_path
from figureground.engine import Engine
from figureground.evaluation.evaluate import SourceScores, evaluate
from figureground.training.export_run import export_run
from figureground.training.export_target import Target

MODELS = Path(__file__).parents[1] / "src" / "figureground" / "models"
LICENCE = "LicenseRef-figureground-weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("small", "base"))
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / f"{options.name}.onnx"
        export_run(options.run, Target(quantize="fp16"), exported)
        scores = evaluate(Engine(exported), options.dataset, "val", options.name)
        content, size = exported.read_bytes(), Engine(exported).size
    index = json.loads((MODELS / "models.json").read_text(encoding="utf-8"))
    index[options.name] = {
        "file": f"{options.name}.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": size,
        "scores": {name: _short(got) for name, got in [*scores.sources.items(), ("overall", scores.overall)]},
        "licence": LICENCE,
    }
    # Only now, when nothing can fail any more: model and index must belong together.
    _write(MODELS / f"{options.name}.onnx", content)
    _write(MODELS / "models.json", (json.dumps(index, indent=1) + "\n").encode())
    print(f"shipped; now its card: python scripts/model_card.py {options.name} {options.dataset} PEERS")


def _short(got: SourceScores) -> dict[str, object]:
    kept = ("pictures", "accuracy", "iou", "iou_interval", "dice", "boundary_f")
    return {name: getattr(got, name) for name in kept}


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


if __name__ == "__main__":
    main()
