"""Verification: whatever was done to sealed records, or to the seals, is found and named."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.audit.seal import Seal, merkle_root
from domain.audit.verification import Anchor, Verified
from domain.errors import InvalidInput
from engine.audit.writer import write_records
from models.seal import leaf_of
from reads.audit.verification import verify_seals
from tests.engine.steps import ask, drain, query
from tests.factories import work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

SINCE_2000 = datetime(2000, 1, 1, tzinfo=UTC)


def seal(site: lockside.Session, count: int = 5, **more: Any) -> list[int]:
    """Write and seal the records of so many transitions; return the rows."""
    ids = work_orders(site, count)
    write_records(site.platform)
    drain(site, ask(site, ids, **more))
    write_records(site.platform)
    return ids


def verified(site: lockside.Session, **more: Any) -> Verified:
    """Return what a verification of the tenant's seals finds."""
    with site.platform.database.connect() as db:
        *_, seen = verify_seals(db, site.actor.tenant_id, **more)
    return seen


def found(site: lockside.Session, **more: Any) -> list[str]:
    """Return the codes of what a verification finds."""
    return [each.code for each in verified(site, **more).findings]


def anchor(site: lockside.Session, seal_no: int) -> Anchor:
    """Return what pins a seal outside."""
    (row,) = query(site, "SELECT * FROM audit_seal WHERE seal_no = :seal_no", seal_no=seal_no)
    return Anchor(row["tenant_id"], seal_no, bytes(row["digest"]), row["sealed_at"])


def test_what_nobody_touched_is_whole(site: lockside.Session) -> None:
    for comments in (None, "Checked", "Again"):
        seal(site, comments=comments)

    seen = verified(site)

    (records,) = query(site, "SELECT sum(records) AS n, count(*) AS seals FROM audit_seal")
    assert (seen.findings, seen.seals, seen.records) == ([], records["seals"], records["n"])


def test_what_waits_to_be_recorded_is_told(site: lockside.Session) -> None:
    work_orders(site, 3)
    before = site.audit.verify()
    write_records(site.platform)

    after = site.audit.verify()

    assert (before.waiting, after.waiting) == (3, 0)
    assert before.waiting_since is not None


def test_seals_beyond_the_newest_are_refused(site: lockside.Session, says: Sentences) -> None:
    work_orders(site, 1)
    write_records(site.platform)

    with pytest.raises(InvalidInput, check=says):
        site.audit.verify(first=99)


def test_a_tenant_without_records_is_whole(site: lockside.Session) -> None:
    assert found(site) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("to_state", "'REJECTED'"),
        ("actor_id", "NULL"),
        ("occurred_at", "occurred_at + interval '1 microsecond'"),
        ("success", "false"),
        ("execution_time_ms", "0"),
        ("reason", "'user_action '"),
        ("commitment", "NULL"),
    ],
)
def test_a_changed_field_is_named_with_its_record(
    site: lockside.Session, column: str, value: str
) -> None:
    ids = seal(site, comments="Checked")
    query(site, f"UPDATE state_transition_audit SET {column} = {value} WHERE entity_id = :id",
          id=ids[2])  # fmt: skip

    findings = verified(site).findings

    told = [(each.code, each.record and each.record["entity_id"]) for each in findings]
    assert told == [("record_changed", ids[2])]


def test_changed_words_are_named(site: lockside.Session) -> None:
    ids = seal(site, comments="Checked")
    query(
        site, "UPDATE state_transition_audit SET comments = 'Not' WHERE entity_id = :id", id=ids[0]
    )

    (finding,) = verified(site).findings

    assert (finding.code, finding.record and finding.record["entity_id"]) == (
        "words_changed",
        ids[0],
    )


def test_words_that_came_later_are_named(site: lockside.Session) -> None:
    ids = seal(site)
    query(
        site, "UPDATE state_transition_audit SET comments = 'So' WHERE entity_id = :id", id=ids[0]
    )

    assert found(site) == ["words_changed"]


def test_words_that_were_taken_away_are_named(site: lockside.Session) -> None:
    seal(site, comments="Checked")
    query(site, "UPDATE state_transition_audit SET comments = NULL, salt = NULL")

    assert found(site) == ["words_changed"] * 5


def test_a_deleted_row_is_named_by_its_place(site: lockside.Session) -> None:
    ids = seal(site)
    (gone,) = query(site, "DELETE FROM state_transition_audit WHERE entity_id = :id"
                    " RETURNING seal_no, seal_place", id=ids[1])  # fmt: skip

    (finding,) = verified(site).findings

    assert (finding.code, finding.seal_no) == ("record_missing", gone["seal_no"])
    assert f"place {gone['seal_place']} of" in finding.message


def test_the_last_rows_deleted_are_found(site: lockside.Session) -> None:
    seal(site)
    query(
        site,
        "DELETE FROM state_transition_audit WHERE seal_no = (SELECT max(seal_no) FROM audit_seal)",
    )

    assert found(site) == ["record_missing"] * 5


