"""Waiting for work that can't end: nobody serves the queues here."""

import signal
import socket
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import text

import lockside
from cli.printing.progress import progress_bar
from domain.bulk import Counts, progress
from tests.factories import work_orders
from tests.interfaces.commands import call, spawn
from tests.patience import PATIENCE_S
from tests.workers import environment
from worker.settings import Settings

pytestmark = pytest.mark.slow

MOVE = ("submit", "transition", "work-order", "--to", "APPROVED")
UNKNOWN = "00000000-0000-0000-0000-000000000000"
STORED = text("""
SELECT atomic, stop_at_first_failure, parallel, isolation_level, lease_seconds, wait_seconds,
       max_retries, details
  FROM operation WHERE id = :id
""")


@pytest.fixture
def waiting(site: lockside.Session) -> lockside.Operation:
    """Hand in what waits for a worker."""
    return site.transition("work_order", to="APPROVED", ids=work_orders(site, 1))


def test_8_the_time_is_over_and_the_work_goes_on(
    settings: Settings, waiting: lockside.Operation
) -> None:
    answer = call(settings, "operations", "watch", waiting.id, "--timeout", "0.1")

    assert (answer.code, waiting.show()["state"]) == (8, "QUEUED")
    assert f"lockside operations watch {waiting.id}" in answer.err


def test_waiting_in_vain_is_json_too(settings: Settings, waiting: lockside.Operation) -> None:
    answer = call(settings, "operations", "watch", waiting.id, "--timeout", "0", "--json")

    assert answer.json["error"] == "still_running"
    assert answer.json["operation_id"] == waiting.id


def test_ctrl_c_stops_waiting_and_never_the_work(
    settings: Settings, waiting: lockside.Operation, folder: Path
) -> None:
    watch = spawn(environment(settings), folder, "operations", "watch", waiting.id)
    assert watch.stderr is not None
    warning = next(line for line in watch.stderr if "No worker serves" in line)

    watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=PATIENCE_S)

    assert "lockside up" in warning
    assert (watch.returncode, waiting.show()["state"]) == (8, "QUEUED")
    assert f"lockside operations watch {waiting.id}" in said
    assert "Error" not in said
    assert "Traceback" not in said


def test_ctrl_c_stops_waiting_before_the_first_look_too(settings: Settings, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE_S)
        url = f"postgresql+psycopg://127.0.0.1:{silent.getsockname()[1]}/nobody"
        unanswered = environment(settings.model_copy(update={"database_url": url}))
        watch = spawn(unanswered, folder, "operations", "watch", UNKNOWN)
        with silent.accept()[0]:
            watch.send_signal(signal.SIGINT)
            _, said = watch.communicate(timeout=PATIENCE_S)

    assert watch.returncode == 8
    assert said == (
        f"Detached; the operation goes on. Come back with `lockside operations watch {UNKNOWN}`.\n"
    )


def test_9_cancelled(settings: Settings, waiting: lockside.Operation) -> None:
    cancelled = call(settings, "operations", "cancel", waiting.id)

    watch_probes = call(settings, "operations", "watch", waiting.id)

    assert (cancelled.code, watch_probes.code) == (0, 9)
    assert "CANCELLED: 1 cancelled" in cancelled.out


def test_4_the_work_of_others_is_not_cancelled(
    settings: Settings, waiting: lockside.Operation
) -> None:
    answer = call(settings, "operations", "cancel", waiting.id, "--actor", "dora")

    assert (answer.code, "operation.cancel" in answer.err) == (4, True)
    assert waiting.show()["state"] == "QUEUED"


def test_everybody_cancels_their_own(site: lockside.Session, settings: Settings) -> None:
    site.act_as("demo", "dora")
    own = site.transition("work_order", to="APPROVED", ids=range(1, 3))

    answer = call(settings, "operations", "cancel", own.id, "--actor", "dora")

    assert (answer.code, own.show()["state"]) == (0, "CANCELLED")


def test_who_cancelled_is_told(settings: Settings, waiting: lockside.Operation) -> None:
    call(settings, "operations", "cancel", waiting.id, "--actor", "asha")

    shown = call(settings, "operations", "show", waiting.id)
    watch_probes = call(settings, "operations", "watch", waiting.id)

    assert ["cancelled", "by", "asha"] in [line.split() for line in shown.out.splitlines()]
    assert "Cancelled by asha: 1 not done" in watch_probes.out


def test_5_what_has_ended_is_not_cancelled(settings: Settings, waiting: lockside.Operation) -> None:
    waiting.cancel()

    answer = call(settings, "operations", "cancel", waiting.id)

    assert answer.code == 5
    assert "CANCELLED" in answer.err


def test_detached_work_prints_its_id_and_no_more(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1)

    answer = call(settings, *MOVE, row, "--detach")

    assert answer.code == 0
    assert site.operation(answer.out.strip()).show()["total"] == 1


