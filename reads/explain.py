"""Why a transition is blocked: for one row every reason, for many how often each."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, any_, cast, select
from sqlalchemy.dialects.postgresql import ARRAY

from domain.errors import NotFound
from domain.machine import Request, Verdict, explain, judge
from domain.permissions import Actor, granted
from models.base import Work, kinds
from models.people import HELD_ROLES


def explain_row(
    db: Connection, actor: Actor, kind: str, row_id: int, *, to: str | None = None
) -> dict[str, Any]:
    """Return every transition of one row for an actor, with all reasons against each.

    Comments count as missing here, so their rule shows where they will be wanted.

    Args:
        db: A connection.
        actor: Who would act.
        kind: The kind of work.
        row_id: The row.
        to: Only this target; a state that no arrow leads to is explained as illegal.

    Raises:
        NotFound: The actor's tenant has no such row.
    """
    model = kinds()[kind]
    row = db.execute(_facts(model, actor.tenant_id, [row_id])).one_or_none()
    if row is None:
        raise NotFound(what=kind, got=row_id)
    request = _request(db, actor, to or "")
    if to is None:
        verdicts = explain(model.machine, row.state, row._mapping, request)
    else:
        verdicts = (judge(model.machine, row.state, row._mapping, request),)
    return {
        "id": str(row_id),
        "kind": kind,
        "state": row.state,
        "version": row.version,
        "transitions": [_told(each, to) for each in verdicts],
    }


def explain_selection(
    db: Connection, actor: Actor, kind: str, ids: Sequence[int], *, to: str
) -> dict[str, Any]:
    """Return how many of these rows may go to a state, and how many each reason blocks."""
    model = kinds()[kind]
    request = _request(db, actor, to)
    rows = db.execute(_facts(model, actor.tenant_id, ids)).all()
    verdicts = [
        Verdict(None) if row.state == to else judge(model.machine, row.state, row._mapping, request)
        for row in rows
    ]
    reasons: Counter[tuple[str, str]] = Counter(
        (reason.code, reason.message) for each in verdicts for reason in each.reasons
    )
    if missing := len(set(ids)) - len(rows):
        reasons["not_found", f"No such {kind}"] = missing
    return {
        "kind": kind,
        "to": to,
        "total": len(set(ids)),
        "allowed": sum(each.ok and each.transition is not None for each in verdicts),
        "already_there": sum(row.state == to for row in rows),
        "blocked_by": [
            {"code": code, "message": message, "items": items}
            for (code, message), items in reasons.most_common()
        ],
    }


def _facts(model: type[Work], tenant_id: int, ids: Sequence[int]) -> Any:
    facts = [getattr(model, name).label(name) for name in model.machine.facts]
    return select(model.id, model.state, model.version, *facts).where(
        model.tenant_id == tenant_id, model.id == any_(cast(list(ids), ARRAY(BigInteger)))
    )


def _request(db: Connection, actor: Actor, to: str) -> Request:
    if actor.person_id is None:
        return Request(to, by_system=True)
    people = {"tenant_id": actor.tenant_id, "people": [actor.person_id]}
    permissions, by_manager = granted(db.execute(HELD_ROLES, people), actor.person_id)
    return Request(to, permissions, by_manager=by_manager)


def _told(verdict: Verdict, to: str | None) -> dict[str, Any]:
    return {
        "to": verdict.transition.target if verdict.transition else to,
        "verb": verdict.transition.verb if verdict.transition else None,
        "allowed": verdict.ok,
        "reasons": [{"code": each.code, "message": each.message} for each in verdict.reasons],
    }
