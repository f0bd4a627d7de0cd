"""A fifth kind of work: one machine, one table, one migration. Run on a database of its own.

    python -m tests.engine.fifth_kind

Prints as JSON what every use case said; a process of its own, for a mapped class stays mapped.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import BigInteger, ForeignKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

import lockside
from domain.errors import LocksideError
from domain.machines.machine import Machine, arrow, needs, needs_comments
from engine.records.standard_roles import update_standard_roles
from models.base import Assignable, Work, work_table
from models.people import assignee_keys
from models.schema_upgrade import upgrade
from tests.checker import check_invariants
from tests.engine.steps import drain, query, raw
from tests.engine.works import denials, do, move

GRADES = ("A", "B", "C")

INSPECTION = Machine(
    kind="inspection",
    initial="PLANNED",
    final=("FILED",),
    transitions=(
        arrow("PLANNED", "DONE", "carry_out", undo=True),
        arrow(
            "DONE", "FILED", "file", needs_comments,
            needs("grade", code="grade_missing", message="Cannot file without a grade"),
        ),
        arrow("DONE", "PLANNED", "repeat", needs_comments),
    ),
)  # fmt: skip


class Inspection(Assignable, Work):
    """Somebody looks at a site and gives it a grade."""

    __tablename__ = "inspection"
    __table_args__ = work_table(
        "inspection",
        ForeignKeyConstraint(["tenant_id", "site_id"], ["site.tenant_id", "site.id"]),
        *assignee_keys(),
    )
    machine = INSPECTION
    choices = {"grade": GRADES}  # noqa: RUF012 -- declared as a ClassVar by Record

    title: Mapped[str]
    site_id: Mapped[int | None] = mapped_column(BigInteger)
    grade: Mapped[str | None]
    due_at: Mapped[datetime | None]


def migrate(site: lockside.Session) -> None:
    """Do what the kind's migration does, and bring the database up to date."""
    with site.platform.database.begin() as db:
        Inspection.metadata.tables["inspection"].create(db)
        db.execute(text("SELECT lockside_protect('inspection', 'inspection')"))
    upgrade(site.platform.database)
    update_standard_roles(site.platform)


def refused(ask: Callable[[], object]) -> str | None:
    """Return the code or SQLSTATE with which something is refused."""
    try:
        ask()
    except LocksideError as error:
        return error.code
    except psycopg.Error as error:
        return error.sqlstate
    return None


def verbs(site: lockside.Session) -> dict[str, Any]:
    """Import, and do with the rows what every verb does."""
    site.records("site").create(name="Tower")
    site.add_named("team", ["Inspectors"])
    planned = [{"title": f"Floor {n}", "site": "Tower"} for n in range(3)]
    ids = site.import_work("inspection", planned)
    (done,) = site.import_work("inspection", [{"title": "Roof", "state": "DONE", "grade": "B"}])
    bulk = do(site, "inspection", ids, target="done", atomic=False, chunk_items=2)
    return {
        "bulk": drain(site, bulk)["successful_items"],
        "rule": move(site, "inspection", ids[0], "FILED")["failure_codes"],
        "comments": move(site, "inspection", done, "FILED", comments=None)["failure_codes"],
        "no arrow": move(site, "inspection", done, "PLANNED", comments=None)["failure_codes"],
        "assigned": drain(
            site,
            do(site, "inspection", ids, verb="assign", values={"assigned_to_team": "Inspectors"}),
        )["state"],
        "updated": drain(site, do(site, "inspection", ids, verb="update", values={"grade": "a"}))[
            "state"
        ],
        "filed": move(site, "inspection", ids[0], "FILED")["state"],
        "locked": drain(
            site, do(site, "inspection", ids, verb="update", values={"grade": "C"}, atomic=False)
        )["failure_codes"],
        "performed": drain(
            site, UUID(site.perform("inspection", "carry_out", ids, dry_run=True).id)
        )["operation_type"],
        "states": site.states("inspection"),
        "explained": [
            (each["verb"], [reason["code"] for reason in each["reasons"]])
            for each in site.explain("inspection", ids[1])["transitions"]
        ],
        "selection": site.explain("inspection", ids, to="FILED")["already_there"],
        "wrong grade": refused(
            lambda: do(site, "inspection", ids, verb="update", values={"grade": "Z"})
        ),
        "ids": ids,
    }