def test_the_last_rows_deleted_with_their_seal_are_found(site: lockside.Session) -> None:
    seal(site)
    for table in ("state_transition_audit", "bulk_operation_audit", "audit_log", "audit_seal"):
        query(site, f"DELETE FROM {table} WHERE seal_no = (SELECT seal_no FROM audit_chain)")

    assert found(site) == ["seal_missing", "head_moved"]


def test_two_rows_swapped_are_both_named(site: lockside.Session) -> None:
    ids = seal(site)
    query(site, """
        UPDATE state_transition_audit a SET seal_place = b.seal_place
          FROM state_transition_audit b
         WHERE a.entity_id = ANY(:ids) AND b.entity_id = ANY(:ids) AND a.entity_id <> b.entity_id
    """, ids=ids[:2])  # fmt: skip

    assert found(site) == ["record_moved", "record_moved"]


def test_a_record_that_was_added_is_named(site: lockside.Session) -> None:
    seal(site)
    query(site, """
        INSERT INTO state_transition_audit SELECT (json_populate_record(r, json_build_object(
          'event_id', gen_random_uuid(), 'seal_place', 99))).* FROM state_transition_audit r LIMIT 1
    """)  # fmt: skip

    assert found(site) == ["record_added"]


def test_a_record_outside_of_all_seals_is_found(site: lockside.Session) -> None:
    seal(site)
    query(site, """
        INSERT INTO state_transition_audit SELECT (json_populate_record(r, json_build_object(
          'event_id', gen_random_uuid(), 'seal_no', NULL))).* FROM state_transition_audit r LIMIT 1
    """)  # fmt: skip

    assert found(site) == ["record_unsealed"]


def rewrite(site: lockside.Session, seal_no: int) -> None:
    """Change a record, and write its seal anew, as somebody would who knows how."""
    query(site, "UPDATE state_transition_audit SET to_state = 'REJECTED' WHERE seal_no = :n",
          n=seal_no)  # fmt: skip
    leaf = leaf_of("state_transition_audit", "r")
    (row,) = query(site, f"SELECT string_agg({leaf}, ''::bytea ORDER BY seal_place) AS leaves"
                   " FROM state_transition_audit r WHERE seal_no = :n", n=seal_no)  # fmt: skip
    (old,) = query(site, "SELECT * FROM audit_seal WHERE seal_no = :n", n=seal_no)
    leaves = bytes(row["leaves"]) + bytes(old["leaves"])[len(row["leaves"]) :]
    new = Seal(old["tenant_id"], seal_no, bytes(old["previous"]), merkle_root(leaves),
               old["records"], old["sealed_at"])  # fmt: skip
    query(
        site,
        "UPDATE audit_seal SET root = :root, digest = :digest, leaves = :leaves WHERE seal_no = :n",
        root=new.root,
        digest=new.digest,
        leaves=leaves,
        n=seal_no,
    )


def test_a_batch_rewritten_with_its_seal_breaks_the_chain(site: lockside.Session) -> None:
    seal(site)
    rewritten = newest(site)
    seal(site)

    rewrite(site, rewritten)

    assert found(site) == ["chain_broken"]


def test_the_last_batch_rewritten_with_its_seal_is_not_what_the_head_says(
    site: lockside.Session,
) -> None:
    seal(site)

    rewrite(site, newest(site))

    assert found(site) == ["head_moved"]


def test_a_chain_rewritten_to_its_head_is_not_what_an_anchor_says(site: lockside.Session) -> None:
    seal(site)
    pinned = anchor(site, newest(site))

    rewrite(site, newest(site))
    query(site, "UPDATE audit_chain c SET digest = s.digest FROM audit_seal s"
          " WHERE s.seal_no = c.seal_no")  # fmt: skip

    assert (found(site), found(site, anchors=[pinned])) == ([], ["anchor_differs"])


def test_a_head_that_was_set_back_is_found(site: lockside.Session) -> None:
    seal(site)
    query(site, "UPDATE audit_chain c SET seal_no = s.seal_no, digest = s.digest FROM audit_seal s"
          " WHERE s.seal_no = c.seal_no - 1")  # fmt: skip

    assert found(site) == ["head_moved"]


def test_a_head_that_was_moved_is_mended_as_the_page_says(site: lockside.Session) -> None:
    seal(site)
    for table in ("state_transition_audit", "bulk_operation_audit", "audit_log", "audit_seal"):
        query(site, f"DELETE FROM {table} WHERE seal_no = (SELECT seal_no FROM audit_chain)")
    page = Path(__file__).parents[3] / "docs/how-to/trust-the-audit.md"
    statement = page.read_text().split("```sql\n")[1].split("```")[0]

    query(site, statement.replace("= 1", f"= {site.actor.tenant_id}"))
    seal(site)

    assert found(site) == []


