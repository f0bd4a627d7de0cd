"""Whatever happens in whatever order, at the end everything was done once and recorded."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

import lockside
from domain.errors import IllegalTransition, InvalidInput
from engine.audit.writer import write_records
from engine.operations.cancel import cancel
from engine.operations.follow_up import execute_plan, retry, undo
from engine.operations.pause import pause, resume
from engine.operations.request import Submission
from engine.operations.run_chunk import run_chunk
from engine.operations.submit import submit
from engine.operations.sweeper import sweep
from engine.ports.locks import row_key
from engine.ports.platform import Pace
from tests.checker import check_invariants
from tests.engine.steps import Crash, Recorder, crash_at, due_now, leases_over, query
from tests.factories import work_orders

pytestmark = pytest.mark.slow

PACE = Pace(in_flight_limit=2, attempts=3, lease_s=60, republish_after_s=0.0, retries=1)
TARGETS = ("APPROVED", "IN_PROGRESS", "REJECTED", "DRAFT", "CANCELLED")
REMARKS = ("wet", "dry")
STEPS = (
    *("claimed", "locked", "writing", "changed", "released", "finished", "storing", "stored"),
    *("progress_stored", "dispatching", "dispatched"),
)
Steer = Callable[..., None]
Derive = Callable[..., UUID]
# One of however many there are: what is drawn must not depend on what time brought about.
NTH = st.integers(0, 1000)
SHOWN = settings(max_examples=12, stateful_step_count=30, deadline=None)


class Life(RuleBasedStateMachine):
    """Six work orders, any number of operations over them, and everything that can go wrong."""

    def __init__(self, site: lockside.Session) -> None:
        super().__init__()
        self.site = site
        self.broker = Recorder()
        self.platform = replace(site.platform, publish=self.broker, pace=PACE)
        self.rows = work_orders(site, 5) + work_orders(site, 1, vendor=False)
        self.operations: list[UUID] = []
        self.percents: dict[UUID, int] = {}

    @rule(
        what=st.sampled_from(TARGETS) | st.sampled_from(REMARKS),
        places=st.lists(st.integers(0, 5), min_size=1, unique=True),
        atomic=st.booleans(),
        stop=st.booleans(),
        dry_run=st.sampled_from((False, False, False, True)),
        canary=st.sampled_from((None, None, 1, 3)),
        crash=st.sampled_from((None, None, "submitted", "dispatched")),
    )
    def submit(
        self,
        *,
        what: str,
        places: Sequence[int],
        atomic: bool,
        stop: bool,
        dry_run: bool,
        canary: int | None,
        crash: str | None,
    ) -> None:
        update: dict[str, Any] = {"verb": "update", "values": {"remarks": what}}
        wanted = Submission(
            "work_order",
            [self.rows[place] for place in places],
            **(update if what in REMARKS else {"target": what}),
            comments="Because",
            atomic=atomic,
            stop_at_first_failure=stop and not atomic,
            dry_run=dry_run,
            canary=None if atomic else canary,
            chunk_items=2,
            wait_s=0.05,
        )
        platform = crash_at(self.platform, crash) if crash else self.platform
        try:
            self.operations.append(submit(platform, self.site.actor, wanted))
        except Crash:
            self._remember_the_newest()

    def _remember_the_newest(self) -> None:
        (newest,) = query(self.site, "SELECT id FROM operation ORDER BY created_at DESC LIMIT 1")
        self.operations.append(newest["id"])

    @rule(nth=NTH, times=st.integers(1, 3))
    def deliver(self, nth: int, times: int) -> None:
        for message in self._messages(nth):
            for _ in range(times):
                run_chunk(self.platform, *message)

    @rule(nth=NTH, step=st.sampled_from(STEPS))
    def crash(self, nth: int, step: str) -> None:
        for message in self._messages(nth):
            with contextlib.suppress(Crash):
                run_chunk(crash_at(self.platform, step), *message)

    def _messages(self, nth: int) -> list[tuple[UUID, int]]:
        """Return one of the dispatch messages that were sent, if there is any."""
        sent = [given for name, given in self.broker.sent if name == "bulk.run_chunk"]
        drawn = sent[nth % (len(sent) or 1) :][:1]
        return [(UUID(each["operation_id"]), each["chunk_no"]) for each in drawn]

    def _operations(self, nth: int) -> list[UUID]:
        """Return one of the operations, if there is any."""
        return self.operations[nth % (len(self.operations) or 1) :][:1]

    @rule(place=st.integers(0, 5))
    def a_dead_worker_left_a_lock(self, place: int) -> None:
        key = row_key(self.site.actor.tenant_id, "work_order", self.rows[place])
        with Redis.from_url(self.site.settings.redis_database(2)) as redis:
            redis.set(key, "claim operation 2026-11-22", px=100)

    @rule()
    def leases_run_out(self) -> None:
        leases_over(self.site)

    @rule()
    def time_goes_by(self) -> None:
        due_now(self.site)

    @rule(crash=st.sampled_from((None, "dispatching", "storing", "finished")))
    def sweep(self, crash: str | None) -> None:
        with contextlib.suppress(Crash):
            sweep(crash_at(self.platform, crash) if crash else self.platform)

    @rule(nth=NTH, crash=st.sampled_from((None, "cancelling", "finished")))
    def cancel(self, nth: int, crash: str | None) -> None:
        platform = crash_at(self.platform, crash) if crash else self.platform
        for each in self._operations(nth):
            with contextlib.suppress(Crash, IllegalTransition):
                cancel(platform, self.site.actor, each)

    @rule(nth=NTH, steer=st.sampled_from((pause, resume)))
    def steer(self, nth: int, steer: Steer) -> None:
        for each in self._operations(nth):
            with contextlib.suppress(IllegalTransition):
                steer(self.platform, self.site.actor, each)

    @rule(
        nth=NTH,
        derive=st.sampled_from((execute_plan, retry, undo)),
        crash=st.sampled_from((None, "submitted", "dispatched")),
    )
    def derive(self, nth: int, derive: Derive, crash: str | None) -> None:
        platform = crash_at(self.platform, crash) if crash else self.platform
        for parent in self._operations(nth):
            # It goes on, there is nothing to do, or there is such an operation already.
            with contextlib.suppress(Crash, IllegalTransition, InvalidInput):
                derive(platform, self.site.actor, parent)
        made = query(self.site, "SELECT id FROM operation WHERE purpose IS NOT NULL")
        self.operations += [each["id"] for each in made if each["id"] not in self.operations]

    @rule(crash=st.booleans())
    def write_records(self, crash: bool) -> None:
        platform = crash_at(self.platform, "records_written") if crash else self.platform
        with contextlib.suppress(Crash):
            write_records(platform)

    @rule(away=st.booleans())
    def the_broker_comes_and_goes(self, away: bool) -> None:
        self.broker.away = away

    @invariant()
    def the_percentage_never_runs_backwards(self) -> None:
        for each in self.operations:
            told: dict[str, Any] = self.platform.results.read(str(each)) or {"percent": 0}
            percent = 100 if "state" in told else told["percent"]
            assert percent >= self.percents.get(each, 0)
            self.percents[each] = percent

    @invariant()
    def the_percentage_is_100_only_at_the_end(self) -> None:
        for each in self.operations:
            found = self.site.operation(each).show()
            assert found["result"] is not None or found["progress"]["percent"] < 100

    @invariant()
    def counts_always_add_up(self) -> None:
        for each in self.operations:
            counts = self.site.operation(each).show()
            assert sum(counts["counts"].values()) == counts["total"]
            assert min(counts["counts"].values()) >= 0

    def teardown(self) -> None:
        self.broker.away = False
        for _ in range(60):
            if not query(self.site, "SELECT FROM operation WHERE finished_at IS NULL"):
                break
            leases_over(self.site)
            due_now(self.site)
            self.broker.sent.clear()
            for each in query(self.site, "SELECT id FROM operation WHERE state = 'PAUSED'"):
                resume(self.platform, self.site.actor, each["id"])
            sweep(self.platform)
            for _, given in self.broker.sent:
                if given:
                    run_chunk(self.platform, UUID(given["operation_id"]), given["chunk_no"])
        sweep(self.platform)
        check_invariants(self.site)


def test_whatever_happens_everything_ends_once_and_recorded(site: lockside.Session) -> None:
    class HereLife(Life):
        def __init__(self) -> None:
            super().__init__(site)

    run_state_machine_as_test(HereLife, settings=SHOWN)
