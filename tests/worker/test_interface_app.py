"""The Celery application of an interface: one a process, also after a fork."""

import subprocess
import sys

from tests.patience import PATIENCE_S
from tests.workers import PROJECT

# A child is forked while a thread of its parent makes the application, and while it has one.
FORKS = """
import os
from threading import Event, Thread
from worker.interface_app import InterfaceApp
from worker.settings import Settings

nowhere = {"database_url": "postgresql+psycopg://127.0.0.1:1/x", "redis_url": "redis://127.0.0.1:1"}
app = InterfaceApp(Settings(**nowhere))
held, forked = Event(), Event()

def hold():
    with app._lock:
        held.set()
        forked.wait()

def child_makes_its_own(made):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if app() is not made else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

thread = Thread(target=hold, daemon=True)
thread.start()
held.wait()
assert child_makes_its_own(None)
forked.set()
thread.join()
assert child_makes_its_own(app())
assert app() is app()
"""


def test_a_forked_process_makes_an_application_of_its_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORKS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert ended.returncode == 0, ended.stderr
