"""What happened to one record, as people read it."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.printing.output import Output, format_time, table

_LONGEST = 40


def print_trail(output: Output, trail: Sequence[Mapping[str, Any]]) -> None:
    """Print the records of one row, as `Site.timeline` returns them."""
    shown = table("version", "what", "reason", "by", "when", "comments", right=("version",))
    for each in trail:
        shown.add_row(
            f"{each['version']}",
            what_happened(each),
            each["reason"] or "",
            _who(each),
            format_time(each["occurred_at"]),
            each["comments"] or "",
        )
    output.say_table(shown, is_wrapped=True)


def _who(record: Mapping[str, Any]) -> str:
    approved = f", approved by {record['approver']}" if record["approver"] else ""
    return f"{record['actor'] or 'system'}{approved}"


def what_happened(record: Mapping[str, Any]) -> str:
    """Return what a record says was done, or refused and why."""
    told = _change(record)
    return told if record["success"] else f"{told}, refused: {record['error_message']}"


def _change(record: Mapping[str, Any]) -> str:
    if record["event_type"] == "STATE_CHANGED":
        return f"{record['from_state']} → {record['to_state']}"
    if record["event_type"] != "UPDATED":
        return str(record["event_type"]).lower().replace("_", " ")
    return "; ".join(
        f"{field}: {brief(each['before'])} → {brief(each['after'])}"
        for field, each in (record["changes"] or {}).items()
    )


def listed(values: Sequence[object]) -> str:
    """Return several values as they are typed, with commas; one alone may have blanks in it."""
    return ", ".join(map(str, values))


def brief(value: object) -> str:
    """Return a value as a cell shows it: never more than a few words of it."""
    if value is None:
        return "—"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {brief(each)}" for name, each in value.items()) or "—"
    if isinstance(value, list | tuple):
        return brief(listed(value))
    text = str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
