"""Put a run's best weights into the package: the ONNX file, its entry in models.json, its model card.

python scripts/ship_model.py small runs/small_finish DATASET
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from figureground.engine import Engine
from figureground.evaluation.evaluate import Evaluation, evaluate
from figureground.training.export_run import export_run

MODELS = Path(__file__).parents[1] / "src" / "figureground" / "models"
LICENCE = "research and non-commercial use (trained on photographs with such terms; see the card)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    options = parser.parse_args()
    path = MODELS / f"{options.name}.onnx"
    difference, pictures = export_run(options.run, path)
    scores = evaluate(Engine(path), options.dataset, "val", options.name)
    index = MODELS / "models.json"
    models = json.loads(index.read_text(encoding="utf-8"))
    models[options.name] = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "size": int(Engine(path).metadata["size"]),
        "scores": {name: asdict(got) for name, got in [*scores.sources.items(), ("overall", scores.overall)]},
        "licence": LICENCE,
    }
    index.write_text(json.dumps(models, indent=1) + "\n", encoding="utf-8")
    sources = json.loads((options.dataset / "dataset.json").read_text(encoding="utf-8"))
    template = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")
    card = template.format(
        name=options.name,
        kilobytes=path.stat().st_size // 1000,
        difference=f"{difference:.1e}",
        pictures=pictures,
        table=score_table(scores),
        sources=_sources(sources),
    )
    (MODELS / "cards" / f"{options.name}.md").write_text(card, encoding="utf-8")
    print(card)


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
