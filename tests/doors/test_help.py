"""Whoever asks for help finds what to write."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.doors.commands import PROGRAM, call, commands
from worker.settings import Settings

ALL = [path for path, _ in commands()]
NOUNS_AND_VERBS = [
    "up", "demo", "seed", "doctor", "db upgrade", "check-machines", "submit transition",
    "operations list", "operations show", "operations watch", "operations cancel",
    "operations results", "explain",
]  # fmt: skip


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
    assert set(NOUNS_AND_VERBS) <= {" ".join(path) for path in ALL}


@pytest.mark.parametrize(
    ("words", "completed"),
    [
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
        "COMP_CWORD": str(len(words.split()) - 1),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    told = subprocess.run(
        PROGRAM, cwd=tmp_path, env=os.environ | asked, capture_output=True, text=True, check=True
    )

    assert told.stdout.split() == [f"plain,{completed}"]
