"""Rules that are judged when work comes in, and only warn then."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert

from domain.machine import Request
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
            "kind": model.noun,
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
