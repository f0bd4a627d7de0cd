"""The trail: one over all four records, found by whatever is asked, page by page, one tenant's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

import lockside
from domain.errors import InvalidInput
from engine.audit.writer import write_records
from models.trail import TRAIL
from reads.audit.trail import PageEnd, TrailSearch, page_of, read_trail
from tests.engine.steps import ask, drain, query
from tests.factories import tickets, work_orders
from tests.sentences import Sentences


def told(site: lockside.Session, most: int = 100, **sought: Any) -> list[dict[str, Any]]:
    """Return a page of the tenant's trail."""
    with site.platform.database.connect() as db:
        return read_trail(db, site.actor.tenant_id, TrailSearch(**sought), most=most)


def events(page: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(each["record"], each["event_type"], each["entity_id"]) for each in page]


def test_the_view_has_exactly_the_columns_that_queries_know(site: lockside.Session) -> None:
    found = query(
        site,
        "SELECT attname, format_type(atttypid, NULL) AS kind FROM pg_attribute"
        " WHERE attrelid = 'audit_trail'::regclass AND attnum > 0 ORDER BY attnum",
    )

    dialect = site.platform.database.dialect
    known = [(each.name, each.type.compile(dialect).lower()) for each in TRAIL.c]
    assert [(each["attname"], each["kind"]) for each in found] == known


