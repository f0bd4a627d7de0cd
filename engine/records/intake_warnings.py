"""Rules that are judged when work comes in, and only warn then, for as long as they are broken."""

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
    """Note on new rows which intake rules of their machine they break; return how many do."""
    rules = model.machine.intake
    if not rules or not ids:
        return 0
    facts = [fact for rule in rules for fact in rule.facts]
    rows = db.execute(select_rows(model, facts), {"tenant_id": tenant_id, "ids": list(ids)})
    asked = Request(model.machine.initial, by_system=True, now=now)
    found = [
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
        if not rule.holds(row._mapping, asked)
    ]
    if found:
        db.execute(insert(WorkWarning), found)
    return len(found)


def drop_warnings(
    db: Connection, model: type[Work], tenant_id: int, ids: Sequence[int], now: datetime
) -> None:
    """Drop the warnings of changed rows whose rules aren't broken any more."""
    rules = {rule.reason.code: rule for rule in model.machine.intake}
    if not rules or not ids:
        return
    of_rows = WorkWarning.entity_id == any_(literal(list(ids), ARRAY(BigInteger)))
    noted = db.execute(
        select(WorkWarning.id, WorkWarning.entity_id, WorkWarning.code).where(
            WorkWarning.tenant_id == tenant_id, WorkWarning.kind == model.resource_type, of_rows
        )
    ).all()
    if not noted:
        return
    facts = [fact for rule in rules.values() for fact in rule.facts]
    named = {"tenant_id": tenant_id, "ids": sorted({each.entity_id for each in noted})}
    rows = {row.id: row._mapping for row in db.execute(select_rows(model, facts), named)}
    asked = Request(model.machine.initial, by_system=True, now=now)
    over = [
        each.id
        for each in noted
        if each.code in rules and rules[each.code].holds(rows[each.entity_id], asked)
    ]
    if over:
        ended = WorkWarning.id == any_(literal(over, ARRAY(BigInteger)))
        db.execute(delete(WorkWarning).where(ended))
