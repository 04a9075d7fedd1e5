"""The service's own description: an OpenAPI 3.1 document, and a page for people made of it."""

from __future__ import annotations

from html import escape
from typing import Any

from figureground.batch import KINDS
from figureground.engine import shipped_models
from figureground.version import __version__
from figureground.web.wanted import BACKGROUND, FORMATS, MAX_BYTES

_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")
_FILE = {"type": "string", "format": "binary"}
_WRONG = {
    "400": "The form cannot be read, or the client left.",
    "401": "The token is missing or wrong.",
    "403": "Another site's page asked.",
    "406": "Accept takes none of the formats that can hold the answer.",
    "408": "The upload took over a minute.",
    "413": f"Over {MAX_BYTES // 1_000_000} MB, or over 50 megapixels.",
    "415": "Not a picture, or of a format that is not read.",
    "421": "The address in Host is not served here.",
    "422": "A field that is unknown or has a wrong value, or a picture that is broken.",
    "429": "This client has its share of places; Retry-After says when to ask again.",
    "500": "figureground failed; its log says more.",
    "503": "All places are taken, it took too long, or the server is ending; Retry-After says when to ask again.",
}
_FRAMES = (
    "The WebSocket `/v1/frames` takes frames and gives one answer each, in order. First a text: a JSON object of kind, "
    "background, model, format (png, webp, jpeg or raw), size (as 1280x720, for raw rgb24 frames) and fps, all of "
    'them optional; it is answered with {"ready": true}. Then each frame as a binary message, answered by a binary '
    'message, or by a text {"frame": NUMBER, "error": REASON}.'
)


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "figureground",
            "version": __version__,
            "summary": "Cuts people out of pictures, on this machine.",
            "description": _FRAMES,
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": {
            "/v1/alpha": {"post": _operation("alpha", "The matte of a picture: how much of each pixel is a person.")},
            "/v1/replace": {"post": _operation("replace", "A picture with another background, or none.")},
            "/v1/health": {"get": _health()},
        },
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {"type": "string", "description": "One line: what, where, how to mend it."}
                    },
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(name: str, summary: str) -> dict[str, Any]:
    fields = _fields(name)
    parts: dict[str, Any] = {"image": _FILE | {"description": "The picture: JPEG, PNG, WebP, BMP or TIFF."}} | fields
    if name == "replace":
        parts["background"] = {
            "description": "A picture's file, or one of the words that the query takes.",
            "anyOf": [_FILE, fields["background"]],
        }
    form = {"type": "object", "required": ["image"], "properties": parts, "additionalProperties": False}
    encoding = {"image": {"contentType": ", ".join(_PICTURES)}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form, "encoding": encoding}}
    content |= {type: {"schema": _FILE} for type in _PICTURES}
    return {
        "operationId": name,
        "summary": summary,
        "description": "The picture comes as the part `image` of a form, or as the body; fields come in the form or in "
        "the query. Without `format` the answer is what Accept wants, else what `figureground replace` would write.",
        "parameters": [
            {"name": field, "in": "query", "schema": schema, "description": schema.get("description", "")}
            for field, schema in fields.items()
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _picture(name)} | {status: _error(text) for status, text in _WRONG.items()},
    }


def _fields(name: str) -> dict[str, dict[str, Any]]:
    fields: dict[str, dict[str, Any]] = {
        "model": {"type": "string", "enum": sorted(shipped_models()), "description": "Left out: small."},
        "format": {"type": "string", "enum": [*FORMATS], "description": "Of the answer."},
    }
    if name == "replace":
        fields["kind"] = {"type": "string", "enum": [*KINDS], "description": "Left out: composite."}
        fields["background"] = {
            "type": "string",
            "pattern": f"^({BACKGROUND})$",
            "description": "blur (left out), blur:N (1 to 100), #rrggbb, or transparent.",
        }
    return fields


def _picture(name: str) -> dict[str, Any]:
    what = "The matte, grey." if name == "alpha" else "The picture."
    return {"description": what, "content": {f"image/{format}": {"schema": _FILE} for format in FORMATS}}


def _error(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _health() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status", "version", "models"],
        "properties": {
            "status": {"const": "ok"},
            "version": {"type": "string"},
            "models": {"type": "array", "items": {"type": "string"}},
        },
    }
    fine = {"description": "It takes requests.", "content": {"application/json": {"schema": schema}}}
    wrong = {status: _error(_WRONG[status]) for status in ("401", "403", "421", "503")}
    return {"operationId": "health", "summary": "Whether it takes requests.", "responses": {"200": fine} | wrong}


STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
code { font-family: ui-monospace, monospace }
dt { font-weight: 600 }
dd { margin: 0 0 .3rem 1.5rem }
section { border-top: 1px solid; margin-top: 2rem }
"""


def reference(api: dict[str, Any]) -> str:
    """`api`, an OpenAPI document, as a page that loads nothing but its style from this server."""
    operations = [
        _section(path, method, operation) for path, each in api["paths"].items() for method, operation in each.items()
    ]
    info = api["info"]
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}: the service</title>"
        f'<link rel="stylesheet" href="docs.css"><h1>{escape(info["title"])} {escape(info["version"])}</h1>'
        f'<p>{escape(info["summary"])} For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<p>{_marked(info['description'])}</p>{''.join(operations)}</html>\n"
    )


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    fields = [
        (field["name"], f"{field['description']} {', '.join(field['schema'].get('enum', []))}")
        for field in operation.get("parameters", [])
    ]
    bodies = [(type, "a body") for type in operation.get("requestBody", {}).get("content", {})]
    answers = [
        (f"{status} {', '.join(answer['content'])}", answer["description"])
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>"
        f"<p>{_marked(operation.get('description', ''))}</p>"
        + "".join(
            f"<h3>{title}</h3><dl>{''.join(map(_entry, entries))}</dl>"
            for title, entries in (("Fields", fields), ("Bodies", bodies), ("Answers", answers))
            if entries
        )
        + "</section>"
    )


def _entry(entry: tuple[str, str]) -> str:
    return f"<dt><code>{escape(entry[0])}</code></dt><dd>{escape(entry[1])}</dd>"


def _marked(text: str) -> str:
    """Text with `code` in it."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
