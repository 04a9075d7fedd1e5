"""Splits by hash, groups by pattern, classes by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.data.labels import is_ignored, is_wanted
from figureground.data.splits import Placing, common_group, common_split, split_of
from figureground.errors import DatasetError


def test_shares_are_kept() -> None:
    groups = [f"group {number}" for number in range(10_000)]
    found = [split_of(group, (0.7, 0.2, 0.1)) for group in groups]
    for split, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        assert found.count(split) / len(found) == pytest.approx(share, abs=0.02)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_growing_share_takes_from_its_neighbour_only(group: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    if split_of(group, (low, 1 - low, 0)) == "train":
        assert split_of(group, (high, 1 - high, 0)) == "train"


@given(st.text())
def test_shares_of_nothing_get_nothing(group: str) -> None:
    assert split_of(group, (1, 0, 0)) == "train"
    assert split_of(group, (0, 1, 0)) == "val"
    assert split_of(group, (0, 0, 1)) == "test"


@pytest.mark.parametrize("text", ["", "0.8", "0.8,0.3", "1,1,-1", "a,b", "nan,0,1", "0.5,0.5,0,0", "inf,0,0"])
def test_shares_that_are_none(text: str) -> None:
    if text == "":
        assert Placing.parse(text, "").shares == (0.8, 0.2, 0.0)
        return
    with pytest.raises(DatasetError, match="want the shares of train, val and test"):
        Placing.parse(text, "")


@pytest.mark.parametrize(
    ("pattern", "path", "group"),
    [
        ("", "a/b.png", ""),
        (r"subject\d+", "a/subject12_3.png", "subject12"),
        (r"(subject\d+)_(left|right)", "a/subject12_left_3.png", "subject12/left"),
        (r"(\d+)?x", "x.png", ""),
        (r"none", "a/b.png", ""),
    ],
)
def test_groups(pattern: str, path: str, group: str) -> None:
    assert Placing.parse("", pattern).group(path) == group


def test_what_belongs_together() -> None:
    assert common_split(["train", "test", "val"]) == "test"
    names = ["b", "a", "c"]
    assert common_group(names) == common_group(names[::-1])
    with pytest.raises(DatasetError, match="not a regular expression"):
        Placing.parse("", "(")


@pytest.mark.parametrize("label", ["person", "Person", "PERSON ", "person_poly", "person-2", "person 2", "person2"])
def test_labels_of_a_class(label: str) -> None:
    assert is_wanted(label, ("cat", "person"))


@pytest.mark.parametrize(
    "label",
    [
        "",
        "persons",
        "personal",
        "non-person",
        "perso",
        "the person",
        "persön",
        "person shadow",
        "person's bag",
        "person-less",
    ],
)
def test_labels_of_none(label: str) -> None:
    assert not is_wanted(label, ("cat", "person"))


def test_labels_with_signs_and_numbers() -> None:
    assert is_wanted("c++ 2", ("C++",))
    assert not is_wanted("cc", ("c+",))
    assert is_wanted("Ma\u0308dchen_1", ("M\u00e4dchen",))
    assert is_wanted("1", ("1",))
    assert not is_wanted("10", ("1",))
    assert is_ignored(" Neutral")
    assert is_ignored("__ignore__")
    assert not is_ignored("neutral tones")
