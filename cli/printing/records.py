"""Print records: a table of many, or the fields and parts of one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cli.printing.output import Output, format_time, table
from cli.printing.timeline import brief, listed

_FIRST = ("id", "version", "state", "state_since", "reference", "name", "title")
_LAST = ("created_at", "created_by", "updated_at", "updated_by", "uuid")
_NOT_LISTED = (*_LAST, "version", "state_since")


def print_list(output: Output, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table, without the columns that no row has a value for."""
    if not rows:
        return
    columns = [name for name in in_order(rows[0]) if name not in _NOT_LISTED]
    told = [name for name in columns if any(row[name] is not None for row in rows)]
    shown = table(*told, right=("id",))
    for row in rows:
        shown.add_row(*("" if row[name] is None else _cell(row[name]) for name in told))
    output.say_table(shown)


def print_record(output: Output, found: Mapping[str, Any]) -> None:
    """Print the fields of one record, its warnings, and a table for each sort of parts."""
    shown = table("", "")
    shown.show_header = False
    parts = {
        name: value
        for name, value in found.items()
        if isinstance(value, list)
        and name != "warnings"
        and (not value or isinstance(value[0], Mapping))
    }
    for name in in_order(found):
        if name != "warnings" and name not in parts and found[name] is not None:
            shown.add_row(name, _cell(found[name], whole=True))
    output.say(shown)
    print_warnings(output, found)
    for name, rows in parts.items():
        if rows:
            output.say(f"\n{name.replace('_', ' ')}", "bold")
        print_list(output, rows)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the fields of a record with those first that people look for."""
    given = list(names)
    first = [each for each in _FIRST if each in given]
    last = [each for each in _LAST if each in given]
    return first + [each for each in given if each not in (*first, *last)] + last


def print_warnings(output: Output, found: Mapping[str, Any]) -> None:
    """Print what a record broke when it came in."""
    for each in found.get("warnings", ()):
        output.say(f"  {each['message']} ({each['code']}).", "yellow")


def _cell(value: object, *, whole: bool = False) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    told = listed(value) if isinstance(value, list) else value
    return str(told) if whole else brief(told)
