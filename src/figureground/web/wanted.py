"""What a request for a picture asks for: its fields, checked, and its pictures in bounded files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from figureground.batch import KINDS
from figureground.engine import shipped_models
from figureground.web.safety import LARGEST_BODY, read_body

MAX_BYTES = LARGEST_BODY
FORMATS = ("png", "webp", "jpeg")
BACKGROUND = "blur(:([1-9][0-9]?([.][0-9]{1,3})?|100))?|#[0-9a-fA-F]{6}|transparent"
_IN_MEMORY = 1_000_000  # bytes of an upload; more goes to a temporary file
_FIELD_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a picture.

    Attributes:
        image: the picture's file.
        behind: a picture to stand behind the person, instead of `background`.
        format: of the answer; empty: what suits.
    """

    image: IO[bytes]
    behind: IO[bytes] | None
    kind: str
    background: str
    model: str
    format: str


@asynccontextmanager
async def reading(request: Request, kind: str = "") -> AsyncIterator[Wanted]:
    """What a request wants, for as long as the block lasts; `kind` is given where the route says it.

    Raises:
        HTTPException: 400 a broken form, 406, 408, 413, 415, 422: whatever is wrong with it.
    """
    with ExitStack() as opened:
        pairs, files = await _read(request, opened)
        known = ("model", "format") if kind else ("model", "format", "kind", "background")
        fields = dict[str, str]()
        for name, value in pairs:
            if name not in known:
                raise HTTPException(422, f"no field is called {name[:40]!r}; there are image, {', '.join(known)}")
            if fields.setdefault(name, value) != value:
                raise HTTPException(422, f"{name}: given twice, {fields[name][:40]!r} and {value[:40]!r}")
        yield _checked(fields, files, kind, request.headers.get("accept", ""))


async def _read(request: Request, opened: ExitStack) -> tuple[list[tuple[str, str]], dict[str, IO[bytes]]]:
    """All fields of query and form, and the files by their field."""
    pairs = request.query_params.multi_items()
    if "content-encoding" in request.headers:
        raise HTTPException(415, "Content-Encoding: want a body that is not compressed; pictures are already")
    type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type == "multipart/form-data":
        parts = await _read_form(request)
        pairs += [(name, part) for name, part in parts if isinstance(part, str)]
        files = dict[str, IO[bytes]]()
        for _, part in parts:
            if isinstance(part, UploadFile):
                opened.callback(part.file.close)
        for name, part in parts:
            if isinstance(part, str):
                continue
            if name not in ("image", "background") or name in files:
                raise HTTPException(422, f"{name[:40]!r}: want one file as image, at most one as background")
            files[name] = part.file
        return pairs, files
    if not type.startswith("image/") and type != "application/octet-stream":
        raise HTTPException(
            415, f"content type {type[:80] or 'missing'}: want multipart/form-data, or a picture's, as image/jpeg"
        )
    file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed with all that is opened
    opened.enter_context(file)
    async for piece in read_body(request, MAX_BYTES):
        file.write(piece)
    file.seek(0)
    return pairs, {"image": file}


async def _read_form(request: Request) -> list[tuple[str, str | UploadFile]]:
    body = read_body(request, MAX_BYTES)
    try:
        parser = MultiPartParser(request.headers, body, max_files=2, max_fields=8, max_part_size=_FIELD_BYTES)
        parts = (await parser.parse()).multi_items()
        # A file in which a form ends, cut short, is among no parts, and Starlette leaves it open.
        if (unfinished := parser._current_part.file) not in [part for _, part in parts] and unfinished is not None:
            unfinished.file.close()
        return parts
    except MultiPartException as error:
        raise HTTPException(400, f"the form cannot be read ({error.message.rstrip('.')})") from error


def _checked(fields: Mapping[str, str], files: Mapping[str, IO[bytes]], kind: str, accept: str) -> Wanted:
    if "image" not in files:
        raise HTTPException(422, "image: want a picture's file in the part of this name")
    if kind and "background" in files:
        raise HTTPException(422, "background: a matte has none; ask /v1/replace")
    if "background" in files and "background" in fields:
        raise HTTPException(422, "background: want a picture or a word, got both")
    model, format = fields.get("model", "small"), fields.get("format")
    background = fields.get("background", "blur")
    kind = kind or fields.get("kind", "cutout" if background == "transparent" else "composite")
    check_choice("model", model, tuple(shipped_models()))
    check_choice("kind", kind, KINDS)
    check_background(background)
    if kind == "composite" and background == "transparent":
        kind = "cutout"
    if format is not None:
        check_choice("format", format, FORMATS)
        if kind == "cutout" and format == "jpeg":
            raise HTTPException(422, "format 'jpeg': holds no transparency; want png or webp")
    else:
        format = accepted(accept, kind)
    return Wanted(files["image"], files.get("background"), kind, background, model, format)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """
    Raises:
        HTTPException: 422, `value` is none of `choices`.
    """
    if value not in choices:
        raise HTTPException(422, f"{name} {value[:40]!r}: want one of {', '.join(choices)}")


def check_background(background: str) -> None:
    """
    Raises:
        HTTPException: 422, it is none of those that a client may name: never a path.
    """
    if not re.fullmatch(BACKGROUND, background):
        raise HTTPException(
            422,
            f"background {background[:40]!r}: want blur, blur:N (1 to 100), #rrggbb, transparent, or a picture's file",
        )


def accepted(accept: str, kind: str) -> str:
    """The format that an Accept header (RFC 9110, 12.5.1) wants most; empty where it is all the same to it.

    Raises:
        HTTPException: 406, it takes none of those that can hold a `kind`.
    """
    holds = [format for format in FORMATS if kind != "cutout" or format != "jpeg"]
    shares = dict(_shares(accept))
    any_other = shares.get("image/*", shares.get("*/*", 0.0 if shares else 1.0))
    weights = [shares.get(f"image/{format}", any_other) for format in holds]
    if max(weights) == 0:
        raise HTTPException(406, f"Accept: want one of {', '.join(f'image/{format}' for format in holds)}")
    return "" if min(weights) == max(weights) else holds[weights.index(max(weights))]


def _shares(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range and its weight."""
    for part in accept.split(",")[:100]:
        type, *parameters = (text.strip().lower() for text in part.split(";"))
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        if type:
            yield type, float(weight) if re.fullmatch(r"[01]([.][0-9]{0,3})?", weight) else 1.0
