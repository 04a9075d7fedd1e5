"""XML from strangers, in bounded memory: element by element; entities are refused before any is expanded.

A cut-off file gives everything before the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from figureground.errors import DatasetError

CHUNK = 1 << 16
MAX_ELEMENT = 64 << 20  # bytes of one tag; larger than any annotation, smaller than memory
_LARGEST_CHUNK = 1 << 20  # of the shortest tags there are, this many make 100 MB of objects
_DEEPEST = 64
_LONGEST_TEXT = 4096  # characters that are kept


@dataclass(frozen=True, slots=True)
class Tag:
    """The beginning of an element, or its end, which knows the text before it."""

    path: tuple[str, ...]  # names from the root to the element
    attributes: dict[str, str]  # of a beginning
    line: int
    text: str | None  # of an end


def stream_xml(path: Path) -> Iterator[Tag]:
    """The beginnings and ends of all elements.

    Raises:
        DatasetError: it cannot be read or is no XML, after everything before the fault has been yielded.
    """
    parsing = _Parsing()
    try:
        with path.open("rb") as file:
            while not parsing.ended:
                parsing.feed(file.read(min(max(CHUNK, parsing.pending), _LARGEST_CHUNK)))
                yield from parsing.tags
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror or error})") from error
    if parsing.fault:
        raise parsing.fault


class _Parsing:
    """An expat parser, the tags of what it was fed last, and its fault."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._path: tuple[str, ...] = ()
        self._text = ""
        self._fed = 0
        self.tags = list[Tag]()
        self.fault: DatasetError | None = None
        self.ended = False

    @property
    def pending(self) -> int:
        """Bytes of a tag that has not ended yet."""
        return self._fed - self._parser.CurrentByteIndex

    def feed(self, data: bytes) -> None:
        """Parse on; b"" is the end of the file."""
        self.tags = []
        self._fed += len(data)
        try:
            self._parser.Parse(data, not data)
            if self.pending > MAX_ELEMENT:
                raise DatasetError(f"line {self._line}: one tag of more than {MAX_ELEMENT >> 20} million characters")
        except DatasetError as error:
            self.fault = error
        except expat.ExpatError as error:
            self.fault = DatasetError(self._explained(error, at_end=not data))
        except (LookupError, ValueError) as error:
            self.fault = DatasetError(f"an encoding that is not known ({error}); save it as UTF-8")
        self.ended = not data or self.fault is not None

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _explained(self, error: expat.ExpatError, at_end: bool) -> str:
        if not at_end:
            return f"line {error.lineno}: not XML ({expat.ErrorString(error.code)})"
        if not self._fed:
            return "the file is empty"
        return f"line {error.lineno}: the file ends in the middle: it was cut off"

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) == _DEEPEST:
            raise DatasetError(f"line {self._line}: nested too deeply")
        self._path = (*self._path, name)
        self._text = ""
        self.tags.append(Tag(self._path, attributes, self._line, None))

    def _end(self, name: str) -> None:
        self.tags.append(Tag(self._path, {}, self._line, self._text.strip()))
        self._path = self._path[:-1]
        self._text = ""

    def _characters(self, text: str) -> None:
        if len(self._text) < _LONGEST_TEXT:
            self._text += text[:_LONGEST_TEXT]

    def _doctype(self, name: str, system_id: str | None, public_id: str | None, has_internal_subset: bool) -> None:
        raise DatasetError(f"line {self._line}: a document type, which may declare entities: take <!DOCTYPE out of it")
