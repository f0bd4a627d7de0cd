"""Locked rows: lock rows of work with the facts of rules, and write them as the next version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from engine.changes.outcomes import Outcomes
from engine.input.nested_arrays import as_sent, as_stored, type_sent
from models.base import kinds
from models.facts import IDS, is_own, is_requested, locks_of, select_rows


def lock_rows(
    db: Connection, kind: str, tenant_id: int, ids: Sequence[int], facts: tuple[str, ...]
) -> tuple[Sequence[Row[Any]], set[int]]:
    """Lock a tenant's rows that are free, in the order of their ids; never wait for one.

    Returns:
        Rows with id, state, version, state_since in this order, and the *facts*; and the ids
        of rows that another session holds. Ids that are in neither don't exist.
    """
    names = {"tenant_id": tenant_id, "ids": ids}
    lock, related_locks, with_related, present = _lock_queries(kind, facts)
    rows = db.execute(lock, names).all()
    missing = set(ids) - {row.id for row in rows} if len(rows) < len(ids) else set()
    contended = set(db.scalars(present, names | {"ids": sorted(missing)})) if missing else set()
    if with_related is not None:
        # Facts from other tables are read only now: under the locks they can't change any more.
        free = names | {"ids": [row.id for row in rows]}
        for lock_related in related_locks:
            db.execute(lock_related, free)
        rows = db.execute(with_related, free).all()
    return rows, contended


# Statements are cached: building one costs more than sending it.
@cache
def _lock_queries(
    kind: str, facts: tuple[str, ...]
) -> tuple[Select[Any], list[Select[Any]], Select[Any] | None, Select[Any]]:
    model = kinds()[kind]
    own = [fact for fact in facts if is_own(model, fact)]
    return (
        select_rows(model, own).with_for_update(skip_locked=True),
        locks_of(model, facts),
        select_rows(model, facts) if len(own) < len(facts) else None,
        select(model.id).where(*is_requested(model)),
    )


def write_rows(
    db: Connection,
    kind: str,
    outcomes: Outcomes,
    values: Mapping[str, Any],
    *,
    own: Mapping[str, Sequence[Any]] | None = None,
    actor_id: int | None,
    now: datetime,
) -> None:
    """Write *values* to the rows that passed in one statement, each as its next version.

    *own* holds columns in which each row has a value of its own, in the order of `passed`.

    Raises:
        RuntimeError: A row changed under its lock; the transaction must not commit.
    """
    if not outcomes.passed:
        return
    table = cast("Table", kinds()[kind].__table__)
    ids = [row.id for row in outcomes.passed]
    written = db.execute(
        _write_query(kind, tuple(values), tuple(own or ())),
        {
            "ids": ids,
            "versions": [row.version for row in outcomes.passed],
            "now": now,
            "actor_id": actor_id,
            **{f"new_{name}": value for name, value in values.items()},
            **{f"new_{name}": as_sent(table.c[name], cells) for name, cells in (own or {}).items()},
        },
    ).rowcount
    if written != len(ids):
        raise RuntimeError(f"{len(ids) - written} of {len(ids)} locked rows changed meanwhile")
    for row_id in ids:
        outcomes.versions[row_id] += 1


@cache
def _write_query(kind: str, names: tuple[str, ...], own: tuple[str, ...]) -> Update:
    table = cast("Table", kinds()[kind].__table__)
    arrays = [bindparam(f"new_{name}", type_=ARRAY(type_sent(table.c[name]))) for name in own]
    locked = (
        func.unnest(
            bindparam("ids", type_=IDS), bindparam("versions", type_=ARRAY(Integer)), *arrays
        )
        .table_valued("id", "version", *own)
        .render_derived()
    )
    return (
        update(table)
        .where(table.c.id == locked.c.id, table.c.version == locked.c.version)
        .values(
            version=table.c.version + 1,
            updated_at=bindparam("now"),
            updated_by=bindparam("actor_id"),
            **{name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names},
            **{name: as_stored(table.c[name], locked.c[name]) for name in own},
        )
    )
