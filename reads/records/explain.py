"""Explanations: list why a transition is blocked, for one row or counted over many."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from domain.errors import NotFound
from domain.machines.machine import Request, Verdict, explain_transitions, judge
from domain.permissions import Actor, granted
from models.base import kinds
from models.facts import select_rows
from models.people import HELD_ROLES


def explain_row(
    db: Connection, actor: Actor, kind: str, row_id: int, *, to: str | None = None
) -> dict[str, Any]:
    """Return every transition of one row for an actor, with all reasons against each.

    Comments count as missing here, so that their rule shows where they will be required.

    Args:
        db: A connection.
        actor: Who would act.
        kind: The resource type of the row.
        row_id: The row.
        to: Only this target; a state that no transition leads to is explained as illegal.

    Returns:
        The row's `id`, `kind`, `state` and `version`, its `transitions`, and whether it is
        `already_there`: in the target state, so that submitting it would change nothing.

    Raises:
        NotFound: The actor's tenant has no such row.
    """
    model = kinds()[kind]
    rows = select_rows(model, model.machine.facts)
    row = db.execute(rows, {"tenant_id": actor.tenant_id, "ids": [row_id]}).one_or_none()
    if row is None:
        raise NotFound(what=kind, got=row_id)
    request = _request(db, actor, to or "")
    if to is None:
        verdicts = explain_transitions(model.machine, row.state, row._mapping, request)
    elif to == row.state:
        verdicts = ()
    else:
        verdicts = (judge(model.machine, row.state, row._mapping, request),)
    return {
        "id": str(row_id),
        "kind": kind,
        "state": row.state,
        "version": row.version,
        "already_there": to == row.state,
        "transitions": [_verdict_as_json(verdict, to) for verdict in verdicts],
    }


def explain_selection(
    db: Connection, actor: Actor, kind: str, ids: Sequence[int], *, to: str
) -> dict[str, Any]:
    """Return how many of these rows may go to a state, and how many each reason blocks."""
    model = kinds()[kind]
    request = _request(db, actor, to)
    query = select_rows(model, model.machine.facts)
    rows = db.execute(query, {"tenant_id": actor.tenant_id, "ids": list(ids)}).all()
    verdicts = [
        Verdict(None) if row.state == to else judge(model.machine, row.state, row._mapping, request)
        for row in rows
    ]
    reasons: Counter[tuple[str, str]] = Counter(
        (reason.code, reason.message) for verdict in verdicts for reason in verdict.reasons
    )
    if missing := len(set(ids)) - len(rows):
        reasons["not_found", f"No such {kind}"] = missing
    return {
        "kind": kind,
        "to": to,
        "total": len(set(ids)),
        "allowed": sum(verdict.ok and verdict.transition is not None for verdict in verdicts),
        "already_there": sum(row.state == to for row in rows),
        "blocked_by": [
            {"code": code, "message": message, "items": items}
            for (code, message), items in reasons.most_common()
        ],
    }


def _request(db: Connection, actor: Actor, to: str) -> Request:
    now = db.scalar(select(func.clock_timestamp()))
    if actor.person_id is None:
        return Request(to, by_system=True, now=now)
    people = {"tenant_id": actor.tenant_id, "people": [actor.person_id]}
    permissions, by_manager = granted(db.execute(HELD_ROLES, people), actor.person_id)
    return Request(to, permissions, by_manager=by_manager, now=now)


def _verdict_as_json(verdict: Verdict, to: str | None) -> dict[str, Any]:
    return {
        "to": verdict.transition.target if verdict.transition else to,
        "verb": verdict.transition.verb if verdict.transition else None,
        "allowed": verdict.ok,
        "reasons": [
            {"code": reason.code, "message": reason.sentence} for reason in verdict.reasons
        ],
    }
