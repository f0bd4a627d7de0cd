"""Seals: read seals, and the records that they cover, for verification, batch by batch."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from domain.audit.seal import FIRST
from models.archive import READ_ARCHIVES
from models.seal import TABLES, emptied_of, erasure_of, identity_of, select_sealed

_BATCH_RECORDS = 50_000
_PAGE_SEALS = 1_000

IDENTITY = ("record", "event_id", "kind", "entity_id", "version")
"""The columns that identify a record."""

_HEAD = text("""
SELECT coalesce(c.seal_no, 0) AS seal_no, c.digest, coalesce(c.records, 0) AS records,
       coalesce(c.unsealed, 0) AS unsealed, coalesce(newest, 0) AS newest
  FROM (SELECT max(seal_no) AS newest FROM audit_seal WHERE tenant_id = :tenant_id) AS s
  LEFT JOIN audit_chain c ON c.tenant_id = :tenant_id
""")

_WAITING = text("""
SELECT coalesce(sum(coalesce(cardinality(entity_ids), 1)), 0)::bigint AS changes,
       min(occurred_at) AS since
  FROM outbox WHERE tenant_id = :tenant_id
""")

_DIGEST = text("""
SELECT digest FROM audit_seal WHERE tenant_id = :tenant_id AND seal_no = :seal_no
""")

_SEALS = text("""
SELECT seal_no, previous, root, digest, records, sealed_at FROM audit_seal
 WHERE tenant_id = :tenant_id AND seal_no BETWEEN :first AND :last
 ORDER BY seal_no LIMIT :most
""")

_BETWEEN = "{records} WHERE tenant_id = :tenant_id AND seal_no BETWEEN :first AND :last"
_AMONG = "{records} WHERE tenant_id = :tenant_id AND seal_no = ANY(:seals)"

_COMPARED = """
SELECT s.leaves, coalesce(r.leaves = s.leaves AND r.is_kept, false) AS is_same,
       coalesce(r.erased, 0) AS erased
  FROM audit_seal s LEFT JOIN (
    SELECT seal_no, string_agg(leaf, ''::bytea ORDER BY seal_place) AS leaves,
           bool_and(is_kept) AS is_kept, count(erased_by) AS erased
      FROM ({records}) AS stored GROUP BY seal_no
  ) AS r USING (seal_no)
 WHERE s.tenant_id = :tenant_id AND s.seal_no BETWEEN :first AND :last ORDER BY seal_no
"""

# What erasures say that they emptied, recorded already or still in the outbox.
_ERASURES = """
SELECT {columns} FROM audit_log WHERE tenant_id = :tenant_id AND metadata ? 'erased'
UNION ALL
SELECT {columns}
  FROM (SELECT CAST(body ->> 'correlation_id' AS uuid) AS correlation_id,
               body ->> 'kind' AS kind, body ->> 'event_type' AS event_type,
               error_codes IS NULL AS success, body -> 'metadata' AS metadata
          FROM outbox
         WHERE tenant_id = :tenant_id AND body -> 'metadata' ? 'erased') AS waiting
"""

_EMPTY = """
SELECT {columns} FROM {table} r WHERE tenant_id = :tenant_id AND erased_by IS NOT NULL
"""

_RECORDS_OF_SEALS = "SELECT * FROM ({records}) AS stored ORDER BY seal_no, seal_place"

_COUNTED = """
  SELECT count(*) FILTER (WHERE seal_no IS NULL) AS unsealed,
         count(*) FILTER (WHERE seal_no IS NOT NULL) AS beyond
    FROM {table} WHERE tenant_id = :tenant_id AND (seal_no IS NULL OR seal_no > :last)
"""

_UNSEALED = """
SELECT CAST(sum(unsealed) AS bigint) AS unsealed, CAST(sum(beyond) AS bigint) AS beyond
  FROM ({counted}) AS counted
