"""Hooks: what other code adds before, inside and after changes, and what a crash leaves of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, Row, text

import lockside
from domain.machines.machine import Reason
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from engine.ports.hooks import Hook
from engine.ports.platform import Platform
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    Recorder,
    ask,
    chunks,
    crash_at,
    drain,
    due_now,
    leases_over,
    operation,
    query,
    rows,
)
from tests.engine.works import do, why
from tests.factories import tickets, work_orders
from tests.sentences import Sentences

NOTE = text("INSERT INTO noted (what, operation_id, entity_id) VALUES (:what, :operation_id, :id)")


@pytest.fixture(autouse=True)
def noted(site: lockside.Session) -> None:
    """Make the table that the tests' hooks write to."""
    query(site, "CREATE TABLE noted (what text, operation_id uuid, entity_id bigint)")


def notes(site: lockside.Session) -> list[tuple[str, int]]:
    found = query(site, "SELECT what, entity_id FROM noted ORDER BY what, entity_id")
    return [(each["what"], each["entity_id"]) for each in found]


def hooked(site: lockside.Session, *hooks: Hook) -> Platform:
    """Return the platform of a process that has these hooks and no other."""
    return replace(site.platform, hooks=hooks)


@dataclass
class Refuses(Hook):
    """Says no to some rows; remembers whom it was asked about."""

    name: ClassVar[str] = "refuses"
    ids: Sequence[int] = ()
    asked: list[int] = field(default_factory=list)

    def before(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> Mapping[int, Reason]:
        self.asked += [each.id for each in rows]
        return {
            each: Reason("not_on_fridays", "Nothing is approved on Fridays") for each in self.ids
        }


class Notes(Hook):
    """Notes each row with the state that it had."""

    name = "notes"

    def inside(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> None:
        for each in rows:
            db.execute(NOTE, {"what": each.state, "operation_id": operation.id, "id": each.id})


class Breaks(Notes):
    """Notes, and then fails."""

    name = "breaks"

    def inside(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> None:
        super().inside(db, operation, rows, now)
        raise RuntimeError("the hook is broken")


class Follows(Hook):
    """Notes, in an operation of its own, the rows that were changed."""

    name = "follows"
    wanted = "o.verb <> 'hook' AND NOT o.dry_run"

    def follow(self, db: Connection, operation: Row[Any], told: Mapping[str, Any]) -> list[int]:
        return [int(each) for each in told["successful_ids"]]

    def after(
        self, db: Connection, parent_id: UUID, tenant_id: int, ids: Sequence[int], now: datetime
    ) -> None:
        for each in ids:
            db.execute(NOTE, {"what": "after", "operation_id": parent_id, "id": each})


class FollowsInVain(Follows):
    """Writes, and then fails."""

    name = "in vain"

    def after(
        self, db: Connection, parent_id: UUID, tenant_id: int, ids: Sequence[int], now: datetime
    ) -> None:
        super().after(db, parent_id, tenant_id, ids, now)
        raise RuntimeError("the hook is broken")


def followups(site: lockside.Session) -> list[dict[str, Any]]:
    return query(site, "SELECT * FROM operation WHERE verb = 'hook' ORDER BY created_at, hook")


# Before


def test_a_hook_refuses_what_passed_every_rule(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    asked = ask(site, ids, atomic=False)

    told = drain(site, asked, hooked(site, Refuses(ids[:1])))

    assert (why(told), told["failed_ids"]) == (["not_on_fridays"], [str(ids[0])])
    assert rows(site)[ids[0]] == ("SUBMITTED", 1)
    check_invariants(site)


def test_a_hooks_refusal_is_recorded_like_any_other(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)

    drain(site, ask(site, [row_id]), hooked(site, Refuses([row_id])))
    check_invariants(site)

    told = site.timeline("work_order", row_id)[-1]
    assert (told["success"], told["error_code"]) == (False, "not_on_fridays")


def test_all_or_nothing_does_nothing_when_a_hook_refuses_a_row(site: lockside.Session) -> None:
    ids = work_orders(site, 3)

    told = drain(site, ask(site, ids), hooked(site, Refuses(ids[2:])))

    assert (told["state"], site.states("work_order")) == ("ROLLED_BACK", {"SUBMITTED": 3})
    check_invariants(site)


def test_a_hook_is_asked_only_about_rows_that_passed(site: lockside.Session) -> None:
    good, bad, there = (
        work_orders(site, 1)[0],
        work_orders(site, 1, vendor=False)[0],
        work_orders(site, 1, state="APPROVED")[0],
    )
    hook = Refuses()

    drain(site, ask(site, [good, bad, there], atomic=False), hooked(site, hook))

    assert hook.asked == [good]


def test_a_hook_is_asked_for_every_verb_and_in_a_dry_run(site: lockside.Session) -> None:
    ids = tickets(site, 1)
    hook = Refuses(ids)
    platform = hooked(site, hook)

    answers = [
        drain(site, do(site, "ticket", ids, **each), platform)
        for each in (
            {"target": "OPEN", "dry_run": True},
            {"verb": "assign", "values": {"assigned_to_user": "asha"}},
            {"verb": "update", "values": {"priority": "HIGH"}},
        )
    ]

    assert [why(each) for each in answers] == [["not_on_fridays"]] * 3


# Inside


def test_a_hook_writes_with_the_change_and_sees_rows_as_they_were(site: lockside.Session) -> None:
    good, bad = work_orders(site, 2), work_orders(site, 1, vendor=False)

    drain(site, ask(site, good + bad, atomic=False), hooked(site, Notes()))

    assert notes(site) == [("SUBMITTED", each) for each in good]
    check_invariants(site)


@pytest.mark.slow
def test_what_a_hook_wrote_goes_with_a_change_that_never_was_committed(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 2)
    asked = ask(site, ids)

    with pytest.raises(Crash):
        run_chunk(crash_at(hooked(site, Notes()), "writing"), asked, 0)
    assert (notes(site), site.states("work_order")) == ([], {"SUBMITTED": 2})
    leases_over(site)
    drain(site, asked, hooked(site, Notes()))

    assert notes(site) == [("SUBMITTED", each) for each in ids]
    check_invariants(site)


def test_all_or_nothing_that_is_rolled_back_calls_no_hook_inside(site: lockside.Session) -> None:
    ids = work_orders(site, 2) + work_orders(site, 1, vendor=False)

    drain(site, ask(site, ids), hooked(site, Notes()))

    assert notes(site) == []


def test_a_dry_run_calls_no_hook_inside(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 2), dry_run=True), hooked(site, Notes()))

    assert notes(site) == []


def test_an_error_inside_undoes_the_change_which_is_tried_again_and_given_up(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 2)
    asked = ask(site, ids)
    platform = hooked(site, Notes(), Breaks())

    for _ in range(platform.pace.attempts):
        due_now(site)
        with pytest.raises(RuntimeError):
            run_chunk(platform, asked, 0)
    sweep(platform)

    (chunk,) = chunks(site, asked)
    told = "the hook breaks failed: RuntimeError('the hook is broken')"
    assert (chunk["status"], chunk["error"]) == ("DEAD", told)
    assert (operation(site, asked)["state"], notes(site)) == ("FAILED", [])
    assert site.states("work_order") == {"SUBMITTED": 2}
    check_invariants(site)


def test_an_error_inside_that_passes_is_no_harm(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    asked = ask(site, ids)
    with pytest.raises(RuntimeError):
        run_chunk(hooked(site, Breaks()), asked, 0)

    told = drain(site, asked, hooked(site, Notes()))

    assert (told["state"], len(notes(site))) == ("SUCCEEDED", 2)
    check_invariants(site)


# After


def test_what_follows_is_an_operation_of_its_own(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    platform = hooked(site, Follows())
    asked = ask(site, ids)
    drain(site, asked, platform)

    (follow,) = followups(site)
    told = drain(site, follow["id"], platform)

    assert (follow["parent_id"], follow["state"], follow["reason"]) == (asked, "QUEUED", "hook")
    assert (told["state"], told["operation_type"]) == ("SUCCEEDED", "hook_follows")
    assert notes(site) == [("after", each) for each in ids]
    check_invariants(site)


def test_what_follows_survives_a_crash_right_after_the_end(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    broker = Recorder()
    platform = replace(hooked(site, Follows()), publish=broker)
    asked = ask(site, ids)
    due_now(site)
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "finished"), asked, 0)
    (follow,) = followups(site)
    assert (broker.chunks(), follow["state"]) == ([], "QUEUED")

    sweep(platform)

    sent = [given for name, given in broker.sent if name == "bulk.run_chunk"]
    assert sent == [{"operation_id": str(follow["id"]), "chunk_no": 0}]
    drain(site, follow["id"], platform)
    assert notes(site) == [("after", each) for each in ids]
    check_invariants(site)


def test_an_operation_that_does_not_commit_its_end_is_followed_by_nothing_yet(
    site: lockside.Session,
) -> None:
    asked = ask(site, work_orders(site, 2))
    platform = hooked(site, Follows())
    due_now(site)

    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "released"), asked, 0)
    assert followups(site) == []
    sweep(platform)

    assert [each["parent_id"] for each in followups(site)] == [asked]


def test_what_follows_happens_once_however_often_it_is_delivered(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    platform = hooked(site, Follows())
    drain(site, ask(site, ids), platform)
    (follow,) = followups(site)
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "changed"), follow["id"], 0)

    for _ in range(3):
        run_chunk(platform, follow["id"], 0)
        sweep(platform)

    assert notes(site) == [("after", each) for each in ids]
    assert len(followups(site)) == 1
    check_invariants(site)


