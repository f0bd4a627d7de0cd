"""Demo master data: create the sites, jobs, people, teams and payroll periods of a demo."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from lockside.demo_data.choices import choices
from lockside.session.session import Session

_RADIUS_M = 250.0
_ROLE = "technician"
_MISSED = "Missed rounds"

MONTHS = 3
"""How many months have a payroll period: the present one and those before it."""

_CUTOFF_DAYS = 8

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Month:
    """A payroll month: its days, and until when they can be approved."""

    starts_on: date
    ends_on: date
    cutoff_at: datetime

    @classmethod
    def of(cls, day: date) -> "Month":
        """Return the month of a day."""
        first = day.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        cutoff = datetime.combine(last + timedelta(days=_CUTOFF_DAYS), time(), UTC)
        return cls(first, last, cutoff)

    @classmethod
    def until(cls, day: date) -> list["Month"]:
        """Return the `MONTHS` months up to that of a day, the newest first."""
        months = [cls.of(day)]
        while len(months) < MONTHS:
            months.append(cls.of(months[-1].starts_on - timedelta(days=1)))
        return months


@dataclass(frozen=True, slots=True)
class MasterData:
    """The ids of all records that demo work refers to, by name."""

    vendors: Mapping[str, int]
    categories: Mapping[str, int]
    sites: Mapping[str, int]
    jobs: Mapping[str, int]
    teams: Mapping[str, int]
    people: Mapping[str, int]

    def team_of(self, person: str) -> int:
        """Return the id of a person's team."""
        return next(
            self.teams[team] for team, members in choices().teams.items() if person in members
        )


def add_master_data(site: Session, today: date) -> MasterData:
    """Make sure that all records exist that demo work refers to; existing ones don't change."""
    demo = choices()
    categories = site.add_named("ticket_category", demo.categories)
    jobs = {
        name: {**job, "ticket_category_id": categories[_MISSED]} for name, job in demo.jobs.items()
    }
    base = MasterData(
        vendors=site.add_named("vendor", demo.vendors),
        categories=categories,
        sites=_add_records(
            site, "site", {name: _fence(*centre) for name, centre in demo.sites.items()}
        ),
        jobs=_add_records(site, "job", jobs),
        teams=site.add_named("team", list(demo.teams)),
        people=_add_records(site, "person", {name: {} for name in demo.people}),
    )
    role = next(role["id"] for role in site.records("role").each() if role["name"] == _ROLE)
    people = base.people.items()
    _add_links(
        site, "person_role", ({"person_id": person_id, "role_id": role} for _, person_id in people)
    )
    _add_links(
        site,
        "team_member",
        ({"team_id": base.team_of(name), "person_id": person_id} for name, person_id in people),
    )
    _add_payroll_periods(site, Month.until(today))
    return base


def _add_records(
    site: Session, resource_type: str, values_by_name: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """Make sure that records of these names exist; return their ids, by name."""
    records = site.records(resource_type)
    ids = {record["name"]: record["id"] for record in records.each()}
    for name, values in values_by_name.items():
        if name not in ids:
            ids[name] = records.create(name=name, **values)["id"]
    return {name: ids[name] for name in values_by_name}


def _add_links(site: Session, resource_type: str, links: Iterable[dict[str, int]]) -> None:
    """Make sure that records with these values exist."""
    records = site.records(resource_type)
    existing = list(records.each())
    for link in links:
        if not any(
            all(record[name] == row_id for name, row_id in link.items()) for record in existing
        ):
            records.create(**link)


def _add_payroll_periods(site: Session, months: Iterable[Month]) -> None:
    """Make sure that the days of some months are in a payroll period; existing ones stay."""
    records = site.records("payroll_period")
    existing = list(records.each())
    for month in months:
        if not any(
            period["starts_on"] <= month.ends_on and month.starts_on <= period["ends_on"]
            for period in existing
        ):
            records.create(
                name=f"{month.starts_on:%Y-%m}",
                starts_on=month.starts_on,
                ends_on=month.ends_on,
                cutoff_at=month.cutoff_at,
            )


def _fence(latitude: float, longitude: float) -> dict[str, float]:
    return {"latitude": latitude, "longitude": longitude, "radius_m": _RADIUS_M}
