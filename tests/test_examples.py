"""The examples do what they say, on real servers, and a second time nothing at all."""

import csv
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

import lockside
from tests.workers import PROJECT, Worker, environment
from worker.settings import Settings

pytestmark = pytest.mark.slow

LOG = PROJECT.parent / "shared/data/incident_event_log.csv"

# Incident, its logged state, when: a jump, a change that is none, times that run backwards,
# a reopening, two changes in a minute, and a first row that is not New.
SMALL_LOG = """
INC1 New 01-03-2016 08:00
INC1 Resolved 01-03-2016 09:00
INC1 Closed 05-03-2016 09:00
INC2 Active 01-03-2016 08:10
INC2 Awaiting_User_Info 01-03-2016 09:00
INC2 Awaiting_Vendor 01-03-2016 09:30
INC2 Resolved 02-03-2016 09:00
INC2 Closed 05-03-2016 09:00
INC3 New 02-03-2016 10:00
INC3 Active 02-03-2016 09:00
INC3 Resolved 02-03-2016 08:00
INC3 Closed 02-03-2016 11:00
INC4 Resolved 01-03-2016 12:00
INC4 Active 01-03-2016 12:30
INC4 Resolved 01-03-2016 12:30
INC4 Closed 05-03-2016 09:00
"""


def write_small_log(path: Path) -> Path:
    with path.open("w", newline="") as file:
        names = "number incident_state sys_updated_at priority category subcategory resolved_by"
        table = csv.writer(file)
        table.writerow(names.split())
        for line in SMALL_LOG.split("\n")[1:-1]:
            number, state, at = line.split(" ", 2)
            more = ("2 - High", "Category 1", "Subcategory 2", "Resolved by 149")
            table.writerow([number, state.replace("_", " "), at, *more])
    return path


def replay(settings: Settings, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, PROJECT / "examples/replay_incidents.py", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def fingerprint(site: lockside.Session) -> tuple[str, int, int, int]:
    """Return a digest of all tickets, and how many transitions, other records and operations."""
    with site.platform.database.connect() as db:
        tickets = db.execute(text("SELECT * FROM ticket ORDER BY id")).all()
        records = db.scalar(text("SELECT count(*) FROM state_transition_audit"))
        others = db.scalar(text("SELECT count(*) FROM audit_log"))
        operations = db.scalar(text("SELECT count(*) FROM operation"))
    return sha256(repr(tickets).encode()).hexdigest(), records or 0, others or 0, operations or 0


def test_a_small_log_is_replayed_once(
    settings: Settings, worker: Worker, site: lockside.Session, tmp_path: Path
) -> None:
    log = write_small_log(tmp_path / "log.csv")

    first = replay(settings, log)
    after_first = fingerprint(site)
    second = replay(settings, log)

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert site.states("ticket") == {"CLOSED": 4}
    # INC1 walks over OPEN and INPROGRESS, INC3 over OPEN: 4 + 3 + 4 + 3.
    assert after_first[1:3] == (14, 4)
    assert fingerprint(site) == after_first


def test_the_walked_states_and_the_times_of_the_log_are_in_the_records(
    settings: Settings, worker: Worker, site: lockside.Session, tmp_path: Path
) -> None:
    ended = replay(settings, write_small_log(tmp_path / "log.csv"))

    created, *moved = site.timeline("ticket", site.ids_by_reference("ticket", ["INC3"])["INC3"])
    story = [(each["to_state"], each["metadata"]["logged_at"][11:16]) for each in moved]

    assert ended.returncode == 0, ended.stdout
    assert (created["event_type"], created["changes"]["state"]["after"]) == ("CREATED", "NEW")
    assert story == [
        ("OPEN", "09:00"),
        ("INPROGRESS", "09:00"),
        ("RESOLVED", "08:00"),
        ("CLOSED", "11:00"),
    ]


@pytest.mark.timeout(1200)  # other tests run beside it
def test_the_real_log_is_replayed_once(
    settings: Settings, worker: Worker, site: lockside.Session
) -> None:
    if not LOG.exists():
        pytest.skip("the event log doesn't lie beside this checkout")

    first = replay(settings)
    after_first = fingerprint(site)
    second = replay(settings)

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert site.states("ticket") == {"CLOSED": 890}
    assert fingerprint(site) == after_first


def test_a_missing_log_is_explained(settings: Settings, tmp_path: Path) -> None:
    ended = replay(settings, tmp_path / "nowhere.csv")

    assert ended.returncode == 2
    assert str(tmp_path / "nowhere.csv") in ended.stdout
    assert "UCI" in ended.stdout
