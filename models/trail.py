"""Audit trail: define the view over the four audit tables that queries use."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

# Not among the mapped tables, because nothing is stored in a view.
TRAIL = Table(
    "audit_trail",
    MetaData(),
    Column("event_id", Uuid),
    Column("occurred_at", TIMESTAMP(timezone=True)),
    Column("tenant_id", BigInteger),
    Column("record", Text),
    Column("event_type", Text),
    Column("kind", Text),
    Column("entity_id", BigInteger),
    Column("version", Integer),
    Column("actor_id", BigInteger),
    Column("correlation_id", Uuid),
    Column("reason", Text),
    Column("comments", Text),
    Column("success", Boolean),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("from_state", Text),
    Column("to_state", Text),
    Column("approved_by", BigInteger),
    Column("time_in_previous_state_s", Double),
    Column("changes", JSONB),
    Column("metadata", JSONB),
    Column("execution_time_ms", Double),
    Column("lock_acquisition_time_ms", Double),
    Column("lock_key", Text),
    Column("isolation_level", Text),
    Column("retry_attempt", Integer),
    Column("session_id", Text),
    Column("ip_address", Text),
    Column("security_flags", ARRAY(Text)),
    Column("seal_no", BigInteger),
    Column("erased_by", Uuid),
)
"""An operation has neither row nor version; a denial has the request in its metadata."""

TRAIL_EVENTS = (
    *("CREATED", "UPDATED", "DELETED", "STATE_CHANGED", "BULK_OPERATION", "PERMISSION_DENIED"),
)
