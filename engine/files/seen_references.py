"""Repeated references: find references that a file of any length has twice.

They are kept in memory at first, and on disk once they are many.
"""

import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class SeenReferences:
    """The references of a file, each with the line that had it first; dropped after the block."""

    def __enter__(self) -> Self:
        """Make a table, in a temporary database that SQLite deletes when it is closed."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE seen (reference TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop the table."""
        self._db.close()

    def note(self, references: Sequence[str | None], lines: Sequence[int]) -> dict[int, int]:
        """Remember the references of some lines.

        Returns:
            For each reference that an earlier line has, by its position: the first such line.
        """
        pairs = [pair for pair in zip(references, lines, strict=True) if pair[0] is not None]
        before = self._db.total_changes
        self._db.executemany("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", pairs)
        if self._db.total_changes - before == len(pairs):
            return {}
        return {
            position: first
            for position, (reference, line) in enumerate(zip(references, lines, strict=True))
            if reference is not None and (first := self._first_line(reference)) != line
        }

    def _first_line(self, reference: str) -> int:
        query = "SELECT line FROM seen WHERE reference = ?"
        return int(self._db.execute(query, (reference,)).fetchone()[0])
