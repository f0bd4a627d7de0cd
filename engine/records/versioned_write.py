"""The next version of one record, and the trail that it leaves."""

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
    """Leaves the record of a write, and of the next version of what it is a part of."""

    running: InlineOperation
    actor: Actor
    target: Target
    reason: str

    def leave(
        self,
        event_type: str,
        row_id: int,
        version: int,
        changes: Mapping[str, Mapping[str, Any]],
        whole: Row[Any] | None,
    ) -> None:
        """Record one version of a record; write and record that of its whole."""
        self.running.ids = [row_id]
        self._log(self.target.model, event_type, row_id, version, changes)
        if whole is None or self.target.whole is None:
            return
        write_next(self.running, self.actor, self.target.whole, whole, {})
        sides = {
            side: {name: each[side] for name, each in changes.items()}
            for side in ("before", "after")
        }
        told = {f"{self.target.model.resource_type} {row_id}": sides}
        self._log(self.target.whole, "UPDATED", whole.id, whole.version + 1, told)

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
    """Write values to a locked record, as its next version."""
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
