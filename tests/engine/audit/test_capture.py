"""Capture: whatever an interface changes leaves a record that names who did it."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from inspect import getmembers, isfunction
from typing import Any
from uuid import UUID

import pytest

import lockside
from lockside.session.records import Records
from models.base import kinds
from tests.checker import check_invariants
from tests.engine.resource_types import NOUNS, each_noun, make
from tests.engine.steps import drain, outbox
from tests.engine.works import task
from tests.factories import MAKERS, tickets, work_orders

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
    Records: {"demand_view", "each", "get", "list"},
    lockside.Operation: {
        *("age_s", "failure_groups", "failures", "follow", "results", "show", "wait"),
    },
}
"""What changes nothing."""


@pytest.mark.parametrize("door", READS, ids=lambda door: door.__name__)
def test_each_use_case_of_a_door_reads_or_is_held_here(door: type) -> None:
    offered = {name for name, _ in getmembers(door, isfunction) if not name.startswith("_")}
    held = {
        lockside.Session: WRITES.keys(),
        Records: {"create", "update", "delete"},
        lockside.Operation: STEERED.keys(),
    }

    assert offered - READS[door] == set(held[door])


@pytest.mark.parametrize("use_case", WRITES)
def test_what_a_door_writes_leaves_a_record_that_names_who_did_it(
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


@each_noun
def test_every_write_of_every_noun_leaves_its_record(
    site: lockside.Session, resource_type: str
) -> None:
    values = NOUNS[resource_type].values(site)
    known = site.records(resource_type)

    made = left(site, lambda _: values.update(known.create(**values)))
    changed = left(site, lambda _: known.update(values["id"], **NOUNS[resource_type].change))
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


@each_noun
def test_every_refused_write_of_every_noun_leaves_its_record(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    known = site.records(resource_type)
    asked: list[tuple[str, Callable[[], object]]] = [
        (
            "UPDATED",
            lambda: known.update(made["id"], expected_version=9, **NOUNS[resource_type].change),
        ),
        ("DELETED", lambda: known.delete(made["id"], expected_version=9)),
        ("UPDATED", lambda: known.update(10**9, **NOUNS[resource_type].change)),
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
