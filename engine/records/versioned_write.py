"""Versioned writes: write the next version of one record, and record it in the audit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, update

from domain.permissions import Actor
from engine.audit.outbox import log_entities
from engine.input.record_types import Target, table_of
from engine.records.inline_operation import InlineOperation
from models.base import Record

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VersionedWrite:
    """Records a write of a record, and writes the next version of its parent."""

    running: InlineOperation
    actor: Actor
    target: Target
    reason: str

    def record(
        self,
        event_type: str,
        row_id: int,
        version: int,
        changes: Mapping[str, Mapping[str, Any]],
        parent: Row[Any] | None,
    ) -> None:
        """Record one version of a record; write the next version of its parent and record that."""
        self.running.ids = [row_id]
        self._log(self.target.model, event_type, row_id, version, changes)
        if parent is None or self.target.parent is None:
            return
        write_next(self.running, self.actor, self.target.parent, parent, {})
        sides = {
            side: {name: change[side] for name, change in changes.items()}
            for side in ("before", "after")
        }
        changes_of_child = {f"{self.target.model.resource_type} {row_id}": sides}
        self._log(self.target.parent, "UPDATED", parent.id, parent.version + 1, changes_of_child)

    def _log(
        self,
        model: type[Record],
        event_type: str,
        row_id: int,
        version: int,
        changes: Mapping[str, Any],
    ) -> None:
        log_entities(
            self.running.db,
            event_type=event_type,
            kind=model.resource_type,
            tenant_id=self.actor.tenant_id,
            actor_id=self.actor.person_id,
            correlation_id=self.running.operation_id,
            reason=self.reason,
            ids=[row_id],
            versions=[version],
            changes=[json.dumps(changes)],
            now=self.running.now,
            origin=self.actor.origin.as_dict,
        )


def write_next(
    running: InlineOperation, actor: Actor, model: type[Record], row: Row[Any], values: Values
) -> None:
    """Write values to a locked record as its next version."""
    table = table_of(model)
    running.db.execute(
        update(table)
        .where(table.c.id == row.id, table.c.version == row.version)
        .values(
            version=table.c.version + 1,
            updated_at=running.now,
            updated_by=actor.person_id,
            **values,
        )
    )
