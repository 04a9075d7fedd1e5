"""Records that belong together but stand far apart in a file, brought together on disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from figureground.data.json_stream import MAX_ELEMENT
from figureground.errors import DatasetError


@contextmanager
def joined() -> Iterator[Join]:
    """A `Join` whose file goes away with the block."""
    with closing(sqlite3.connect("")) as database:  # "" is a temporary file, in memory while it is small
        yield Join(database)


class Join:
    """Keeps JSON values under keys; memory does not grow with their number."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE entry (key TEXT, number INTEGER PRIMARY KEY, value TEXT)")
        self._indexed = False

    def add(self, key: Any, value: Any) -> None:
        """Keep `value`; keys are told apart as JSON: 1 and "1" are two."""
        self._database.execute("INSERT INTO entry (key, value) VALUES (?, ?)", (json.dumps(key), json.dumps(value)))

    def take(self, key: Any) -> list[Any]:
        """Everything kept under `key`, in the order it was added, and keep it no longer.

        Raises:
            DatasetError: it is more than `MAX_ELEMENT` characters.
        """
        if not self._indexed:
            self._database.execute("CREATE INDEX by_key ON entry (key)")
            self._indexed = True
        name = json.dumps(key)
        (length,) = self._database.execute("SELECT SUM(LENGTH(value)) FROM entry WHERE key = ?", (name,)).fetchone()
        if length and length > MAX_ELEMENT:
            raise DatasetError(f"more than {MAX_ELEMENT >> 20} million characters of picture {str(key)[:200]}")
        found = self._database.execute("SELECT value FROM entry WHERE key = ? ORDER BY number", (name,)).fetchall()
        self._database.execute("DELETE FROM entry WHERE key = ?", (name,))
        return [json.loads(value) for (value,) in found]

    def __iter__(self) -> Iterator[Any]:
        """Every key that is left, in the order first added."""
        rows = self._database.execute("SELECT key FROM entry GROUP BY key ORDER BY MIN(number)")
        while found := rows.fetchone():
            yield json.loads(found[0])
