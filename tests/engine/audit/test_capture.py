"""Capture: whatever an interface changes leaves a record that names who did it."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from inspect import getmembers, isfunction
from typing import Any
from uuid import UUID

import pytest

import lockside
from engine.audit.writer import write_records
from lockside.session.archives import Archives
from lockside.session.audit import Audit
from lockside.session.autoclose import Autoclose
from lockside.session.records import Records
from models.base import kinds
from tests.checker import check_invariants
from tests.engine.archives import MAY, archive, make_months, record
from tests.engine.clockwork import HOUR, NOON, alone, overdue, run_at
from tests.engine.resource_types import EXAMPLES, each_resource_type, make
from tests.engine.steps import drain, outbox
from tests.engine.works import task
from tests.factories import MAKERS, tickets, work_orders

pytestmark = pytest.mark.slow

Ask = Callable[[lockside.Session], object]


def left(site: lockside.Session, ask: Ask) -> list[dict[str, Any]]:
    """Return what is new in the outbox after somebody asked for something."""
    before = len(outbox(site))
    ask(site)
    return outbox(site)[before:]


def ended(site: lockside.Session, handed_in: lockside.Operation) -> lockside.Operation:
    """Run an operation to its end."""
    drain(site, UUID(handed_in.id))
    return handed_in


def later(site: lockside.Session) -> lockside.Operation:
    """Hand in what doesn't begin yet, so that it can be steered."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return site.transition("ticket", to="OPEN", ids=tickets(site, 1), run_at=tomorrow)


def paused(site: lockside.Session) -> lockside.Operation:
    """Hand in and pause."""
    known = later(site)
    known.pause()
    return known


def planned(site: lockside.Session) -> lockside.Operation:
    """Judge what could be done."""
    ids = tickets(site, 2)
    return ended(site, site.transition("ticket", to="OPEN", ids=ids, dry_run=True))


def failed(site: lockside.Session) -> lockside.Operation:
    """Fail for a while."""
    ids = work_orders(site, 2, vendor=False)
    handed_in = site.transition("work_order", to="APPROVED", ids=ids, atomic=False)
    return ended(site, handed_in)


def done(site: lockside.Session) -> lockside.Operation:
    """Do what can be undone."""
    return ended(site, site.transition("task", to="INPROGRESS", ids=[task(site, **ASSIGNED)]))


ASSIGNED = {"state": "ASSIGNED", "assigned_to_user": "tomas"}
WRITES: dict[str, Ask] = {
    "import_work": lambda site: tickets(site, 2),
    "load": lambda site: site.load("ticket", io.BytesIO(b"title\nLeak\n"), form="csv"),
    "transition": lambda site: ended(
        site, site.transition("ticket", to="OPEN", ids=tickets(site, 1))
    ),
    "perform": lambda site: ended(site, site.perform("ticket", "open", tickets(site, 2))),
    "assign": lambda site: ended(site, site.assign("ticket", tickets(site, 2), user="asha")),
    "update": lambda site: ended(
        site, site.update("ticket", tickets(site, 2), {"priority": "HIGH"})
    ),
    "open_tenant": lambda site: site.open_tenant("third", {"zoe": ["admin"]}),
    "add_named": lambda site: site.add_named("vendor", ["New Lifts"]),
}
STEERED: dict[
    str, tuple[Callable[[lockside.Session], lockside.Operation], Callable[..., object]]
] = {
    "pause": (later, lambda site, known: known.pause()),
    "resume": (paused, lambda site, known: known.resume()),
    "cancel": (later, lambda site, known: known.cancel()),
    "execute": (planned, lambda site, known: ended(site, known.execute())),
    "retry": (failed, lambda site, known: ended(site, known.retry())),
    "undo": (done, lambda site, known: ended(site, known.undo())),
}
READS = {
    lockside.Session: {
        *("act_as", "close", "count", "explain", "export", "export_text", "ids"),
        *("ids_by_reference", "operation", "operations", "records", "row", "served_queues"),
        *("states", "tenants", "timeline", "trail", "trail_text", "cursor_of", "as_of"),
        *("states_as_of", "time_in_states", "anomalies"),
    },
    Records: {"authorize_view", "each", "get", "list"},
    lockside.Operation: {
        *("age_s", "failure_groups", "failures", "follow", "results", "show", "wait"),
    },
    Archives: {"list", "search"},
    Audit: {"verify", "newest"},
    Autoclose: {"policies", "preview", "history", "alerts"},
}
"""What changes nothing."""

TICKS: dict[type, set[str]] = {Archives: {"archive_now"}, Audit: {"pin"}, Autoclose: {"run"}}
"""What the clock does by itself as well, and what comes of it is on record as the clock's."""


def archived(site: lockside.Session) -> str:
    """Archive a month of records; return it."""
    make_months(site, MAY)
    record(site)
    archive(site)
    return "2026-05"


def held_archive(site: lockside.Session) -> str:
    """Archive a month and have it held; return it."""
    month = archived(site)
    site.archives.hold(month, because="An inquiry")
    return month


def deleted_person(site: lockside.Session) -> int:
    """Delete somebody whose name is on record; return their id."""
    person_id: int = site.records("person").create(name="Rosalind Quist")["id"]
    site.records("person").delete(person_id)
    write_records(site.platform)
    return person_id


def stopped_policy(site: lockside.Session) -> str:
    """Make a policy and have its breaker stop it; return its name."""
    name = alone(site, breaker_least=10)
    for hour in range(4):
        overdue(site, 2, by=-hour * HOUR)
        run_at(site, NOON + hour * HOUR)
    overdue(site, 100)
    run_at(site, NOON + 4 * HOUR)
    return name


