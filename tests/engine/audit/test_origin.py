"""Where a request came from is on record, also of what runs long after it was handed in."""

from uuid import UUID

import pytest

import lockside
from engine.audit.writer import write_records
from engine.operations.request import Submission
from engine.operations.submit import submit
from tests.engine.steps import ask, drain, operation, query
from tests.engine.works import denials, do
from tests.factories import tickets, work_orders
from worker.settings import Settings

THERE = lockside.Origin(session_id="login-7", ip_address="192.0.2.7")


@pytest.fixture
def there(settings: Settings, site: lockside.Session) -> lockside.Session:
    """Come from somewhere that an interface knows."""
    site.origin = THERE
    site.act_as("demo", "admin")
    return site


def told(site: lockside.Session, table: str = "audit_log") -> list[tuple[str | None, str | None]]:
    """Return where everything on record came from."""
    write_records(site.platform)
    found = query(site, f"SELECT session_id, ip_address FROM {table} ORDER BY occurred_at")
    return [(each["session_id"], each["ip_address"]) for each in found]


def test_a_direct_write_tells_where_it_came_from(there: lockside.Session) -> None:
    made = there.records("vendor").create(name="New")
    there.records("vendor").update(made["id"], name="Newer")
    tickets(there, 1)

    assert told(there) == [("login-7", "192.0.2.7")] * 3


def test_a_refusal_and_a_denial_tell_it_too(there: lockside.Session) -> None:
    with pytest.raises(lockside.InvalidInput):
        there.records("vendor").create(name="Acme Lifts")
    there.act_as("demo", "victor")
    with pytest.raises(lockside.PermissionDenied):
        there.records("vendor").create(name="Mine")

    assert told(there) == [("login-7", "192.0.2.7")]
    assert told(there, "permission_denial_audit") == [("login-7", "192.0.2.7")]


def test_what_a_worker_does_tells_where_it_was_handed_in(
    there: lockside.Session, settings: Settings
) -> None:
    ids = tickets(there, 2)
    write_records(there.platform)
    query(there, "TRUNCATE audit_log")
    operation_id = do(there, "ticket", ids, verb="update", values={"priority": "HIGH"})

    with lockside.connect(settings=settings) as worker:
        drain(worker, operation_id)

    assert told(there) == [("login-7", "192.0.2.7")] * 2


def test_a_denied_chunk_tells_where_it_was_handed_in(there: lockside.Session) -> None:
    ids = work_orders(there, 2)
    there.act_as("demo", "victor")

    drain(there, ask(there, ids))

    assert told(there, "permission_denial_audit") == [("login-7", "192.0.2.7")]


@pytest.mark.parametrize("how", ["ids", "where"])
def test_an_operation_keeps_where_it_was_handed_in(there: lockside.Session, how: str) -> None:
    ids = tickets(there, 2)
    rows = {"ids": ids} if how == "ids" else {"where": "state=NEW"}

    handed_in = submit(
        there.platform, there.actor, Submission(kind="ticket", target="OPEN", **rows)
    )

    assert operation(there, handed_in)["origin"] == THERE.as_dict


def test_an_undo_comes_from_where_somebody_asks_for_it(there: lockside.Session) -> None:
    ids = tickets(there, 2, state="OPEN")
    done = there.transition("ticket", to="INPROGRESS", ids=ids)
    drain(there, UUID(done.id))
    there.origin = lockside.Origin(session_id="login-8")
    there.act_as("demo", "admin")

    undone = there.operation(done.id).undo()

    assert operation(there, UUID(undone.id))["origin"] == {"session_id": "login-8"}


def test_the_same_request_from_elsewhere_is_the_same(there: lockside.Session) -> None:
    ids = tickets(there, 1)
    first = do(there, "ticket", ids, target="OPEN", idempotency_key="night")
    there.origin = lockside.Origin(session_id="login-8")
    there.act_as("demo", "admin")

    assert do(there, "ticket", ids, target="OPEN", idempotency_key="night") == first


def test_each_connection_is_a_session_of_its_own(
    settings: Settings, site: lockside.Session
) -> None:
    with lockside.connect(settings=settings) as other:
        sessions = {site.actor.origin.session_id, other.actor.origin.session_id}

    assert len(sessions - {None}) == 2


def test_who_steers_anothers_operation_tells_their_own_session(there: lockside.Session) -> None:
    known = there.transition("ticket", to="OPEN", ids=tickets(there, 2), atomic=False)
    there.origin = lockside.Origin(session_id="login-8")
    there.act_as("demo", "samuel")

    there.operation(known.id).pause()

    assert told(there)[-1] == ("login-8", None)
    assert denials(there) == []


def test_where_nobody_knows_is_nowhere(site: lockside.Session) -> None:
    site.origin = lockside.Origin()
    site.act_as("demo", "admin")

    handed_in = ask(site, work_orders(site, 1))

    assert query(site, "SELECT FROM operation WHERE origin IS NOT NULL") == []
    drain(site, handed_in)
    assert told(site) == [(None, None)]
