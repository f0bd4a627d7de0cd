"""What is due is found by an index, however much work has been closed long ago."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

import lockside
from engine.policies.due import find_due
from engine.scheduling.policy_commands import policy_named
from tests.engine.clockwork import NOON

pytestmark = pytest.mark.slow

CLOSED, WAITING, OVERDUE = 985_000, 14_500, 500

# One plant after some years: almost everything is closed and was due long ago.
_FILL = text("""
INSERT INTO field_task (tenant_id, title, state, due_at, parent_id)
SELECT :tenant_id, 'Task ' || n,
       CASE WHEN n <= :closed THEN 'AUTOCLOSED' ELSE (ARRAY['ASSIGNED', 'WORKING'])[n % 2 + 1] END,
       CASE WHEN n <= :closed THEN CAST(:noon AS timestamptz) - n * interval '1 minute'
            WHEN n <= :closed + :waiting THEN :noon + n * interval '1 second'
            ELSE :noon - (n - :closed) * interval '1 second' END, NULL
  FROM generate_series(1, :closed + :waiting + :overdue) AS n
""")


@pytest.mark.timeout(900)
def test_a_million_tasks_are_looked_through_by_their_index(site: lockside.Session) -> None:
    names = {"closed": CLOSED, "waiting": WAITING, "overdue": OVERDUE, "noon": NOON}
    with site.platform.database.connect() as db:
        # What stands there for the plan alone needs neither guard nor record.
        db.execute(text("SET session_replication_role = replica"))
        db.execute(text("SET statement_timeout = 0"))
        db.execute(_FILL, {"tenant_id": site.actor.tenant_id, **names})
        db.execute(text("ANALYZE field_task"))
        for name in ("overdue-tasks", "overdue-tours", "task-sla"):
            policy = policy_named(db, site.actor.tenant_id, name)
            due = find_due(db, policy, NOON)
            query = due.select(due.model.id).where(due.is_due).order_by(due.since).limit(100_000)
            (plan,) = explain(db, query)
            nodes = [each for each in walk(plan["Plan"]) if reads_tasks_by(each)]

            assert {each["Node Type"] for each in nodes} <= {
                "Index Scan",
                "Index Only Scan",
                "Bitmap Index Scan",
                "Bitmap Heap Scan",
            }
            if name != "overdue-tours":  # of these it may as well begin with the checkpoints
                assert "ix_field_task_due" in {each.get("Index Name") for each in nodes}, name
            assert max(looked_at(each) for each in nodes) <= 2 * OVERDUE, name
            assert plan["Plan"]["Actual Rows"] == (0 if name == "overdue-tours" else OVERDUE)
        db.rollback()


def explain(db: Any, query: Any) -> Any:
    """Run a query and return its plan with what each step really did."""
    dialect: Any = postgresql.psycopg.dialect  # its class is its maker
    compiled = query.compile(dialect=dialect(), compile_kwargs={"render_postcompile": True})
    asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}"
    return db.exec_driver_sql(asked, dict(compiled.params)).scalar_one()


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of a plan."""
    yield node
    for each in node.get("Plans", ()):
        yield from walk(each)


def reads_tasks_by(node: dict[str, Any]) -> bool:
    """Say whether a step reads tasks, or an index of theirs."""
    return node.get("Relation Name") == "field_task" or "field_task" in node.get("Index Name", "")


def looked_at(node: dict[str, Any]) -> float:
    """Return how many rows a step looked at."""
    seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return float(seen * node["Actual Loops"])