def alert(site: lockside.Session) -> list[int]:
    """Have a policy raise an alert; return its id."""
    alone(site, clock="due", verb="alert", target_state=None, comments=None)
    overdue(site, 1)
    run_at(site)
    return [site.autoclose.alerts()[0]["id"]]


FACETS: dict[tuple[type, str], tuple[Callable[[lockside.Session], Any], Callable[..., object]]] = {
    (Archives, "restore"): (archived, lambda site, month: site.archives.restore(month)),
    (Archives, "hold"): (
        archived,
        lambda site, month: site.archives.hold(month, because="An inquiry"),
    ),
    (Archives, "release"): (held_archive, lambda site, month: site.archives.release(month)),
    (Audit, "erase"): (deleted_person, lambda site, person: site.audit.erase(person)),
    (Autoclose, "set_mode"): (alone, lambda site, name: site.autoclose.set_mode(name, "off")),
    (Autoclose, "resume"): (stopped_policy, lambda site, name: site.autoclose.resume(name)),
    (Autoclose, "acknowledge"): (alert, lambda site, ids: site.autoclose.acknowledge(ids)),
}


@pytest.mark.parametrize("interface", READS, ids=lambda interface: interface.__name__)
def test_each_use_case_of_an_interface_reads_or_is_held_here(interface: type) -> None:
    offered = {name for name, _ in getmembers(interface, isfunction) if not name.startswith("_")}
    held: dict[type, set[str]] = {
        lockside.Session: set(WRITES),
        Records: {"create", "update", "delete"},
        lockside.Operation: set(STEERED),
    }
    facets = {name for owner, name in FACETS if owner is interface}

    written = held.get(interface, facets) | TICKS.get(interface, set())

    assert offered - READS[interface] == written


@pytest.mark.parametrize(
    "use_case", FACETS, ids=lambda use_case: f"{use_case[0].__name__}.{use_case[1]}"
)
def test_what_is_done_with_archives_audit_and_policies_leaves_a_record_that_names_who_did_it(
    site: lockside.Session, use_case: tuple[type, str]
) -> None:
    prepare, ask = FACETS[use_case]
    prepared = prepare(site)

    new = left(site, lambda site: ask(site, prepared))

    assert site.actor.person_id in {each["body"]["actor_id"] for each in new}


@pytest.mark.parametrize("use_case", WRITES)
def test_what_an_interface_writes_leaves_a_record_that_names_who_did_it(
    site: lockside.Session, use_case: str
) -> None:
    new = left(site, WRITES[use_case])

    assert new
    assert {each["body"]["actor_id"] for each in new} == {site.actor.person_id}
    check_invariants(site)


@pytest.mark.parametrize("use_case", STEERED)
def test_what_is_done_with_an_operation_leaves_a_record_that_names_who_did_it(
    site: lockside.Session, use_case: str
) -> None:
    prepare, steer = STEERED[use_case]
    known = prepare(site)
    site.act_as("demo", "asha")

    new = left(site, lambda site: steer(site, site.operation(known.id)))

    assert new
    assert {each["body"]["actor_id"] for each in new} == {site.actor.person_id}


@each_resource_type
def test_every_write_of_every_resource_type_leaves_its_record(
    site: lockside.Session, resource_type: str
) -> None:
    values = EXAMPLES[resource_type].values(site)
    known = site.records(resource_type)

    made = left(site, lambda _: values.update(known.create(**values)))
    changed = left(site, lambda _: known.update(values["id"], **EXAMPLES[resource_type].change))
    gone = left(site, lambda _: known.delete(values["id"]))

    told = [(each["body"]["event_type"], each["body"]["kind"]) for each in made + changed + gone]
    own = [event for event, kind in told if kind == resource_type]
    assert own == ["CREATED", "UPDATED", "DELETED"]
    assert {each["body"]["actor_id"] for each in made + changed + gone} == {site.actor.person_id}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_verb_of_every_kind_leaves_its_record_done_or_refused(
    site: lockside.Session, kind: str
) -> None:
    for arrow in kinds()[kind].machine.transitions:
        ids = MAKERS[kind](site, 1, state=arrow.source)

        before = len(outbox(site))
        ended(site, site.perform(kind, arrow.verb, ids, comments="Because"))
        new = outbox(site)[before:]

        told = [each["entity_ids"] for each in new if each["record"] == "state_transition"]
        assert told == [ids], arrow
        assert {each["body"]["actor_id"] for each in new} == {site.actor.person_id}


@each_resource_type
def test_every_refused_write_of_every_resource_type_leaves_its_record(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    known = site.records(resource_type)
    asked: list[tuple[str, Callable[[], object]]] = [
        (
            "UPDATED",
            lambda: known.update(made["id"], expected_version=9, **EXAMPLES[resource_type].change),
        ),
        ("DELETED", lambda: known.delete(made["id"], expected_version=9)),
        ("UPDATED", lambda: known.update(10**9, **EXAMPLES[resource_type].change)),
        ("DELETED", lambda: known.delete(10**9)),
    ]

    before = len(outbox(site))
    for _, ask in asked:
        refused(ask)
    new = outbox(site)[before:]

    told = [(each["body"]["event_type"], each["body"]["kind"]) for each in new]
    assert told == [(event, resource_type) for event, _ in asked]
    assert {each["body"]["actor_id"] for each in new} == {site.actor.person_id}
    assert [each["error_codes"] for each in new] == [
        *[["concurrency_conflict"]] * 2,
        *[["not_found"]] * 2,
    ]


def refused(ask: Callable[[], object]) -> lockside.LocksideError:
    """Return what somebody was refused with."""
    with pytest.raises(lockside.LocksideError) as told:
        ask()
    return told.value
