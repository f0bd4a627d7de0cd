"""Conflicts: explain a stale version to its caller, and say who wrote the row last."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from domain.machines.machine import Reason
from models.base import Record
from models.people import Person

STALE = "This record was modified by another user."


def stale(expected: int, version: int, state: str | None) -> Reason:
    """Return the reason to refuse a row that has another version than the caller saw."""
    in_state = f" in {state}" if state else ""
    return Reason(
        "concurrency_conflict",
        f"{STALE} You saw version {expected}, it is at {version}{in_state}. Refresh and retry",
    )


def conflict(
    expected: int,
    version: int,
    *,
    state: str | None,
    changes: Mapping[str, Mapping[str, Any]],
    last: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a conflict in the form of the contract.

    Args:
        expected: The version that the caller saw.
        version: The version that the row has.
        state: The state of the row, if it has states.
        changes: What the caller tried to write, before and after by field.
        last: Who wrote the row last, and when.
    """
    return {
        "resolution": {
            "action": "refresh_and_retry",
            "your_version": expected,
            "current_version": version,
        },
        "current": {**({"state": state} if state else {}), **(last or {})},
        "changes": {name: dict(change) for name, change in changes.items()},
    }


def last_writers(
    db: Connection, model: type[Record], ids: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Return who wrote each row last, by name, and when; queried for conflicts only."""
    # An alias, because the record may itself be a person.
    writer = aliased(Person)
    query = (
        select(model.id, writer.name, model.updated_at)
        .outerjoin(writer, writer.id == model.updated_by)
        .where(model.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
    )
    return {
        row_id: {"updated_by": name, "updated_at": _as_iso(at)}
        for row_id, name, at in db.execute(query, {"ids": list(ids)})
    }


def _as_iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
