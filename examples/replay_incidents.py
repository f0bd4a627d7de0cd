"""Replay a real event log: incidents become tickets, and walk their ways again.

    python examples/replay_incidents.py [LOG]

Every incident is imported as a ticket in its first logged state. Then each change of state is
made again, in order of time, as bulk operations: what happened in the same minute in the same
way is one operation. Where the log jumps (New to Resolved), the ticket walks the machine's
shortest way. At the end the records are compared with the log.

Every operation carries a key made of what it does: a second run changes nothing.
"""

import argparse
import csv
import hashlib
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import lockside
from domain.machines.soundness import shortest_path
from domain.machines.ticket import TICKET

LOG = Path(__file__).parents[2] / "shared/data/incident_event_log.csv"
SOURCE = "Incident management process enriched event log"
STATES = {"New": "NEW", "Active": "INPROGRESS", "Resolved": "RESOLVED", "Closed": "CLOSED"}
PRIORITIES = {"1": "CRITICAL", "2": "HIGH", "3": "MEDIUM", "4": "LOW"}
IN_FLIGHT = 32
PATIENCE_S = 60.0

# What is known of the part of the log that lies beside the project.
KNOWN_SIZES = 890, 2527, 18  # incidents, changes, those of them that are none for a ticket
KNOWN = {
    ("Resolved", "Closed"): 890,
    ("Active", "Resolved"): 380,
    ("New", "Active"): 321,
    ("Awaiting User Info", "Resolved"): 246,
    ("Resolved", "Active"): 11,
}

console = Console()


class ReplayError(Exception):
    """The replay can't go on."""


@dataclass(frozen=True, slots=True)
class Change:
    """An incident came from one logged state to another at a logged minute.

    `order` is when it is replayed: never before an earlier change of the same incident, even
    where the log's times run backwards.
    """

    number: str
    source: str
    target: str
    at: datetime
    order: datetime
    resolved_by: str

    @property
    def way(self) -> tuple[str, ...]:
        """Return the states of tickets to walk; none if the change is none for a ticket."""
        way = shortest_path(TICKET, state_of(self.source), state_of(self.target))
        if way is None:
            raise ReplayError(f"{self.number}: no way from {self.source} to {self.target}.")
        return way


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a ticket, its `turn`-th in this minute; `walked` if the log jumps it."""

    change: Change
    to: str
    turn: int
    walked: bool

    @property
    def kin(self) -> tuple[Any, ...]:
        """Return what steps have in common that are made by one operation."""
        c = self.change
        return c.order, self.turn, self.to, c.source, c.target, c.at, self.walked


def state_of(logged: str) -> str:
    """Return the ticket's state for a logged one."""
    return "ONHOLD" if logged.startswith("Awaiting ") else STATES[logged]