def test_work_for_later_is_handed_in_and_not_waited_for(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1)

    answer = call(settings, *MOVE, row, "--run-at", "+2h")

    shown = site.operation(answer.out.strip()).show()
    assert answer.code == 0
    assert timedelta(hours=1.9) < shown["run_at"] - shown["created_at"] < timedelta(hours=2.1)
    assert "Submitted for" in answer.err


def test_a_time_that_is_over_is_told_as_that(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)

    late = call(settings, *MOVE, row, "--run-at", "2020-01-02T03:04:05Z")
    early = call(settings, *MOVE, row, "--run-at", "2099-01-02T03:04:05Z")

    assert "Its time, 2020-01-02 03:04:05Z, is over: it begins at once." in late.err
    assert "Submitted for" not in late.err
    assert "is over" not in early.err


def test_who_waits_for_later_work_learns_its_time(
    site: lockside.Session, settings: Settings
) -> None:
    operation = site.transition(
        "work_order",
        to="APPROVED",
        ids=work_orders(site, 1),
        run_at=datetime(2099, 1, 2, tzinfo=UTC),
    )

    answer = call(settings, "operations", "watch", operation.id, "--timeout", "3.5")

    assert "It waits for its time, 2099-01-02 00:00:00Z." in answer.err


def test_a_state_without_operations_says_so(settings: Settings) -> None:
    answer = call(settings, "operations", "list", "--state", "paused")

    assert (answer.code, answer.out) == (0, "")
    assert "No operation in PAUSED." in answer.err


def test_all_options_of_a_submission_are_stored(site: lockside.Session, settings: Settings) -> None:
    ids = work_orders(site, 2)
    options = (
        *("--continue", "--stop-at-first-failure", "--parallel", 3, "--isolation", "serializable"),
        *("--lease", 20, "--lock-wait", 0, "--max-retries", 0, "--metadata", '{"batch": 4}'),
    )

    answer = call(settings, *MOVE, *ids, *options, "--detach")

    with site.platform.database.connect() as db:
        stored = db.execute(STORED, {"id": answer.out.strip()}).one()
    assert tuple(stored) == (False, True, 3, "SERIALIZABLE", 20.0, 0.0, 0, {"batch": 4})


def test_ids_are_shown_whole(settings: Settings, waiting: lockside.Operation) -> None:
    answer = call(settings, "operations", "list", "--state", "queued")

    assert waiting.id in answer.out


def test_a_reader_that_has_seen_enough_is_no_error(
    site: lockside.Session, settings: Settings, folder: Path
) -> None:
    operation = site.transition("work_order", to="APPROVED", ids=range(1, 20_001))
    results = spawn(environment(settings), folder, "operations", "results", operation.id)
    assert results.stdout is not None
    assert results.stderr is not None

    first = results.stdout.readline()
    results.stdout.close()

    assert first.split() == ["1", "PENDING"]
    assert (results.stderr.read(), results.wait(PATIENCE_S)) == ("", 141)


def test_progress_without_a_terminal_is_plain_lines(
    settings: Settings, waiting: lockside.Operation
) -> None:
    answer = call(settings, "operations", "watch", waiting.id, "--timeout", "0.5")

    assert answer.err.splitlines()[0] == "0 %  0 of 1 · 0 ok"


def test_who_watches_what_is_paused_learns_once_how_it_goes_on(
    settings: Settings, waiting: lockside.Operation
) -> None:
    waiting.pause()

    answer = call(settings, "operations", "watch", waiting.id, "--timeout", "3.5")

    hint = f"Paused by admin; `lockside operations resume {waiting.id}` lets it go on."
    assert answer.err.splitlines()[:2] == ["0 %  paused by admin · 0 of 1 · 0 ok", hint]
    assert answer.err.count("operations resume") == 1


def test_the_last_that_a_bar_shows_is_all_of_it() -> None:
    screen = StringIO()

    with progress_bar(Console(file=screen, force_terminal=True, width=80)) as show:
        show(progress(Counts(100_000, succeeded=99_000), 3.0))
        show({"state": "SUCCEEDED", "total_items": 100_000})

    assert "100 % 100,000 of 100,000" in screen.getvalue()
    assert "100 % 99,000" not in screen.getvalue()


def test_results_come_as_csv(site: lockside.Session, settings: Settings) -> None:
    first, second = work_orders(site, 2)
    operation = site.transition("work_order", to="APPROVED", ids=[first, second])

    answer = call(settings, "operations", "results", operation.id, "--csv")

    assert answer.out.splitlines() == [
        "id,outcome,version,code,message,retryable",
        f"{first},PENDING,,,,",
        f"{second},PENDING,,,,",
    ]


def test_a_data_folder_that_cannot_be_read_is_told(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "servers.json").write_text("{}")
    (folder / "password").mkdir()  # what can't be read, for root as well
    nowhere = settings.model_copy(update={"database_url": "", "redis_url": "", "home": folder})

    answer = call(nowhere, "operations", "list")

    assert answer.code == 75
    assert str(folder) in answer.err
