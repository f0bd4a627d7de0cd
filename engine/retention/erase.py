"""Erasure: remove the words that identify a person, wherever they are; the seals still hold.

A seal covers only the commitment to a record's words, so the words and their salt can go. The
erasure is itself recorded: how many records, and digests over which records and what was left of
them, so that nobody else can empty a record and call it an erasure, or change what is left.
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
from engine.retention.erase_archived import Erase, erase_archived, kept_if_committed, lock_archives
from engine.retention.erase_words import (
    create_function,
    forms_of,
    has_words,
    mentions_person,
    without_words,
    word_parameters,
)
from models.base import records
from models.seal import TABLES, rest_of, words_of

_SHORTEST_WORD = 3

_LOCK = text("SELECT FROM audit_chain WHERE tenant_id = :tenant_id FOR UPDATE")

_PERSON = text("""
SELECT id, name, version, deleted_at FROM person
 WHERE tenant_id = :tenant_id AND id = :person_id FOR UPDATE
""")

_RENAME = text("""
UPDATE person SET name = :name, version = version + 1, updated_at = :now, updated_by = :by
 WHERE tenant_id = :tenant_id AND id = :person_id
""")

# A record counts with its latest erasure, which names the earlier one.
_ERASE_RECORDS = """
UPDATE {table} r SET {erased}, salt = NULL, erased_by = :erasure
 WHERE tenant_id = :tenant_id AND commitment IS NOT NULL AND ({mentions})
RETURNING event_id, {rest} AS rest
"""

_FORMER = """
SELECT event_id, erased_by, {rest} AS rest FROM {table} r
 WHERE tenant_id = :tenant_id AND erased_by <> :erasure AND ({mentions})
"""

_ERASE_ROWS = """
UPDATE {table} SET {erased} WHERE {condition} AND ({mentions})
"""

# Tables beside the records that hold words. Records of work are changed by their own interfaces.
_COLUMNS = {
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
_CONDITIONS = {
    "operation_chunk": "operation_id IN (SELECT id FROM operation WHERE tenant_id = :tenant_id)"
}

_MENTIONS = """
SELECT id FROM (SELECT id, to_jsonb(w) AS row FROM {table} w WHERE tenant_id = :tenant_id) AS told
 WHERE {tells} ORDER BY id LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class Erased:
    """The result of an erasure.

    Attributes:
        erasure_id: The correlation id of its records.
        records: How many records lost words.
        places: How many rows of other tables lost words, by table.
        mentions: The ids of rows that still mention the person, at most 1,000 of each resource
            type: their own interfaces change them.
    """

    erasure_id: UUID
    records: int
    places: Mapping[str, int]
    mentions: Mapping[str, list[int]]


def erase_person(
    platform: Platform, actor: Actor, person_id: int, *, also: Iterable[str] = ()
) -> Erased:
    """Erase the name of a deleted person, and other given words, everywhere.

    Args:
        platform: The outside world.
        actor: Who asks for it.
        person_id: Whose name is erased; the id stays, which identifies nobody.
        also: Other words that identify the person: a former name, an address.

    Raises:
        PermissionDenied: The actor may not; the denial is recorded.
        NotFound: The tenant has no such person.
        RuleRefused: The person isn't deleted yet.
        InvalidInput: A word is too short or has only digits: too much would be erased.
        Unavailable: An archive isn't there, the folder is full, or records are being archived.
    """
    authorize(platform, actor, "audit", "erase", [person_id])
    extra = [_checked_word(word) for word in also]
    # Records that are written can be found; the others are erased in the outbox.
    write_records(platform)
    names = {"tenant_id": actor.tenant_id, "person_id": person_id}
    with kept_if_committed(platform) as written_files, platform.database.begin() as db:
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
        parameters = {
            **names,
            **word_parameters(words),
            "erasure": erasure_id,
            "now": platform.clock(db),
            "by": actor.person_id,
            "name": f"erased {person_id}",
        }
        archives = lock_archives(db, actor.tenant_id)
        create_function(db)
        erased = {emptied.event_id: emptied for emptied in _erase_records(db, parameters)}
        erase, forms = _eraser(db, parameters), forms_of(words)
        archived = erase_archived(
            platform, db, archives, forms, parameters, erase=erase, written_files=written_files
        )
        erased |= {emptied.event_id: emptied for emptied in archived}
        places = {table: _erase_rows(db, table, parameters) for table in _COLUMNS}
        _rename(db, person.version + 1, erased, parameters)
        mentions = dict(_mentions(db, parameters))
    # Files that mentioned the person; one that somebody reads is removed within the hour.
    remove_gone(platform)
    return Erased(erasure_id, len(erased), places, mentions)


def _checked_word(word: str) -> str:
    stripped = word.strip()
    if len(stripped) < _SHORTEST_WORD or not re.search(r"[^\W\d_]|[@+]", stripped):
        expected = f"{_SHORTEST_WORD} characters or more, with a letter, an @ or a + among them"
        raise InvalidInput(field="also", got=word, expected=expected)
    return stripped


def _erase_records(db: Connection, parameters: Mapping[str, Any]) -> Iterator[Emptied]:
    for table in TABLES:
        yield from _erase_words(db, parameters, table, table)


def _eraser(db: Connection, parameters: Mapping[str, Any]) -> Erase:
    def erase(table: str, stored: str) -> Iterator[Emptied]:
        return _erase_words(db, parameters, table, stored)

    return erase


def _erase_words(
    db: Connection, parameters: Mapping[str, Any], table: str, stored: str
) -> Iterator[Emptied]:
    """Erase the words of records; yield what is left of each."""
    words = words_of(table)
    parts = {
        "table": stored,
        "erased": _assignments(table, words),
        "mentions": mentions_person(table, words),
        "rest": rest_of(table, "r"),
    }
    former = {
        row.event_id: (row.erased_by, bytes(row.rest))
        for row in db.execute(text(_FORMER.format(**parts)), parameters)
    }
    for row in db.execute(text(_ERASE_RECORDS.format(**parts)), parameters):
        yield Emptied(row.event_id, bytes(row.rest), former.get(row.event_id))


def _erase_rows(db: Connection, table: str, parameters: Mapping[str, Any]) -> int:
    columns = _COLUMNS[table]
    condition = _CONDITIONS.get(table, "tenant_id = :tenant_id")
    statement = _ERASE_ROWS.format(
        table=table,
        erased=_assignments(table, columns),
        mentions=mentions_person(table, columns),
        condition=condition,
    )
    return db.execute(text(statement), parameters).rowcount


def _assignments(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{column} = {without_words(table, column)}" for column in columns)


def _rename(
    db: Connection, version: int, erased: Mapping[UUID, Emptied], parameters: Mapping[str, Any]
) -> None:
    """Replace the person's name, and record the erasure with the records that it emptied."""
    db.execute(_RENAME, parameters)
    log_entities(
        db,
        event_type="UPDATED",
        kind="person",
        tenant_id=parameters["tenant_id"],
        actor_id=parameters["by"],
        correlation_id=parameters["erasure"],
        reason="user_action",
        ids=[parameters["person_id"]],
        versions=[version],
        changes=[json.dumps({"name": {"before": ERASED, "after": parameters["name"]}})],
        details={"erased": erasure_evidence(erased)},
        now=parameters["now"],
    )


def _mentions(db: Connection, parameters: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    for resource_type, model in records().items():
        statement = _MENTIONS.format(table=model.__tablename__, tells=has_words("row"))
        ids = db.scalars(text(statement), parameters).all()
        if ids:
            yield resource_type, list(ids)
