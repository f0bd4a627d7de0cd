"""Timeline: print the changes and refusals of one record for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.printing.output import Output, format_time, table

_LONGEST = 40


def print_trail(output: Output, trail: Sequence[Mapping[str, Any]]) -> None:
    """Print the audit records of one row, as `Session.timeline` returns them."""
    shown = table("version", "what", "reason", "by", "when", "comments", right=("version",))
    for record in trail:
        shown.add_row(
            f"{record['version']}",
            what_happened(record),
            record["reason"] or "",
            _who(record),
            format_time(record["occurred_at"]),
            record["comments"] or "",
        )
    output.say_table(shown, is_wrapped=True)


def _who(record: Mapping[str, Any]) -> str:
    approved = f", approved by {record['approver']}" if record["approver"] else ""
    return f"{record['actor'] or 'system'}{approved}"


def what_happened(record: Mapping[str, Any]) -> str:
    """Return the change of an audit record, or the refusal with its reason, as text."""
    change = _change(record)
    return change if record["success"] else f"{change}, refused: {record['error_message']}"


def _change(record: Mapping[str, Any]) -> str:
    if record["event_type"] == "STATE_CHANGED":
        return f"{record['from_state']} → {record['to_state']}"
    if record["event_type"] != "UPDATED":
        return str(record["event_type"]).lower().replace("_", " ")
    return "; ".join(
        f"{field}: {brief(values['before'])} → {brief(values['after'])}"
        for field, values in (record["changes"] or {}).items()
    )


def listed(values: Sequence[object]) -> str:
    """Return several values as one text, with commas between them."""
    return ", ".join(map(str, values))


def brief(value: object) -> str:
    """Return a value as a short text for a table's cell."""
    if value is None:
        return "—"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {brief(member)}" for name, member in value.items()) or "—"
    if isinstance(value, list | tuple):
        return brief(listed(value))
    text = str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
