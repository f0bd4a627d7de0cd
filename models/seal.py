"""Seals: pin the records of the audit, and define which columns of a record they cover.

The digest of a record is computed by PostgreSQL from the stored row itself, when it is written
and when it is verified: over `record_send` of its columns, which gives each by its type, its
length and its binary value, so times are UTC microseconds and nothing depends on how a session
prints. Text comes in the session's encoding: every session of Lockside has UTF-8.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

_COMMON = ("event_id", "occurred_at", "tenant_id", "correlation_id", "actor_id", "kind")
_SEALED = {
    "state_transition_audit": (
        *("entity_id", "version", "from_state", "to_state", "approved_by"),
        *("time_in_previous_state_s", "reason", "success", "error_code", "execution_time_ms"),
        *("lock_acquisition_time_ms", "lock_key", "isolation_level", "retry_attempt"),
    ),
    "audit_log": (
        *("event_type", "entity_id", "version", "reason", "success", "error_code"),
        *("execution_time_ms", "lock_acquisition_time_ms", "security_flags"),
    ),
    "bulk_operation_audit": (
        *("operation_type", "state", "total_items", "successful_items", "failed_items"),
        *("successful_ids", "failed_ids", "was_rolled_back"),
    ),
    "permission_denial_audit": (
        *("attempted_action", "items", "entity_ids", "required_permissions"),
        *("user_permissions", "is_suspicious", "risk_score"),
    ),
}
"""The columns of each table that a digest covers, in order. What is sealed can't be sealed
differently, so a column that is added later isn't covered."""

_WORDS = {
    "state_transition_audit": ("comments", "metadata", "error_message"),
    "audit_log": (
        *("comments", "metadata", "error_message", "changes", "session_id", "ip_address"),
    ),
    "bulk_operation_audit": ("failure_details", "rollback_reason"),
    "permission_denial_audit": ("session_id", "ip_address", "security_flags"),
}
"""The columns of each table that may hold people's words or identify people. Seals cover only the
commitment to them, so that they can be erased and the seals still hold."""

TABLES = tuple(_SEALED)

_SEALED_RECORDS = """
SELECT seal_no, seal_place, {leaf} AS leaf, erased_by,
       CASE WHEN commitment IS NULL THEN salt IS NULL AND {words} = 0
            WHEN salt IS NULL THEN erased_by IS NOT NULL
            ELSE commitment = {commitment} END AS is_kept{more}
  FROM {source} r
"""


class AuditSeal(Base):
    """The seal of one batch of records; `leaves` are their digests, one after another."""

    __tablename__ = "audit_seal"
    __table_args__ = (
        CheckConstraint("octet_length(leaves) = 32 * records", name="a_digest_for_each"),
    )

    # One seal of each number: a chain can't fork.
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    seal_no: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    previous: Mapped[bytes]
    root: Mapped[bytes]
    digest: Mapped[bytes]
    records: Mapped[int]
    sealed_at: Mapped[datetime]
    leaves: Mapped[bytes]


class AuditChain(Base):
    """The head of a tenant's chain of seals; whoever seals locks it.

    `unsealed` counts the records from before there were seals.
    """

    __tablename__ = "audit_chain"

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    seal_no: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    digest: Mapped[bytes] = mapped_column(server_default=text(r"'\x" + "00" * 32 + "'"))
    records: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    unsealed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


def words_of(table: str) -> tuple[str, ...]:
    """Return the columns of a record that its commitment covers."""
    return _WORDS[table]


def leaf_of(table: str, alias: str) -> str:
    """Return SQL for a record's digest; it covers the table's name, so no record can be moved."""
    row = _qualified((*_COMMON, *_SEALED[table], "commitment"), alias)
    return f"sha256('\\x00'::bytea || record_send(ROW('{table}'::text, {row})))"


def commitment_of(table: str, alias: str, salt: str) -> str:
    """Return SQL for the commitment to a record's words; NULL where a record can have none."""
    words = _WORDS[table]
    return (
        f"sha256({salt} || record_send(ROW({_qualified(words, alias)})))"
        if words
        else "NULL::bytea"
    )


def count_words(table: str, alias: str) -> str:
    """Return SQL for how many words a record has; without any there is nothing to commit to."""
    words = _WORDS[table]
    return f"num_nonnulls({_qualified(words, alias)})" if words else "0"


def rest_of(table: str, alias: str) -> str:
    """Return SQL for a digest over what an erasure left of a record's words."""
    words = _WORDS[table]
    return f"sha256(record_send(ROW({_qualified(words, alias)})))"


def erasure_of(table: str) -> tuple[str, str]:
    """Return the columns that say which erasure a record is of, and what that says it emptied.

    Only changes of a person count: a caller's own metadata on work can't claim an erasure.
    """
    if table != "audit_log":
        return "correlation_id", "NULL::jsonb AS erasure"
    is_one = "kind = 'person' AND event_type = 'UPDATED' AND success"
    return "correlation_id", f"CASE WHEN {is_one} THEN metadata -> 'erased' END AS erasure"


def emptied_of(table: str) -> tuple[str, ...]:
    """Return the columns that say what is left of a record that lost words, of table `r`."""
    rest = f"CASE WHEN erased_by IS NOT NULL THEN {rest_of(table, 'r')} END AS rest"
    return "erased_by", "occurred_at", rest


def select_sealed(table: str, source: str, *more: str) -> str:
    """Return SQL that selects records with their seal's number, their digest and their words.

    `is_kept` says whether the words are those of the commitment, or were erased.

    Args:
        table: The table of the records.
        source: Where the records are: that table, or a query in brackets.
        more: Other columns to select.
    """
    return _SEALED_RECORDS.format(
        source=source,
        leaf=leaf_of(table, "r"),
        words=count_words(table, "r"),
        commitment=commitment_of(table, "r", "salt"),
        more="".join(f", {column}" for column in more),
    )


def identity_of(table: str) -> tuple[str, ...]:
    """Return the columns that identify a record, the same for all tables."""
    columns = Base.metadata.tables[table].c
    ids = [name if name in columns else f"NULL AS {name}" for name in ("entity_id", "version")]
    return (f"'{table}' AS record", "event_id", "kind", *ids)


def _qualified(columns: tuple[str, ...], alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in columns)
