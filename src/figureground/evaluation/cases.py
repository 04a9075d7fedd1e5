"""Single pictures worth seeing: where a model is worst, how it usually is, where it and a peer differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from figureground.arrays import Alpha, Frame, Mask
from figureground.data.manifest import Item
from figureground.data.page import YELLOW, Thumbnail, outline, shrink
from figureground.evaluation.evaluate import Evaluation, Picture
from figureground.images import read_image, read_matte

WORST, APART = 12, 6
CYAN, ORANGE, BLUE = (0, 229, 255), (255, 140, 0), (60, 130, 255)
_STRONG = 0.75  # of the colour over missed and invented pixels


@dataclass(frozen=True, slots=True)
class Case:
    """A picture with its scores, and the first peer's where there is one, drawn in two ways."""

    picture: Picture
    peer: Picture | None
    first: Thumbnail
    second: Thumbnail


@dataclass(frozen=True, slots=True)
class Cases:
    """A titled group of cases."""

    title: str
    note: str
    cases: list[Case]


def worst(evaluation: Evaluation) -> list[int]:
    """Rows of the pictures with the lowest IoU, one of a group: the frames of one video are all alike."""
    return _one_of_a_group(evaluation.pictures, [picture.mask.iou for picture in evaluation.pictures])[:WORST]


def median(evaluation: Evaluation) -> list[int]:
    """For each source the row of its picture of median IoU."""
    found = []
    for source in evaluation.sources:
        rows = [row for row, picture in enumerate(evaluation.pictures) if picture.source == source]
        rows.sort(key=lambda row: evaluation.pictures[row].mask.iou)
        found.append(rows[len(rows) // 2])
    return found


def furthest_apart(better: Evaluation, other: Evaluation) -> list[int]:
    """Rows of the pictures on which `better` has the most IoU more than `other`, one of a group."""
    gaps = [than.mask.iou - of.mask.iou for of, than in zip(better.pictures, other.pictures, strict=True)]
    return [row for row in _one_of_a_group(better.pictures, gaps)[:APART] if gaps[row] < 0]


def _one_of_a_group(pictures: Sequence[Picture], weights: Sequence[float]) -> list[int]:
    """Rows by weight, the lowest first; of each group only its lowest."""
    chosen: dict[tuple[str, str], int] = {}
    for row in sorted(range(len(pictures)), key=weights.__getitem__):
        picture = pictures[row]
        chosen.setdefault((picture.source, picture.group or picture.id), row)
    return list(chosen.values())


def draw_outlines(item: Item, alpha: Alpha) -> tuple[Thumbnail, Thumbnail]:
    """The picture with both outlines, the truth's yellow and the guess's cyan; and what the guess has wrong."""
    frame, truth, guess = _small(item, alpha)
    both = outline(outline(frame.copy(), truth, YELLOW), guess, CYAN)
    return Thumbnail.of(both), Thumbnail.of(faults(frame, guess, truth))


def draw_pair(item: Item, alpha: Alpha, peer: Alpha) -> tuple[Thumbnail, Thumbnail]:
    """What the one guess has wrong, and what the other has."""
    return _drawn_faults(item, alpha), _drawn_faults(item, peer)


def _drawn_faults(item: Item, alpha: Alpha) -> Thumbnail:
    frame, truth, guess = _small(item, alpha)
    return Thumbnail.of(faults(frame, guess, truth))


def faults(frame: Frame, guess: Mask, truth: Mask) -> Frame:
    """The picture in grey, missed person orange, invented person blue: (H, W, 3) uint8 of the masks' size."""
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    shown = np.where(truth[:, :, None], grey, grey * 0.6)
    for wrong, colour in ((truth & ~guess, ORANGE), (guess & ~truth, BLUE)):
        shown[wrong] = shown[wrong] * (1 - _STRONG) + np.array(colour, np.float32) * _STRONG
    return shown.astype(np.uint8)


def _small(item: Item, alpha: Alpha) -> tuple[Frame, Mask, Mask]:
    frame = shrink(read_image(item.image))
    size = frame.shape[1::-1]
    truth = cv2.resize(read_matte(item.mask), size, interpolation=cv2.INTER_AREA) >= 128
    return frame, truth, cv2.resize((alpha >= 0.5).astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
