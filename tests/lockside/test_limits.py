"""Limits: how many rows a list may have is checked below every interface."""

from collections.abc import Callable
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound
from tests.engine.clockwork import policy
from tests.factories import tickets
from tests.interfaces.commands import call

pytestmark = pytest.mark.slow

WRONG = [-1, 0, 2**63, 2**70, True, "5", 2.5]
LISTS: dict[str, Callable[[lockside.Session, Any], object]] = {
    "records.list": lambda site, limit: site.records("site").list(limit=limit),
    "operations": lambda site, limit: site.operations(limit=limit),
    "ids": lambda site, limit: site.ids("ticket", limit=limit),
    "trail": lambda site, limit: list(site.trail(limit=limit)),
    "trail_text": lambda site, limit: list(site.trail_text(limit=limit)),
    "autoclose.history": lambda site, limit: site.autoclose.history(limit=limit),
    "autoclose.alerts": lambda site, limit: site.autoclose.alerts(limit=limit),
}
COMMANDS = [
    "records list site --limit",
    "operations list --limit",
    "audit trail --limit",
    "autoclose history --limit",
    "autoclose alerts --limit",
]


@pytest.mark.parametrize("limit", WRONG)
@pytest.mark.parametrize("call_list", LISTS.values(), ids=LISTS)
def test_a_limit_out_of_its_range_is_refused_by_python(
    site: lockside.Session,
    call_list: Callable[[lockside.Session, Any], object],
    limit: object,
) -> None:
    with pytest.raises(InvalidInput) as refused:
        call_list(site, limit)

    assert refused.value.facts["field"] == "limit"


@pytest.mark.parametrize("limit", ["-1", "0", str(2**63), str(2**70)])
@pytest.mark.parametrize("words", COMMANDS)
def test_a_limit_out_of_its_range_is_refused_by_the_command_line(
    site: lockside.Session, words: str, limit: str
) -> None:
    answer = call(site.settings, *words.split(), limit)

    assert (answer.code, "--limit" in answer.err) == (2, True)


@pytest.mark.parametrize("after", [-1, 2**63, 2**70])
def test_an_id_that_no_list_goes_on_behind_is_refused(site: lockside.Session, after: int) -> None:
    with pytest.raises(InvalidInput):
        site.records("site").list(after=after)


@pytest.mark.parametrize("first", [-1, 0, 2**63, 2**70])
def test_a_seal_that_there_can_not_be_is_refused(site: lockside.Session, first: int) -> None:
    with pytest.raises(InvalidInput):
        site.audit.verify(first=first)


def test_an_operations_age_is_told_to_nobody_who_may_not_see_it(site: lockside.Session) -> None:
    operation = site.transition("ticket", to="OPEN", ids=tickets(site, 1))
    site.act_as("other", "admin")

    with pytest.raises(NotFound):
        site.operation(operation.id).age_s()


def test_a_preview_needs_one_connection_at_a_time(site: lockside.Session) -> None:
    name = policy(site)
    settings = site.settings.model_copy(update={"pool_size": 1, "pool_overflow": 0})

    with lockside.connect(settings=settings) as narrow, narrow.autoclose.preview(name) as stages:
        matched = [stage.matched for stage in stages]

    assert matched == [0]


@pytest.mark.parametrize("after", [0, 1.5, "yesterday"])
def test_what_is_no_cursor_is_refused(site: lockside.Session, after: object) -> None:
    for ask in (site.trail, site.trail_text):
        with pytest.raises(InvalidInput) as refused:
            list(ask(after=after))

        assert refused.value.facts["field"] == "after"