def test_nothing_is_sealed_onto_a_head_that_was_set_back(site: lockside.Session) -> None:
    seal(site)
    query(site, "UPDATE audit_chain c SET seal_no = s.seal_no, digest = s.digest FROM audit_seal s"
          " WHERE s.seal_no = c.seal_no - 1")  # fmt: skip
    last = newest(site)

    drain(site, ask(site, work_orders(site, 1)))
    write_records(site.platform)

    assert (newest(site), len(query(site, "SELECT id FROM outbox"))) == (last, 2)


def test_a_chain_set_back_with_all_that_followed_is_not_what_an_anchor_says(
    site: lockside.Session,
) -> None:
    seal(site)
    pinned = anchor(site, newest(site))
    tables = ("state_transition_audit", "bulk_operation_audit", "audit_log")
    for table in tables:
        query(site, f"DELETE FROM {table} WHERE seal_no = {pinned.seal_no}")
    (gone,) = query(
        site, f"DELETE FROM audit_seal WHERE seal_no = {pinned.seal_no} RETURNING records"
    )
    query(site, "UPDATE audit_chain c SET seal_no = s.seal_no, digest = s.digest,"
          " records = c.records - :gone FROM audit_seal s WHERE s.seal_no = c.seal_no - 1",
          gone=gone["records"])  # fmt: skip

    assert (found(site), found(site, anchors=[pinned])) == ([], ["anchor_differs"])


def test_a_seal_that_was_deleted_is_named(site: lockside.Session) -> None:
    seal(site)
    query(site, "DELETE FROM audit_seal WHERE seal_no = 1")

    assert [(each.code, each.seal_no) for each in verified(site).findings] == [("seal_missing", 1)]


def test_a_range_is_verified_alone(site: lockside.Session) -> None:
    for _ in range(3):
        seal(site)
    query(site, "DELETE FROM state_transition_audit WHERE seal_no = 2")

    assert (found(site, first=3), found(site, first=1, last=2)) == ([], ["record_missing"] * 5)


def test_the_seals_of_another_tenant_are_his_own(site: lockside.Session) -> None:
    seal(site)
    ours = site.actor.tenant_id
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    site.act_as("harbor", "asha")
    seal(site)

    query(site, "DELETE FROM state_transition_audit WHERE tenant_id = :id", id=ours)

    assert found(site) == []


def test_a_digest_can_be_made_by_others_too(site: lockside.Session) -> None:
    """The bytes are those of PostgreSQL's binary protocol: type, length and value of each."""
    seal(site, comments="Checked", metadata={"b": 1, "a": [None, "ä"]})
    (record,) = query(site, "SELECT * FROM state_transition_audit ORDER BY event_id LIMIT 1")
    (kept,) = query(site, "SELECT * FROM audit_seal WHERE seal_no = :n", n=record["seal_no"])

    at = 32 * record["seal_place"]
    assert sha256(b"\0" + digested(record)).digest() == bytes(kept["leaves"])[at : at + 32]


def digested(record: dict[str, Any]) -> bytes:
    """Return the bytes that a transition's digest is over."""
    oids = {"text": 25, "uuid": 2950, "time": 1184, "int8": 20, "int4": 23, "float8": 701,
            "bool": 16, "bytea": 17}  # fmt: skip
    columns = [
        *(("event_id", "uuid"), ("occurred_at", "time"), ("tenant_id", "int8")),
        *(("correlation_id", "uuid"), ("actor_id", "int8"), ("kind", "text")),
        *(("entity_id", "int8"), ("version", "int4"), ("from_state", "text"), ("to_state", "text")),
        *(("approved_by", "int8"), ("time_in_previous_state_s", "float8"), ("reason", "text")),
        *(("success", "bool"), ("error_code", "text"), ("execution_time_ms", "float8")),
        *(("lock_acquisition_time_ms", "float8"), ("lock_key", "text")),
        *(("isolation_level", "text"), ("retry_attempt", "int4"), ("commitment", "bytea")),
    ]
    values = [("text", "state_transition_audit"), *((kind, record[name]) for name, kind in columns)]
    told = struct.pack(">i", len(values))
    for kind, value in values:
        raw = None if value is None else AS_BYTES[kind](value)
        told += struct.pack(">Ii", oids[kind], -1 if raw is None else len(raw)) + (raw or b"")
    return told


AS_BYTES: dict[str, Callable[[Any], bytes]] = {
    "text": str.encode,
    "uuid": lambda value: UUID(str(value)).bytes,
    "time": lambda value: struct.pack(">q", (value - SINCE_2000) // timedelta(microseconds=1)),
    "int8": lambda value: struct.pack(">q", value),
    "int4": lambda value: struct.pack(">i", value),
    "float8": lambda value: struct.pack(">d", value),
    "bool": lambda value: struct.pack(">?", value),
    "bytea": bytes,
}


def newest(site: lockside.Session) -> int:
    """Return the number of the newest seal."""
    (row,) = query(site, "SELECT max(seal_no) AS n FROM audit_seal")
    number: int = row["n"]
    return number
