"""State invariants: keep the rules that let work into its state true while it is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row

from domain.errors import RuleRefused
from domain.machines.machine import Machine, Reason, Request, Rule
from models.base import Record, Work
from models.facts import is_own, select_rows


@contextmanager
def keep_state_invariants(
    db: Connection, tenant_id: int, model: type[Record] | None, row: Row[Any] | None
) -> Iterator[None]:
    """Let the block write children of a locked row, unless they break the row's state invariants.

    A rule that was broken before, for example on an imported row, may stay broken.

    Raises:
        RuleRefused: A rule of every transition into the row's state held before the block and
            doesn't hold after it.
    """
    if row is None or model is None or not issubclass(model, Work):
        yield
        return
    before = _broken(db, tenant_id, model, row)
    yield
    new = [reason for reason in _broken(db, tenant_id, model, row) if reason not in before]
    if new:
        why = "; ".join(reason.sentence for reason in new)
        raise RuleRefused(
            message=f"{model.resource_type} {row.id} is {row.state}: {why}",
            reasons=[{"code": reason.code} for reason in new],
            id=row.id,
        )


def _broken(db: Connection, tenant_id: int, model: type[Work], row: Row[Any]) -> list[Reason]:
    rules = [
        rule
        for rule in _rules_of_all_transitions_to(model.machine, row.state)
        if any(not is_own(model, fact) for fact in rule.facts)
    ]
    if not rules:
        return []
    facts = [fact for rule in rules for fact in rule.facts]
    row_facts = db.execute(
        select_rows(model, facts), {"tenant_id": tenant_id, "ids": [row.id]}
    ).one()
    request = Request(row.state, by_system=True)
    return [
        rule.reason_for(row_facts._mapping)
        for rule in rules
        if not rule.holds(row_facts._mapping, request)
    ]


def _rules_of_all_transitions_to(machine: Machine, state: str) -> list[Rule]:
    rule_sets = [arrow.rules for arrow in machine.transitions if arrow.target == state]
    if not rule_sets:
        return []
    return [rule for rule in rule_sets[0] if all(rule in rules for rules in rule_sets)]