"""


_COMPARE = text(
    _COMPARED.format(
        records=" UNION ALL ".join(
            _BETWEEN.format(records=select_sealed(table, table)) for table in TABLES
        )
    )
)
_READ_RECORDS = text(
    _RECORDS_OF_SEALS.format(
        records=" UNION ALL ".join(
            _AMONG.format(records=select_sealed(table, table, *identity_of(table)))
            for table in TABLES
        )
    )
)
_READ_ERASURES = text(_ERASURES.format(columns=", ".join(erasure_of("audit_log"))))
_READ_EMPTIED = text(
    " UNION ALL ".join(
        _EMPTY.format(table=table, columns=", ".join(("event_id", *emptied_of(table))))
        for table in TABLES
    )
)
_COUNT_UNSEALED = text(
    _UNSEALED.format(counted=" UNION ALL ".join(_COUNTED.format(table=table) for table in TABLES))
)


# Records that leave a table during the verification would be in no archive of its snapshot. The
# lock comes before the snapshot, because locking a table takes none.
_LOCK_TABLES = text(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS SHARE MODE")


def lock_archiving(db: Connection) -> None:
    """Keep months from being archived and archives from being removed, in this transaction."""
    db.execute(_LOCK_TABLES)
    db.execute(READ_ARCHIVES)


def head_of(db: Connection, tenant_id: int) -> Row[Any]:
    """Return the head of a tenant's chain, and the number of its newest seal."""
    return db.execute(_HEAD, {"tenant_id": tenant_id}).one()


def waiting(db: Connection, tenant_id: int) -> tuple[int, datetime | None]:
    """Return how many changes of a tenant aren't written as records yet, and since when."""
    row = db.execute(_WAITING, {"tenant_id": tenant_id}).one()
    return int(row.changes), row.since


def digest_of(db: Connection, tenant_id: int, seal_no: int) -> bytes | None:
    """Return a seal's digest; None if there is no such seal."""
    if seal_no < 1:
        return FIRST
    digest: bytes | None = db.scalar(_DIGEST, {"tenant_id": tenant_id, "seal_no": seal_no})
    return digest


def seal_batches(db: Connection, tenant_id: int, first: int, last: int) -> Iterator[list[Row[Any]]]:
    """Yield seals in order, in batches with a limited number of records."""
    batch: list[Row[Any]] = []
    records = 0
    while True:
        page = db.execute(
            _SEALS, {"tenant_id": tenant_id, "first": first, "last": last, "most": _PAGE_SEALS}
        ).all()
        for seal in page:
            if batch and records + seal.records > _BATCH_RECORDS:
                yield batch
                batch, records = [], 0
            batch.append(seal)
            records += seal.records
        if len(page) < _PAGE_SEALS:
            break
        first = page[-1].seal_no + 1
    if batch:
        yield batch


def compare_records(
    db: Connection, tenant_id: int, batch: Sequence[Row[Any]]
) -> Sequence[Row[Any]]:
    """Return each seal's digests, and whether the present records still have these digests."""
    span = {"first": batch[0].seal_no, "last": batch[-1].seal_no}
    return db.execute(_COMPARE, {"tenant_id": tenant_id, **span}).all()


def records_of(db: Connection, tenant_id: int, seals: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return the records of seals that are in their tables, by seal, with their identity."""
    records: dict[int, list[Row[Any]]] = {}
    for record in db.execute(_READ_RECORDS, {"tenant_id": tenant_id, "seals": list(seals)}):
        records.setdefault(record.seal_no, []).append(record)
    return records


def unsealed_records(db: Connection, tenant_id: int, last: int) -> Row[Any]:
    """Return how many records have no seal, and how many have a seal after the last one."""
    return db.execute(_COUNT_UNSEALED, {"tenant_id": tenant_id, "last": last}).one()


def erasures(db: Connection, tenant_id: int) -> dict[UUID, Any]:
    """Return what each erasure, in the tables or in the outbox, says that it emptied."""
    rows = db.execute(_READ_ERASURES, {"tenant_id": tenant_id})
    return {row.correlation_id: row.erasure for row in rows if row.erasure is not None}


def emptied(db: Connection, tenant_id: int) -> Iterable[Row[Any]]:
    """Return the records in the tables that lost words, and the digests of what is left."""
    return db.execute(_READ_EMPTIED, {"tenant_id": tenant_id})
