"""What the state of work stands on: a rule that let it in holds for as long as it is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row

from domain.errors import RuleRefused
from domain.machines.machine import Machine, Reason, Request, Rule
from models.base import Record, Work
from models.facts import is_own, select_rows


@contextmanager
def keep_standing(
    db: Connection, tenant_id: int, model: type[Record] | None, row: Row[Any] | None
) -> Iterator[None]:
    """Let the block write parts of a locked row, unless its state would stand on nothing then.

    What didn't hold before, for an imported row say, may stay broken.

    Raises:
        RuleRefused: A rule that every way into the row's state asks for held before the block
            and doesn't after it.
    """
    if row is None or model is None or not issubclass(model, Work):
        yield
        return
    before = _broken(db, tenant_id, model, row)
    yield
    new = [each for each in _broken(db, tenant_id, model, row) if each not in before]
    if new:
        why = "; ".join(each.sentence for each in new)
        raise RuleRefused(
            message=f"{model.resource_type} {row.id} is {row.state}: {why}",
            reasons=[{"code": each.code} for each in new],
            id=row.id,
        )


def _broken(db: Connection, tenant_id: int, model: type[Work], row: Row[Any]) -> list[Reason]:
    rules = [
        rule
        for rule in _rules_into(model.machine, row.state)
        if any(not is_own(model, fact) for fact in rule.facts)
    ]
    if not rules:
        return []
    facts = [fact for rule in rules for fact in rule.facts]
    found = db.execute(select_rows(model, facts), {"tenant_id": tenant_id, "ids": [row.id]}).one()
    asked = Request(row.state, by_system=True)
    return [
        rule.reason_for(found._mapping) for rule in rules if not rule.holds(found._mapping, asked)
    ]


def _rules_into(machine: Machine, state: str) -> list[Rule]:
    ways = [each.rules for each in machine.transitions if each.target == state]
    return [rule for rule in ways[0] if all(rule in each for each in ways)] if ways else []