def test_one_trail_holds_all_four_records(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    drain(site, ask(site, ids))
    site.act_as("demo", "victor")
    drain(site, ask(site, work_orders_of_admin(site), target="APPROVED"))
    write_records(site.platform)

    assert {each["record"] for each in told(site)} == {
        *("state_transition", "audit_log", "bulk_operation", "permission_denial"),
    }


def work_orders_of_admin(site: lockside.Session) -> list[int]:
    """Bring work in as the administrator; go on as who asked."""
    actor = site.actor
    site.act_as("demo", "admin")
    ids = work_orders(site, 2)
    site.actor = actor
    return ids


def test_the_trail_of_a_row_is_its_own_newest_first(site: lockside.Session) -> None:
    ids = tickets(site, 3)
    drain(site, ask(site, ids, kind="ticket", target="OPEN"))
    write_records(site.platform)

    page = told(site, kind="ticket", entity_id=ids[1])

    assert events(page) == [
        ("state_transition", "STATE_CHANGED", ids[1]),
        ("audit_log", "CREATED", ids[1]),
    ]


def test_the_trail_of_an_actor_is_what_they_did_by_name(site: lockside.Session) -> None:
    ids = tickets(site, 2)
    site.act_as("demo", "dora")
    drain(site, ask(site, ids[:1], kind="ticket", target="OPEN"))
    write_records(site.platform)

    page = told(site, actor_id=site.actor.person_id)

    assert [(each["actor"], each["entity_id"]) for each in page] == [("dora", ids[0])]


def test_the_system_has_a_trail_of_its_own(site: lockside.Session) -> None:
    tickets(site, 1)
    site.act_as("demo", None)
    ids = tickets(site, 1)
    write_records(site.platform)

    assert events(told(site, actor_id=0)) == [("audit_log", "CREATED", ids[0])]


def test_the_trail_of_an_operation_is_all_that_it_did(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids)
    drain(site, operation_id)
    write_records(site.platform)

    page = told(site, correlation_id=operation_id, oldest_first=True)

    assert events(page) == [
        *(("state_transition", "STATE_CHANGED", each) for each in ids),
        ("bulk_operation", "BULK_OPERATION", None),
    ]


def test_a_span_holds_its_beginning_and_not_its_end(site: lockside.Session) -> None:
    tickets(site, 1)
    tickets(site, 1)
    write_records(site.platform)
    first, second = (each["occurred_at"] for each in reversed(told(site)))

    page = told(site, since=first, until=second)

    assert [each["occurred_at"] for each in page] == [first]


def test_failures_alone_are_what_was_refused(site: lockside.Session) -> None:
    ids = work_orders(site, 1) + work_orders(site, 1, vendor=False)
    drain(site, ask(site, ids, atomic=False))
    write_records(site.platform)

    page = told(site, failed=True, record="state_transition")

    assert [(each["entity_id"], each["error_code"]) for each in page] == [
        (ids[1], "vendor_missing")
    ]


def test_denials_alone_tell_what_was_asked_for(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    site.act_as("demo", "victor")
    drain(site, ask(site, ids))
    write_records(site.platform)

    (denial,) = told(site, record="permission_denial")

    assert (denial["actor"], denial["error_code"]) == ("victor", "permission_denied")
    assert denial["metadata"]["required_permissions"] == ["work_order.approve"]
    assert denial["metadata"]["entity_ids"] == ids


@pytest.mark.parametrize("oldest_first", [False, True])
def test_pages_hold_every_record_once_in_order(site: lockside.Session, oldest_first: bool) -> None:
    for count in (5, 1, 7):
        drain(site, ask(site, work_orders(site, count)))
    write_records(site.platform)
    whole = told(site, most=1000, oldest_first=oldest_first)

    pages = list(paged(site, TrailSearch(oldest_first=oldest_first), most=4))

    assert pages == whole
    assert len(whole) == 13 * 2 + 2
    assert whole == sorted(
        whole, key=lambda each: (each["occurred_at"], each["event_id"]), reverse=not oldest_first
    )


def paged(site: lockside.Session, sought: TrailSearch, *, most: int) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        with site.platform.database.connect() as db:
            page = read_trail(db, site.actor.tenant_id, sought, after=after, most=most)
        if not page:
            return
        yield from page
        after = PageEnd.read(str(PageEnd.of(page[-1])))


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-11-22T09:30:00+00:00_x", f"2026-11-22T09:30:00_{UUID(int=0)}"],
)
def test_a_cursor_that_is_none_is_refused(text: str, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        PageEnd.read(text)


def test_no_tenant_sees_another_ones_trail(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    operation_id = ask(site, [row_id], kind="ticket", target="OPEN")
    drain(site, operation_id)
    write_records(site.platform)
    site.act_as("other", "admin")

    asked: list[dict[str, Any]] = [
        {},
        {"kind": "ticket", "entity_id": row_id},
        {"correlation_id": operation_id},
    ]
    assert [told(site, **each) for each in asked] == [[], [], []]


MANY = 100_000

_FILL = """
INSERT INTO {table} ({shared}, {columns})
SELECT gen_random_uuid(), now() - make_interval(secs => n), :tenant, md5('o' || n / 500)::uuid,
       n % 50, (ARRAY['ticket', 'task', 'work_order'])[1 + n % 3], {values}
  FROM generate_series(1, :many) AS n
"""
_SHARED = "event_id, occurred_at, tenant_id, correlation_id, actor_id, kind"


@pytest.fixture
def many(site: lockside.Session) -> Iterator[Connection]:
    """Fill the records with a hundred thousand; give a connection that knows how many."""
    filled = {
        "state_transition_audit": (
            "entity_id, version, from_state, to_state, reason, success",
            "n % 20000, 1 + n / 20000, 'OPEN', 'INPROGRESS', 'bulk', n % 1000 <> 0",
        ),
        "audit_log": (
            "event_type, entity_id, version, reason, changes, success",
            "'UPDATED', n % 20000, 1 + n / 20000, 'bulk', '{}', n % 1000 <> 0",
        ),
    }
    names = {"tenant": site.actor.tenant_id, "many": MANY // 2}
    with site.platform.database.begin() as db:
        for table, (columns, values) in filled.items():
            db.execute(
                text(_FILL.format(table=table, shared=_SHARED, columns=columns, values=values)),
                names,
            )
    with site.platform.database.connect() as db:
        db.execute(text("ANALYZE"))
        yield db


def plan_of(db: Connection, tenant_id: int, sought: TrailSearch) -> str:
    page = page_of(tenant_id, sought, None, 51).compile(dialect=db.dialect)
    explain = f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {page}"
    return "\n".join(each[0] for each in db.exec_driver_sql(explain, dict(page.params)))


SOUGHT = {
    "everything": (TrailSearch(), "_tenant_id_occurred_at_event_id_idx"),
    "oldest first": (TrailSearch(oldest_first=True), "_tenant_id_occurred_at_event_id_idx"),
    "of a span": (
        TrailSearch(since=datetime.now(UTC) - timedelta(hours=2), until=datetime.now(UTC)),
        "_tenant_id_occurred_at_event_id_idx",
    ),
    "of a row": (
        TrailSearch(kind="ticket", entity_id=4242),
        "_tenant_id_kind_entity_id_version_idx",
    ),
    "of an actor": (TrailSearch(actor_id=7), "_tenant_id_actor_id_occurred_at_idx"),
    "of an operation": (
        TrailSearch(correlation_id=UUID("0ed6bb1a-3ac2-4a8f-8fe5-3f39b3d3a4a6")),
        "_tenant_id_correlation_id_occurred_at_idx",
    ),
    "of failures": (TrailSearch(failed=True), "_tenant_id_occurred_at_idx"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUGHT)
def test_a_search_reads_its_page_from_an_index_and_not_the_whole_table(
    site: lockside.Session, many: Connection, name: str
) -> None:
    sought, index = SOUGHT[name]

    plan = plan_of(many, site.actor.tenant_id, sought)

    assert index in plan, plan
    assert max(rows_read(plan)) <= 1000, plan


def rows_read(plan: str) -> Iterator[int]:
    """Yield how many rows each step of a plan gave, and how many it threw away."""
    for line in plan.splitlines():
        if "actual rows=" in line:
            yield int(float(line.partition("actual rows=")[2].split()[0]))
        if "Rows Removed by Filter" in line:
            yield int(line.partition(": ")[2])
