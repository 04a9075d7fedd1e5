"""Answers in JSON that can be sent whatever file names stand in them."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse


class Json(JSONResponse):
    """Names of cameras and backgrounds, models and faults are those of files, whose names need not be UTF-8."""

    def render(self, content: Any) -> bytes:
        return to_json(content)


def to_json(content: Any) -> bytes:
    """JSON in UTF-8; a byte of a file's name that is none stands there as a question mark."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
