"""The contract's races, for each kind of work, with real worker processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

import lockside
from engine.audit.writer import write_records
from engine.ports.locks import row_key
from models.base import kinds
from tests.checker import check_invariants
from tests.databases import Databases
from tests.engine.steps import at_once, query, raw, until
from tests.engine.works import AT_THE_OFFICE, OFFICE, read, task
from tests.factories import MAKERS
from tests.patience import PATIENCE_S
from tests.workers import Worker
from worker.settings import Settings

pytestmark = pytest.mark.slow

REFUSED_BY_THE_GUARD = "LS001"


@dataclass(frozen=True)
class Race:
    """How a kind of work takes part in the races.

    Attributes:
        start: A state, and where all five want to go from it.
        crossroads: A state and three that lead on from it.
        rule: A state, and the next one, which wants something.
        path: A way through the machine.
        ready: Makes a row in the rule's state that has what is wanted; the second has not.
        without: What is asked for the row that has not, if the request is what lacks it.
        by_system: The states that nobody but the system leads to.
    """

    kind: str
    start: tuple[str, str]
    crossroads: tuple[str, tuple[str, str, str]]
    rule: tuple[str, str]
    final: str
    path: tuple[str, ...]
    ready: Callable[[lockside.Session], tuple[int, int]]
    without: dict[str, Any] = field(default_factory=dict)
    by_system: tuple[str, ...] = ()

    def rows(self, site: lockside.Session, count: int, state: str) -> list[int]:
        return MAKERS[self.kind](site, count, state=state)


def order_with_a_line(site: lockside.Session) -> tuple[int, int]:
    ready, unready = MAKERS["work_order"](site, 2, state="IN_PROGRESS")
    site.records("work_order_line").create(work_order_id=ready, description="Oil")
    return ready, unready


def task_with_its_readings(site: lockside.Session) -> tuple[int, int]:
    ready, unready = (task(site, state="WORKING", asks=["flow"]) for _ in range(2))
    read(site, ready, "flow")
    return ready, unready


def punch_at_the_office(site: lockside.Session) -> tuple[int, int]:
    office = site.records("site").create(name=f"Office {uuid4()}", **OFFICE)["id"]
    (ready,) = MAKERS["attendance"](site, 1, site_id=office, **AT_THE_OFFICE)
    (unready,) = MAKERS["attendance"](site, 1, site_id=office)
    return ready, unready


def two_tickets(site: lockside.Session) -> tuple[int, int]:
    ready, unready = MAKERS["ticket"](site, 2, state="INPROGRESS")
    return ready, unready


RACES = [
    Race(
        kind="work_order",
        start=("SUBMITTED", "APPROVED"),
        crossroads=("SUBMITTED", ("APPROVED", "REJECTED", "CANCELLED")),
        rule=("IN_PROGRESS", "COMPLETED"),
        final="CLOSED",
        path=("DRAFT", "SUBMITTED", "APPROVED", "REJECTED", "DRAFT", "CANCELLED"),
        ready=order_with_a_line,
    ),
    Race(
        kind="task",
        start=("ASSIGNED", "INPROGRESS"),
        crossroads=("WORKING", ("MAINTENANCE", "COMPLETED", "PARTIALLYCOMPLETED")),
        rule=("WORKING", "COMPLETED"),
        final="AUTOCLOSED",
        path=(
            *("ASSIGNED", "INPROGRESS", "STANDBY", "INPROGRESS", "WORKING", "MAINTENANCE"),
            *("WORKING", "COMPLETED", "PARTIALLYCOMPLETED", "AUTOCLOSED"),
        ),
        ready=task_with_its_readings,
        by_system=("AUTOCLOSED",),
    ),
    Race(
        kind="attendance",
        start=("PENDING", "APPROVED"),
        # Two ways lead on from each state but the initial one: the third is no way at all.
        crossroads=("APPROVED", ("ADJUSTED", "LOCKED", "REJECTED")),
        rule=("PENDING", "APPROVED"),
        final="LOCKED",
        path=("PENDING", "REJECTED", "PENDING", "APPROVED", "ADJUSTED", "LOCKED"),
        ready=punch_at_the_office,
    ),
    Race(
        kind="ticket",
        start=("NEW", "OPEN"),
        crossroads=("RESOLVED", ("CLOSED", "CANCELLED", "INPROGRESS")),
        rule=("INPROGRESS", "RESOLVED"),
        final="CANCELLED",
        path=("NEW", "OPEN", "INPROGRESS", "ONHOLD", "INPROGRESS", "RESOLVED", "CLOSED"),
        ready=two_tickets,
        without={"comments": None},
    ),
]
each_kind = pytest.mark.parametrize("race", RACES, ids=lambda race: race.kind)


@pytest.fixture(scope="module")
def house(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Run one worker of two processes, on a database of its own, for all the races."""
    home = tmp_path_factory.mktemp("races")
    with databases.settings(home, lease_s=5.0, person_lease_s=5.0) as settings, Worker(settings):
        yield settings


