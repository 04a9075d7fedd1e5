"""Which pictures belong together, and on which side of a split they stand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from figureground.data.manifest import SPLITS
from figureground.errors import DatasetError

DEFAULT_SPLIT = "0.8,0.2,0"


@dataclass(frozen=True, slots=True)
class Placing:
    """How pictures are grouped and groups are split."""

    shares: tuple[float, float, float]  # of train, val and test
    keep: bool  # what was split before stays where it was
    pattern: re.Pattern[str] | None  # of the part of a picture's path that names its group

    @classmethod
    def parse(cls, split: str, group_by: str) -> Placing:
        """Read `--split`, such as `0.8,0.2,0`, and `--group-by`, a regular expression; both may be "".

        Raises:
            DatasetError: not shares that add up to 1; not a regular expression.
        """
        try:
            pattern = re.compile(group_by) if group_by else None
        except re.error as error:
            raise DatasetError(f"--group-by {group_by}: not a regular expression ({error})") from error
        return cls(_shares(split or DEFAULT_SPLIT), not split, pattern)

    def group(self, path: str) -> str:
        """The group that a picture's path names: what the pattern's groups match, or all of it; "" for none."""
        match = self.pattern.search(path) if self.pattern else None
        return "/".join(part or "" for part in match.groups() or [match.group()]).strip("/") if match else ""


def _shares(text: str) -> tuple[float, float, float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    shares += [0.0] * (len(shares) == 2)
    if len(shares) != 3 or not min(shares) >= 0 or not abs(sum(shares) - 1) <= 1e-6:
        raise DatasetError(f"--split {text}: want the shares of train, val and test, as in {DEFAULT_SPLIT}")
    return shares[0], shares[1], shares[2]


def split_of(group: str, shares: Sequence[float]) -> str:
    """The split of a group by its hash: the same whatever else is in the dataset.

    A share that grows takes groups from its neighbour and gives none away.
    """
    place = int.from_bytes(hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2.0**64
    if place < shares[0]:
        return SPLITS[0]
    return SPLITS[1] if place < shares[0] + shares[1] or shares[2] == 0 else SPLITS[2]


def common_split(given: Collection[str]) -> str:
    """The split of groups that turn out to belong together, of those that were given one: the least trained on."""
    return max(given, key=SPLITS.index)


def common_group(groups: Collection[str]) -> str:
    """The name of groups that turn out to belong together.

    The one of the least hash, so that a group that joins seldom changes it.
    """
    return min(groups, key=lambda group: (hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest(), group))
