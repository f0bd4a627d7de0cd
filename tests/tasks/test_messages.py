"""Celery tasks are shells: known by exact names, and no message can hurt the worker."""

import json
from typing import Any
from uuid import uuid4

import pytest

import lockside
from beat_schedule import BEAT_SCHEDULE
from tests.checker import check_invariants
from tests.engine.steps import ask, drain, outbox
from tests.factories import work_orders
from tests.patience import PATIENCE_S
from tests.workers import Worker
from worker.app import QUEUES

OURS = {
    *("bulk.run_chunk", "audit.write", "audit.pin", "audit.archive", "audit.drop"),
    *("upkeep.sweep", "upkeep.partitions", "upkeep.forget", "audit.roll_up", "autoclose.tick"),
}


def test_the_tasks_have_the_names_that_messages_call_them_by(site: lockside.Session) -> None:
    assert {each for each in site.app.tasks if not each.startswith("celery.")} == OURS


def test_two_applications_in_one_process_have_tasks_of_their_own(site: lockside.Session) -> None:
    with lockside.connect(settings=site.settings) as other:
        ours, theirs = site.app.tasks["audit.write"], other.app.tasks["audit.write"]

        assert (ours.app, theirs.app) == (site.app, other.app)
        assert ours.run is not theirs.run


@pytest.mark.slow
def test_a_worker_serves_exactly_our_tasks(site: lockside.Session, worker: Worker) -> None:
    # A worker that is ready may yet have to open its mailbox, and hears nothing until then.
    asked = (site.app.control.inspect(timeout=2).registered() for _ in range(10))
    served = next(filter(None, asked), {})

    assert [{name.split()[0] for name in each} for each in served.values()] == [OURS]


def test_the_task_that_runs_a_chunk_tells_how_far_the_operation_is(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=1)

    told = site.app.tasks["bulk.run_chunk"](operation_id=str(operation_id), chunk_no=0)

    assert told == "1/4 (25 %)"


def test_the_task_that_writes_records_drains_the_outbox(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 2)))

    # The import of the rows, their transition, the operation's end.
    assert site.app.tasks["audit.write"]() == "3 outbox rows"
    assert outbox(site) == []


def test_the_task_that_sweeps_tells_what_it_mended(site: lockside.Session) -> None:
    assert "'dead': 0" in site.app.tasks["upkeep.sweep"]()


def test_the_task_that_rolls_up_counts_what_was_sealed_once(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 2)))
    site.app.tasks["audit.write"]()

    told = [site.app.tasks["audit.roll_up"]() for _ in range(2)]

    assert told == ["1 seals", "0 seals"]


def test_the_task_that_forgets_tells_what_it_did(site: lockside.Session) -> None:
    assert (
        site.app.tasks["upkeep.forget"]() == "{'keys': 0, 'operations': 0, 'runs': 0, 'alerts': 0}"
    )


AN_HOUR_S = 3_600.0
ENTRIES: dict[str, dict[str, Any]] = BEAT_SCHEDULE


@pytest.mark.parametrize("name", ENTRIES)
def test_a_tick_is_one_of_our_tasks_that_expires_before_the_next(
    site: lockside.Session, name: str
) -> None:
    entry = ENTRIES[name]

    assert entry["task"] in site.app.tasks
    assert 0 < entry["options"]["expires"] <= entry["schedule"]
    assert entry["options"]["queue"] in QUEUES


@pytest.mark.parametrize("name", ENTRIES)
def test_a_tick_comes_at_least_once_an_hour_so_that_a_restarted_beat_delays_nothing(
    name: str,
) -> None:
    assert ENTRIES[name]["schedule"] <= AN_HOUR_S


@pytest.mark.parametrize("name", ENTRIES)
def test_a_tick_says_nothing_but_that_it_is_time(name: str) -> None:
    entry = ENTRIES[name]

    assert not {"args", "kwargs"} & {*entry, *entry["options"]}


ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"operation_id": "garbage", "chunk_no": 0},
    {"operation_id": None, "chunk_no": 0},
    {"operation_id": 7, "chunk_no": 0},
    {"operation_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "chunk_no": "x"},
    {"operation_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "chunk_no": [1]},
    {"operation_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "chunk_no": 2**40},
    {"operation_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "chunk_no": 0, "more": 1},
    {"operation_id": "'; DROP TABLE work_order; --", "chunk_no": 0},
]


@pytest.mark.parametrize("given", ARGUMENTS, ids=str)
def test_wrong_arguments_change_nothing(site: lockside.Session, given: dict[str, Any]) -> None:
    work_orders(site, 1)

    try:
        told = site.app.tasks["bulk.run_chunk"](**given)
    except (TypeError, ValueError, AttributeError):
        told = "refused"

    assert told in ("refused", "not due: done, running elsewhere, paused or cancelled")
    check_invariants(site)


def garbage(site: lockside.Session) -> None:
    """Put into the queues what nobody of ours would send."""
    for given in ARGUMENTS:
        site.app.send_task("bulk.run_chunk", kwargs=given, queue="bulk", ignore_result=True)
    site.app.send_task("bulk.run_chunk", args=[1, 2, 3], queue="bulk", ignore_result=True)
    site.app.send_task("os.system", args=["true"], queue="bulk", ignore_result=True)
    site.app.send_task("audit.write", kwargs={"x": 1}, queue="audit", ignore_result=True)
    with site.app.connection_for_write() as connection, connection.Producer() as producer:
        for body, sort in ((b"\x80\x04.", "application/x-python-serialize"), (b"{", "text/plain")):
            producer.publish(
                body,
                routing_key="bulk",
                exchange="bulk",
                content_type=sort,
                content_encoding="binary",
                headers={"task": "bulk.run_chunk", "id": str(uuid4())},
            )
        producer.publish({"no": "task"}, routing_key="bulk", exchange="bulk", serializer="json")


@pytest.mark.slow
def test_no_message_kills_the_worker(site: lockside.Session, worker: Worker) -> None:
    before = {each.pid for each in worker.children()}
    garbage(site)

    told = site.transition("work_order", to="APPROVED", ids=work_orders(site, 3)).wait(PATIENCE_S)

    assert told["state"] == "SUCCEEDED"
    assert before <= {each.pid for each in worker.children()}
    check_invariants(site)


@pytest.mark.slow
def test_what_a_chunk_failed_by_is_in_the_workers_log_without_what_it_held(
    site: lockside.Session, worker: Worker
) -> None:
    site.app.send_task(
        "bulk.run_chunk",
        kwargs={"operation_id": "garbage", "chunk_no": 0},
        queue="bulk",
        ignore_result=True,
    )
    site.transition("work_order", to="APPROVED", ids=work_orders(site, 2), comments="secret").wait(
        30
    )

    log = "".join(worker.lines)
    assert "secret" not in log


def test_a_message_is_json_that_holds_two_names(site: lockside.Session) -> None:
    ask(site, [1, 2], comments="private")
    with site.app.connection_for_read() as connection:
        message: Any = connection.SimpleQueue("bulk", no_ack=True).get(timeout=5)

    body = message.body.decode()
    assert set(json.loads(body)[1]) == {"operation_id", "chunk_no"}
    assert "private" not in body + json.dumps(message.headers)
