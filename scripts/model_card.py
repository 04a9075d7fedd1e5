"""Write the card of a shipped model: what it is for, its scores beside the peers', what it learnt from, where it fails.

python scripts/model_card.py small DATASET PEERS

PEERS is a folder of mp_selfie.tflite and mp_landscape.tflite; what is absent is left out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from figureground.atomic import atomic_path
from figureground.engine import Engine
from figureground.evaluation.evaluate import Evaluation, SourceScores, evaluate
from figureground.runtimes.peers import open_model

CARDS = Path(__file__).parents[1] / "src" / "figureground" / "models" / "cards"
NETWORKS = {
    "small": "The first five stages of EfficientNet-Lite0 at half the picture's resolution under a light decoder, and "
    "a thin path of plain convolutions at the picture's own.",
    "base": "EfficientNet-Lite0 without its last stage under a light decoder of plain convolutions.",
}
PEERS = {"MediaPipe Selfie, general": "mp_selfie.tflite", "MediaPipe Selfie, landscape": "mp_landscape.tflite"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("peers", type=Path)
    options = parser.parse_args()
    engine = Engine(options.name)
    models = {f"`{options.name}`": engine} | {
        name: open_model(options.peers / file) for name, file in PEERS.items() if (options.peers / file).exists()
    }
    scores = {name: evaluate(model, options.dataset, "val", name) for name, model in models.items()}
    exported = json.loads(engine.metadata["scores"])
    own = scores[f"`{options.name}`"]
    text = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")
    page = text.format(
        name=options.name,
        network=NETWORKS[options.name],
        size=engine.size,
        kilobytes=engine.path.stat().st_size // 1000,
        difference=f"{exported['worst']:.1e}",
        pictures=exported["pictures"],
        table=score_table(own),
        brightnesses=group_table(scores, "brightnesses"),
        sizes=group_table(scores, "sizes"),
        peers=group_table(scores, "sources"),
        sources=source_table(json.loads((options.dataset / "dataset.json").read_text(encoding="utf-8"))),
    )
    with atomic_path(CARDS / f"{options.name}.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)


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


def group_table(models: dict[str, Evaluation], groups: str) -> str:
    """Markdown: IoU with its interval and boundary F by source, size or brightness, a row a model."""
    first: dict[str, SourceScores] = getattr(next(iter(models.values())), groups)
    heads = [f"{name} ({scores.pictures})" for name, scores in first.items()]
    lines = [f"| model | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    for name, scores in models.items():
        cells = [brief(getattr(scores, groups)[group]) for group in first]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def brief(scores: SourceScores) -> str:
    low, high = scores.iou_interval
    return f"{scores.iou:.3f} ({low:.3f}-{high:.3f}) / {scores.boundary_f:.3f}"


def source_table(dataset: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    """Markdown: where the photographs come from, and on what terms."""
    lines = ["| source | from | kind | terms |", "| --- | --- | --- | --- |"]
    for name, parts in dataset["sources"].items():
        for part in parts:
            lines.append(
                f"| {name} | {part.get('original_dataset', '')} | {part.get('kind', '')} | {part['license_tier']} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
