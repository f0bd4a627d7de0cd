"""Readings of row files: judge, write and record the readings that come with the rows."""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Text,
    any_,
    bindparam,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.machines.machine import Facts, Reason
from engine.audit.outbox import log_entities
from engine.files.reading_columns import ALL_READINGS, READING_COLUMNS, column_of_reading
from engine.input.fields import shown
from engine.input.record_types import table_of, target_of
from models.base import Record, kinds
from models.facts import IDS

_TEXTS = ARRAY(Text())


class RowReadings:
    """The readings that a row file has for the rows of a chunk."""

    def __init__(
        self, operation: Row[Any], permissions: Collection[str], *, by_system: bool
    ) -> None:
        """Take the readings from the operation's row file; *permissions* are its actor's."""
        self._operation = operation
        self._permissions = permissions
        self._by_system = by_system
        self._readings = kinds()[operation.kind].readings
        inputs = operation.inputs if self._readings else None
        self._own: dict[int, dict[str, str]] = {
            int(row_id): row_input[ALL_READINGS]
            for row_id, row_input in (inputs or {}).items()
            if ALL_READINGS in (row_input or {})
        }
        self._existing: dict[int, dict[str, str]] = {}
        self._written: Sequence[Row[Any]] = ()

    def look_up(self, db: Connection, rows: Iterable[Row[Any]]) -> None:
        """Look up the readings of locked rows; writing a reading locks its row, so they stay."""
        ids = [row.id for row in rows if row.id in self._own]
        if self._readings is None or not ids:
            return
        child, parent = _reading_table(self._readings.part)
        query = select(parent, child.c.name, child.c.value).where(
            parent == any_(literal(ids, IDS)), child.c.deleted_at.is_(None)
        )
        for row_id, name, value in db.execute(query):
            self._existing.setdefault(row_id, {})[name] = value

    def facts(self, row: Row[Any]) -> Facts:
        """Return the facts of a row as if it had its readings from the file already."""
        own = self._own.get(row.id)
        if own is None or self._readings is None or self._readings.missing not in row._mapping:
            return row._mapping
        missing = row._mapping[self._readings.missing] or ()
        left = [name for name in missing if name not in own]
        return {**row._mapping, self._readings.missing: left}

    def reasons_against(self, row: Row[Any]) -> tuple[Reason, ...]:
        """Return why a row can't get its readings; a reading that has the value already passes."""
        own = self._own.get(row.id)
        if own is None or self._readings is None:
            return ()
        needed = _permission(self._readings.part)
        if not self._by_system and needed not in self._permissions:
            return (Reason("permission_denied", f"The permission {needed} is needed"),)
        child, existing = self._readings.part, self._existing.get(row.id, {})
        return tuple(
            Reason(
                "invalid_input",
                f"{column_of_reading(child, name)}: got {shown(value)!r}, expected "
                f"{shown(existing[name])!r}, which the {self._operation.kind} has: "
                f"update that {child.resource_type}, or leave it out",
            )
            for name, value in own.items()
            if existing.get(name, value) != value
        )

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permission that the readings of these rows need; none if there are none."""
        if self._readings is None or not any(row.id in self._own for row in rows):
            return set()
        return {_permission(self._readings.part)}

    def write(self, db: Connection, rows: Iterable[Row[Any]], now: datetime) -> None:
        """Insert the readings that these rows don't have yet, in one statement."""
        new = [
            (row.id, name, value)
            for row in rows
            for name, value in self._own.get(row.id, {}).items()
            if name not in self._existing.get(row.id, {})
        ]
        if self._readings is None or not new:
            return
        ids, names, values = zip(*new, strict=True)
        parameters = {"ids": list(ids), "names": list(names), "values": list(values), "now": now}
        parameters |= {"tenant_id": self._operation.tenant_id, "actor_id": self._operation.actor_id}
        self._written = db.execute(_insert_query(self._readings.part), parameters).all()

    def log(self, db: Connection, now: datetime) -> None:
        """Record the readings that were written."""
        if self._readings is None or not self._written:
            return
        child = self._readings.part
        columns = [child.parent or "", *READING_COLUMNS]
        log_entities(
            db,
            event_type="CREATED",
            kind=child.resource_type,
            tenant_id=self._operation.tenant_id,
            actor_id=self._operation.actor_id,
            correlation_id=self._operation.id,
            reason=self._operation.reason,
            ids=[row.id for row in self._written],
            versions=[1] * len(self._written),
            changes=[
                json.dumps({n: {"before": None, "after": row._mapping[n]} for n in columns})
                for row in self._written
            ],
            now=now,
            origin=self._operation.origin,
        )


def _permission(child: type[Record]) -> str:
    return ".".join(target_of(child.resource_type).permission("create"))


def _reading_table(child: type[Record]) -> tuple[Any, Any]:
    table = table_of(child)
    return table, table.c[child.parent or ""]


@cache
def _insert_query(child: type[Record]) -> Any:
    table, parent = _reading_table(child)
    arrays = (
        bindparam("ids", type_=IDS),
        *(bindparam(f"{name}s", type_=_TEXTS) for name in READING_COLUMNS),
    )
    new = func.unnest(*arrays).table_valued("id", *READING_COLUMNS, name="new").render_derived()
    now, actor = (
        bindparam("now", type_=table.c.created_at.type),
        bindparam("actor_id", type_=BigInteger),
    )
    columns = {
        "tenant_id": bindparam("tenant_id", type_=BigInteger),
        parent.name: new.c.id,
        "name": new.c.name,
        "value": new.c.value,
        **dict.fromkeys(("created_at", "updated_at"), now),
        **dict.fromkeys(("created_by", "updated_by"), actor),
    }
    chosen = select(*columns.values())
    return (
        insert(table)
        .from_select(list(columns), chosen)
        .returning(table.c.id, parent, *(table.c[name] for name in READING_COLUMNS))
    )
