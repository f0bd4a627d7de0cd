"""Readings that come with rows of a file: judged with them, written and recorded with them."""

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
from engine.files.reading_columns import ALL, PARTS, column_of_reading
from engine.input.fields import shown
from engine.input.record_types import table_of, target_of
from models.base import Record, kinds
from models.facts import IDS

_TEXTS = ARRAY(Text())


class Brought:
    """The readings that the rows of a chunk bring, each its own."""

    def __init__(self, operation: Row[Any], held: Collection[str], *, by_system: bool) -> None:
        """Take them out of the operation's file; *held* is what its actor may do."""
        self._operation = operation
        self._held = held
        self._by_system = by_system
        self._readings = kinds()[operation.kind].readings
        inputs = operation.inputs if self._readings else None
        self._own: dict[int, dict[str, str]] = {
            int(row_id): told[ALL] for row_id, told in (inputs or {}).items() if ALL in (told or {})
        }
        self._there: dict[int, dict[str, str]] = {}
        self._written: Sequence[Row[Any]] = ()

    def look_up(self, db: Connection, rows: Iterable[Row[Any]]) -> None:
        """Ask which readings locked rows have; whoever writes one locks its row."""
        ids = [each.id for each in rows if each.id in self._own]
        if self._readings is None or not ids:
            return
        part, parent = _part(self._readings.part)
        query = select(parent, part.c.name, part.c.value).where(
            parent == any_(literal(ids, IDS)), part.c.deleted_at.is_(None)
        )
        for row_id, name, value in db.execute(query):
            self._there.setdefault(row_id, {})[name] = value

    def facts(self, row: Row[Any]) -> Facts:
        """Return what rules look at, as if the row had its readings already."""
        own = self._own.get(row.id)
        if own is None or self._readings is None or self._readings.missing not in row._mapping:
            return row._mapping
        missing = row._mapping[self._readings.missing] or ()
        left = [each for each in missing if each not in own]
        return {**row._mapping, self._readings.missing: left}

    def against(self, row: Row[Any]) -> tuple[Reason, ...]:
        """Return why a row can't have what it brings; the same value again is no reason."""
        own = self._own.get(row.id)
        if own is None or self._readings is None:
            return ()
        needed = _permission(self._readings.part)
        if not self._by_system and needed not in self._held:
            return (Reason("permission_denied", f"The permission {needed} is needed"),)
        part, there = self._readings.part, self._there.get(row.id, {})
        return tuple(
            Reason(
                "invalid_input",
                f"{column_of_reading(part, name)}: got {shown(value)!r}, expected "
                f"{shown(there[name])!r}, which the {self._operation.kind} has: "
                f"update that {part.resource_type}, or leave it out",
            )
            for name, value in own.items()
            if there.get(name, value) != value
        )

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permission that what these rows bring needs; none if they bring nothing."""
        if self._readings is None or not any(each.id in self._own for each in rows):
            return set()
        return {_permission(self._readings.part)}

    def write(self, db: Connection, rows: Iterable[Row[Any]], now: datetime) -> None:
        """Write what these rows bring and don't have yet, in one statement."""
        new = [
            (row.id, name, value)
            for row in rows
            for name, value in self._own.get(row.id, {}).items()
            if name not in self._there.get(row.id, {})
        ]
        if self._readings is None or not new:
            return
        ids, names, values = zip(*new, strict=True)
        given = {"ids": list(ids), "names": list(names), "values": list(values), "now": now}
        given |= {"tenant_id": self._operation.tenant_id, "actor_id": self._operation.actor_id}
        self._written = db.execute(_insert(self._readings.part), given).all()

    def log(self, db: Connection, now: datetime) -> None:
        """Record what was written."""
        if self._readings is None or not self._written:
            return
        part = self._readings.part
        columns = [part.parent or "", *PARTS]
        log_entities(
            db,
            event_type="CREATED",
            kind=part.resource_type,
            tenant_id=self._operation.tenant_id,
            actor_id=self._operation.actor_id,
            correlation_id=self._operation.id,
            reason=self._operation.reason,
            ids=[each.id for each in self._written],
            versions=[1] * len(self._written),
            changes=[
                json.dumps({n: {"before": None, "after": each._mapping[n]} for n in columns})
                for each in self._written
            ],
            now=now,
            origin=self._operation.origin,
        )


def _permission(part: type[Record]) -> str:
    return ".".join(target_of(part.resource_type).permission("create"))


def _part(part: type[Record]) -> tuple[Any, Any]:
    table = table_of(part)
    return table, table.c[part.parent or ""]


@cache
def _insert(part: type[Record]) -> Any:
    table, parent = _part(part)
    arrays = (bindparam("ids", type_=IDS), *(bindparam(f"{each}s", type_=_TEXTS) for each in PARTS))
    new = func.unnest(*arrays).table_valued("id", *PARTS, name="new").render_derived()
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
        .returning(table.c.id, parent, *(table.c[each] for each in PARTS))
    )
