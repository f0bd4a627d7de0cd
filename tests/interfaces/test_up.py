"""`lockside up`: everything runs, a second process finds it, and nothing of it is ever left."""

import json
import os
import signal
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from lockside.local import embedded
from tests.interfaces.commands import PROGRAM, spawn
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STOPS_WITHIN_S = PATIENCE_S


@dataclass
class Up:
    """A running `lockside up --json` and what it printed."""

    home: Path
    process: subprocess.Popen[str]
    addresses: dict[str, Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a data folder; whatever the tests left in it is ended."""
    folder = tmp_path_factory.mktemp("up") / "home"
    yield folder
    for each in processes_of(folder):
        with suppress(psutil.Error):
            each.kill()
    embedded.stop(folder)


@pytest.fixture
def up(home: Path) -> Up:
    """Run `lockside up`, the same one for all tests that leave it running."""
    if home not in RUNNING or RUNNING[home].process.poll() is not None:
        RUNNING[home] = bring_up(home)
    return RUNNING[home]


RUNNING: dict[Path, Up] = {}


def bring_up(home: Path) -> Up:
    process = spawn(variables(home), home.parent, "up", "--json")
    assert process.stdout is not None
    printed = ""
    while not printed.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        printed += line
    return Up(home, process, json.loads(printed))


def variables(home: Path) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return bare | {
        "LOCKSIDE_HOME": str(home),
        "LOCKSIDE_FLOWER_PORT": str(port),
        "LOCKSIDE_CONCURRENCY": "1",
        "PYTHONPATH": str(ROOT),
    }


def lockside(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=home.parent,
        env=variables(home),
        capture_output=True,
        text=True,
        check=False,
    )


def processes_of(home: Path) -> list[psutil.Process]:
    """List what works in the data folder or names it."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if each.cwd() == str(home) or any(str(home) in word for word in each.cmdline()):
                found.append(each)
    return found


def flower(up: Up, path: str, *, password: str | None = None, data: bytes | None = None) -> int:
    """Return the status of Flower's answer."""
    asked = Request(up.addresses["flower"] + path, data=data)  # noqa: S310 -- our own loopback
    if password is not None:
        given = f"{up.addresses['flower_user']}:{password}".encode()
        asked.add_header("Authorization", f"Basic {b64encode(given).decode()}")
    try:
        with urlopen(asked, timeout=PATIENCE_S) as answer:  # noqa: S310 -- the same
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_the_addresses_hold_no_password_of_a_server(up: Up) -> None:
    password = (up.home / "password").read_text()

    assert "127.0.0.1" in up.addresses["database"]
    assert "127.0.0.1" in up.addresses["redis"]
    assert password not in json.dumps(up.addresses)


def test_a_second_process_finds_everything_well(up: Up) -> None:
    examined = json.loads(lockside(up.home, "doctor", "--json").stdout)

    assert [each for each in examined["checks"] if each["status"] != "ok"] == []


def test_work_is_done(up: Up) -> None:
    seeded = lockside(up.home, "seed", "--work-orders", "50", "--tasks", "0")

    done = lockside(up.home, "submit", "transition", "work-order", "--to", "CANCELLED",
                    "--comments", "Not needed", "1", "2", "3")  # fmt: skip

    assert (seeded.returncode, done.returncode) == (0, 0), done.stderr


def test_a_second_up_in_the_same_home_is_refused(up: Up) -> None:
    refused = lockside(up.home, "up")

    assert refused.returncode == 75
    assert "already up" in refused.stderr


@pytest.mark.parametrize(
    ("password", "status"), [(None, 401), ("wrong", 401), ("the right one", 200)]
)
def test_flower_wants_the_password(up: Up, password: str | None, status: int) -> None:
    given = up.addresses["flower_password"] if password == "the right one" else password

    assert flower(up, "/api/workers", password=given) == status


def test_flower_changes_nothing(up: Up) -> None:
    worker = f"celery@{socket.gethostname()}"

    answered = flower(
        up,
        f"/api/worker/shutdown/{worker}",
        password=up.addresses["flower_password"],
        data=b"",
    )

    assert answered == 403


def test_no_password_stands_in_a_command_line(up: Up) -> None:
    secrets = [up.addresses["flower_password"], (up.home / "password").read_text()]

    words = [word for each in processes_of(up.home) for word in each.cmdline()]

    assert [word for word in words if any(secret in word for secret in secrets)] == []


def test_nobody_else_reads_the_data_folder(up: Up) -> None:
    assert up.home.stat().st_mode & 0o077 == 0


def test_killed_it_takes_its_processes_along_and_the_next_one_adopts_its_servers(up: Up) -> None:
    children = psutil.Process(up.process.pid).children(recursive=True)
    processes = [each for each in children if "worker.main" in each.cmdline()]

    up.process.kill()
    up.process.communicate()
    _, left = psutil.wait_procs(processes, timeout=STOPS_WITHIN_S)
    servers = {each.pid for each in processes_of(up.home)}
    RUNNING[up.home] = bring_up(up.home)

    now = {each.pid for each in processes_of(up.home)}
    assert left == []
    assert servers != set()
    assert servers <= now


def test_a_dead_worker_ends_it_with_the_end_of_its_log(up: Up) -> None:
    (worker,) = [
        each
        for each in psutil.Process(up.process.pid).children()
        if "worker" in each.cmdline() and "worker.main" in each.cmdline()
    ]

    worker.kill()
    told, _ = up.process.communicate(timeout=STOPS_WITHIN_S)

    assert up.process.returncode == 75
    assert "worker has died" in told
    assert processes_of(up.home) == []


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_asked_to_stop_it_leaves_nothing(up: Up, asked: signal.Signals) -> None:
    up.process.send_signal(asked)
    _, said = up.process.communicate(timeout=STOPS_WITHIN_S)

    assert (up.process.returncode, processes_of(up.home)) == (0, [])
    assert "Traceback" not in said
