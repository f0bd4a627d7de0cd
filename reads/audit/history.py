"""History: read the recorded versions of rows, including those that wait in the outbox."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Date, Row, Table, Uuid, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from domain.audit.replay import Step

_OVERRIDE = "override"

# What isn't written from the outbox yet counts as well: it was committed with its change.
_STEPS = text("""
SELECT entity_id AS id, version, occurred_at, actor_id, event_type, reason, from_state, to_state,
       time_in_previous_state_s AS stayed_s, changes, erased_by IS NOT NULL AS is_erased
  FROM audit_trail
 WHERE tenant_id = :tenant_id AND kind = :kind AND entity_id = ANY(:ids) AND success
UNION ALL
SELECT i.id, i.version, o.occurred_at, CAST(o.body ->> 'actor_id' AS bigint),
       coalesce(o.body ->> 'event_type', 'STATE_CHANGED'), o.body ->> 'reason', i.from_state,
       o.body ->> 'to_state', extract(epoch FROM o.occurred_at - i.since),
       CAST(i.changes AS jsonb), false
  FROM outbox o, unnest(o.entity_ids, o.versions, o.from_states, o.states_since, o.changes,
                        o.error_codes) AS i(id, version, from_state, since, changes, error_code)
 WHERE o.tenant_id = :tenant_id AND o.record IN ('state_transition', 'audit_log')
   AND o.body ->> 'kind' = :kind AND i.id = ANY(:ids) AND i.error_code IS NULL
""")


def read_steps(
    db: Connection, tenant_id: int, resource_type: str, table: Table, ids: Sequence[int]
) -> dict[int, list[Step]]:
    """Return the recorded versions of some rows of one resource type, by row.

    To agree with the rows as they are now, it needs a transaction of one snapshot.
    """
    parsers = {column.name: _PARSERS.get(type(column.type), _unchanged) for column in table.c}
    steps: dict[int, list[Step]] = defaultdict(list)
    names = {"tenant_id": tenant_id, "kind": resource_type, "ids": list(ids)}
    for row in db.execute(_STEPS, names):
        steps[row.id].append(_step(row, parsers))
    return steps


def _step(row: Row[Any], parsers: Mapping[str, Callable[[Any], Any]]) -> Step:
    before, after = _values_of(row, parsers)
    is_erased = row.is_erased and row.changes is not None and not row.changes
    why_unknown = "outside" if row.reason == _OVERRIDE else "erased" if is_erased else None
    return Step(
        version=row.version,
        occurred_at=row.occurred_at,
        actor_id=row.actor_id,
        before=before,
        after=after,
        why_not=why_unknown,
        is_first=row.event_type == "CREATED",
    )


def _values_of(
    row: Row[Any], parsers: Mapping[str, Callable[[Any], Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    if row.event_type == "STATE_CHANGED":
        return _states_of(row)
    # Changes of a child are recorded under the child's name, which is no column.
    changes = {name: change for name, change in (row.changes or {}).items() if name in parsers}
    sides = (
        {name: _parse_or_keep(parsers[name], change.get(side)) for name, change in changes.items()}
        for side in ("before", "after")
    )
    before, after = sides
    if row.event_type == "CREATED" and "state" in after:
        after.setdefault("state_since", row.occurred_at)
    return before, after


def _states_of(row: Row[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if row.from_state is None:
        return {}, {"state": row.to_state}
    before, after = {"state": row.from_state}, {"state": row.to_state}
    if row.stayed_s is not None:
        before["state_since"] = row.occurred_at - timedelta(seconds=float(row.stayed_s))
    if row.from_state != row.to_state:
        after["state_since"] = row.occurred_at
    return before, after


def _parse_or_keep(parse: Callable[[Any], Any], value: Any) -> Any:
    try:
        return None if value is None else parse(value)
    except (TypeError, ValueError):
        return value  # it is masked


def _unchanged(value: Any) -> Any:
    return value


_PARSERS: Mapping[type, Callable[[Any], Any]] = {
    TIMESTAMP: datetime.fromisoformat,
    Date: date.fromisoformat,
    Uuid: UUID,
}
