"""What has served its time is forgotten: keys after 30 days, operations after 90, records not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import NotFound
from engine.audit.writer import write_records
from engine.operations.follow_up import undo
from engine.retention.forget import Forgotten, forget
from tests.checker import check_invariants
from tests.engine.archives import at
from tests.engine.steps import (
    Crash,
    ask,
    at_once,
    crash_at,
    drain,
    operation,
    query,
    raw,
    somebody_waits_for_a_row,
    then,
    until,
)
from tests.factories import work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

STEPS = ("forgotten", "operations_forgotten")


def after(site: lockside.Session, days: float, **pace: int) -> Forgotten:
    """Forget what is to be forgotten so many days from now, at another pace if one is given."""
    late = at(site.platform, datetime.now(UTC) + timedelta(days=days))
    return forget(replace(late, pace=replace(late.pace, **pace)))


def done(site: lockside.Session, count: int = 2, **options: Any) -> UUID:
    """Run an operation over new rows to its end, and write its records."""
    asked = ask(site, work_orders(site, count), **options)
    drain(site, asked)
    write_records(site.platform)
    return asked


def kept(site: lockside.Session) -> set[UUID]:
    """Return the operations that there are."""
    return {each["id"] for each in query(site, "SELECT id FROM operation")}


def hanging(site: lockside.Session, operation_id: UUID) -> int:
    """Return how many rows hang on an operation, in any table that names one."""
    tables = query(
        site,
        "SELECT table_name AS name FROM information_schema.columns"
        " WHERE column_name = 'operation_id' AND table_schema = 'public' ORDER BY 1",
    )
    counts = [
        query(site, f"SELECT count(*) AS n FROM {each['name']} WHERE operation_id = :id",
              id=operation_id)[0]["n"]
        for each in tables
    ]  # fmt: skip
    # A table that is new has to be forgotten, too; those of the clock let go of operations.
    names = {each["name"] for each in tables}
    assert names == {"operation_chunk", "notification", "scheduled_run", "alert"}
    return sum(counts)


def test_a_key_is_known_for_30_days_after_the_end(site: lockside.Session) -> None:
    ids = work_orders(site, 1)
    first = ask(site, ids, idempotency_key="night")
    drain(site, first)

    after(site, 29.9)
    assert ask(site, ids, idempotency_key="night") == first
    after(site, 30.1)

    told = operation(site, first)
    assert (told["idempotency_key"], told["fingerprint"]) == (None, None)
    assert ask(site, ids, idempotency_key="night") != first


def test_an_open_operation_keeps_its_key_however_old_it_is(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 1), idempotency_key="night")

    after(site, 400)

    assert operation(site, asked)["idempotency_key"] == "night"


def test_an_operation_goes_90_days_after_its_end_with_all_that_hangs_on_it(
    site: lockside.Session,
) -> None:
    site.records("subscription").create(person="asha", kind="work_order")
    asked = done(site, 3, atomic=False, chunk_items=1)
    for each in query(site, "SELECT id FROM operation WHERE verb = 'hook'"):
        drain(site, each["id"])
    assert hanging(site, asked) == 4

    after(site, 89.9)
    assert asked in kept(site)
    after(site, 90.1)

    assert (kept(site), hanging(site, asked)) == (set(), 0)


def test_what_is_open_stays_however_old_it_is(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 1))
    write_records(site.platform)

    after(site, 400)

    assert kept(site) == {asked}


def test_what_something_open_came_out_of_stays(site: lockside.Session) -> None:
    first = done(site)
    second = undo(site.platform, site.actor, first)

    after(site, 400)
    assert kept(site) == {first, second}
    drain(site, second)
    write_records(site.platform)
    after(site, 400)

    assert kept(site) == set()


def test_an_operation_stays_while_its_records_wait_to_be_written(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 1))
    drain(site, asked)

    after(site, 400)
    assert asked in kept(site)
    write_records(site.platform)
    after(site, 400)

    assert kept(site) == set()


def test_a_tenant_with_much_to_forget_keeps_no_other_waiting(site: lockside.Session) -> None:
    done(site)
    site.act_as("other", "admin")
    done(site)
    write_records(site.platform)
    every = len(kept(site))
    slow = {"forget_rows": 1, "forget_batches": 2}

    told = [after(site, 400, **slow).operations for _ in range(every)]

    assert (sum(told), max(told)) == (every, 2)


def test_an_operation_of_more_items_than_a_batch_goes_too(site: lockside.Session) -> None:
    done(site, 5)
    done(site, 5)

    after(site, 400, forget_items=2)

    assert kept(site) == set()


@pytest.mark.parametrize("step", STEPS)
def test_who_is_killed_at_it_leaves_all_of_a_batch_or_nothing(
    site: lockside.Session, step: str
) -> None:
    asked = done(site, idempotency_key="night")
    before = operation(site, asked), kept(site)
    late = at(site.platform, datetime.now(UTC) + timedelta(days=400))
    if step == "operations_forgotten":
        query(site, "UPDATE operation SET idempotency_key = NULL, fingerprint = NULL")
        before = operation(site, asked), kept(site)

    with pytest.raises(Crash):
        forget(crash_at(late, step))

    assert (operation(site, asked), kept(site)) == before
    forget(late)
    assert kept(site) == set()


def test_two_at_once_forget_each_once(site: lockside.Session) -> None:
    for _ in range(4):
        done(site)
    every = len(kept(site))

    told = at_once(lambda: after(site, 400), lambda: after(site, 400))

    told.append(after(site, 400))
    assert sum(each.operations for each in told if isinstance(each, Forgotten)) == every
    assert (len(told), kept(site)) == (3, set())


def test_who_takes_back_what_is_just_being_forgotten_is_told_so(site: lockside.Session) -> None:
    asked = done(site)
    with raw(site) as session:
        session.execute("DELETE FROM operation_chunk WHERE operation_id = %s", [asked])
        session.execute("DELETE FROM operation WHERE id = %s", [asked])

        def commit() -> None:
            until(lambda: somebody_waits_for_a_row(site))
            session.commit()

        told = at_once(commit, lambda: undo(site.platform, site.actor, asked))[1]

    assert isinstance(told, NotFound)


def test_what_comes_out_of_it_meanwhile_keeps_an_operation(site: lockside.Session) -> None:
    asked = done(site)
    late = at(site.platform, datetime.now(UTC) + timedelta(days=400))

    forget(then(late, "old_operations_found", lambda: undo(site.platform, site.actor, asked)))

    assert asked in kept(site)


def test_the_records_of_what_is_forgotten_stay_and_are_whole(site: lockside.Session) -> None:
    asked = done(site, 3)
    # Whom the test begins with has no records, before it and after it.
    before = [*site.trail(operation=asked)], site.audit.verify(complete=True).findings

    after(site, 400)

    assert kept(site) == set()
    assert len(before[0]) == 4
    assert ([*site.trail(operation=asked)], site.audit.verify(complete=True).findings) == before
    check_invariants(site)


def test_who_is_erased_after_it_is_erased(site: lockside.Session) -> None:
    made = site.records("person").create(name="Rosalind")
    done(site, comments="by Rosalind")
    site.records("person").delete(made["id"])
    write_records(site.platform)
    after(site, 400)

    site.audit.erase(made["id"])

    told = query(site, "SELECT DISTINCT comments FROM state_transition_audit")
    assert told == [{"comments": "by [erased]"}]
    assert site.audit.verify().findings == []


@pytest.mark.parametrize("verb", ["show", "cancel", "undo", "retry", "pause"])
def test_who_asks_for_what_is_forgotten_is_told_how_long_it_is_kept(
    site: lockside.Session, verb: str, says: Sentences
) -> None:
    asked = done(site)
    after(site, 400)

    with pytest.raises(NotFound, check=says) as told:
        getattr(site.operation(asked), verb)()

    assert told.value.to_dict()["kept_days"] == 90
