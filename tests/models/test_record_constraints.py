"""What the tables of records refuse by themselves, past every interface."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

import lockside
from models.base import kinds
from tests.factories import MAKERS, tasks, work_orders

Session = psycopg.Connection[Any]

MORNING = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
NOVEMBER: dict[str, Any] = {"starts_on": date(2026, 11, 1), "ends_on": date(2026, 11, 30)}
# What a row of a table can't be without, beside what it names.
BARE: dict[str, dict[str, Any]] = {
    "work_order": {"title": "Lift", "state": "DRAFT"},
    "field_task": {"title": "Round", "state": "ASSIGNED"},
    "ticket": {"title": "Leak", "state": "NEW"},
    "attendance": {
        "state": "PENDING",
        "datefor": MORNING.date(),
        "punchintime": MORNING,
        "ctzoffset": 330,
    },
    "job": {"name": "Night round"},
    "role": {"permissions": []},
    "subscription": {"kind": "ticket"},
    "calendar": {"zone": "UTC"},
    "site": {"name": "Tower"},
}


def put(raw: Session, table: str, *, tenant: str = "demo", **values: Any) -> int:
    """Insert a row of a tenant past every interface; return its id."""
    statement = sql.SQL(
        "INSERT INTO {} (tenant_id, {}) VALUES ((SELECT id FROM tenant WHERE name = %s), {})"
        " RETURNING id"
    ).format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    found: tuple[int] | None = raw.execute(statement, [tenant, *values.values()]).fetchone()
    assert found
    return found[0]


ASSIGNEES = {"assigned_to_user": "person", "assigned_to_team": "team"}
# Which column of a table names a record of which other one.
REFERENCES = {
    "work_order": {"vendor_id": "vendor", "site_id": "site", **ASSIGNEES},
    "field_task": {"job_id": "job", "site_id": "site", **ASSIGNEES},
    "ticket": {"category_id": "ticket_category", "site_id": "site", **ASSIGNEES},
    "attendance": {"person_id": "person", "site_id": "site"},
    "job": {"ticket_category_id": "ticket_category"},
    "subscription": {"person_id": "person"},
    "person_role": {"person_id": "person", "role_id": "role"},
    "team_member": {"team_id": "team", "person_id": "person"},
    "site": {"calendar_id": "calendar"},
}


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, named in REFERENCES.items() for column in named],
)
def test_no_row_names_a_record_of_another_tenant(passing: Session, table: str, column: str) -> None:
    named: dict[str, Any] = {
        each: put(
            passing,
            resource_type,
            tenant="other" if each == column else "demo",
            **BARE.get(resource_type, {}) | {"name": "Somebody's"},
        )
        for each, resource_type in REFERENCES[table].items()
    }

    with pytest.raises(psycopg.errors.ForeignKeyViolation, match=column):
        put(passing, table, **BARE.get(table, {}), **named)


REFUSED_ROWS = [
    pytest.param(
        "ticket", {"title": "Leak", "state": "NEW", "priority": "URGENT"}, "priority_known"
    ),
    pytest.param("job", {"name": "Round", "grace_minutes": -1}, "grace_not_negative"),
    pytest.param("site", {"name": "A", "latitude": 19.0, "longitude": 72.8}, "whole_fence"),
    pytest.param("site", {"name": "A", "radius_m": 100.0}, "whole_fence"),
    pytest.param(
        "site", {"name": "A", "latitude": 90.1, "longitude": 0, "radius_m": 9}, "latitude_in_range"
    ),
    pytest.param(
        "site",
        {"name": "A", "latitude": 0, "longitude": -180.1, "radius_m": 9},
        "longitude_in_range",
    ),
    pytest.param(
        "site", {"name": "A", "latitude": 0, "longitude": 0, "radius_m": 0}, "radius_positive"
    ),
    pytest.param(
        "payroll_period",
        {"name": "Odd", "starts_on": date(2026, 11, 2), "ends_on": date(2026, 11, 1)},
        "in_order",
    ),
    pytest.param("calendar", {"name": "A", "zone": "UTC", "subdivision": "BY"}, "part_of_country"),
    pytest.param(
        "calendar",
        {"name": "A", "zone": "UTC", "days_off": ["2026-12-24"], "work_days": ["2026-12-24"]},
        "days_apart",
    ),
]


@pytest.mark.parametrize(("table", "values", "constraint"), REFUSED_ROWS)
def test_a_record_that_can_not_be_is_refused(
    passing: Session, table: str, values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        put(passing, table, **values)


REFUSED_PUNCHES = [
    pytest.param({"punchouttime": MORNING - timedelta(seconds=1)}, "punches_in_order", id="back"),
    pytest.param(
        {"punchouttime": MORNING + timedelta(hours=24, seconds=1)},
        "shift_not_too_long",
        id="more than a day",
    ),
    pytest.param({"ctzoffset": -721}, "offset_known", id="too far west"),
    pytest.param({"ctzoffset": 841}, "offset_known", id="too far east"),
]


@pytest.mark.parametrize(("values", "constraint"), REFUSED_PUNCHES)
def test_attendance_that_can_not_be_is_refused(
    passing: Session, values: dict[str, Any], constraint: str
) -> None:
    person = put(passing, "person", name="Nina")

    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        put(passing, "attendance", person_id=person, **BARE["attendance"] | values)


@pytest.mark.parametrize("ends_on", [date(2026, 11, 1), date(2026, 11, 15), date(2026, 12, 24)])
def test_a_day_is_paid_once(passing: Session, ends_on: date) -> None:
    put(passing, "payroll_period", name="November", **NOVEMBER)

    with pytest.raises(psycopg.errors.ExclusionViolation, match="payroll_period_days"):
        put(passing, "payroll_period", name="Again", starts_on=date(2026, 10, 20), ends_on=ends_on)


def test_the_periods_of_other_tenants_and_deleted_ones_are_in_nobodys_way(
    passing: Session,
) -> None:
    put(passing, "payroll_period", name="November", tenant="other", **NOVEMBER)
    put(passing, "payroll_period", name="November", deleted_at=MORNING, **NOVEMBER)
    put(
        passing,
        "payroll_period",
        name="October",
        starts_on=date(2026, 10, 1),
        ends_on=date(2026, 10, 31),
    )

    assert put(passing, "payroll_period", name="November", **NOVEMBER)


NAMED = ("person", "team", "vendor", "site", "job", "ticket_category")


@pytest.mark.parametrize("table", NAMED)
def test_a_name_is_there_once(passing: Session, table: str) -> None:
    put(passing, table, name="Ours")

    with pytest.raises(psycopg.errors.UniqueViolation, match=f"uq_{table}_tenant_id_name"):
        put(passing, table, name="Ours")


@pytest.mark.parametrize("table", NAMED)
def test_a_name_is_free_again_once_its_record_is_deleted(passing: Session, table: str) -> None:
    put(passing, table, name="Ours", deleted_at=MORNING)
    put(passing, table, name="Ours", tenant="other")

    assert put(passing, table, name="Ours")


def test_a_tenant_has_one_default_calendar(passing: Session) -> None:
    default: dict[str, Any] = {"zone": "UTC", "is_default": True}
    put(passing, "calendar", name="Gone", deleted_at=MORNING, **default)
    put(passing, "calendar", name="Theirs", tenant="other", **default)
    put(passing, "calendar", name="Ours", **default)

    with pytest.raises(psycopg.errors.UniqueViolation, match="uq_calendar_tenant_id_default"):
        put(passing, "calendar", name="Another", **default)


def test_a_person_holds_a_role_once(passing: Session) -> None:
    person, role = (
        put(passing, "person", name="Nina"),
        put(passing, "role", name="r", permissions=[]),
    )
    put(passing, "person_role", person_id=person, role_id=role)

    with pytest.raises(psycopg.errors.UniqueViolation, match="person_role"):
        put(passing, "person_role", person_id=person, role_id=role)


@pytest.mark.parametrize("target", [None, "OPEN"])
def test_a_person_follows_a_kind_once(passing: Session, target: str | None) -> None:
    wanted: dict[str, Any] = {"person_id": put(passing, "person", name="Nina"), "kind": "ticket"}
    put(passing, "subscription", target_state=target, **wanted)

    with pytest.raises(psycopg.errors.UniqueViolation, match="subscription"):
        put(passing, "subscription", target_state=target, **wanted)


def test_a_task_has_one_reading_of_a_name(site: lockside.Session, raw: Session) -> None:
    (task,) = tasks(site, 1)
    put(raw, "field_task_reading", task_id=task, name="Pressure", value="4")

    with pytest.raises(psycopg.errors.UniqueViolation, match="field_task_reading"):
        put(raw, "field_task_reading", task_id=task, name="Pressure", value="5")


def test_a_reading_is_an_observation_or_of_a_meter(site: lockside.Session, raw: Session) -> None:
    (task,) = tasks(site, 1)

    with pytest.raises(psycopg.errors.CheckViolation, match="sort_known"):
        put(raw, "field_task_reading", task_id=task, name="Smell", value="bad", sort="smell")


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_line_is_of_one_piece_at_least(
    site: lockside.Session, raw: Session, quantity: int
) -> None:
    (order,) = work_orders(site, 1)

    with pytest.raises(psycopg.errors.CheckViolation, match="quantity_positive"):
        put(raw, "work_order_line", work_order_id=order, description="Rope", quantity=quantity)


def test_no_task_is_a_checkpoint_of_itself(site: lockside.Session, raw: Session) -> None:
    (task,) = tasks(site, 1)
    raw.execute("SET LOCAL lockside.override = 'test'")

    with pytest.raises(psycopg.errors.CheckViolation, match="no_own_parent"):
        raw.execute(
            "UPDATE field_task SET parent_id = id, version = version + 1 WHERE id = %s", [task]
        )


@pytest.mark.parametrize("kind", MAKERS)
def test_a_row_of_another_system_is_there_once(
    raw: Session, site: lockside.Session, kind: str
) -> None:
    table = kinds()[kind].__tablename__
    MAKERS[kind](site, 1, reference="SAP-7")
    person: dict[str, Any] = {"person_id": site.actor.person_id} if kind == "attendance" else {}

    with pytest.raises(psycopg.errors.UniqueViolation, match=f"uq_{table}_tenant_id_reference"):
        put(raw, table, reference="SAP-7", **BARE[table], **person)
