"""A clock that runs fast: hours go by in seconds, for all processes alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from engine.ports.platform import Clock, database_clock

VARIABLE = "LOCKSIDE_TEST_CLOCK"


@dataclass(frozen=True)
class FastClock:
    """Tells `begin` when PostgreSQL tells `started`, and goes so many times as fast."""

    started: datetime
    begin: datetime
    speed: float

    def __call__(self, db: Connection) -> datetime:
        """Return its time."""
        return self.begin + (database_clock(db) - self.started) * self.speed

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes a process go by this clock."""
        words = (self.started.isoformat(), self.begin.isoformat(), str(self.speed))
        return {VARIABLE: " ".join(words)}


def clock_of(environment: Mapping[str, str]) -> Clock:
    """Return the clock that an environment asks for; PostgreSQL's own without one."""
    given = environment.get(VARIABLE)
    if given is None:
        return database_clock
    started, begin, speed = given.split()
    return FastClock(datetime.fromisoformat(started), datetime.fromisoformat(begin), float(speed))
