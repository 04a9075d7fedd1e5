"""Put a run's best weights into the package: the ONNX file (weights in float16), its entry in models.json, its card.

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
from figureground.evaluation.evaluate import Evaluation, SourceScores, evaluate
from figureground.training.export_run import export_run
from figureground.training.export_target import Target

MODELS = Path(__file__).parents[1] / "src" / "figureground" / "models"
LICENCE = "LicenseRef-figureground-weights"
NETWORKS = {
    "small": "The first five stages of EfficientNet-Lite0 at half the picture's resolution under a light decoder, and "
    "a thin path of plain convolutions at the picture's own.",
    "base": "EfficientNet-Lite0 without its last stage under a light decoder of plain convolutions.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / f"{options.name}.onnx"
        figures = export_run(options.run, Target(quantize="fp16"), exported).figures
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
    card = (
        (Path(__file__).parent / "card.md")
        .read_text(encoding="utf-8")
        .format(
            name=options.name,
            network=NETWORKS[options.name],
            size=size,
            kilobytes=len(content) // 1000,
            difference=f"{figures.worst:.1e}",
            pictures=figures.pictures,
            table=score_table(scores),
            sources=_sources(json.loads((options.dataset / "dataset.json").read_text(encoding="utf-8"))),
        )
    )
    # Only now, when nothing can fail any more: model and index must belong together.
    _write(MODELS / "cards" / f"{options.name}.md", card.encode())
    _write(MODELS / f"{options.name}.onnx", content)
    _write(MODELS / "models.json", (json.dumps(index, indent=1) + "\n").encode())
    print(card)


def _short(got: SourceScores) -> dict[str, object]:
    kept = ("pictures", "accuracy", "iou", "iou_interval", "dice", "boundary_f")
    return {name: getattr(got, name) for name in kept}


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def score_table(scores: Evaluation) -> str:
    """Markdown: one row a source."""
    lines = [
        "| source | pictures | pixel accuracy | IoU (95 %) | Dice | boundary F |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, got in [*scores.sources.items(), ("overall", scores.overall)]:
        low, high = got.iou_interval
        lines.append(
            f"| {name} | {got.pictures} | {got.accuracy:.4f} | {got.iou:.3f} ({low:.3f}-{high:.3f}) "
            f"| {got.dice:.3f} | {got.boundary_f:.3f} |"
        )
    return "\n".join(lines)


def _sources(dataset: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    lines = ["| source | from | kind | terms |", "| --- | --- | --- | --- |"]
    for name, parts in dataset["sources"].items():
        for part in parts:
            lines.append(
                f"| {name} | {part.get('original_dataset', '')} | {part.get('kind', '')} | {part['license_tier']} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
