"""Replay a real event log: incidents become tickets, and their changes of state are repeated.

    python examples/replay_incidents.py [LOG]

Incidents are imported as tickets in their first logged state. Then each change of state is
repeated in order of time; equal changes of the same minute are one bulk operation. Where the log
jumps (New to Resolved), the ticket takes the shortest path. Records and log are compared.

Every operation has an idempotency key made of its content: a second run changes nothing.
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

# The known content of the part of the log that comes with the project.
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
    """A change of an incident from one logged state to another, in a logged minute.

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
        """Return the states that the ticket goes through; none if its state doesn't change."""
        way = shortest_path(TICKET, state_of(self.source), state_of(self.target))
        if way is None:
            raise ReplayError(f"{self.number}: no way from {self.source} to {self.target}.")
        return way


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a ticket, the `turn`-th of its minute; `walked` if the log skips it."""

    change: Change
    to: str
    turn: int
    walked: bool

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Return what all steps of one operation have in common."""
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
    """Yield the transitions that take one ticket through its changes."""
    for _, minute in groupby(changes, key=lambda change: change.order):
        for turn, (change, state) in enumerate((c, state) for c in minute for state in c.way):
            yield Step(change, state, turn, walked=state != change.way[-1])


def ticket_of(number: str, first: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns of an incident's ticket."""
    return {
        "reference": number,
        "title": f"{first['category']}, {first['subcategory']}",
        "priority": PRIORITIES.get(first["priority"][:1], "MEDIUM"),
        "state": state_of(first["incident_state"]),
    }


class Replay:
    """Submits operations, several at a time, but only one at a time for each ticket."""

    def __init__(self, site: lockside.Session, ids: Mapping[str, int]) -> None:
        self._site = site
        self._ids = ids
        self._in_flight: deque[tuple[lockside.Operation, list[int]]] = deque()
        self._busy: set[int] = set()

    def run(self, steps: Sequence[Step]) -> int:
        """Submit all steps, sorted by batch key; return how many operations it took."""
        operations = 0
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("transitions,"))
        counted = TextColumn("{task.fields[operations]} operations")
        with Progress("Replaying", *columns, counted, TimeElapsedColumn(), console=console) as bar:
            task = bar.add_task("", total=len(steps), operations=0)
            for operations, (_, batch) in enumerate(groupby(steps, lambda s: s.batch_key), start=1):
                bar.update(task, advance=self._submit(list(batch)), operations=operations)
            self._wait_until(lambda: not self._in_flight)
        return operations

    def _submit(self, batch: Sequence[Step]) -> int:
        ids = [self._ids[step.change.number] for step in batch]
        self._wait_until(lambda: self._busy.isdisjoint(ids) and len(self._in_flight) < IN_FLIGHT)
        first, change = batch[0], batch[0].change
        content = [*map(str, first.batch_key), *sorted(step.change.number for step in batch)]
        who = ", ".join(sorted({step.change.resolved_by for step in batch}))
        operation = self._site.transition(
            "ticket",
            to=first.to,
            ids=ids,
            comments=f"{change.target} in the event log; resolved by {who}",
            metadata={
                "logged_at": change.at.isoformat(),
                "incident_state": change.target,
                "from_incident_state": change.source,
                "walked": first.walked,
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
    """Wait until every version of a ticket has its record, and return the records."""
    version = site.row("ticket", row_id)["version"]
    while True:
        records = [record for record in site.timeline("ticket", row_id) if record["success"]]
        if len(records) >= version or time.monotonic() > deadline:
            return records
        time.sleep(0.05)


def is_logged(record: Mapping[str, Any]) -> bool:
    """Say whether a record is of a change in the log, not of a step on the way to it."""
    metadata = record["metadata"] or {}
    return metadata.get("source") == SOURCE and not metadata["walked"]


def faults_of(
    first_state: str, changes: Sequence[Change], records: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield each difference between a ticket's records and the log."""
    logged = [(change.way[-1], change.at.isoformat()) for change in changes if change.way]
    exact = filter(is_logged, records)
    recorded = [(record["to_state"], record["metadata"]["logged_at"]) for record in exact]
    if recorded != logged:
        yield f"the log says {logged}, the records say {recorded}"
    states = [first_state, *(record["to_state"] for record in records[1:])]
    if [record["from_state"] for record in records[1:]] != states[:-1]:
        yield f"a record doesn't begin where the one before it ended: {states}"
    if [record["version"] for record in records] != list(range(1, len(records) + 1)):
        yield "a version has no record, or two"
    if states[-1] != "CLOSED":
        yield f"it is {states[-1]}, not CLOSED"


def report(
    changes: Sequence[Change], records: Sequence[Mapping[str, Any]], operations: int
) -> list[str]:
    """Print a summary of the records; return what differs from the known content of the log."""
    metadata = [record["metadata"] for record in records if is_logged(record)]
    counts = Counter(
        (logged["from_incident_state"], logged["incident_state"]) for logged in metadata
    )
    none = sum(not change.way for change in changes)
    table = Table("change of state", "recorded")
    for pair in dict.fromkeys([*(pair for pair, _ in counts.most_common(6)), *KNOWN]):
        table.add_row(" → ".join(pair), str(counts[pair]))
    console.print(table)
    console.print(
        f"{len(changes):,} changes of state in the log, {none} of them none for a ticket.\n"
        f"{len(records):,} transitions recorded, {len(records) - len(metadata):,} of them walked "
        f"where the log jumps, in {operations:,} operations."
    )
    sizes = len({change.number for change in changes}), len(changes), none
    if sizes[0] != KNOWN_SIZES[0]:
        return []
    wrong = [f"{a} → {b}: not {n}" for (a, b), n in KNOWN.items() if counts[a, b] != n]
    return wrong if sizes == KNOWN_SIZES else [*wrong, f"{sizes}, not {KNOWN_SIZES}"]


def replay(site: lockside.Session, path: Path) -> list[str]:
    """Replay a log and compare; return every fault, none if the records match the log."""
    incidents = read_log(path)
    changes = {number: list(changes_of(number, rows)) for number, rows in incidents.items()}
    new = site.import_work("ticket", [ticket_of(n, rows[0]) for n, rows in incidents.items()])
    console.print(f"{len(incidents):,} incidents in the log, {len(new):,} imported as tickets.")
    ids = site.ids_by_reference("ticket", list(incidents))
    steps = chain.from_iterable(map(steps_of, changes.values()))
    operations = Replay(site, ids).run(sorted(steps, key=lambda step: step.batch_key))
    deadline = time.monotonic() + PATIENCE_S
    records = {row_id: read_records(site, row_id, deadline) for row_id in ids.values()}
    faults = []
    for number, rows in incidents.items():
        first = state_of(rows[0]["incident_state"])
        differences = faults_of(first, changes[number], records[ids[number]])
        faults += [f"{number}: {fault}" for fault in differences]
    moved = [record for of_ticket in records.values() for record in of_ticket[1:]]
    return faults + report(list(chain.from_iterable(changes.values())), moved, operations)


def main() -> int:
    """Return 0 if the records match the log, 1 if not, 2 without a log, 75 without servers."""
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
