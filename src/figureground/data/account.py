"""What became of every picture and annotation, for people."""

from __future__ import annotations

from figureground.data.finish import Prepared, printable


def account(result: Prepared) -> str:
    """The summary that `prepare` prints."""
    width = max(12, *map(len, result.pictures))
    lines = [f"{'source':<{width}} {'pictures':>8} {'train':>7} {'val':>6} {'test':>6}"]
    for name, splits in result.pictures.items():
        lines.append(
            f"{name:<{width}} {sum(splits.values()):>8} {splits['train']:>7} {splits['val']:>6} {splits['test']:>6}"
        )
    lines.append(f"\nannotations: {result.accepted} accepted, {result.repaired} repaired, {result.rejected} rejected")
    lines += [f"  {number:>6}  {printable(reason)}" for reason, number in list(result.reasons.items())[:8]]
    if result.reasons:
        lines.append(f"  each with file, place and reason in {result.rejects}")
    others = ", ".join(f"{printable(name)} {number}" for name, number in list(result.other_classes.items())[:6])
    told = (
        (sum(result.other_classes.values()), f"annotations of other classes ({others})"),
        (result.incomplete, "pictures some of whose people were rejected or lost: their masks may miss people"),
        (result.empty, "pictures of nobody: their masks are empty"),
        (result.ignored, "regions to ignore, left as background"),
        (result.without_annotation, "pictures that no usable annotation names, not taken"),
        (result.other_sources, "pictures of other sources, not taken"),
        (result.out_of_coverage, "pictures outside --coverage, not taken"),
        (result.near_duplicates, "pictures kept with near-duplicates of theirs on one side of the split"),
        (result.ungrouped, "pictures in whose path --group-by finds no group: each is one by itself"),
    )
    lines += [f"{number:>8}  {what}" for number, what in told if number]
    lines += [f"no annotation is of class {name}" for name in result.missing_classes]
    return "\n".join(
        lines + [f"{name}: none of its annotations is of a class asked for" for name in result.sources_of_nobody]
    )
