"""The digest: who follows a kind of work is told once what an operation did, and not by himself."""

from typing import Any

import pytest

import lockside
from tests.checker import check_invariants
from tests.engine.steps import drain, query
from tests.engine.works import do
from tests.factories import tickets, work_orders

pytestmark = pytest.mark.slow


def follow(site: lockside.Session, person: str, kind: str = "work_order", **more: Any) -> int:
    made = site.records("subscription").create(person=person, kind=kind, **more)
    found: int = made["id"]
    return found


def ended(site: lockside.Session, kind: str, ids: Any, **options: Any) -> dict[str, Any]:
    """Run an operation and everything that follows it; return its result."""
    told = drain(site, do(site, kind, ids, **options))
    for each in query(site, "SELECT id FROM operation WHERE verb = 'hook'"):
        drain(site, each["id"])
    check_invariants(site)
    return told


def digests(site: lockside.Session) -> list[tuple[str, str]]:
    """Return who was told of what, by name and operation type, in order."""
    found = query(
        site,
        "SELECT p.name, n.body ->> 'operation_type' AS what FROM notification n"
        "  JOIN person p ON p.id = n.person_id ORDER BY n.created_at, p.name",
    )
    return [(each["name"], each["what"]) for each in found]


def test_a_subscriber_is_told_once_of_a_bulk_operation(site: lockside.Session) -> None:
    follow(site, "asha")
    ids = work_orders(site, 5)

    told = ended(site, "work_order", ids, target="APPROVED", atomic=False, chunk_items=2)

    (digest,) = query(site, "SELECT * FROM notification")
    assert str(digest["operation_id"]) == told["operation_id"]
    assert digest["body"] == {
        "kind": "work_order",
        "operation_type": "transition_to_APPROVED",
        "state": "SUCCEEDED",
        "by": "admin",
        "total": 5,
        "succeeded": 5,
        "failed": 0,
        "ids": [str(each) for each in ids],
    }


def test_each_subscriber_is_told(site: lockside.Session) -> None:
    for each in ("asha", "dora", "victor"):
        follow(site, each)

    ended(site, "work_order", work_orders(site, 2), target="APPROVED")

    assert [who for who, _ in digests(site)] == ["asha", "dora", "victor"]


def test_nobody_is_told_of_what_he_did_himself(site: lockside.Session) -> None:
    follow(site, "asha")
    follow(site, "admin")

    ended(site, "work_order", work_orders(site, 2), target="APPROVED")

    assert [who for who, _ in digests(site)] == ["asha"]


def test_everybody_is_told_of_what_the_system_did(site: lockside.Session) -> None:
    follow(site, "admin")
    ids = work_orders(site, 1)
    site.act_as("demo", None)

    ended(site, "work_order", ids, target="APPROVED")

    assert digests(site) == [("admin", "transition_to_APPROVED")]
    assert query(site, "SELECT body ->> 'by' AS by FROM notification") == [{"by": None}]


QUIET: list[Any] = [
    pytest.param({"target": "APPROVED", "dry_run": True}, id="a dry run"),
    pytest.param({"target": "CLOSED", "comments": "No"}, id="nothing was changed"),
    pytest.param({"target": "SUBMITTED"}, id="all was there already"),
]


@pytest.mark.parametrize("options", QUIET)
def test_nobody_is_told_of_what_changed_nothing(
    site: lockside.Session, options: dict[str, Any]
) -> None:
    follow(site, "asha")

    ended(site, "work_order", work_orders(site, 2), **options)

    assert digests(site) == []


def test_who_follows_one_state_is_told_of_transitions_to_it_only(site: lockside.Session) -> None:
    follow(site, "asha", target_state="APPROVED")
    follow(site, "dora", target_state="CANCELLED")
    ids = work_orders(site, 3)

    ended(site, "work_order", ids[:2], target="APPROVED")
    ended(site, "work_order", ids[2:], target="CANCELLED", comments="No money")
    ended(site, "work_order", ids[:1], verb="update", values={"remarks": "Soon"})

    assert digests(site) == [
        ("asha", "transition_to_APPROVED"),
        ("dora", "transition_to_CANCELLED"),
    ]


def test_who_follows_a_kind_is_told_of_every_verb(site: lockside.Session) -> None:
    follow(site, "asha", "ticket")
    ids = tickets(site, 2)

    ended(site, "ticket", ids, target="OPEN")
    ended(site, "ticket", ids, verb="assign", values={"assigned_to_user": "dora"})
    ended(site, "ticket", ids, verb="update", values={"priority": "HIGH"})

    assert [what for _, what in digests(site)] == ["transition_to_OPEN", "assign", "update"]


def test_who_follows_a_kind_and_one_of_its_states_is_told_once(site: lockside.Session) -> None:
    follow(site, "asha")
    follow(site, "asha", target_state="APPROVED")

    ended(site, "work_order", work_orders(site, 1), target="APPROVED")

    assert digests(site) == [("asha", "transition_to_APPROVED")]


def test_another_kind_another_tenant_and_a_deleted_subscription_are_not_told(
    site: lockside.Session,
) -> None:
    follow(site, "asha", "ticket")
    site.records("subscription").delete(follow(site, "dora"))
    site.act_as("other", "admin")
    follow(site, "asha")
    site.act_as("demo", "admin")

    ended(site, "work_order", work_orders(site, 1), target="APPROVED")

    assert digests(site) == []


def test_a_deleted_person_is_told_nothing(site: lockside.Session) -> None:
    follow(site, "dora")
    (dora,) = query(
        site,
        "SELECT id FROM person WHERE name = 'dora' AND tenant_id = :id",
        id=site.actor.tenant_id,
    )
    site.records("person").delete(dora["id"])

    ended(site, "work_order", work_orders(site, 1), target="APPROVED")

    assert digests(site) == []


def test_of_an_operation_with_failures_the_digest_tells_both_counts(site: lockside.Session) -> None:
    follow(site, "asha")
    ids = work_orders(site, 3) + work_orders(site, 2, vendor=False)

    ended(site, "work_order", ids, target="APPROVED", atomic=False)

    (digest,) = query(site, "SELECT body FROM notification")
    body = digest["body"]
    assert (body["state"], body["succeeded"], body["failed"]) == ("COMPLETED_WITH_ERRORS", 3, 2)
