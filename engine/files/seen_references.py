"""What a file has brought so far, however long it is: in memory at first, then on disk."""

import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class Seen:
    """The references of a file, each with the line that had it first; gone with the block."""

    def __enter__(self) -> Self:
        """Make a table of its own, in a temporary file that only SQLite knows."""
        self._book = sqlite3.connect("", isolation_level=None)
        self._book.execute("PRAGMA journal_mode = OFF")
        self._book.execute("PRAGMA synchronous = OFF")
        self._book.execute(
            "CREATE TABLE seen (reference TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID"
        )
        self._book.execute("BEGIN")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget everything."""
        self._book.close()

    def note(self, references: Sequence[str | None], lines: Sequence[int]) -> dict[int, int]:
        """Note the references of some lines.

        Returns:
            The line that had it first, by the position of each that was there before.
        """
        given = [each for each in zip(references, lines, strict=True) if each[0] is not None]
        before = self._book.total_changes
        self._book.executemany("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", given)
        if self._book.total_changes - before == len(given):
            return {}
        return {
            position: first
            for position, (reference, line) in enumerate(zip(references, lines, strict=True))
            if reference is not None and (first := self._first(reference)) != line
        }

    def _first(self, reference: str) -> int:
        query = "SELECT line FROM seen WHERE reference = ?"
        return int(self._book.execute(query, (reference,)).fetchone()[0])