def records(site: lockside.Session) -> dict[str, Any]:
    """Create, read, update, list and delete one."""
    known = site.records("inspection")
    made = known.create(title="Cellar", site="Tower", assigned_to_user="asha")
    changed = known.update(made["id"], expected_version=1, grade="C")
    told = {
        "state": made["state"],
        "versions": [made["version"], changed["version"]],
        "stale": refused(lambda: known.delete(made["id"], expected_version=1)),
        "deleted": known.delete(made["id"]),
        "gone": refused(lambda: known.get(made["id"])),
    }
    check_invariants(site)
    return told | {
        "timeline": [each["event_type"] for each in site.timeline("inspection", made["id"])],
        "listed": len(known.list()),
    }


def guard(site: lockside.Session, ids: list[int]) -> dict[str, Any]:
    """Try what the database has to refuse; *ids* are a filed row and two that are done."""
    override = "SET LOCAL lockside.override = 'test'; "
    change = "UPDATE inspection SET version = version + 1, updated_at = now()"
    tried = {
        "no operation": f"{change}, state = 'PLANNED' WHERE id = {ids[1]}",
        "no arrow": f"{override}{change}, state = 'NOWHERE' WHERE id = {ids[1]}",
        "final": f"{override}{change} WHERE id = {ids[0]}",
        "no next version": f"{override}UPDATE inspection SET grade = 'C' WHERE id = {ids[1]}",
        "deletion": f"{override}DELETE FROM inspection",
        "insertion": "INSERT INTO inspection (tenant_id, title, state) VALUES (1, 'x', 'PLANNED')",
        "an override along an arrow": f"{override}{change}, state = 'PLANNED' WHERE id = {ids[2]}",
    }
    answers = {}
    for name, statement in tried.items():
        with raw(site) as session:
            answers[name] = refused(lambda: session.execute(statement.encode()))  # noqa: B023
            with suppress(psycopg.Error):
                session.commit()
    return answers


def trail(site: lockside.Session, row_id: int) -> dict[str, Any]:
    """Tell what was recorded, and what is refused to whom."""
    check_invariants(site)
    site.act_as("demo", "victor")
    denied = move(site, "inspection", row_id, "FILED")["failure_codes"]
    seen = site.row("inspection", row_id)["state"]
    denial = denials(site)[-1]
    site.act_as("other", "admin")
    foreign = refused(lambda: site.row("inspection", row_id))
    site.act_as("demo", "admin")
    check_invariants(site)
    counted = query(
        site,
        "SELECT (SELECT count(*)::int FROM state_transition_audit WHERE kind = 'inspection'"
        " AND success) AS transitions, (SELECT count(*)::int FROM audit_log"
        " WHERE kind = 'inspection' AND success) AS others",
    )
    return {
        "timeline": [
            (each["event_type"], each["version"], each["error_code"])
            for each in site.timeline("inspection", row_id)
        ],
        "denied": denied,
        "denial": [denial["kind"], denial["required_permissions"]],
        "viewer sees": seen,
        "foreign": foreign,
        "records": counted[0],
    }


def main() -> None:
    """Do everything and print what came of it."""
    with lockside.connect() as site:
        migrate(site)
        done = verbs(site)
        told = {
            "machine": sorted(INSPECTION.verbs),
            "verbs": done,
            "records": records(site),
            "guard": guard(site, done["ids"]),
            "trail": trail(site, done["ids"][1]),
        }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
