"""JSON from strangers: streamed as `json` reads it, bounded, and as much as possible of what is broken."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from figureground.data import json_stream
from figureground.data.json_stream import JsonError, read_json, stream_json, stream_lines

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(st.text(), values, max_size=5) | st.lists(values, max_size=5)
in_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def rebuilt(path: Path) -> Any:
    """The document that a stream is of, but that its empty arrays leave no trace."""
    document: dict[str, Any] = {}
    for key, index, value in stream_json(path):
        if index == "":
            document[key] = value
        else:
            document.setdefault(key, []).append(value)
            assert index == len(document[key]) - 1
    return document


def taken(stream: Iterator[Any]) -> tuple[list[Any], JsonError | None]:
    """Everything before a stream's fault, and the fault."""
    entries = []
    try:
        for entry in stream:
            entries.append(entry)
    except JsonError as error:
        return entries, error
    return entries, None


@in_folder
@given(document=documents, chunk=st.integers(1, 50), indent=st.none() | st.integers(0, 2), ascii_only=st.booleans())
def test_stream_gives_what_json_reads(
    tmp_path: Path, document: Any, chunk: int, indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert read_json(path) == document
        wanted = {"": document} if isinstance(document, list) else document
        assert rebuilt(path) == {key: value for key, value in wanted.items() if value != []}


@in_folder
@example(document=[1.0000000000000002e16, None], part=0.75)
@given(document=documents, part=st.floats(0, 1))
def test_a_cut_off_file_gives_the_elements_before_the_cut(tmp_path: Path, document: Any, part: float) -> None:
    path = tmp_path / "a.json"
    text = json.dumps(document)
    path.write_text(text[: int(part * (len(text) - 1))])
    with pytest.raises(JsonError):
        read_json(path)
    entries, fault = taken(stream_json(path))
    assert str(fault)
    for key, index, value in entries:
        found = document if key == "" and isinstance(document, list) else document[key]
        assert (found if index == "" else found[index]) == value


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('{"a": [1, {"b": 2', "a[1]", "cut off|ends in the middle"),
        ('{"a": [1, 2', "a[1]", "cut off|ends in the middle"),
        ('{"a"', "a", "cut off"),
        ("", "", "the file is empty"),
        ('{"a": [1, ' + "[" * 100_000, "a[1]", "nested too deeply"),
        ('{"a": [1, ' + '{"a":' * 100_000, "a[1]", "nested too deeply"),
        ('{"a": ' + "9" * 5_000_000 + "}", "a", "a number of thousands of digits"),
        ('{"a": [{"b": 1,}, 2], "c": [' + "1," * 50_000 + "1]}", "a[0]", "line 1: not JSON"),
        ('{"a": [{"b": 1,}, 2]}\n\n\n', "a[0]", "^line 1: "),
        ('{"a": [1]} trailing', "line 1", "more text after the end"),
        ('{"a" 1}', "a", "want :, got '1'"),
        ("{1: 2}", "line 1", "want a name in quotes, got 1"),
    ],
    ids=lambda text: text[:20],
)
def test_faults_say_where_and_what(tmp_path: Path, text: str, place: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(JsonError, match=reason) as error:
        list(stream_json(path))
    assert error.value.place == place


def test_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(JsonError, match="not UTF-8"):
        read_json(path)
    path.write_bytes('\ufeff{"a": "\u00e9"}'.encode())
    assert read_json(path) == {"a": "é"}


def test_a_number_without_end_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gigabytes of one number, most of them a hole in the file: refused long before its end."""
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.write(b'{"a": [1, ' + b"9" * 3_000_000)
        file.truncate(2 << 30)
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 8 << 20)
    entries, fault = taken(stream_json(path))
    assert entries == [("a", 0, 1)]
    assert "thousands of digits" in str(fault)


def test_a_value_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": "' + "x" * 300_000)
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 100_000)
    monkeypatch.setattr(json_stream, "CHUNK", 1000)
    with pytest.raises(JsonError, match="one value of more than"):
        read_json(path)


def test_nan_and_infinity_are_read_for_the_caller_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[NaN, -Infinity]")
    nan, infinity = read_json(path)
    assert math.isnan(nan)
    assert infinity == -math.inf


def test_halves_of_characters_become_question_marks(tmp_path: Path) -> None:
    """Found by fuzzing: no state and no report can hold them."""
    path = tmp_path / "a.json"
    path.write_text(r'{"\ud800": ["\udc00", "\ud83d\ude00", "\\ud800", NaN]}')
    assert list(stream_json(path))[:3] == [("?", 0, "?"), ("?", 1, "\U0001f600"), ("?", 2, r"\ud800")]
    assert list(read_json(path)) == ["?"]


@pytest.mark.parametrize("text", ['{"a": 5}', "[1, 5]", '{"b": 1, "a": [5]}', "[NaN, 5]"])
def test_a_number_may_be_the_last_thing_in_a_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert list(stream_json(path))[-1][2] == 5


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"a": 1}\n\n{"a":\n2}\n{"a"')
    entries, fault = taken(stream_lines(path))
    assert entries == [(1, {"a": 1}), (3, {"a": 2})]
    assert fault is not None
    assert fault.place == "line 5"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(JsonError, match="cannot be read"):
        read_json(tmp_path / "none.json")
    with pytest.raises(JsonError, match="cannot be read"):
        read_json(tmp_path)
