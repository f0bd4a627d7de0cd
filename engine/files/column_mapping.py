"""Which column of a file fills which field: by its name, unless it is mapped or ignored."""

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from domain.errors import InvalidInput
from engine.files.columns import Incoming

_DIVIDERS = {"\t": "tab", ";": "';'", "|": "'|'"}


class Naming:
    """What the columns of a file mean."""

    def __init__(
        self,
        known: Mapping[str, Incoming],
        mapping: Mapping[str, str],
        ignored: Collection[str],
        *,
        carries: Collection[str] | None = (),
        is_new: bool = True,
    ) -> None:
        """Check the mapping.

        Args:
            known: What a column may fill.
            mapping: Fields by the columns that fill them; `site` and `site_id` are the same.
            ignored: Columns that are passed over.
            carries: Columns that are passed over unless they are fields; None is all.
            is_new: The records are new, and need all that new ones need.

        Raises:
            InvalidInput: A column is mapped to a field that isn't known, or two to one.
        """
        self._known = known
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
        """Return all fields that a column may fill, as a sentence lists them."""
        return ", ".join(self._known)

    @property
    def required(self) -> list[str]:
        """Return the fields that every row needs."""
        needed = self._known.items() if self._is_new else ()
        return [name for name, each in needed if each.field.required]

    def is_ignored(self, column: str) -> bool:
        """Say whether a column is passed over."""
        if column in self._ignored:
            return True
        is_carried = self._carries is None or column in self._carries
        return is_carried and column not in self.mapping and self._field(column) is None

    def field_of(self, column: str) -> str | None:
        """Return the field that a column fills; None if it isn't known, or another one does."""
        if column in self.mapping:
            return self.mapping[column]
        field = self._field(column)
        return None if field in self.mapping.values() else field

    def read_header(self, columns: Sequence[str], *, whole: bool = True) -> dict[int, str]:
        """Return the fields of a file by the positions of the columns that fill them.

        Args:
            columns: The names, in order.
            whole: Whether there can be no others further on.

        Raises:
            InvalidInput: A column is not known, two fill one field, a mapped one isn't there,
                or a field that every row needs has none.
        """
        named = [each.strip() for each in columns]
        for column in self.mapping:
            if whole and column not in named:
                _refuse("map", column, f"a column of the file: {', '.join(named)}")
        filled: dict[int, str] = {}
        for position, column in enumerate(named):
            if self.is_ignored(column):
                continue
            field = self.field_of(column)
            if field is None:
                expected = f"a field among {self.fields}; else map it or ignore it"
                _refuse("column", column, f"{expected}{_divided(named)}")
            if field in filled.values():
                _refuse("column", column, f"one column for {field}: ignore the other")
            filled[position] = field
        missing = next((each for each in self.required if each not in filled.values()), None)
        if whole and missing is not None:
            _refuse(
                "column", f"only {', '.join(named)}", f"one for {missing}, which every row needs"
            )
        return filled

    def _field(self, name: str) -> str | None:
        plain = name.strip().lower().replace(" ", "_").replace("-", "_")
        return next((each for each in (plain, f"{plain}_id") if each in self._known), None)


def _divided(columns: Sequence[str]) -> str:
    """Return what divides the cells of a header that is but one cell, as the end of a sentence."""
    found = [name for mark, name in _DIVIDERS.items() if mark in columns[0]]
    return f"; or give --delimiter {found[0]}" if found and len(columns) == 1 else ""


def _refuse(field: str, got: str, expected: str) -> NoReturn:
    longest = 200
    raise InvalidInput(field=field, got=got[:longest], expected=expected)
