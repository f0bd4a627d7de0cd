"""Column mapping: match the columns of a file to fields, by name unless mapped or ignored."""

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from domain.errors import InvalidInput
from engine.files.columns import Incoming

_DELIMITERS = {"\t": "tab", ";": "';'", "|": "'|'"}


class ColumnMapping:
    """The fields that the columns of a file fill."""

    def __init__(
        self,
        incoming: Mapping[str, Incoming],
        mapping: Mapping[str, str],
        ignored: Collection[str],
        *,
        carries: Collection[str] | None = (),
        is_new: bool = True,
    ) -> None:
        """Check the mapping.

        Args:
            incoming: The columns of the table that a file may fill, by name.
            mapping: Fields by the columns that fill them; `site` and `site_id` are the same.
            ignored: Columns that are skipped.
            carries: Columns that are skipped unless they are fields; None skips all such.
            is_new: The records are new, so the fields that new ones need are required.

        Raises:
            InvalidInput: A column is mapped to an unknown field, or two columns to one field.
        """
        self._incoming = incoming
        self._ignored = set(ignored)
        self._carries = carries
        self._is_new = is_new
        self.mapping: dict[str, str] = {}
        for column, name in mapping.items():
            field = self._field(name)
            if field is None:
                _refuse("map", f"{column}={name}", f"a field among {self.fields}")
            if field in self.mapping.values():
                _refuse("map", f"{column}={name}", f"one column for {field}")
            self.mapping[column] = field

    @property
    def fields(self) -> str:
        """Return all fields that a column may fill, as a list in a sentence."""
        return ", ".join(self._incoming)

    @property
    def required(self) -> list[str]:
        """Return the fields that every row needs."""
        needed = self._incoming.items() if self._is_new else ()
        return [name for name, column in needed if column.field.required]

    def is_ignored(self, column: str) -> bool:
        """Return whether a column is skipped."""
        if column in self._ignored:
            return True
        is_carried = self._carries is None or column in self._carries
        return is_carried and column not in self.mapping and self._field(column) is None

    def field_of(self, column: str) -> str | None:
        """Return the field that a column fills; None if unknown, or if another column fills it."""
        if column in self.mapping:
            return self.mapping[column]
        field = self._field(column)
        return None if field in self.mapping.values() else field

    def read_header(self, columns: Sequence[str], *, is_complete: bool = True) -> dict[int, str]:
        """Return the fields of a file by the positions of the columns that fill them.

        Args:
            columns: The names, in order.
            is_complete: Whether later records can't have other columns.

        Raises:
            InvalidInput: A column is unknown, two columns fill one field, a mapped column is
                missing, or no column fills a required field.
        """
        header = [column.strip() for column in columns]
        for column in self.mapping:
            if is_complete and column not in header:
                _refuse("map", column, f"a column of the file: {', '.join(header)}")
        filled: dict[int, str] = {}
        for position, column in enumerate(header):
            if self.is_ignored(column):
                continue
            field = self.field_of(column)
            if field is None:
                expected = f"a field among {self.fields}; else map it or ignore it"
                _refuse("column", column, f"{expected}{_suggest_delimiter(header)}")
            if field in filled.values():
                _refuse("column", column, f"one column for {field}: ignore the other")
            filled[position] = field
        missing = next((field for field in self.required if field not in filled.values()), None)
        if is_complete and missing is not None:
            _refuse(
                "column", f"only {', '.join(header)}", f"one for {missing}, which every row needs"
            )
        return filled

    def _field(self, name: str) -> str | None:
        plain = name.strip().lower().replace(" ", "_").replace("-", "_")
        return next((field for field in (plain, f"{plain}_id") if field in self._incoming), None)


def _suggest_delimiter(columns: Sequence[str]) -> str:
    """Return which delimiter a header of one cell seems to have, as the end of a sentence."""
    delimiters = [name for mark, name in _DELIMITERS.items() if mark in columns[0]]
    return f"; or give --delimiter {delimiters[0]}" if delimiters and len(columns) == 1 else ""


def _refuse(field: str, got: str, expected: str) -> NoReturn:
    longest = 200
    raise InvalidInput(field=field, got=got[:longest], expected=expected)