def test_what_follows_in_vain_is_given_up_and_undoes_nothing(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    platform = hooked(site, FollowsInVain())
    drain(site, ask(site, ids), platform)
    (follow,) = followups(site)

    for _ in range(platform.pace.attempts):
        due_now(site)
        with pytest.raises(RuntimeError):
            run_chunk(platform, follow["id"], 0)
    sweep(platform)

    assert operation(site, follow["id"])["state"] == "FAILED"
    assert (notes(site), site.states("work_order")) == ([], {"APPROVED": 2})
    check_invariants(site)


def test_each_hook_follows_for_itself(site: lockside.Session) -> None:
    platform = hooked(site, Follows(), Notes(), FollowsInVain())

    drain(site, ask(site, work_orders(site, 1)), platform)

    assert [each["hook"] for each in followups(site)] == ["follows", "in vain"]


@pytest.mark.parametrize("options", [{"dry_run": True}, {}])
def test_nothing_follows_what_is_not_wanted_or_has_no_items(
    site: lockside.Session, options: dict[str, Any]
) -> None:
    ids = work_orders(site, 2, vendor=bool(options))

    drain(site, ask(site, ids, **options), hooked(site, Follows()))

    assert followups(site) == []


def test_what_follows_many_is_cut_into_chunks_like_anything(site: lockside.Session) -> None:
    ids = work_orders(site, 5)
    platform = hooked(site, Follows())
    small = replace(platform, pace=replace(platform.pace, chunk_items=2))

    drain(site, ask(site, ids), small)

    (follow,) = followups(site)
    assert [each["ids"] for each in chunks(site, follow["id"])] == [ids[:2], ids[2:4], ids[4:]]
    drain(site, follow["id"], small)
    assert notes(site) == [("after", each) for each in ids]
    check_invariants(site)


def test_a_worker_that_does_not_know_the_hook_leaves_it_to_others(
    site: lockside.Session, says: Sentences
) -> None:
    ids = work_orders(site, 1)
    drain(site, ask(site, ids), hooked(site, Follows()))
    (follow,) = followups(site)

    with pytest.raises(RuntimeError, check=says):
        run_chunk(hooked(site), follow["id"], 0)

    drain(site, follow["id"], hooked(site, Follows()))
    assert notes(site) == [("after", ids[0])]


def test_what_follows_is_listed_beside_what_it_follows(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 2)), hooked(site, Follows()))

    listed = [each["operation_type"] for each in site.operations(limit=2)]

    assert listed == ["hook_follows", "transition_to_APPROVED"]
