"""The tutorial does what it says: its commands are run, in order, and answer as it shows."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.workers import PROJECT

pytestmark = pytest.mark.slow

TUTORIAL = PROJECT / "docs" / "tutorial.md"
UP = "lockside up"
READY = "Ctrl-C stops it all."
RECORDED_WITHIN_S = PATIENCE_S
EXIT_CODE = re.compile(r"\s+# exit code ([0-9]+)$")


@dataclass(frozen=True)
class Step:
    """A command of the tutorial, what it shows as the answer, and the exit code it names."""

    command: str
    shown: str
    code: int


def steps() -> list[Step]:
    """Return the commands in the order of the text."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", TUTORIAL.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            code = EXIT_CODE.search(command)
            found.append(Step(EXIT_CODE.sub("", command), shown, int(code[1]) if code else 0))
    return found


def files() -> dict[str, str]:
    """Return the files that the reader is asked to write, by name."""
    return dict(re.findall(r"```\w+ file=(\S+)\n(.*?)```", TUTORIAL.read_text(), re.DOTALL))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give a reader's environment: nothing is set, and `lockside` is on the path."""
    inherited = {"PATH", "LANG", "TMPDIR"} & os.environ.keys()
    return {name: os.environ[name] for name in inherited} | {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
    }


@pytest.fixture
def up(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Keep everything running, as the reader does in the first terminal."""
    running = subprocess.Popen(
        shlex.split(UP),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=PATIENCE_S)


@pytest.mark.timeout(1500)  # it starts everything, and other tests run beside it
def test_the_tutorial_does_what_it_says(
    up: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    assert up.stdout is not None
    assert any(READY in line for line in up.stdout)

    told = [step for step in steps() if step.command.startswith("lockside ")]

    assert len(told) > 20
    for step in told:
        if step.command != UP:
            answer = answered(step, environment, tmp_path)
            assert answer.returncode == step.code, f"{step.command}\n{answer.stdout}"
            assert matches(step.shown, answer.stdout), (
                f"{step.command}\nanswered:\n{answer.stdout}\nbut the tutorial shows:\n{step.shown}"
            )


def test_what_the_tutorial_shows_is_compared() -> None:
    assert matches("Done: …\n", "Done: 1 succeeded\n")
    assert matches("a\n…\nz\n", "a\nb\nc\nz\n")
    assert not matches("Done: 1\n", "Done: 2\n")
    assert not matches("a\n", "a\nb\n")


def answered(
    step: Step, environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Return what a step answers; records are there some seconds after what they tell of."""
    deadline = time.monotonic() + RECORDED_WITHIN_S
    answer = run(step.command, environment, folder)
    while " history " in step.command and not matches(step.shown, answer.stdout):
        if time.monotonic() > deadline:
            break
        answer = run(step.command, environment, folder)
    return answer


def run(
    command: str, environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def matches(shown: str, answered: str) -> bool:
    """Say whether an answer is as shown: `…` stands for anything, a line of it for any lines."""
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(spaced(line)).replace("…", ".*") + r"\n"
    text = "".join(f"{spaced(line)}\n" for line in answered.splitlines())
    return re.fullmatch(pattern, text) is not None


def spaced(line: str) -> str:
    return " ".join(line.split())