def read_log(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each incident, in file order."""
    incidents: dict[str, list[dict[str, str]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                state_of(row["incident_state"])
                incidents.setdefault(row["number"], []).append(row)
    except (KeyError, csv.Error, UnicodeDecodeError) as error:
        raise ReplayError(f"{path} is not the event log: unknown {error}.") from error
    return incidents


def changes_of(number: str, rows: Sequence[Mapping[str, str]]) -> Iterator[Change]:
    """Yield an incident's changes of state in file order."""
    order = datetime.min.replace(tzinfo=UTC)
    for before, after in pairwise(rows):
        at = datetime.strptime(after["sys_updated_at"] + "Z", "%d-%m-%Y %H:%M%z")
        order = max(order, at)
        source, target = before["incident_state"], after["incident_state"]
        if source != target:
            who = after["resolved_by"].removeprefix("Resolved by ").strip()
            yield Change(number, source, target, at, order, who)


def steps_of(changes: Iterable[Change]) -> Iterator[Step]:
    """Yield the transitions that lead one ticket through its changes."""
    for _, minute in groupby(changes, key=lambda each: each.order):
        ways = ((change, state) for change in minute for state in change.way)
        for turn, (change, state) in enumerate(ways):
            yield Step(change, state, turn, walked=state != change.way[-1])


def ticket_of(number: str, first: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns of the ticket that stands for an incident."""
    return {
        "reference": number,
        "title": f"{first['category']}, {first['subcategory']}",
        "priority": PRIORITIES.get(first["priority"][:1], "MEDIUM"),
        "state": state_of(first["incident_state"]),
    }


class Replay:
    """Submits operations and keeps several in flight, but one at a time of each ticket."""

    def __init__(self, site: lockside.Session, ids: Mapping[str, int]) -> None:
        self._site = site
        self._ids = ids
        self._in_flight: deque[tuple[lockside.Operation, list[int]]] = deque()
        self._busy: set[int] = set()

    def run(self, steps: Sequence[Step]) -> int:
        """Make all steps, sorted by kin; return how many operations that took."""
        operations = 0
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("transitions,"))
        counted = TextColumn("{task.fields[operations]} operations")
        with Progress("Replaying", *columns, counted, TimeElapsedColumn(), console=console) as bar:
            task = bar.add_task("", total=len(steps), operations=0)
            for operations, (_, kin) in enumerate(groupby(steps, lambda each: each.kin), start=1):
                bar.update(task, advance=self._submit(list(kin)), operations=operations)
            self._wait_until(lambda: not self._in_flight)
        return operations

    def _submit(self, group: Sequence[Step]) -> int:
        ids = [self._ids[each.change.number] for each in group]
        self._wait_until(lambda: self._busy.isdisjoint(ids) and len(self._in_flight) < IN_FLIGHT)
        step, change = group[0], group[0].change
        content = [*map(str, step.kin), *sorted(each.change.number for each in group)]
        who = ", ".join(sorted({each.change.resolved_by for each in group}))
        operation = self._site.transition(
            "ticket",
            to=step.to,
            ids=ids,
            comments=f"{change.target} in the event log; resolved by {who}",
            metadata={
                "logged_at": change.at.isoformat(),
                "incident_state": change.target,
                "from_incident_state": change.source,
                "walked": step.walked,
                "source": SOURCE,
            },
            reason="import",
            idempotency_key=hashlib.sha256("\n".join(content).encode()).hexdigest(),
        )
        self._in_flight.append((operation, ids))
        self._busy.update(ids)
        return len(ids)

    def _wait_until(self, done: Callable[[], bool]) -> None:
        while not done():
            operation, ids = self._in_flight.popleft()
            outcome = operation.wait(PATIENCE_S)
            if outcome["state"] != "SUCCEEDED":
                raise ReplayError(f"Operation {operation.id} ended otherwise: {outcome}")
            self._busy.difference_update(ids)


def read_records(site: lockside.Session, row_id: int, deadline: float) -> list[dict[str, Any]]:
    """Return the records of a ticket, as soon as every version has its own."""
    version = site.row("ticket", row_id)["version"]
    while True:
        records = [each for each in site.timeline("ticket", row_id) if each["success"]]
        if len(records) >= version or time.monotonic() > deadline:
            return records
        time.sleep(0.05)


def is_logged(record: Mapping[str, Any]) -> bool:
    """Say whether a record stands for a change in the log, not for a step walked to it."""
    metadata = record["metadata"] or {}
    return metadata.get("source") == SOURCE and not metadata["walked"]


def faults_of(
    first_state: str, changes: Sequence[Change], records: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield where a ticket's records don't tell the log's story exactly."""
    logged = [(each.way[-1], each.at.isoformat()) for each in changes if each.way]
    exact = filter(is_logged, records)
    told = [(each["to_state"], each["metadata"]["logged_at"]) for each in exact]
    if told != logged:
        yield f"the log says {logged}, the records say {told}"
    states = [first_state, *(each["to_state"] for each in records[1:])]
    if [each["from_state"] for each in records[1:]] != states[:-1]:
        yield f"a record doesn't begin where the one before it ended: {states}"
    if [each["version"] for each in records] != list(range(1, len(records) + 1)):
        yield "a version has no record, or two"
    if states[-1] != "CLOSED":
        yield f"it is {states[-1]}, not CLOSED"


def report(
    changes: Sequence[Change], records: Sequence[Mapping[str, Any]], operations: int
) -> list[str]:
    """Print what the records hold; return what differs from what is known of the log."""
    told = [each["metadata"] for each in records if is_logged(each)]
    made = Counter((each["from_incident_state"], each["incident_state"]) for each in told)
    none = sum(not each.way for each in changes)
    table = Table("change of state", "recorded")
    for pair in dict.fromkeys([*(pair for pair, _ in made.most_common(6)), *KNOWN]):
        table.add_row(" → ".join(pair), str(made[pair]))
    console.print(table)
    console.print(
        f"{len(changes):,} changes of state in the log, {none} of them none for a ticket.\n"
        f"{len(records):,} transitions recorded, {len(records) - len(told):,} of them walked "
        f"where the log jumps, in {operations:,} operations."
    )
    sizes = len({each.number for each in changes}), len(changes), none
    if sizes[0] != KNOWN_SIZES[0]:
        return []
    wrong = [f"{a} → {b}: not {n}" for (a, b), n in KNOWN.items() if made[a, b] != n]
    return wrong if sizes == KNOWN_SIZES else [*wrong, f"{sizes}, not {KNOWN_SIZES}"]


def replay(site: lockside.Session, path: Path) -> list[str]:
    """Replay a log and compare; return every fault, none if the records tell its story."""
    incidents = read_log(path)
    changes = {number: list(changes_of(number, rows)) for number, rows in incidents.items()}
    new = site.import_work("ticket", [ticket_of(n, rows[0]) for n, rows in incidents.items()])
    console.print(f"{len(incidents):,} incidents in the log, {len(new):,} imported as tickets.")
    ids = site.ids_by_reference("ticket", list(incidents))
    steps = chain.from_iterable(steps_of(each) for each in changes.values())
    operations = Replay(site, ids).run(sorted(steps, key=lambda each: each.kin))
    deadline = time.monotonic() + PATIENCE_S
    records = {row_id: read_records(site, row_id, deadline) for row_id in ids.values()}
    faults = []
    for number, rows in incidents.items():
        first = state_of(rows[0]["incident_state"])
        found = faults_of(first, changes[number], records[ids[number]])
        faults += [f"{number}: {fault}" for fault in found]
    moved = [each for row in records.values() for each in row[1:]]
    return faults + report(list(chain.from_iterable(changes.values())), moved, operations)


def main() -> int:
    """Return 0 if the records tell the log's story, 1 if not, 2 without a log, 75 alone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("log", nargs="?", type=Path, default=LOG, help="the event log, a CSV file")
    path = parser.parse_args().log
    if not path.is_file():
        advice = f'Get the "{SOURCE}" from the UCI Machine Learning Repository, and pass its path.'
        console.print(f"There is no event log at {path}.\n{advice}", soft_wrap=True)
        return 2
    try:
        with lockside.connect() as site:
            faults = replay(site, path)
    except (ReplayError, lockside.LocksideError) as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 75 if isinstance(error, lockside.Unavailable) else 1
    console.print(*faults[:20], sep="\n", style="red", soft_wrap=True)
    if not faults:
        console.print("Every ticket is CLOSED; the records tell the log's story.", style="green")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
