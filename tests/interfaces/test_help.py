"""Whoever asks for help finds what to write."""

import os
import subprocess
from pathlib import Path

import pytest

from cli.program.activation import activation
from models.base import kinds
from tests.interfaces.commands import PROGRAM, call, commands
from worker.settings import Settings

pytestmark = pytest.mark.slow

ALL = [path for path, _ in commands()]
COMMANDS = [
    "up", "demo", "seed", "doctor", "db upgrade", "check-machines", "submit transition",
    "operations list", "operations show", "operations watch", "operations cancel",
    "operations results", "explain", "submit assign", "submit update", "submit update-priority",
    "records create", "records show", "records list", "records update", "records delete",
    "records history", "tenants open", "tenants list", "audit trail", "audit as-of",
    "audit times", "audit export", "audit anomalies",
]  # fmt: skip
VERBS = sorted({each.verb for work in kinds().values() for each in work.machine.transitions})


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_shows_examples_of_itself(settings: Settings, path: tuple[str, ...]) -> None:
    answer = call(settings, *path, "--help")

    _, _, shown = answer.out.partition("Examples:")
    assert answer.code == 0
    assert " ".join(("lockside", *path)) in shown


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_takes_the_options_of_all(settings: Settings, path: tuple[str, ...]) -> None:
    answer = call(settings, *path, "--help")

    assert [each for each in ("--tenant", "--actor", "--json") if each not in answer.out] == []


def test_every_word_of_the_plan_is_there() -> None:
    assert set(COMMANDS) <= {" ".join(path) for path in ALL}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_a_machine_is_a_command_that_explains_itself(
    settings: Settings, verb: str
) -> None:
    listed = call(settings, "submit", "--help")
    answer = call(settings, "submit", verb, "--help")

    targets = {
        resource_type.replace("_", "-"): work.machine.verbs[verb]
        for resource_type, work in kinds().items()
        if verb in work.machine.verbs
    }
    assert f" {verb} " in listed.out
    assert f"lockside submit {verb} " in answer.out
    assert [each for each in (*targets, *targets.values()) if each not in answer.out] == []


def test_the_rule_of_exit_codes_is_told(settings: Settings) -> None:
    answer = call(settings, "--help")

    told = " ".join(answer.out.split())
    assert "one item ends with the code of that item's own reason" in told
    assert "several with 3" in told


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("lockside submit appr", "approve"),
        ("lockside submit approve wo", "work-order"),
        ("lockside submit lock ", "attendance"),
        ("lockside submit open ticket 1 --isolation rep", "repeatable-read"),
        ("lockside records show ve", "vendor"),
        ("lockside records list ticket --state on", "ONHOLD"),
        ("lockside operations list --state ru", "RUNNING"),
        ("lockside op", "operations"),
        ("lockside submit transition wo", "work-order"),
        ("lockside submit transition ticket --to on", "ONHOLD"),
        ("lockside explain work-order 1 --to in", "IN_PROGRESS"),
    ],
)
def test_tab_completes(tmp_path: Path, words: str, completed: str) -> None:
    asked = {
        "_LOCKSIDE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    told = subprocess.run(
        PROGRAM, cwd=tmp_path, env=os.environ | asked, capture_output=True, text=True, check=True
    )

    assert told.stdout.split() == [f"plain,{completed}"]


def test_a_shell_that_does_not_find_the_program_is_told_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "lockside"
    program.touch(0o700)

    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    lost = activation()
    monkeypatch.setenv("PATH", str(tmp_path))
    found = activation()

    assert (lost or "").startswith(". ")
    assert (lost or "").endswith("bin/activate")
    assert found is None
