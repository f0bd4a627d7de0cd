"""Intake warnings: note the rules that new work breaks, for as long as it breaks them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, any_, delete, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from domain.machines.machine import Request
from models.base import Work
from models.facts import select_rows
from models.work_warning import WorkWarning


def note_warnings(
    db: Connection, model: type[Work], tenant_id: int, ids: Sequence[int], now: datetime
) -> int:
    """Store which intake rules of their machine new rows break; return the number of warnings."""
    rules = model.machine.intake
    if not rules or not ids:
        return 0
    facts = [fact for rule in rules for fact in rule.facts]
    rows = db.execute(select_rows(model, facts), {"tenant_id": tenant_id, "ids": list(ids)})
    request = Request(model.machine.initial, by_system=True, now=now)
    warnings = [
        {
            "tenant_id": tenant_id,
            "kind": model.resource_type,
            "entity_id": row.id,
            "code": rule.reason.code,
            "message": rule.reason.message,
            "noted_at": now,
        }
        for row in rows
        for rule in rules
        if not rule.holds(row._mapping, request)
    ]
    if warnings:
        db.execute(insert(WorkWarning), warnings)
    return len(warnings)


def drop_warnings(
    db: Connection, model: type[Work], tenant_id: int, ids: Sequence[int], now: datetime
) -> None:
    """Delete the warnings of changed rows whose rules aren't broken any more."""
    rules = {rule.reason.code: rule for rule in model.machine.intake}
    if not rules or not ids:
        return
    of_rows = WorkWarning.entity_id == any_(literal(list(ids), ARRAY(BigInteger)))
    warnings = db.execute(
        select(WorkWarning.id, WorkWarning.entity_id, WorkWarning.code).where(
            WorkWarning.tenant_id == tenant_id, WorkWarning.kind == model.resource_type, of_rows
        )
    ).all()
    if not warnings:
        return
    facts = [fact for rule in rules.values() for fact in rule.facts]
    names = {"tenant_id": tenant_id, "ids": sorted({warning.entity_id for warning in warnings})}
    rows = {row.id: row._mapping for row in db.execute(select_rows(model, facts), names)}
    request = Request(model.machine.initial, by_system=True, now=now)
    ended = [
        warning.id
        for warning in warnings
        if warning.code in rules and rules[warning.code].holds(rows[warning.entity_id], request)
    ]
    if ended:
        is_ended = WorkWarning.id == any_(literal(ended, ARRAY(BigInteger)))
        db.execute(delete(WorkWarning).where(is_ended))
