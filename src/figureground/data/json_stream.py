"""JSON from strangers, in bounded memory: large files element by element, small ones whole.

A cut-off file gives everything before the cut. NaN and Infinity are read, as many tools write them, for the
caller to refuse where they stand. Halves of characters, which nothing could store, become question marks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from figureground.errors import DatasetError

CHUNK = 1 << 20
MAX_ELEMENT = 64 << 20  # characters; larger than any annotation, smaller than memory
_BLANK = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder()


class JsonError(DatasetError):
    """JSON that cannot be read; `place` says where in it."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def read_json(path: Path) -> Any:
    """One whole document of at most `MAX_ELEMENT` characters.

    Raises:
        JsonError: it cannot be opened or is not JSON.
    """
    with _opened(path) as file:
        window = _Window(file)
        value = window.value("")
        if window.peek():
            raise JsonError(f"line {window.line()}", "more text after the end of the JSON document")
    return value


def stream_json(path: Path, tell_key: Callable[[str], None] = lambda key: None) -> Iterator[tuple[str, str | int, Any]]:
    """The entries of a document's top-level object, or of its arrays there, one by one.

    Args:
        path: the file.
        tell_key: called with each key of the top-level object as it comes, those of empty arrays too.

    Yields:
        (key, index, value): an element `value` of the array under `key`, or with index "" what else stands under
        `key`. The elements of a document that is an array have the key "".

    Raises:
        JsonError: after everything before the fault has been yielded.
    """
    with _opened(path) as file:
        window = _Window(file)
        first = window.peek()
        if first == "{":
            window.skip("{", "")
            yield from _members(window, tell_key)
        elif first == "[":
            yield from _elements(window, "")
        if window.peek():
            raise JsonError(f"line {window.line()}", "more text after the end of the JSON document")
        if not first:
            raise JsonError("", "the file is empty")


def stream_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The documents of a file that holds one after the other (NDJSON), each with the line it begins on.

    Raises:
        JsonError: after everything before the fault has been yielded.
    """
    with _opened(path) as file:
        window = _Window(file)
        while window.peek():
            line = window.line()
            yield line, window.value(f"line {line}")


def _members(window: _Window, tell_key: Callable[[str], None]) -> Iterator[tuple[str, str | int, Any]]:
    if window.peek() == "}":
        window.skip("}", "")
        return
    while True:
        key = window.value("")
        if not isinstance(key, str):
            raise JsonError(f"line {window.line()}", f"want a name in quotes, got {str(key)[:40]}")
        window.skip(":", key)
        tell_key(key)
        if window.peek() == "[":
            yield from _elements(window, key)
        else:
            yield key, "", window.entry(key)
        if window.skip(",}", key) == "}":
            return


def _elements(window: _Window, key: str) -> Iterator[tuple[str, str | int, Any]]:
    window.skip("[", key)
    if window.peek() == "]":
        window.skip("]", key)
        return
    index = 0
    while True:
        place = f"{key}[{index}]"
        yield key, index, window.entry(place)
        index += 1
        if window.skip(",]", place) == "]":
            return


class _Window:
    """The part of a file's text that is being read."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._lines, self._counted = 1, 0  # the line of the character at `_counted`
        self._ended = False

    def line(self) -> int:
        """Of the next character, from 1."""
        self._lines += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._lines

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self, wanted: str, place: str) -> str:
        """The next character, which must be one of `wanted`."""
        got = self.peek()
        if not got:
            raise JsonError(place, "the file ends in the middle: it was cut off")
        if got not in wanted:
            raise JsonError(place, f"line {self.line()}: want {' or '.join(wanted)}, got {got!r}")
        self._at += 1
        return got

    def entry(self, place: str) -> Any:
        """The next value, something following it: the file may have been cut off in the middle of a number."""
        value = self.value(place)
        if isinstance(value, int | float) and self.peek() not in (",", "]", "}"):
            raise JsonError(place, "the file ends in the middle of a number: it was cut off, or is not JSON")
        return value

    def value(self, place: str) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if _SURROGATE.search(self._text, self._at, end):
                    value = _storable(value)
            except RecursionError as error:
                raise JsonError(place, "nested too deeply") from error
            except json.JSONDecodeError as error:
                fault = self._fault(place, error)  # now: to look for more moves the window
                # Unless the fault is one of length, reading on would not mend it.
                if self._is_inside(error) or not self._more():
                    raise fault from error
            except ValueError as error:  # Python's limit on the digits of a whole number
                raise JsonError(place, "a number of thousands of digits") from error
            else:
                length = end - self._at
                # A number at the window's end may go on behind it (as "1e" does); nothing else may.
                if end < len(self._text) - 2 or not isinstance(value, int | float) or not self._more():
                    self._at += length  # to look for more has moved the window
                    return value

    def _is_inside(self, error: json.JSONDecodeError) -> bool:
        """Whether a fault is before the window's end; an unterminated string is reported at its beginning."""
        longest = 12  # of what is read at once: -Infinity, or two escapes of a surrogate pair
        return error.pos < len(self._text.rstrip()) - longest and not error.msg.startswith("Unterminated string")

    def _fault(self, place: str, error: json.JSONDecodeError) -> JsonError:
        line = self.line() + self._text.count("\n", self._at, error.pos)
        if self._is_inside(error) or error.msg.startswith("Invalid control"):
            return JsonError(place, f"line {line}: not JSON ({error.msg})")
        return JsonError(place, f"line {line}: the file ends in the middle, or is not JSON ({error.msg})")

    def _more(self) -> bool:
        """Read on, at least doubling what is left; False at the end of the file."""
        if self._ended:
            return False
        self.line()
        self._text, self._at, self._counted = self._text[self._at :], 0, 0
        if len(self._text) > MAX_ELEMENT:
            raise JsonError(f"line {self._lines}", f"one value of more than {MAX_ELEMENT >> 20} million characters")
        try:
            added = self._file.read(max(CHUNK, len(self._text)))
        except UnicodeDecodeError as error:
            raise JsonError(f"after line {self._lines}", f"not UTF-8 ({error.reason}); save it as UTF-8") from error
        except OSError as error:
            raise JsonError("", f"cannot be read ({error.strerror or error})") from error
        self._text += added
        self._ended = not added
        return bool(added)


def _storable(value: Any) -> Any:
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise JsonError("", f"cannot be read ({error.strerror or error})") from error
