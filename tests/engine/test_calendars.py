"""Calendars are made as they are written, and business time goes by them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import lockside
from domain.business_time.calendar import Calendar
from domain.errors import InvalidInput, PermissionDenied
from engine.calendars import ALWAYS, calendars_of
from tests.engine.steps import query
from tests.engine.works import NOON, clock_from, denials
from tests.sentences import Sentences

OFFICE = {"zone": "Europe/Berlin", "hours": "Mon-Fri 08:00-18:00", "country": "DE"}
# The days before and after Christmas 2026, which is a Friday.
BEGIN = datetime(2026, 12, 24, tzinfo=UTC)
END = datetime(2026, 12, 29, tzinfo=UTC)


def calendars(site: lockside.Session) -> dict[int | None, Calendar]:
    with site.platform.database.connect() as db:
        return calendars_of(db, site.actor.tenant_id)


def made(site: lockside.Session, **values: Any) -> dict[str, Any]:
    return site.records("calendar").create(**{"name": "Office", **OFFICE, **values})


def test_what_is_written_is_stored_in_one_form(site: lockside.Session) -> None:
    row = made(
        site, zone="europe/berlin", hours="sat 9:00-13:00", country="de", subdivision="BY",
        days_off="2026-12-31,2026-12-24", is_default="yes",
    )  # fmt: skip

    told = (row["zone"], row["hours"], row["country"], row["days_off"], row["is_default"])
    days = ["2026-12-24", "2026-12-31"]
    assert told == ("Europe/Berlin", "Sat 09:00-13:00", "DE", days, True)


def test_business_hours_are_the_default(site: lockside.Session) -> None:
    row = site.records("calendar").create(name="Office", zone="UTC")

    assert (row["hours"], row["is_default"], row["days_off"]) == ("Mon-Fri 09:00-17:00", False, [])


WRONG = [
    ({"zone": "Berlin"}, "zone", "Berlin"),
    ({"hours": "Mon 9-5"}, "hours", "Mon 9-5"),
    ({"hours": "Mon 18:00-09:00"}, "hours", "Mon 18:00-09:00"),
    ({"country": "Germany"}, "country", "Germany"),
    ({"subdivision": "MH"}, "subdivision", "MH"),
    ({"country": None, "subdivision": "BY"}, "subdivision", "BY"),
    ({"days_off": "Christmas"}, "days_off", "Christmas"),
    ({"is_default": "maybe"}, "is_default", "maybe"),
    ({"days_off": "2026-12-25", "work_days": "2026-12-25"}, "work_days", ["2026-12-25"]),
]


@pytest.mark.parametrize(("values", "field", "got"), WRONG)
def test_a_calendar_that_can_not_be_is_refused(
    site: lockside.Session,
    values: dict[str, Any],
    field: str,
    got: Any,
    says: Sentences,
) -> None:
    with pytest.raises(InvalidInput, check=says) as told:
        made(site, **values)

    assert (told.value.facts["field"], told.value.facts["got"]) == (field, got)


def test_calendars_are_found_by_what_they_hold(site: lockside.Session, says: Sentences) -> None:
    row = made(site, days_off="2026-12-24", is_default=True)
    made(site, name="Another", zone="UTC")

    for where in (
        "zone = europe/berlin and country = DE",
        "is_default = true",
        "days_off contains 2026-12-24",
    ):
        found = site.records("calendar").list(where=f"{where} and name = Office")
        assert [each["id"] for each in found] == [row["id"]]
    with pytest.raises(InvalidInput, check=says):
        site.records("calendar").list(where="zone = Atlantis")


def test_a_tenant_has_one_default(site: lockside.Session) -> None:
    first = made(site, is_default=True)

    with pytest.raises(InvalidInput):
        made(site, name="Another", is_default=True)

    site.records("calendar").update(first["id"], is_default=False)
    assert made(site, name="Another", is_default=True)["is_default"]


def test_a_tenant_without_a_default_works_day_and_night(site: lockside.Session) -> None:
    row = made(site)

    found = calendars(site)

    assert set(found) == {None, row["id"]}
    assert found[None] == ALWAYS
    assert ALWAYS.elapsed(BEGIN, END) == END - BEGIN


def test_business_time_leaves_out_nights_weekends_and_holidays(site: lockside.Session) -> None:
    row = made(site, days_off=["2026-12-28"], is_default=True)

    found = calendars(site)

    assert found[None] is found[row["id"]]
    assert found[None].elapsed(BEGIN, END) == timedelta(hours=10)


def test_a_holiday_may_be_worked(site: lockside.Session) -> None:
    row = made(site, work_days=["2026-12-25"])

    assert calendars(site)[row["id"]].elapsed(BEGIN, END) == timedelta(hours=30)


def test_calendars_of_others_and_deleted_ones_are_not_among_them(site: lockside.Session) -> None:
    row = made(site, is_default=True)
    site.records("calendar").delete(row["id"])
    site.act_as("other", "admin")
    made(site, is_default=True)
    site.act_as("demo", "admin")

    assert calendars(site) == {None: ALWAYS}


def test_a_site_names_its_calendar(site: lockside.Session) -> None:
    row = made(site)

    place = site.records("site").create(name="Tower", calendar="Office")

    assert place["calendar_id"] == row["id"]


NIGHT = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)
"""On a Wednesday: the morning after in Kolkata."""
FAR_EAST = {"zone": "Asia/Kolkata", "hours": "Thu 05:00-06:00", "country": None}
OUT = [
    pytest.param({}, NOON, False, id="noon without a calendar"),
    pytest.param({}, NIGHT, True, id="night without a calendar"),
    pytest.param(FAR_EAST, NOON, True, id="evening in Kolkata"),
    pytest.param(FAR_EAST, NIGHT, False, id="morning in Kolkata"),
    pytest.param(FAR_EAST | {"days_off": "2026-11-19"}, NIGHT, True, id="on a day off"),
    pytest.param(FAR_EAST | {"is_default": False}, NIGHT, True, id="not the default"),
]


@pytest.mark.parametrize(("values", "moment", "is_out"), OUT)
def test_whoever_is_refused_out_of_their_tenants_hours_is_flagged(
    site: lockside.Session, values: dict[str, Any], moment: datetime, *, is_out: bool
) -> None:
    if values:
        made(site, **{"is_default": True, **values})
    site.platform = clock_from(site, moment)
    with pytest.raises(InvalidInput):
        site.records("role").create(name="viewer", permissions=[])
    site.act_as("demo", "victor")
    with pytest.raises(PermissionDenied):
        site.records("vendor").create(name="Mine")

    (denial,) = denials(site)
    (refused,) = query(site, "SELECT security_flags FROM audit_log WHERE NOT success")
    assert ("out_of_hours" in refused["security_flags"]) is is_out
    assert ("out_of_hours" in (denial["security_flags"] or ())) is is_out
