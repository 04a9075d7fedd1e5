"""How far a `prepare` has come, in a file beside the dataset: memory stays flat, and a killed run goes on."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from figureground.data.convert import Outcome
from figureground.data.records import Picture, Problem
from figureground.errors import OutputError

_PICTURE = TypeAdapter(Picture)
_OUTCOME = TypeAdapter(Outcome)
_PAGE = 256
# What differs from one problem of a kind to the next.
_VARIABLE = re.compile(r"\([^)]*\)|'[^']*'|\S*/\S*|[-+]?\d[\d.x]*")
_WRITTEN = "WHERE json_extract(outcome, '$.image') != '' ORDER BY id COLLATE BINARY"
_TABLES = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE stale (id TEXT);
CREATE TABLE picture (number INTEGER PRIMARY KEY, id TEXT UNIQUE COLLATE NOCASE, image TEXT UNIQUE, source TEXT,
                      path TEXT, record TEXT, outcome TEXT, grouping TEXT, split TEXT);
CREATE TABLE problem (file TEXT, place TEXT, annotation TEXT, action TEXT, reason TEXT);
CREATE TABLE label (source TEXT, name TEXT, fate TEXT, count INTEGER, PRIMARY KEY (source, name, fate));
"""


class State:
    """Pictures, what became of them, and problems."""

    def __init__(self, path: Path, task: str) -> None:
        """Open the state at `path`, or begin it anew if it is of another task or damaged.

        Raises:
            OutputError: the file cannot be written, or another process is writing it.
        """
        self.path = path
        try:
            self._database = self._opened(task)
        except sqlite3.Error as error:
            why = "another prepare is writing there" if "locked" in str(error) else str(error)
            raise OutputError(
                f"{path}: cannot be written ({why}); wait, free space or choose another --output"
            ) from error

    def _opened(self, task: str) -> sqlite3.Connection:
        database, stale = _locked(self.path), list[tuple[str]]()
        try:
            if database.execute("SELECT value FROM fact WHERE name = 'task'").fetchone() == (task,):
                return database
            stale = database.execute("SELECT id FROM picture UNION SELECT id FROM stale").fetchall()
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
        except sqlite3.DatabaseError:  # damaged: what it knew is lost
            pass
        database.close()
        self.path.unlink(missing_ok=True)
        database = _locked(self.path)
        database.executescript(_TABLES)
        database.execute("INSERT INTO fact VALUES ('task', ?)", (task,))
        database.executemany("INSERT INTO stale VALUES (?)", stale)
        database.commit()
        return database

    def stale(self) -> Iterator[str]:
        """Ids of pictures that a run of another task may have written before it was stopped."""
        yield from (name for (name,) in self._database.execute("SELECT id FROM stale"))

    def close(self) -> None:
        """Keep what is known so far, if there is room for it."""
        with suppress(sqlite3.Error):
            self._database.commit()
        self._database.close()

    def commit(self) -> None:
        """Make what was told survive a kill; as everything here, it may raise `sqlite3.Error` if the disk is full."""
        self._database.commit()

    def clear(self) -> None:
        """Forget pictures, problems and counts, of a reading that was stopped."""
        for table in ("picture", "problem", "label"):
            self._database.execute(f"DELETE FROM {table}")

    def remember(self, name: str, value: Any) -> None:
        """Keep a fact of the whole run."""
        self._database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, json.dumps(value)))

    def recall(self, name: str) -> Any:
        """A fact kept, or None."""
        row = self._database.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def add_picture(self, name: str, source: str, path: str, picture: Picture) -> str:
        """Take in a picture; "" or the annotation file whose objects on the same image stay instead of these.

        Of two that name one image, one without objects that have a shape gives way: files of a class each name every
        picture, and one may be of boxes.
        """
        image = str(picture.image) if picture.image else None
        row = self._database.execute("SELECT number, record FROM picture WHERE image = ?", (image,)).fetchone()
        if row:
            return self._joined(row[0], _PICTURE.validate_json(row[1]), picture)
        record = _PICTURE.dump_json(picture).decode()
        self._database.execute(
            "INSERT INTO picture (id, image, source, path, record) VALUES (?, ?, ?, ?, ?)",
            (name, image, source, path, record),
        )
        return ""

    def _joined(self, number: int, before: Picture, picture: Picture) -> str:
        if not picture.objects:
            return ""
        is_used = any(item.shape for item in before.objects)
        for item in before.objects if not is_used else ():
            self.add_problem(Problem(str(before.file), item.place, item.id, "rejected", item.problem))
        is_partial = before.partial or picture.partial or bool(before.objects)
        kept = replace(before if is_used else picture, partial=is_partial)
        record = _PICTURE.dump_json(kept).decode()
        self._database.execute("UPDATE picture SET record = ? WHERE number = ?", (record, number))
        return str(before.file) if is_used else ""

    def has_id(self, name: str) -> bool:
        """Whether a picture of this id is there."""
        return bool(self._database.execute("SELECT 1 FROM picture WHERE id = ?", (name,)).fetchone())

    def has_image(self, image: Path) -> bool:
        """Whether an annotation names this picture file."""
        return bool(self._database.execute("SELECT 1 FROM picture WHERE image = ?", (str(image),)).fetchone())

    def count(self, source: str, label: str, fate: str) -> None:
        """Count an annotation, or a picture, of a source by what became of it."""
        self._database.execute(
            "INSERT INTO label VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (source, label, fate),
        )

    def counts(self) -> list[tuple[str, str, str, int]]:
        """Source, label, fate and number of everything counted."""
        return self._database.execute("SELECT * FROM label ORDER BY source, fate, name").fetchall()

    def sources(self) -> list[str]:
        """The names of all sources, those whose pictures are not taken too."""
        rows = self._database.execute("SELECT source FROM picture UNION SELECT source FROM label ORDER BY source")
        return [name for (name,) in rows]

    def paths(self) -> Iterator[str]:
        """The path of every picture, its source first."""
        yield from (f"{source}/{path}" for source, path in self._database.execute("SELECT source, path FROM picture"))

    def add_problem(self, problem: Problem) -> None:
        """Keep a row of rejects.csv."""
        self._database.execute("INSERT INTO problem VALUES (?, ?, ?, ?, ?)", tuple(asdict(problem).values()))

    def problems(self) -> Iterator[tuple[str, ...]]:
        """The rows of rejects.csv, sorted, each once."""
        yield from self._database.execute("SELECT * FROM problem ORDER BY file, place, annotation, reason")

    def has_nobody(self) -> bool:
        """Whether there is a picture without objects."""
        return any(not picture.objects for _, _, picture in self.waiting())

    def first_lost(self) -> Problem | None:
        """An annotation that has no shape, or belongs to no picture, if there is one."""
        for _, _, picture in self.waiting():
            for item in picture.objects:
                if item.shape is None:
                    return Problem(str(picture.file), item.place, item.id, "rejected", item.problem)
        row = self._database.execute("SELECT * FROM problem WHERE annotation != ''").fetchone()
        return Problem(*row) if row else None

    def tally(self, action: str) -> int:
        """The number of problems that were `repaired` or `rejected`."""
        return int(self._database.execute("SELECT COUNT(*) FROM problem WHERE action = ?", (action,)).fetchone()[0])

    def reasons(self) -> dict[str, int]:
        """How often every reason stands among the problems, numbers and names in it left out, most frequent first."""
        found = Counter[str]()
        for (reason,) in self._database.execute("SELECT reason FROM problem"):
            found[_VARIABLE.sub("...", reason)] += 1
        return dict(found.most_common())

    def total(self) -> tuple[int, int]:
        """The number of pictures, and of those that are dealt with."""
        row = self._database.execute("SELECT COUNT(*), COUNT(outcome) FROM picture").fetchone()
        return int(row[0]), int(row[1])

    def waiting(self) -> Iterator[tuple[int, str, Picture]]:
        """Number, id and record of the pictures still to be dealt with, which may happen meanwhile."""
        last = -1
        while rows := self._database.execute(
            "SELECT number, id, record FROM picture WHERE outcome IS NULL AND number > ? ORDER BY number LIMIT ?",
            (last, _PAGE),
        ).fetchall():
            for number, name, record in rows:
                yield number, name, _PICTURE.validate_json(record)
            last = rows[-1][0]

    def finish(self, number: int, outcome: Outcome) -> None:
        """Keep what became of a picture, its problems among the others'."""
        for problem in outcome.problems:
            self.add_problem(problem)
        text = _OUTCOME.dump_json(replace(outcome, problems=[])).decode()
        self._database.execute("UPDATE picture SET outcome = ? WHERE number = ?", (text, number))

    def outcomes(self) -> Iterator[Outcome]:
        """What became of every picture."""
        for (text,) in self._database.execute("SELECT outcome FROM picture"):
            yield _OUTCOME.validate_json(text)

    def looks(self) -> Iterator[tuple[int, list[int]]]:
        """Number and perceptual hash of the pictures in the dataset, by id."""
        rows = self._database.execute(f"SELECT number, json_extract(outcome, '$.look') FROM picture {_WRITTEN}")
        for number, look in rows:
            yield number, json.loads(look)

    def written(self) -> int:
        """The number of pictures in the dataset."""
        row = self._database.execute("SELECT COUNT(*) FROM picture WHERE json_extract(outcome, '$.image') != ''")
        return int(row.fetchone()[0])

    def origin(self, number: int) -> tuple[str, Picture]:
        """Path in its source and record of a picture."""
        path, source, record = self._database.execute(
            "SELECT path, source, record FROM picture WHERE number = ?", (number,)
        ).fetchone()
        return f"{source}/{path}", _PICTURE.validate_json(record)

    def place(self, number: int, group: str, split: str) -> None:
        """Keep the group and split of a picture."""
        self._database.execute("UPDATE picture SET grouping = ?, split = ? WHERE number = ?", (group, split, number))

    def placed(self) -> Iterator[tuple[str, str, str, str, Picture, Outcome]]:
        """Id, source, group, split, record and outcome of the pictures in the dataset, by id."""
        rows = self._database.execute(f"SELECT id, source, grouping, split, record, outcome FROM picture {_WRITTEN}")
        for name, source, group, split, record, outcome in rows:
            yield name, source, group, split, _PICTURE.validate_json(record), _OUTCOME.validate_json(outcome)


def _locked(path: Path) -> sqlite3.Connection:
    """The database at `path`, for this process alone from its first use on."""
    database = sqlite3.connect(path, timeout=1.0)
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    return database
