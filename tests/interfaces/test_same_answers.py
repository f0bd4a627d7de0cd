"""The same request gets the same answer through Python and through the command line."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

import lockside
from tests.factories import attendance, tickets, work_orders
from tests.interfaces.commands import Answer, call
from tests.patience import PATIENCE_S
from worker.platform_per_process import make_engine
from worker.settings import Settings

pytestmark = pytest.mark.usefixtures("worker")

OPTIONS = {
    "comments": "--comments",
    "approved_by": "--approved-by",
    "chunk_items": "--chunk-size",
    "idempotency_key": "--idempotency-key",
    "lease_s": "--lease",
    "wait_s": "--lock-wait",
    "isolation_level": "--isolation",
    "max_retries": "--max-retries",
    "parallel": "--parallel",
    "user": "--user",
    "team": "--team",
}


@dataclass(frozen=True)
class Case:
    """One request: rows made anew for each interface, and what is asked for them."""

    rows: Callable[[lockside.Session], list[int]]
    kind: str = "work_order"
    to: str = "APPROVED"
    actor: str = "admin"
    options: dict[str, Any] = field(default_factory=dict)
    verb: str | None = None
    values: dict[str, str] | None = None


@pytest.fixture(scope="module", autouse=True)
def long_ids(settings: Settings) -> None:
    """Make ids that are told from all other numbers of an answer."""
    engine = make_engine(str(settings.database_url))
    with engine.begin() as db:
        for kind in ("work_order", "ticket", "attendance"):
            db.execute(text(f"ALTER TABLE {kind} ALTER COLUMN id RESTART WITH 7000001"))
    engine.dispose()


def submitted(site: lockside.Session) -> list[int]:
    return work_orders(site, 1)


def mixed(site: lockside.Session) -> list[int]:
    return [
        *work_orders(site, 2),
        *work_orders(site, 1, vendor=False),
        *work_orders(site, 1, state="APPROVED"),
        *work_orders(site, 1, state="CLOSED"),
    ]


def resolved(site: lockside.Session) -> list[int]:
    return tickets(site, 1, state="RESOLVED")


CASES = {
    "one row": Case(submitted),
    "a target in lower case": Case(submitted, to="approved"),
    "a kind with a dash": Case(submitted, kind="work-order"),
    "already there": Case(lambda site: work_orders(site, 1, state="APPROVED")),
    "all or nothing with failures": Case(mixed),
    "each item for itself": Case(mixed, options={"atomic": False}),
    "in small chunks": Case(mixed, options={"atomic": False, "chunk_items": 2}),
    "a dry run": Case(mixed, options={"dry_run": True}),
    "a dry run of each item for itself": Case(mixed, options={"dry_run": True, "atomic": False}),
    "no such transition": Case(lambda site: work_orders(site, 1, state="CLOSED")),
    "a rule against it": Case(lambda site: work_orders(site, 1, vendor=False)),
    "comments missing": Case(resolved, kind="ticket", to="CLOSED"),
    "comments blank": Case(resolved, kind="ticket", to="CLOSED", options={"comments": "  "}),
    "comments given": Case(resolved, kind="ticket", to="CLOSED", options={"comments": "Fixed"}),
    "no manager": Case(
        lambda site: work_orders(site, 1, state="DRAFT"), to="SUBMITTED", actor="dora"
    ),
    "a manager named": Case(
        lambda site: work_orders(site, 1, state="DRAFT"),
        to="SUBMITTED",
        actor="dora",
        options={"approved_by": "asha"},
    ),
    "not permitted": Case(mixed, actor="victor"),
    "another version": Case(submitted, options={"expected_versions": 9}),
    "metadata": Case(submitted, options={"metadata": {"batch": ["Q4", 1, None]}}),
    "an unknown person": Case(submitted, options={"approved_by": "nobody"}),
    "an unknown state": Case(submitted, to="DONE"),
    "an unknown kind": Case(submitted, kind="invoice"),
    "an id twice": Case(lambda site: work_orders(site, 1) * 2),
    "an id that is none": Case(lambda _: [0]),
    "no such row": Case(lambda _: [6_999_999]),
    "too large a chunk": Case(submitted, options={"atomic": False, "chunk_items": 0}),
    "a verb": Case(submitted, verb="approve"),
    "a verb that wants comments": Case(resolved, kind="ticket", verb="close"),
    "a verb of another kind": Case(submitted, verb="resolve"),
    "attendance is locked": Case(
        lambda site: attendance(site, 2, state="APPROVED"),
        kind="attendance",
        verb="lock",
        options={"comments": "November is paid"},
    ),
    "assigned": Case(resolved, kind="ticket", verb="assign", options={"user": "asha"}),
    "assigned to nobody known": Case(mixed, verb="assign", options={"team": "nobody"}),
    "assigned by who may not": Case(
        resolved, kind="ticket", verb="assign", actor="victor", options={"user": "asha"}
    ),
    "assigned where nothing is": Case(
        lambda site: attendance(site, 1), kind="attendance", verb="assign", options={"user": "asha"}
    ),
    "updated": Case(mixed, values={"remarks": "Checked"}, options={"atomic": False}),
    "updated all or nothing": Case(mixed, values={"remarks": "Checked"}),
    "updated as a dry run": Case(mixed, values={"remarks": "x"}, options={"dry_run": True}),
    "a field that no door writes": Case(mixed, values={"state": "OPEN"}),
    "a value of another sort": Case(mixed, values={"due_at": "soon"}),
    "stopped at the first failure": Case(
        mixed,
        options={"atomic": False, "chunk_items": 1, "parallel": 1, "stop_at_first_failure": True},
    ),
    "stopped at the first failure of all or nothing": Case(
        mixed, options={"stop_at_first_failure": True}
    ),
    "serializable": Case(submitted, options={"isolation_level": "SERIALIZABLE"}),
    "another isolation level": Case(submitted, options={"isolation_level": "DIRTY"}),
    "too short a lease": Case(submitted, options={"lease_s": 0.0}),
    "too many retries": Case(submitted, options={"max_retries": 21}),
    "a wait for nothing": Case(submitted, options={"wait_s": -1.0}),
    "a key too many": Case(submitted, options={"idempotency_key": "k" * 10_000}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_both_doors_answer_alike(site: lockside.Session, settings: Settings, case: Case) -> None:
    first, second = case.rows(site), case.rows(site)

    through_python = ask_python(site, case, first)
    through_command_line = ask_command_line(settings, case, second)

    assert without_names(through_command_line, second) == without_names(through_python, first)


def test_an_explanation_is_the_same(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1, vendor=False)

    answer = call(settings, "explain", "work-order", row, "--json")

    assert answer.json == site.explain("work_order", row)


def test_an_explanation_of_many_is_the_same(site: lockside.Session, settings: Settings) -> None:
    ids = mixed(site)

    answer = call(settings, "explain", "work-order", *ids, "--to", "approved", "--json")

    assert answer.json == site.explain("work_order", ids, to="approved")


def test_rows_of_a_filter_are_explained_as_if_their_ids_were_given(
    site: lockside.Session, settings: Settings
) -> None:
    ids = work_orders(site, 2, remarks="asked about")
    (one,) = work_orders(site, 1, remarks="alone", vendor=False)
    ask = ("explain", "work-order", "--to", "approved", "--json", "--where")

    several = call(settings, *ask, "remarks='asked about'")
    alone = call(settings, *ask, "remarks=alone")

    assert several.json == site.explain("work_order", ids, to="approved")
    assert alone.json == site.explain("work_order", [one], to="approved")


def test_an_operation_looks_the_same(site: lockside.Session, settings: Settings) -> None:
    operation = site.transition("work_order", to="APPROVED", ids=mixed(site))
    operation.wait(PATIENCE_S)

    shown = call(settings, "operations", "show", operation.id, "--json")
    listed = call(settings, "operations", "list", "--limit", "1", "--json")

    assert shown.json == plain(operation.show())
    assert listed.json == plain(site.operations(limit=1))


def test_results_look_the_same(site: lockside.Session, settings: Settings) -> None:
    operation = site.transition("work_order", to="APPROVED", ids=mixed(site))
    operation.wait(PATIENCE_S)

    answer = call(settings, "operations", "results", operation.id, "--ndjson")

    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert lines == list(operation.results())


def ask_python(site: lockside.Session, case: Case, ids: list[int]) -> dict[str, Any]:
    options = dict(case.options)
    if "expected_versions" in options:
        options["expected_versions"] = {ids[0]: options["expected_versions"]}
    try:
        site.act_as("demo", case.actor)
        return submit(site, case, ids, options).wait(PATIENCE_S)
    except lockside.LocksideError as error:
        return error.to_dict()
    finally:
        site.act_as("demo", "admin")


def submit(
    site: lockside.Session, case: Case, ids: list[int], options: dict[str, Any]
) -> lockside.Operation:
    if case.values is not None:
        return site.update(case.kind, ids, case.values, **options)
    if case.verb == "assign":
        return site.assign(case.kind, ids, **options)
    if case.verb is not None:
        return site.perform(case.kind, case.verb, ids, **options)
    return site.transition(case.kind, to=case.to, ids=ids, **options)


def ask_command_line(settings: Settings, case: Case, ids: list[int]) -> dict[str, Any]:
    words: list[object] = ["submit", "transition", case.kind, "--to", case.to, *ids]
    if case.values is not None:
        sets = [f"--set={name}={value}" for name, value in case.values.items()]
        words = ["submit", "update", case.kind, *sets, *ids]
    elif case.verb is not None:
        words = ["submit", case.verb, case.kind, *ids]
    words += ["--actor", case.actor, "--json"]
    for name, value in case.options.items():
        words += in_words(name, value)
    answer: Answer = call(settings, *words)
    told: dict[str, Any] = answer.json
    return told


def in_words(name: str, value: Any) -> list[object]:
    if name == "atomic":
        return ["--continue"]
    if name in ("dry_run", "stop_at_first_failure"):
        return [f"--{name.replace('_', '-')}"]
    if name == "expected_versions":
        return ["--expected-version", value]
    if name == "metadata":
        return ["--metadata", json.dumps(value)]
    return [OPTIONS[name], value]


def without_names(told: dict[str, Any], ids: list[int]) -> dict[str, Any]:
    """Replace what has to differ: rows by their places, the operation and its time by nothing."""
    same = json.dumps({**told, "operation_id": None, "execution_time_ms": None}, sort_keys=True)
    for place, row in enumerate(each for each in ids if each > 1_000_000):
        same = same.replace(str(row), f"row {place}")
    known: dict[str, Any] = json.loads(same)
    return known


def plain(value: object) -> Any:
    def moment(each: object) -> str:
        assert isinstance(each, datetime)
        return each.isoformat()

    return json.loads(json.dumps(value, default=moment))
