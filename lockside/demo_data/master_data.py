"""What seeded work is about: places and jobs, people in their teams, and what is paid together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from lockside.session.session import Session

VENDORS = (
    "Acme Lifts", "Bright Clean", "Coldwell HVAC", "Delta Fire Safety", "Evergreen Grounds",
    "Fulton Plumbing", "Gridline Electric", "Harbor Security", "Ironside Doors", "Juno Pests",
)  # fmt: skip

# Sites, with the centre of their fence.
FENCES = {
    "Riverside Tower": (19.0664, 72.8679), "North Campus": (19.1334, 72.9133),
    "Harbor Mall": (18.9489, 72.9510), "City Hospital": (19.0029, 72.8414),
    "Airport Cargo Hall": (19.0969, 72.8744), "Tech Park B": (19.1590, 72.9977),
    "Central Station": (18.9690, 72.8194), "Hillside School": (19.0544, 72.8295),
    "Data Center East": (19.1191, 73.0071), "Old Mill Offices": (18.9943, 72.8258),
}  # fmt: skip
SITES = tuple(FENCES)
_RADIUS_M = 250.0

PLACES = (
    "lobby", "floor 1", "floor 2", "floor 3", "floor 7", "floor 12", "roof", "basement",
    "parking level P2", "loading dock", "canteen", "server room", "east stairwell", "reception",
)  # fmt: skip

CATEGORIES = (
    *("Elevator", "Heating and cooling", "Plumbing", "Electricity", "Doors and access"),
    *("Cleaning", "Fire safety", "Pests", "Building", "Missed rounds"),
)

# What is done again and again: the readings that its completion asks for, and how long after
# its time it stays open.
JOBS: dict[str, tuple[tuple[str, ...], int]] = {
    "Guard tour": ((), 30),
    "Chiller log": (("supply temperature", "pressure"), 120),
    "Generator test run": (("hours", "fuel level"), 1440),
    "Lobby inspection": ((), 240),
    "Meter reading": (("electricity", "water"), 2880),
    "Washroom check": ((), 60),
    "Waste collection": ((), 480),
}

# Teams, with who is in them.
TEAMS = {
    "Security": ("Amara Obi", "Bilal Khan", "Carlos Mendes", "Devi Nair", "Elif Kaya"),
    "Engineering": ("Farid Aziz", "Grace Wu", "Hugo Blanc", "Ivana Petrov", "Jonas Berg"),
    "Housekeeping": ("Kavya Iyer", "Li Na", "Maria Silva", "Nia Boateng", "Omar Said"),
    "Grounds": ("Priya Rao", "Sanjay Gupta", "Tara Lind", "Uma Das", "Viktor Novak"),
}  # fmt: skip
_ROLE = "technician"

MONTHS = 3
"""The month that it is, and so many before it, less one, are paid."""

_CUTOFF_DAYS = 8
_OLDEST_DAYS = 90

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Month:
    """A month that is paid: its days, and until when they can be approved."""

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
        """Return the months that are paid up to a day, the newest first."""
        found = [cls.of(day)]
        while len(found) < MONTHS:
            found.append(cls.of(found[-1].starts_on - timedelta(days=1)))
        return found


@dataclass(frozen=True, slots=True)
class MasterData:
    """Ids by name of everything that seeded work names."""

    vendors: Mapping[str, int]
    categories: Mapping[str, int]
    sites: Mapping[str, int]
    jobs: Mapping[str, int]
    teams: Mapping[str, int]
    people: Mapping[str, int]

    def team_of(self, person: str) -> int:
        """Return the team that somebody is in."""
        return next(self.teams[team] for team, members in TEAMS.items() if person in members)


def furnish(site: Session, today: date) -> MasterData:
    """Make sure that everything is there that work is about; what is there stays as it is."""
    categories = site.add_named("ticket_category", CATEGORIES)
    missed = categories["Missed rounds"]
    jobs = {
        name: {"asks_for": list(asks), "grace_minutes": grace, "ticket_category_id": missed}
        for name, (asks, grace) in JOBS.items()
    }
    names = [each for members in TEAMS.values() for each in members]
    base = MasterData(
        vendors=site.add_named("vendor", VENDORS),
        categories=categories,
        sites=_named(site, "site", {name: _fence(*centre) for name, centre in FENCES.items()}),
        jobs=_named(site, "job", jobs),
        teams=site.add_named("team", list(TEAMS)),
        people=_named(site, "person", {name: {} for name in names}),
    )
    role = next(each["id"] for each in site.records("role").each() if each["name"] == _ROLE)
    people = base.people.values()
    _linked(site, "person_role", ({"person_id": each, "role_id": role} for each in people))
    _linked(
        site,
        "team_member",
        (
            {"team_id": base.team_of(name), "person_id": row_id}
            for name, row_id in base.people.items()
        ),
    )
    _pay(site, Month.until(today))
    return base


def weighted_choice(choose: Random, weighted: Sequence[tuple[str, int]]) -> str:
    """Return one of some names, each as often as its weight says."""
    names, weights = zip(*weighted, strict=True)
    return str(choose.choices(names, weights)[0])


def some_time_ago(choose: Random, now: datetime) -> datetime:
    """Return a time of the last months."""
    return now - timedelta(minutes=choose.randint(5, _OLDEST_DAYS * 24 * 60))


def _named(
    site: Session, resource_type: str, wanted: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """Make sure that records of these names exist; return their ids, by name."""
    records = site.records(resource_type)
    known = {each["name"]: each["id"] for each in records.each()}
    for name, values in wanted.items():
        if name not in known:
            known[name] = records.create(name=name, **values)["id"]
    return {name: known[name] for name in wanted}


def _linked(site: Session, resource_type: str, wanted: Iterable[dict[str, int]]) -> None:
    records = site.records(resource_type)
    found = list(records.each())
    for link in wanted:
        if not any(all(each[name] == row for name, row in link.items()) for each in found):
            records.create(**link)


def _pay(site: Session, months: Iterable[Month]) -> None:
    """Make sure that the days of some months are paid; a day that is stays as it is."""
    records = site.records("payroll_period")
    found = list(records.each())
    for month in months:
        if not any(
            each["starts_on"] <= month.ends_on and month.starts_on <= each["ends_on"]
            for each in found
        ):
            records.create(
                name=f"{month.starts_on:%Y-%m}",
                starts_on=month.starts_on,
                ends_on=month.ends_on,
                cutoff_at=month.cutoff_at,
            )


def _fence(latitude: float, longitude: float) -> dict[str, float]:
    return {"latitude": latitude, "longitude": longitude, "radius_m": _RADIUS_M}
