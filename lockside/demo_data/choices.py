"""Demo choices: read what seeded work is chosen from, and choose from it."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import TypedDict

_FILE = Path(__file__).with_name("choices.toml")
_OLDEST_DAYS = 90


class Order(TypedDict):
    """Work that a vendor is ordered to do."""

    title: str
    vendor: str


class Report(TypedDict):
    """A problem that a caller reports."""

    title: str
    category: str
    description: str


class JobChoice(TypedDict):
    """A recurring job, with the fields of its record."""

    asks_for: list[str]
    grace_minutes: int


@dataclass(frozen=True, slots=True)
class Choices:
    """The content of `choices.toml`; comments there say what each part is."""

    vendors: list[str]
    categories: list[str]
    places: list[str]
    orders: list[Order]
    reports: list[Report]
    sites: dict[str, tuple[float, float]]
    jobs: dict[str, JobChoice]
    teams: dict[str, list[str]]
    weights: dict[str, dict[str, int]]

    @property
    def people(self) -> list[str]:
        """Return everybody's name, team by team."""
        return [person for members in self.teams.values() for person in members]

    def weighted(self, choose: Random, name: str) -> str:
        """Return one of the values of `weights.<name>`, each as often as its weight says."""
        weights = self.weights[name]
        return choose.choices(list(weights), list(weights.values()))[0]


@cache
def choices() -> Choices:
    """Return the choices, read at the first call."""
    with _FILE.open("rb") as file:
        return Choices(**tomllib.load(file))


def some_time_ago(choose: Random, now: datetime) -> datetime:
    """Return a random time of the last 90 days."""
    return now - timedelta(minutes=choose.randint(5, _OLDEST_DAYS * 24 * 60))
