"""A change of state: lock the rows, judge them, write those that pass and their record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Row,
    Select,
    Table,
    Update,
    any_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.bulk import Failure, Outcome
from domain.errors import error_named
from domain.machine import Judge, Machine, Reason, Request
from domain.permissions import granted
from models.base import Work, kinds

IDS = ARRAY(BigInteger)


@dataclass(slots=True)
class Judged:
    """What became of the rows of a chunk that were free.

    Attributes:
        outcomes: Succeeded, skipped or failed, by id.
        passed: The rows that are written, as they were before.
        refused: The rows that were refused; those that don't exist are not among them.
        failures: Why, by id.
        versions: The version of each row after the change, by id.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    passed: list[Row[Any]] = field(default_factory=list)
    refused: list[Row[Any]] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def fail(self, row_id: int, reasons: Sequence[Reason], **facts: Any) -> None:
        """Note that an item failed for these reasons, the first of which names the code."""
        code = reasons[0].code
        self.outcomes[row_id] = Outcome.FAILED
        self.failures[row_id] = Failure(
            id=row_id,
            code=code,
            message="; ".join(each.message for each in reasons),
            codes=tuple(each.code for each in reasons),
            retryable=error_named(code).retryable,
            facts=facts or None,
        )

    def add(self, other: "Judged") -> None:
        """Take over what became of other rows."""
        self.outcomes |= other.outcomes
        self.passed += other.passed
        self.refused += other.refused
        self.failures |= other.failures
        self.versions |= other.versions


def lock_rows(
    db: Connection, kind: str, tenant_id: int, ids: Sequence[int], target: str
) -> tuple[Sequence[Row[Any]], set[int]]:
    """Lock a tenant's rows that are free, in the order of their ids; never wait for one.

    Returns:
        Rows with id, state, version, state_since in this order, and every fact that a rule of
        a transition to *target* looks at; and the ids of rows that another session holds.
        Ids in neither don't exist.
    """
    names = {"tenant_id": tenant_id, "ids": ids}
    lock, related, present = _lock_queries(kind, target)
    rows = db.execute(lock, names).all()
    missing = set(ids) - {each.id for each in rows} if len(rows) < len(ids) else set()
    held = set(db.scalars(present, names | {"ids": sorted(missing)})) if missing else set()
    if related is not None:
        # Only now, under the locks, is what stands in other tables sure to stay.
        free = [each.id for each in rows]
        rows = db.execute(related, names | {"ids": free}).all()
    return rows, held


# Statements are built once: building one costs more than sending it.
@cache
def _lock_queries(kind: str, target: str) -> tuple[Select[Any], Select[Any] | None, Select[Any]]:
    model = kinds()[kind]
    own, related = _facts(model, target)
    asked = (
        model.tenant_id == bindparam("tenant_id"),
        model.id == any_(bindparam("ids", type_=IDS)),
    )
    rows = (
        select(model.id, model.state, model.version, model.state_since, *own)
        .where(*asked)
        .order_by(model.id)
    )
    return (
        rows.with_for_update(skip_locked=True),
        rows.add_columns(*related) if related else None,
        select(model.id).where(*asked),
    )


def _facts(model: type[Work], target: str) -> tuple[list[Any], list[Any]]:
    names = {
        fact: getattr(model, fact)
        for each in model.machine.transitions
        if each.target == target
        for rule in each.rules
        for fact in rule.facts
    }
    own = set(model.__table__.columns.keys())
    columns = [each for name, each in names.items() if name in own]
    return columns, [each.label(name) for name, each in names.items() if name not in own]


def request_of(operation: Row[Any]) -> Request:
    """Return what rules see of an operation, with what its actor may do at this moment."""
    target, comments = operation.target_state, operation.comments
    if operation.actor_id is None:
        return Request(target, comments=comments, by_system=True)
    permissions, by_manager = granted(operation.held_roles or (), operation.actor_id)
    return Request(target, permissions, comments, by_manager)


def judge_rows(
    machine: Machine,
    rows: Iterable[Row[Any]],
    ids: Iterable[int],
    request: Request,
    expected: Mapping[int, int],
) -> Judged:
    """Judge locked rows against a request; ids without a row are not found."""
    judged = Judged()
    judge = Judge(machine, request)
    for row in rows:
        row_id, state, version = row.id, row.state, row.version
        judged.versions[row_id] = version
        wanted = expected.get(row_id) if expected else None
        if wanted is not None and wanted != version:
            judged.refused.append(row)
            judged.fail(row_id, [_stale(wanted, row)], **_conflict(wanted, row, request))
        elif state == request.to:
            judged.outcomes[row_id] = Outcome.SKIPPED
        elif (verdict := judge.judge(state, row._mapping)).ok:
            judged.outcomes[row_id] = Outcome.SUCCEEDED
            judged.passed.append(row)
        else:
            judged.refused.append(row)
            judged.fail(row_id, verdict.reasons)
    for missing in set(ids) - judged.versions.keys():
        judged.fail(missing, [Reason("not_found", f"No {machine.kind} {missing}")])
    return judged


def _stale(wanted: int, row: Row[Any]) -> Reason:
    return Reason(
        "concurrency_conflict",
        f"This record was modified by another user: you saw version {wanted}, it is at "
        f"{row.version} in {row.state}. Refresh and retry",
    )


def _conflict(wanted: int, row: Row[Any], request: Request) -> dict[str, Any]:
    return {
        "resolution": {
            "action": "refresh_and_retry",
            "your_version": wanted,
            "current_version": row.version,
        },
        "current": {"state": row.state},
        "changes": {"state": {"before": row.state, "after": request.to}},
    }


def write_rows(
    db: Connection, kind: str, judged: Judged, *, target: str, actor_id: int | None, now: datetime
) -> None:
    """Write the rows that passed in one statement, each as its next version.

    Raises:
        RuntimeError: A row changed under its lock; the transaction must not commit.
    """
    if not judged.passed:
        return
    ids = [each.id for each in judged.passed]
    written = db.execute(
        _write_query(kind),
        {
            "ids": ids,
            "versions": [each.version for each in judged.passed],
            "target": target,
            "now": now,
            "actor_id": actor_id,
        },
    ).rowcount
    if written != len(ids):
        raise RuntimeError(f"{len(ids) - written} of {len(ids)} locked rows changed meanwhile")
    for row_id in ids:
        judged.versions[row_id] += 1


@cache
def _write_query(kind: str) -> Update:
    table = kinds()[kind].__table__
    seen = (
        func.unnest(bindparam("ids", type_=IDS), bindparam("versions", type_=ARRAY(Integer)))
        .table_valued("id", "version")
        .render_derived()
    )
    return (
        update(cast("Table", table))
        .where(table.c.id == seen.c.id, table.c.version == seen.c.version)
        .values(
            state=bindparam("target"),
            version=table.c.version + 1,
            state_since=bindparam("now"),
            updated_at=bindparam("now"),
            updated_by=bindparam("actor_id"),
        )
    )
