"""Personal data that people write never comes into the outbox, nor into a record."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, Row

import lockside
from domain.audit.denial_risk import Denial
from domain.machines.machine import Reason
from engine.audit.outbox import log_entities, log_permission_denied
from engine.audit.writer import write_records
from engine.operations.follow_up import undo
from engine.ports.hooks import Hook
from tests.checker import check_invariants
from tests.engine.steps import ask, drain, outbox, query
from tests.factories import tickets, work_orders

PHONE, MAIL, TOKEN = "+91 98204 11873", "lata@example.in", "ghp_x8Kd02mVqLz7TtRw1YbNp5HsJc3F"


def told(site: lockside.Session, table: str) -> list[dict[str, Any]]:
    """Return the records of a table, after nothing personal was seen in the outbox."""
    waiting = json.dumps(outbox(site), default=str)
    assert not any(each in waiting for each in (PHONE, MAIL, TOKEN))
    write_records(site.platform)
    return query(site, f"SELECT * FROM {table} ORDER BY occurred_at, event_id")


def test_a_transition_s_comments_and_metadata_are_recorded_without_personal_data(
    site: lockside.Session,
) -> None:
    asked = ask(
        site,
        work_orders(site, 2),
        comments=f"Call {PHONE} first",
        metadata={"shift": "B", "api_token": TOKEN, "seen": {"by": [MAIL, "Asha"]}},
    )
    drain(site, asked)

    records = told(site, "state_transition_audit")

    assert [(each["comments"], each["metadata"]) for each in records] == [
        (
            "Call [phone] first",
            {"shift": "B", "api_token": "[secret]", "seen": {"by": ["[email]", "Asha"]}},
        )
    ] * 2


class Refuses(Hook):
    """Says no, and tells more of somebody than it should."""

    name: ClassVar[str] = "refuses"

    def before(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> Mapping[int, Reason] | None:
        return {row.id: Reason("asked_first", f"Ask {MAIL} first") for row in rows}


def test_what_a_refused_row_was_told_is_recorded_without_personal_data(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 2)
    refusing = replace(site.platform, hooks=(Refuses(),))
    drain(site, ask(site, ids, atomic=False), refusing)

    messages = {each["error_message"] for each in told(site, "state_transition_audit")}

    (record,) = query(site, "SELECT failure_details FROM bulk_operation_audit")
    assert messages == {"Ask [email] first"}
    assert record["failure_details"] == {str(each): "Ask [email] first" for each in ids}


def test_values_before_and_after_an_update_are_recorded_without_personal_data(
    site: lockside.Session,
) -> None:
    ids = [*tickets(site, 1, description=f"Guard: {PHONE}"), *tickets(site, 1, description="Wet")]
    drain(site, site.update("ticket", ids, {"description": f"Write to {MAIL}"})._id)

    changes = [
        each["changes"]["description"]
        for each in told(site, "audit_log")
        if each["event_type"] == "UPDATED"
    ]

    assert changes == [
        {"before": "Guard: [phone]", "after": "Write to [email]"},
        {"before": "Wet", "after": "Write to [email]"},
    ]
    assert site.row("ticket", ids[0])["description"] == f"Write to {MAIL}"


def test_lines_of_a_file_with_comments_of_their_own_are_recorded_without_personal_data(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 2)
    lines = [{"id": ids[0], "comments": f"{PHONE} knows"}, {"id": ids[1], "comments": "Fine"}]
    file = io.BytesIO("\n".join(map(json.dumps, lines)).encode())
    drain(site, site.transition("work_order", to="APPROVED", file=file, form="ndjson")._id)

    comments = [each["comments"] for each in told(site, "state_transition_audit")]

    assert comments == ["[phone] knows", "Fine"]


def test_a_person_who_is_called_by_an_address_is_recorded_without_it(
    site: lockside.Session,
) -> None:
    made = site.records("person").create(name=MAIL)
    site.records("person").update(made["id"], name=f"Lata, मोबाइल ९८२०४ ११८७३, {PHONE}")

    changes = [each["changes"]["name"] for each in told(site, "audit_log")]

    assert changes == [
        {"before": None, "after": "[email]"},
        {"before": "[email]", "after": "Lata, मोबाइल [phone], [phone]"},
    ]


def test_fields_of_a_person_are_personal_whatever_they_hold(site: lockside.Session) -> None:
    changes = {"mobile": {"before": None, "after": PHONE}, "email": {"before": MAIL, "after": None}}
    with site.platform.database.begin() as db:
        log_entities(
            db,
            event_type="UPDATED",
            kind="person",
            tenant_id=site.actor.tenant_id,
            actor_id=site.actor.person_id,
            correlation_id=None,
            reason="user_action",
            ids=[1],
            versions=[2],
            changes=[json.dumps(changes)],
            now=site.platform.clock(db),
        )

    (record,) = told(site, "audit_log")

    assert record["changes"] == {
        "mobile": {"before": None, "after": "[phone]"},
        "email": {"before": "[email]", "after": None},
    }


def test_a_denial_is_recorded_without_personal_data(site: lockside.Session) -> None:
    denial = Denial(
        kind="ticket",
        action=f"call {PHONE}",
        required=frozenset({"ticket.call"}),
        held=frozenset({"ticket.view"}),
        ids=[1],
        recent=0,
    )
    with site.platform.database.begin() as db:
        log_permission_denied(
            db,
            actor=site.actor,
            correlation_id=None,
            denial=denial,
            now=site.platform.clock(db),
        )

    (record,) = told(site, "permission_denial_audit")

    assert (record["attempted_action"], record["required_permissions"]) == (
        "call [phone]",
        ["ticket.call"],
    )


def test_imported_work_is_recorded_without_personal_data(site: lockside.Session) -> None:
    tickets(site, 2, description=f"टिकट, {PHONE}", reference=None)

    changes = [each["changes"]["description"] for each in told(site, "audit_log")]

    assert changes == [{"before": None, "after": "टिकट, [phone]"}] * 2


def test_an_undo_refuses_what_the_records_no_longer_tell(site: lockside.Session) -> None:
    ids = [*tickets(site, 1, description=f"Guard: {PHONE}"), *tickets(site, 1, description="Wet")]
    asked = site.update("ticket", ids, {"description": "Dry"})._id
    drain(site, asked)

    result = drain(site, undo(site.platform, site.actor, asked))

    assert (result["successful_ids"], result["failure_codes"]) == ([str(ids[1])], {"redacted": 1})
    assert [site.row("ticket", each)["description"] for each in ids] == ["Dry", "Wet"]
    check_invariants(site)


def test_an_undo_takes_back_what_was_written_over_nothing_personal(site: lockside.Session) -> None:
    ids = tickets(site, 1, description="Wet")
    asked = site.update("ticket", ids, {"description": f"Write to {MAIL}"})._id
    drain(site, asked)

    result = drain(site, undo(site.platform, site.actor, asked))

    assert result["successful_ids"] == [str(ids[0])]
    assert site.row("ticket", ids[0])["description"] == "Wet"
