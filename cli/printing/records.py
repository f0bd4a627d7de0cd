"""Records: print a table of many, or the fields and children of one."""

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
    filled = [name for name in columns if any(row[name] is not None for row in rows)]
    shown = table(*filled, right=("id",))
    for row in rows:
        shown.add_row(*("" if row[name] is None else _cell(row[name]) for name in filled))
    output.say_table(shown)


def print_record(output: Output, record: Mapping[str, Any]) -> None:
    """Print the fields of one record, its warnings, and a table for each kind of children."""
    shown = table("", "")
    shown.show_header = False
    children = {
        name: value
        for name, value in record.items()
        if isinstance(value, list)
        and name != "warnings"
        and (not value or isinstance(value[0], Mapping))
    }
    for name in in_order(record):
        if name != "warnings" and name not in children and record[name] is not None:
            shown.add_row(name, _cell(record[name], is_whole=True))
    output.say(shown)
    print_warnings(output, record)
    for name, rows in children.items():
        if rows:
            output.say(f"\n{name.replace('_', ' ')}", "bold")
        print_list(output, rows)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the fields of a record, beginning with those that people look for first."""
    fields = list(names)
    first = [field for field in _FIRST if field in fields]
    last = [field for field in _LAST if field in fields]
    return first + [field for field in fields if field not in (*first, *last)] + last


def print_warnings(output: Output, record: Mapping[str, Any]) -> None:
    """Print the rules that a record broke when it was created."""
    for warning in record.get("warnings", ()):
        output.say(f"  {warning['message']} ({warning['code']}).", "yellow")


def _cell(value: object, *, is_whole: bool = False) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    text = listed(value) if isinstance(value, list) else value
    return str(text) if is_whole else brief(text)
