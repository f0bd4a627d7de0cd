"""Erasure: what tells of one person goes, wherever it stands, and the seals still hold.

Only the commitment to a record's words is sealed, so the words and their salt can go. What was
erased is itself recorded: how many records, and digests over which and what was left of them, so
that nobody else can empty a record and call it an erasure, or change what is left.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from domain.audit.erasure import Emptied, erasure_evidence
from domain.errors import InvalidInput, NotFound, RuleRefused
from domain.permissions import Actor
from domain.redaction.masks import ERASED
from engine.access.permissions import authorize
from engine.audit.outbox import log_entities
from engine.audit.writer import write_records
from engine.ports.platform import Platform
from engine.retention.archive_rows import remove_gone
from engine.retention.erase_archived import Erase, erase_archived, hold_still, kept_if_committed
from engine.retention.erase_words import (
    forms_of,
    mentions_person,
    prepare,
    tells,
    wanted_of,
    without_words,
)
from models.base import records
from models.seal import TABLES, rest_of, words_of

_SHORTEST = 3

_LOCK = text("SELECT FROM audit_chain WHERE tenant_id = :tenant_id FOR UPDATE")

_PERSON = text("""
SELECT id, name, version, deleted_at FROM person
 WHERE tenant_id = :tenant_id AND id = :person_id FOR UPDATE
""")

_RENAME = text("""
UPDATE person SET name = :name, version = version + 1, updated_at = :now, updated_by = :by
 WHERE tenant_id = :tenant_id AND id = :person_id
""")

# The later erasure of a record is the one that it counts with, and tells of the earlier one.
_RECORDS = """
UPDATE {table} r SET {erased}, salt = NULL, erased_by = :erasure
 WHERE tenant_id = :tenant_id AND commitment IS NOT NULL AND ({told})
RETURNING event_id, {rest} AS rest
"""

_FORMER = """
SELECT event_id, erased_by, {rest} AS rest FROM {table} r
 WHERE tenant_id = :tenant_id AND erased_by <> :erasure AND ({told})
