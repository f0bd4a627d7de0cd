"""How a record of every resource type is made, and what may be changed in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

import pytest

import lockside
from tests.engine.works import DAY, PUNCHED, ordered, task

Values = dict[str, Any]
_number = count(1)


@dataclass(frozen=True)
class Example:
    """How a record of a resource type is made, and what may be changed in it.

    Attributes:
        values: What a new one needs; anew for each call.
        change: New values for it.
        parent: The resource type and the column of what it is a part of.
    """

    values: Callable[[lockside.Session], Values]
    change: Values
    parent: tuple[str, str] | None = None


def name(_: lockside.Session) -> Values:
    return {"name": f"Name {next(_number)}"}


def someone(site: lockside.Session) -> int:
    made: int = site.records("person").create(**name(site))["id"]
    return made


def some_role(site: lockside.Session) -> int:
    made: int = site.records("role").create(**name(site), permissions=["ticket.view"])["id"]
    return made


def some_team(site: lockside.Session) -> int:
    made: int = site.records("team").create(**name(site))["id"]
    return made


def days(site: lockside.Session) -> Values:
    year = 2000 + next(_number)
    return name(site) | {"starts_on": date(year, 1, 1), "ends_on": date(year, 1, 31)}


EXAMPLES = {
    "attendance": Example(
        lambda site: {
            "person": "asha",
            "datefor": DAY,
            "punchintime": PUNCHED,
            "ctzoffset": 330,
        },
        {"remarks": "Late"},
    ),
    "calendar": Example(
        lambda site: name(site) | {"zone": "Asia/Kolkata"}, {"hours": "Mon 09:00-12:00"}
    ),
    "policy": Example(
        lambda site: (
            name(site)
            | {"kind": "ticket", "selection": "state=RESOLVED", "clock": "state", "after": "7d"}
            | {"target_state": "CLOSED", "comments": "Closed by the clock"}
        ),
        {"after": "14d"},
    ),
    "job": Example(name, {"asks_for": ["flow", "pressure"]}),
    "payroll_period": Example(days, {"closed_at": PUNCHED}),
    "person": Example(name, {"name": "Somebody else"}),
    "person_role": Example(
        lambda site: {"person_id": someone(site), "role_id": some_role(site)},
        {"role": "viewer"},
        ("person", "person_id"),
    ),
    "reading": Example(
        lambda site: {"task_id": task(site), "name": "flow", "value": "4"},
        {"value": "5"},
        ("task", "task_id"),
    ),
    "role": Example(
        lambda site: name(site) | {"permissions": ["ticket.view"]}, {"permissions": []}
    ),
    "site": Example(name, {"latitude": 1.5, "longitude": 2.5, "radius_m": 100}),
    "subscription": Example(
        lambda site: {"person_id": someone(site), "kind": "ticket"}, {"target_state": "CLOSED"}
    ),
    "task": Example(lambda _: {"title": "Check the pump"}, {"due_at": PUNCHED}),
    "team": Example(name, {"name": "Another team"}),
    "team_member": Example(
        lambda site: {"team_id": some_team(site), "person": "dora"},
        {"person": "asha"},
        ("team", "team_id"),
    ),
    "ticket": Example(lambda _: {"title": "Leak"}, {"priority": "HIGH"}),
    "ticket_category": Example(name, {"name": "Another category"}),
    "vendor": Example(name, {"name": "Another vendor"}),
    "work_order": Example(lambda _: {"title": "Descale"}, {"vendor": "Acme Lifts"}),
    "work_order_line": Example(
        lambda site: {"work_order_id": ordered(site), "description": "Oil"},
        {"quantity": 3},
        ("work_order", "work_order_id"),
    ),
}
each_resource_type = pytest.mark.parametrize("resource_type", EXAMPLES)
each_part = pytest.mark.parametrize(
    "resource_type", [each for each, n in EXAMPLES.items() if n.parent]
)


def make(site: lockside.Session, resource_type: str) -> dict[str, Any]:
    return site.records(resource_type).create(**EXAMPLES[resource_type].values(site))