@pytest.fixture
def site(house: Settings) -> Iterator[lockside.Session]:
    """Connect as the tenant's administrator; afterwards everything must have ended well."""
    with lockside.connect(settings=house) as connected:
        yield connected


def move(
    site: lockside.Session, race: Race, row_id: int, to: str, **options: Any
) -> dict[str, Any]:
    """Ask for a transition with comments; return what became of it."""
    given = {"comments": "Because"} | options
    return site.transition(race.kind, to=to, ids=row_id, **given).wait(PATIENCE_S)


def together(*moves: partial[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask for all at once; return the results."""
    answers = at_once(*moves)
    for each in answers:
        if isinstance(each, BaseException):
            raise each
    return answers  # type: ignore[return-value]


def total(results: list[dict[str, Any]], name: str) -> int:
    return sum(each[f"{name}_items"] for each in results)


def check_when_settled(site: lockside.Session) -> None:
    """Check everything when the worker has noted every result and holds no record any more."""

    def is_settled() -> bool:
        write_records(site.platform)
        return not query(
            site,
            "SELECT 1 FROM operation WHERE result_stored_at IS NULL UNION ALL SELECT 1 FROM outbox",
        )

    until(is_settled)
    check_invariants(site)


@each_kind
def test_of_five_to_the_same_state_one_succeeds_and_four_are_skipped(
    site: lockside.Session, race: Race
) -> None:
    source, target = race.start
    (row_id,) = race.rows(site, 1, source)

    results = together(*[partial(move, site, race, row_id, target)] * 5)

    assert (total(results, "successful"), total(results, "skipped")) == (1, 4)
    assert site.row(race.kind, row_id)["version"] == 2
    check_when_settled(site)


@each_kind
def test_of_three_to_different_states_exactly_one_succeeds(
    site: lockside.Session, race: Race
) -> None:
    source, targets = race.crossroads
    (row_id,) = race.rows(site, 1, source)

    seen = {"expected_versions": {row_id: 1}}
    results = together(*[partial(move, site, race, row_id, each, **seen) for each in targets])

    assert (total(results, "successful"), total(results, "failed")) == (1, 2)
    assert site.row(race.kind, row_id)["version"] == 2
    check_when_settled(site)


@each_kind
def test_nobody_leaves_a_final_state(site: lockside.Session, race: Race) -> None:
    (row_id,) = race.rows(site, 1, race.final)
    _, targets = race.crossroads

    wanted = [each for each in targets if each != race.final]
    results = together(*[partial(move, site, race, row_id, each) for each in wanted * 2])

    codes = {code for each in results for code in each["failure_codes"]}
    assert (codes, site.row(race.kind, row_id)["version"]) == ({"illegal_transition"}, 1)


@each_kind
def test_of_three_who_end_the_work_one_does_and_the_rules_hold(
    site: lockside.Session, race: Race
) -> None:
    source, target = race.rule
    ready, unready = race.ready(site)
    version = site.row(race.kind, ready)["version"]

    done = together(*[partial(move, site, race, ready, target)] * 3)
    refused = together(*[partial(move, site, race, unready, target, **race.without)] * 3)

    assert (total(done, "successful"), total(done, "skipped")) == (1, 2)
    assert site.row(race.kind, ready)["version"] == version + 1
    assert (total(refused, "failed"), site.row(race.kind, unready)["state"]) == (3, source)
    check_when_settled(site)


@each_kind
def test_a_lock_held_longer_than_one_waits_is_told_with_its_holder(
    site: lockside.Session, race: Race
) -> None:
    source, target = race.start
    (row_id,) = race.rows(site, 1, source)
    holder = str(uuid4())

    with site.platform.locks.hold(
        [row_key(site.actor.tenant_id, race.kind, row_id)],
        claim=str(uuid4()),
        operation=holder,
        lease_s=5,
        all_or_none=True,
    ):
        operation = site.transition(race.kind, to=target, ids=row_id, wait_s=1)
        told = operation.wait(PATIENCE_S)

    (failure,) = operation.failures()
    assert (told["failure_codes"], failure.retryable) == ({"locked": 1}, True)
    assert failure.facts is not None
    assert failure.facts["holder"] == holder


@each_kind
def test_the_machine_against_raw_updates_corrupts_nothing(
    site: lockside.Session, race: Race
) -> None:
    source, target = race.start
    ids = race.rows(site, 40, source)
    stop = Event()
    tried: list[tuple[bool, str | None]] = []
    rival = Thread(target=change_behind, args=(site, race, stop, tried))
    rival.start()
    until(lambda: len(tried) > 4)

    told = site.transition(race.kind, to=target, ids=ids, atomic=False, chunk_items=5).wait(
        PATIENCE_S
    )
    stop.set()
    rival.join()

    assert told["successful_items"] == 40
    assert set(tried) == {(True, None), (False, REFUSED_BY_THE_GUARD)}
    check_when_settled(site)
    assert overrides(site, race.kind) == len([each for each in tried if each[0]])


def change_behind(
    site: lockside.Session, race: Race, stop: Event, tried: list[tuple[bool, str | None]]
) -> None:
    """Change rows with raw SQL, every second time with an override; note each refusal."""
    table = kinds()[race.kind].__tablename__
    change = sql.SQL(
        "UPDATE {0} SET updated_at = clock_timestamp(), version = version + 1"
        " WHERE id = (SELECT id FROM {0} WHERE state IN ({1}, {2}) ORDER BY random() LIMIT 1)"
    ).format(sql.Identifier(table), *race.start)
    with raw(site) as session:
        while not stop.is_set():
            overridden = len(tried) % 2 == 0
            if overridden:
                session.execute("SET LOCAL lockside.override = 'race'")
            try:
                session.execute(change)
                session.commit()
            except psycopg.Error as error:
                session.rollback()
                tried.append((overridden, error.sqlstate))
            else:
                tried.append((overridden, None))


def overrides(site: lockside.Session, kind: str) -> int:
    (row,) = query(
        site,
        "SELECT count(*) AS n FROM state_transition_audit WHERE reason = 'override' AND kind = :k",
        k=kind,
    )
    found: int = row["n"]
    return found


@each_kind
def test_a_sequence_is_recorded_in_order_and_completely(site: lockside.Session, race: Race) -> None:
    (row_id,) = race.rows(site, 1, race.path[0])

    for state in race.path[1:]:
        site.act_as("demo", None if state in race.by_system else "admin")
        assert move(site, race, row_id, state)["state"] == "SUCCEEDED"
    check_when_settled(site)

    told = site.timeline(race.kind, row_id)
    assert [(each["event_type"], each["from_state"], each["to_state"]) for each in told] == [
        ("CREATED", None, None),
        *(("STATE_CHANGED", here, there) for here, there in pairwise(race.path)),
    ]
    assert [each["version"] for each in told] == list(range(1, len(race.path) + 1))


@each_kind
def test_without_the_permission_it_is_refused_and_recorded(
    site: lockside.Session, race: Race
) -> None:
    source, target = race.start
    (row_id,) = race.rows(site, 1, source)
    site.act_as("demo", "victor")

    told = move(site, race, row_id, target)
    check_when_settled(site)

    created, record = site.timeline(race.kind, row_id)
    assert told["failure_codes"] == {"permission_denied": 1}
    assert (created["event_type"], created["version"]) == ("CREATED", 1)
    assert (record["success"], record["error_code"]) == (False, "permission_denied")
    (denial,) = query(
        site,
        "SELECT kind, entity_ids, actor_id FROM permission_denial_audit WHERE correlation_id = :id",
        id=told["operation_id"],
    )
    assert denial == {
        "kind": race.kind,
        "entity_ids": [row_id],
        "actor_id": site.actor.person_id,
    }
