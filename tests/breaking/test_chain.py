"""Many who write, and writers of records that are killed and stopped: one chain all the same."""

import os
import signal
from functools import partial

import psutil
import pytest

import lockside
from tests.breaking.gate import Arrival, Fate
from tests.breaking.plant import Plant, eventually
from tests.checker import check_invariants
from tests.engine.steps import at_once, query
from tests.factories import tickets
from tests.patience import PATIENCE_S
from worker.settings import Settings

pytestmark = pytest.mark.slow

WRITERS = 32
EACH = 6
KILLS = 12


def work(settings: Settings, number: int) -> int:
    """Write for a while as one of many: records at once, and transitions through the workers."""
    with lockside.connect(settings=settings) as site:
        for turn in range(EACH):
            made = site.records("ticket").create(title=f"Ticket {number}.{turn}")
            site.transition("ticket", to="OPEN", ids=made["id"], comments="In").wait(PATIENCE_S)
        return len(site.timeline("ticket", made["id"]))


def test_thirty_two_writers_and_killed_record_writers_make_one_chain(plant: Plant) -> None:
    killed = 0

    def fate(arrival: Arrival) -> Fate:
        """Kill whoever has written and sealed a batch, and not committed it."""
        nonlocal killed
        if arrival.step != "records_written" or killed == KILLS:
            return Fate.GO
        killed += 1
        return Fate.KILL

    plant.gate.decide(fate)
    with plant.worker(), plant.worker():
        answers = at_once(*[partial(work, plant.settings, n) for n in range(WRITERS)])
        eventually(lambda: not plant.ask("SELECT count(*) FROM outbox"))

    assert [each for each in answers if not isinstance(each, int)] == []
    assert killed == KILLS
    assert_one_chain(plant, WRITERS * EACH)


def test_a_record_writer_stopped_past_every_limit_writes_nothing_twice(plant: Plant) -> None:
    plant.gate.hold_at("records_written")
    with plant.worker():
        tickets(plant.site, 5)
        plant.site.transition("ticket", to="OPEN", ids=tickets(plant.site, 1)[0]).wait(PATIENCE_S)
        sleeper = plant.gate.next()
        os.kill(sleeper.pid, signal.SIGSTOP)
        eventually(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED)
        plant.gate.open()
        # What idle_in_transaction_session_timeout does after a minute.
        session = plant.open_change(sleeper.pid)
        assert plant.ask("SELECT pg_terminate_backend(:session)", session=session)
        plant.site.transition("ticket", to="OPEN", ids=tickets(plant.site, 1)[0]).wait(PATIENCE_S)
        eventually(lambda: not plant.ask("SELECT count(*) FROM outbox"))

        os.kill(sleeper.pid, signal.SIGCONT)
        sleeper.go()
        plant.site.transition("ticket", to="OPEN", ids=tickets(plant.site, 1)[0]).wait(PATIENCE_S)
        eventually(lambda: not plant.ask("SELECT count(*) FROM outbox"))

    assert_one_chain(plant, 3)


def assert_one_chain(plant: Plant, transitions: int) -> None:
    """Assert that the seals are 1, 2, 3, …, hold each record once, and are whole."""
    check_invariants(plant.site)
    (told,) = query(plant.site, """
        SELECT count(*) = max(seal_no) AS is_gapless, sum(records) AS sealed,
               (SELECT count(DISTINCT event_id) FROM state_transition_audit) AS transitions,
               (SELECT count(*) FROM state_transition_audit)
                 + (SELECT count(*) FROM audit_log)
                 + (SELECT count(*) FROM permission_denial_audit)
                 + (SELECT count(*) FROM bulk_operation_audit) AS stored
          FROM audit_seal
    """)  # fmt: skip
    assert told["is_gapless"]
    assert told["sealed"] == told["stored"]
    assert told["transitions"] == transitions
