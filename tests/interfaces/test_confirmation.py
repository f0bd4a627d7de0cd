"""Before many rows somebody who is there is asked; who can't be asked has to say yes before."""

from typing import Any

import pytest

import lockside
from tests.engine.steps import drain
from tests.factories import tickets
from tests.interfaces.commands import at_a_terminal, call
from worker.settings import Settings

pytestmark = pytest.mark.slow

MANY = " ".join(map(str, range(1, 1002)))
CANCEL = ("submit", "cancel", "ticket", "--comments", "Not needed", "--detach")


def handed_in(site: lockside.Session) -> int:
    return len(site.operations(limit=1000))


def test_who_answers_no_hands_nothing_in(site: lockside.Session, settings: Settings) -> None:
    before = handed_in(site)

    answer = at_a_terminal(settings, *CANCEL, *MANY.split(), typed="n\n")

    assert "Cancel 1,001 rows of ticket? [y/N]" in answer.out
    assert "Nothing was submitted." in answer.out
    assert (answer.code, handed_in(site)) == (9, before)


def test_who_answers_yes_hands_them_in(site: lockside.Session, settings: Settings) -> None:
    before = handed_in(site)

    answer = at_a_terminal(settings, *CANCEL, *MANY.split(), typed="y\n")

    assert (answer.code, handed_in(site)) == (0, before + 1)


@pytest.mark.parametrize(
    "words",
    [(*CANCEL, "--yes", *MANY.split()), (*CANCEL, *range(1, 1001)), (*CANCEL, "--json", "-")],
    ids=["yes", "a thousand", "json"],
)
def test_some_are_never_asked(
    site: lockside.Session, settings: Settings, words: tuple[object, ...]
) -> None:
    before = handed_in(site)

    answer = at_a_terminal(settings, *words, piped=MANY if "-" in words else None)

    assert "?" not in answer.out
    assert (answer.code, handed_in(site)) == (0, before + 1)


def test_ids_from_a_pipe_leave_nobody_to_ask(site: lockside.Session, settings: Settings) -> None:
    before = handed_in(site)

    answer = at_a_terminal(settings, *CANCEL, "-", piped=MANY)

    assert "--yes" in answer.out
    assert (answer.code, handed_in(site)) == (2, before)


def test_a_pipe_that_says_yes_goes_on(site: lockside.Session, settings: Settings) -> None:
    before = handed_in(site)

    answer = at_a_terminal(settings, *CANCEL, "--yes", "-", piped=MANY)

    assert (answer.code, handed_in(site)) == (0, before + 1)


def test_a_script_without_a_terminal_goes_on(site: lockside.Session, settings: Settings) -> None:
    before = handed_in(site)

    answer = call(settings, *CANCEL, "-", stdin=MANY)

    assert (answer.code, handed_in(site)) == (0, before + 1)


OPENED, CLOSED = {"to": "OPEN"}, {"to": "CLOSED"}
CANCELLED = {"to": "CANCELLED", "comments": "Twice"}
AGAIN = "Try 1,001 rows of ticket again?"
OUT_OF_IT: dict[str, tuple[str, dict[str, Any], str]] = {
    "plan": ("submit plan", OPENED | {"dry_run": True}, "Do 1,001 rows of ticket as planned?"),
    "undo": ("operations undo", CANCELLED, "Take back 1,001 rows of ticket?"),
    "retry": ("operations retry", CLOSED, AGAIN),
    "of one code": ("operations retry --only illegal_transition", CLOSED, AGAIN),
}


@pytest.mark.parametrize(("command", "asked", "question"), OUT_OF_IT.values(), ids=list(OUT_OF_IT))
def test_what_comes_out_of_an_operation_is_asked_about_as_well(
    site: lockside.Session, settings: Settings, command: str, asked: dict[str, Any], question: str
) -> None:
    given = site.transition("ticket", ids=tickets(site, 1001), atomic=False, **asked)
    drain(site, given._id)
    words = (*command.split(), given.id)
    before = handed_in(site)

    refused = at_a_terminal(settings, *words, typed="n\n")
    after = handed_in(site)
    agreed = at_a_terminal(settings, *words, "--detach", "--yes")

    assert f"{question} [y/N]" in refused.out
    assert "Nothing was submitted." in refused.out
    assert (refused.code, after) == (9, before)
    assert ("?" in agreed.out, agreed.code, handed_in(site)) == (False, 0, before + 1)
