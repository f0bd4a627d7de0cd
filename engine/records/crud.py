"""Records: create, update or delete one record at once, as its next version, with its audit record.

A child record (a line, a reading, a member) is written under the lock of its parent row, which
gets its next version too: so what a rule counts can't change while it is judged. A write that is
refused because of stored data is recorded as well; one that can't be parsed is not.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, insert, select

from domain.errors import InvalidInput, NotFound, RuleRefused, StaleVersion
from domain.machines.machine import no_change
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.access.refused_writes import AttemptedWrite, recorded_if_refused
from engine.input.checks import is_id
from engine.input.fields import (
    check_new,
    check_together,
    fields_of,
    parse_values,
    plain,
    resolve_references,
)
from engine.input.record_types import Target, table_of, target_of
from engine.input.tour_nesting import check_tour
from engine.ports.platform import Platform
from engine.records.conflicts import STALE, conflict, last_writers
from engine.records.deletion import check_deletable
from engine.records.inline_operation import InlineOperation, inline_operation
from engine.records.intake_warnings import drop_warnings, note_warnings
from engine.records.state_invariants import keep_state_invariants
from engine.records.versioned_write import Values, VersionedWrite, write_next
from models.base import ASSIGNED, Assignable, Record, Work


def create_record(
    platform: Platform,
    actor: Actor,
    resource_type: str,
    values: Values,
    *,
    reason: str = "user_action",
) -> int:
    """Create one record; return its id. Work begins in its machine's initial state.

    Raises:
        InvalidInput: A resource type, a field or a value is not what was expected.
        NotFound: A record that the values refer to doesn't exist.
        PermissionDenied: The actor may not; the denial is recorded.
        RuleRefused: Its parent is work that can't change any more, or a checkpoint of a tour.
    """
    target = target_of(resource_type)
    authorize(platform, actor, *target.permission("create"))
    parsed = parse_values(target.model, values)
    _authorize_assign(platform, actor, target.model, parsed)
    check_new(target.model, parsed)
    check_together(target.model, parsed)
    attempt = AttemptedWrite("CREATED", target.model.resource_type, values=parsed, reason=reason)
    with (
        recorded_if_refused(platform, actor, attempt),
        inline_operation(
            platform, actor, kind=target.guarded, verb="create", reason=reason
        ) as running,
    ):
        resolved = resolve_references(running.db, actor.tenant_id, target.model, parsed)
        parent = _lock_parent(running, actor, target, resolved)
        # Read the clock after the locks: `updated_at` must follow the order of the locks.
        running.now = platform.clock(running.db)
        check_tour(running.db, actor.tenant_id, target.model, resolved)
        row_id = _insert(running, actor, target.model, resolved)
        write = VersionedWrite(running, actor, target, reason)
        write.record("CREATED", row_id, 1, _created_changes(target.model, resolved), parent)
        if issubclass(target.model, Work):
            note_warnings(running.db, target.model, actor.tenant_id, [row_id], running.now)
    return row_id


def update_record(
    platform: Platform,
    actor: Actor,
    resource_type: str,
    row_id: int,
    values: Values,
    *,
    expected_version: int | None = None,
    reason: str = "user_action",
) -> int:
    """Write values to one record; return its version, unchanged if no value was new.

    Raises:
        InvalidInput: A resource type, a field or a value is not what was expected.
        NotFound: The tenant has no such record, or no record that the values refer to.
        PermissionDenied: The actor may not; the denial is recorded.
        StaleVersion: The record has another version than expected.
        RuleRefused: It is, or belongs to, work that can't change any more, or whose state depends
            on it: the last line of what is completed. Or it would nest a tour in another tour.
    """
    target = target_of(resource_type)
    _check_id(target.model, row_id)
    authorize(
        platform,
        actor,
        *target.permission("update"),
        [row_id],
        resource_type=target.model.resource_type,
    )
    parsed = parse_values(target.model, values)
    _authorize_assign(platform, actor, target.model, parsed)
    if target.model.parent in parsed:
        raise InvalidInput(
            field=target.model.parent, got=parsed[target.model.parent], expected="to stay as it is"
        )
    attempt = AttemptedWrite("UPDATED", target.model.resource_type, row_id, parsed, reason)
    with (
        recorded_if_refused(platform, actor, attempt),
        inline_operation(
            platform, actor, kind=target.guarded, verb="update_record", reason=reason
        ) as running,
    ):
        row, parent = _lock(running, actor, target, row_id)
        running.now = platform.clock(running.db)
        resolved = resolve_references(running.db, actor.tenant_id, target.model, parsed)
        new = {name: value for name, value in resolved.items() if getattr(row, name) != value}
        changes = {name: _before_after(getattr(row, name), value) for name, value in new.items()}
        _check_version(running, target.model, row, expected_version, changes)
        check_together(target.model, {**row._mapping, **new})
        if not new:
            return int(row.version)
        _check_settled(target.model, row, new)
        check_tour(running.db, actor.tenant_id, target.model, new, row_id)
        with keep_state_invariants(running.db, actor.tenant_id, target.parent, parent):
            write_next(running, actor, target.model, row, new)
        if issubclass(target.model, Work):
            drop_warnings(running.db, target.model, actor.tenant_id, [row_id], running.now)
        write = VersionedWrite(running, actor, target, reason)
        write.record("UPDATED", row_id, row.version + 1, changes, parent)
    return int(row.version) + 1


def delete_record(
    platform: Platform,
    actor: Actor,
    resource_type: str,
    row_id: int,
    *,
    expected_version: int | None = None,
    reason: str = "user_action",
) -> int:
    """Delete one record softly; return the version of its deletion.

    Raises:
        NotFound: The tenant has no such record.
        PermissionDenied: The actor may not; the denial is recorded.
        StaleVersion: The record has another version than expected.
        RuleRefused: It is, or belongs to, work that can't change any more, or whose state depends
            on it: the last line of completed work. Or open work refers to it, or it is the
            actor's own access.
    """
    target = target_of(resource_type)
    _check_id(target.model, row_id)
    authorize(
        platform,
        actor,
        *target.permission("delete"),
        [row_id],
        resource_type=target.model.resource_type,
    )
    attempt = AttemptedWrite("DELETED", target.model.resource_type, row_id, reason=reason)
    with (
        recorded_if_refused(platform, actor, attempt),
        inline_operation(
            platform, actor, kind=target.guarded, verb="delete", reason=reason
        ) as running,
    ):
        row, parent = _lock(running, actor, target, row_id)
        running.now = platform.clock(running.db)
        changes = {
            name: _before_after(getattr(row, name), None)
            for name in fields_of(target.model)
            if getattr(row, name) is not None
        }
        _check_version(running, target.model, row, expected_version, changes)
        check_deletable(running.db, actor, target.model, row)
        with keep_state_invariants(running.db, actor.tenant_id, target.parent, parent):
            write_next(running, actor, target.model, row, {"deleted_at": running.now})
        write = VersionedWrite(running, actor, target, reason)
        write.record("DELETED", row_id, row.version + 1, changes, parent)
    return int(row.version) + 1


def _check_settled(model: type[Record], row: Row[Any], new: Values) -> None:
    reason = no_change(model.machine, row.state, new) if issubclass(model, Work) else None
    if reason is not None:
        raise RuleRefused(message=reason.message, reasons=[{"code": reason.code}], id=row.id)


def _check_id(model: type[Record], row_id: Any) -> None:
    if not is_id(row_id):
        raise NotFound(what=model.resource_type, got=row_id)


def _authorize_assign(
    platform: Platform, actor: Actor, model: type[Record], values: Values
) -> None:
    """Check that the actor may assign work, if the values do."""
    if issubclass(model, Assignable) and not values.keys().isdisjoint(ASSIGNED):
        authorize(platform, actor, model.resource_type, "assign")


def _lock(
    running: InlineOperation, actor: Actor, target: Target, row_id: int
) -> tuple[Row[Any], Row[Any] | None]:
    """Lock a record, its parent first: the lock order that every transaction keeps."""
    parent = None
    if target.parent is not None and target.model.parent is not None:
        table = table_of(target.model)
        parent_id = running.db.scalar(
            select(table.c[target.model.parent]).where(
                table.c.tenant_id == actor.tenant_id, table.c.id == row_id
            )
        )
        if parent_id is None:
            raise NotFound(what=target.model.resource_type, got=row_id)
        parent = _lock_row(running, actor, target.parent, parent_id)
    return _lock_row(running, actor, target.model, row_id), parent


def _lock_parent(
    running: InlineOperation, actor: Actor, target: Target, values: Values
) -> Row[Any] | None:
    if target.parent is None or target.model.parent is None:
        return None
    return _lock_row(running, actor, target.parent, values[target.model.parent])


def _lock_row(running: InlineOperation, actor: Actor, model: type[Record], row_id: int) -> Row[Any]:
    table = table_of(model)
    # No key is written, so whoever only refers to the row needn't wait: each write refers to its
    # author, and two people who change each other's rows would wait for each other.
    row = running.db.execute(
        select(table)
        .where(
            table.c.tenant_id == actor.tenant_id,
            table.c.id == row_id,
            table.c.deleted_at.is_(None),
        )
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise NotFound(what=model.resource_type, got=row_id)
    reason = no_change(model.machine, row.state) if issubclass(model, Work) else None
    if reason is not None:
        raise RuleRefused(message=reason.message, reasons=[{"code": reason.code}], id=row_id)
    return row


def _check_version(
    running: InlineOperation,
    model: type[Record],
    row: Row[Any],
    expected: int | None,
    changes: Mapping[str, Mapping[str, Any]],
) -> None:
    if expected is None or expected == row.version:
        return
    last = last_writers(running.db, model, [row.id])[row.id]
    state = getattr(row, "state", None)
    details = conflict(expected, row.version, state=state, changes=changes, last=last)
    raise StaleVersion(message=STALE, **details)


def _insert(running: InlineOperation, actor: Actor, model: type[Record], values: Values) -> int:
    columns = dict(values)
    if issubclass(model, Work):
        columns |= {"state": model.machine.initial, "state_since": running.now}
    columns |= {
        "tenant_id": actor.tenant_id,
        "created_at": running.now,
        "updated_at": running.now,
        "created_by": actor.person_id,
        "updated_by": actor.person_id,
    }
    statement = insert(table_of(model)).values(columns).returning(table_of(model).c.id)
    return int(running.db.execute(statement).scalar_one())


def _created_changes(model: type[Record], values: Values) -> dict[str, dict[str, Any]]:
    initial = {"state": model.machine.initial} if issubclass(model, Work) else {}
    return {
        name: _before_after(None, value)
        for name, value in {**initial, **values}.items()
        if value is not None
    }


def _before_after(before: Any, after: Any) -> dict[str, Any]:
    return {"before": plain(before), "after": plain(after)}
