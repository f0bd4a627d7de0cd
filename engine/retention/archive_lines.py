"""Archive lines: copy records out as lines, compare lines with the seals, insert them again."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from models.archive import select_sealed_lines
from models.archive_file import as_array
from models.seal import TABLES

# JSON contains no such characters, so nothing is quoted: a line is exactly PostgreSQL's output.
_COPY = r"""
COPY (SELECT row_to_json(r) FROM {table} r
       WHERE tenant_id = %(tenant_id)s AND occurred_at >= %(since)s AND occurred_at < %(until)s
       ORDER BY seal_no, seal_place, occurred_at, event_id)
TO STDOUT (FORMAT csv, QUOTE E'\x01', ESCAPE E'\x01', DELIMITER E'\x02')
"""

# Writing and reading back give the same text, whatever the settings of a server are.
SAME_EVERYWHERE = text("""
SELECT set_config(name, value, true) FROM (VALUES
  ('bytea_output', 'hex'), ('timezone', 'UTC'), ('extra_float_digits', '1'),
  ('statement_timeout', '0'), ('idle_in_transaction_session_timeout', '600s')) AS s(name, value)
""")

_COMPARE = """
SELECT count(*) AS records, count(*) FILTER (WHERE t.seal_no IS NULL) AS unsealed,
       min(t.seal_no) AS first_seal, max(t.seal_no) AS last_seal,
       count(*) FILTER (WHERE NOT t.is_same_line OR t.seal_no IS NOT NULL AND (NOT t.is_kept
         OR t.leaf IS DISTINCT FROM substr(s.leaves, 32 * t.seal_place + 1, 32))) AS differing
  FROM ({records}) AS t
  LEFT JOIN audit_seal s ON s.tenant_id = :tenant_id AND s.seal_no = t.seal_no
"""

_RETURN = """
INSERT INTO {into} SELECT r.* FROM json_populate_recordset(NULL::{table}, CAST(:lines AS json)) r
"""

_COMPARED = {
    table: text(_COMPARE.format(records=select_sealed_lines(table, "is_same_line")))
    for table in TABLES
}


@dataclass(slots=True)
class Compared:
    """The result of comparing lines with the seals.

    Attributes:
        records: How many records there were.
        unsealed: How many of them are from before there were seals.
        differing: Records that aren't as they were sealed, or whose line can't be reproduced.
        first_seal: The first seal of any of them.
        last_seal: The last one.
    """

    records: int = 0
    unsealed: int = 0
    differing: int = 0
    first_seal: int | None = None
    last_seal: int | None = None

    def add(self, db: Connection, table: str, tenant_id: int, lines: list[bytes]) -> None:
        """Compare more lines with the seals; they come in the order of the seals."""
        names = {"tenant_id": tenant_id, "lines": as_array(lines)}
        compared = db.execute(_COMPARED[table], names).one()
        self.records += compared.records
        self.unsealed += compared.unsealed
        self.differing += compared.differing
        self.first_seal = compared.first_seal if self.first_seal is None else self.first_seal
        self.last_seal = compared.last_seal or self.last_seal


def copy_lines(db: Connection, table: str, span: Mapping[str, Any]) -> Generator[bytes]:
    """Yield a tenant's records of a span as lines, in the order of their seals."""
    raw: Any = db.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(_COPY.format(table=table), span) as copy:
        for line in copy:
            yield bytes(line)


def insert_lines(db: Connection, table: str, lines: list[bytes], *, into: str | None = None) -> int:
    """Insert the records of lines into their table, or one like it; return how many."""
    statement = text(_RETURN.format(table=table, into=into or table))
    return db.execute(statement, {"lines": as_array(lines)}).rowcount