"""

_ELSEWHERE = """
UPDATE {table} SET {erased} WHERE {meant} AND ({told})
"""

# Where words stand beside the records. Rows are changed by their own interfaces.
_PLACES = {
    "outbox": ("body", "changes", "comments", "error_messages"),
    "operation_chunk": ("inputs", "failures", "error"),
    "operation": (
        *("comments", "details", "changes", "selection", "result", "origin"),
        *("paused_by", "cancelled_by", "idempotency_key"),
    ),
    "notification": ("body",),
    "audit_archive": ("held_because",),
    "scheduled_run": ("policy", "message"),
    "alert": ("message",),
}
_MEANT = {
    "operation_chunk": "operation_id IN (SELECT id FROM operation WHERE tenant_id = :tenant_id)"
}

_MENTIONS = """
SELECT id FROM (SELECT id, to_jsonb(w) AS row FROM {table} w WHERE tenant_id = :tenant_id) AS told
 WHERE {tells} ORDER BY id LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did.

    Attributes:
        erasure_id: Its records' correlation id.
        records: So many records lost words.
        places: So many rows beside the records lost words, by table.
        mentions: Rows that still tell of the person, at most 1,000 of a resource type, work and
            other
            records: their own interfaces change them.
    """

    erasure_id: UUID
    records: int
    places: Mapping[str, int]
    mentions: Mapping[str, list[int]]


def erase_person(
    platform: Platform, actor: Actor, person_id: int, *, also: Iterable[str] = ()
) -> Erased:
    """Erase a person who was deleted: their name, and whatever else is given, everywhere.

    Args:
        platform: The outside world.
        actor: Who asks for it.
        person_id: Whose name goes; their id stays, and tells nobody who it was.
        also: Other words that tell of them: a former name, an address.

    Raises:
        PermissionDenied: The actor may not; the denial is recorded.
        NotFound: The tenant has no such person.
        RuleRefused: The person isn't deleted yet.
        InvalidInput: A word is too short or a mere number: too much would go.
        Unavailable: An archive isn't there, the folder is full, or records are being archived.
    """
    authorize(platform, actor, "audit", "erase", [person_id])
    extra = [_checked(each) for each in also]
    # What is recorded already can be found; the rest is erased in the outbox.
    write_records(platform)
    names = {"tenant_id": actor.tenant_id, "person_id": person_id}
    with kept_if_committed(platform) as made, platform.database.begin() as db:
        db.execute(text("SET LOCAL statement_timeout = 0"))
        db.execute(_LOCK, names)
        person = db.execute(_PERSON, names).first()
        if person is None:
            raise NotFound(what="person", got=person_id)
        if person.deleted_at is None:
            raise RuleRefused(
                message=f"{person.name} still works here: delete them first, with "
                f"`lockside records delete person {person_id}`.",
                reasons=[{"code": "not_deleted"}],
                id=person_id,
            )
        erasure_id = uuid4()
        words = [person.name, *extra]
        wanted = {
            **names,
            **wanted_of(words),
            "erasure": erasure_id,
            "now": platform.clock(db),
            "by": actor.person_id,
            "name": f"erased {person_id}",
        }
        archives = hold_still(db, actor.tenant_id)
        prepare(db)
        erased = {each.event_id: each for each in _erase_records(db, wanted)}
        erase, told_so = _erase_in(db, wanted), forms_of(words)
        archived = erase_archived(platform, db, archives, told_so, wanted, erase=erase, made=made)
        erased |= {each.event_id: each for each in archived}
        places = {table: _erase_rows(db, table, wanted) for table in _PLACES}
        _rename(db, person.version + 1, erased, wanted)
        mentions = dict(_mentions(db, wanted))
    # The files that still told of the person; what a reader holds is removed within the hour.
    remove_gone(platform)
    return Erased(erasure_id, len(erased), places, mentions)


def _checked(word: str) -> str:
    stripped = word.strip()
    if len(stripped) < _SHORTEST or not re.search(r"[^\W\d_]|[@+]", stripped):
        expected = f"{_SHORTEST} characters or more, with a letter, an @ or a + among them"
        raise InvalidInput(field="also", got=word, expected=expected)
    return stripped


def _erase_records(db: Connection, wanted: Mapping[str, Any]) -> Iterator[Emptied]:
    for table in TABLES:
        yield from _erase_words(db, wanted, table, table)


def _erase_in(db: Connection, wanted: Mapping[str, Any]) -> Erase:
    def erase(table: str, stored: str) -> Iterator[Emptied]:
        return _erase_words(db, wanted, table, stored)

    return erase


def _erase_words(
    db: Connection, wanted: Mapping[str, Any], table: str, stored: str
) -> Iterator[Emptied]:
    """Erase the words of records; yield what was left of each."""
    words = words_of(table)
    parts = {
        "table": stored,
        "erased": _erased(table, words),
        "told": mentions_person(table, words),
        "rest": rest_of(table, "r"),
    }
    former = {
        each.event_id: (each.erased_by, bytes(each.rest))
        for each in db.execute(text(_FORMER.format(**parts)), wanted)
    }
    for each in db.execute(text(_RECORDS.format(**parts)), wanted):
        yield Emptied(each.event_id, bytes(each.rest), former.get(each.event_id))


def _erase_rows(db: Connection, table: str, wanted: Mapping[str, Any]) -> int:
    columns = _PLACES[table]
    meant = _MEANT.get(table, "tenant_id = :tenant_id")
    statement = _ELSEWHERE.format(
        table=table,
        erased=_erased(table, columns),
        told=mentions_person(table, columns),
        meant=meant,
    )
    return db.execute(text(statement), wanted).rowcount


def _erased(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{each} = {without_words(table, each)}" for each in columns)


def _rename(
    db: Connection, version: int, erased: Mapping[UUID, Emptied], wanted: Mapping[str, Any]
) -> None:
    """Take the name away, and record the erasure with what it emptied."""
    db.execute(_RENAME, wanted)
    log_entities(
        db,
        event_type="UPDATED",
        kind="person",
        tenant_id=wanted["tenant_id"],
        actor_id=wanted["by"],
        correlation_id=wanted["erasure"],
        reason="user_action",
        ids=[wanted["person_id"]],
        versions=[version],
        changes=[json.dumps({"name": {"before": ERASED, "after": wanted["name"]}})],
        details={"erased": erasure_evidence(erased)},
        now=wanted["now"],
    )


def _mentions(db: Connection, wanted: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    for resource_type, model in records().items():
        statement = _MENTIONS.format(table=model.__tablename__, tells=tells("row"))
        found = db.scalars(text(statement), wanted).all()
        if found:
            yield resource_type, list(found)
