"""One record created, updated or deleted: at once, as its next version, with its record.

A part (a line, a reading, a member) is written under the lock of the row that it is a part of,
which gets its next version too: whatever a rule counts can't change while it is judged. What is
refused for what is stored is recorded as well; what can't be read is not.
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
from engine.records.inline_operation import InlineOperation, direct
from engine.records.intake_warnings import drop_warnings, note_warnings
from engine.records.state_invariants import keep_standing
from engine.records.versioned_write import VersionedWrite, write_next
from models.base import ASSIGNED, Assignable, Record, Work

Values = Mapping[str, Any]


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
        NotFound: A record that the values name isn't there.
        PermissionDenied: The actor may not; the denial is recorded.
        RuleRefused: It would be a part of work that changes no more, or a checkpoint of one.
    """
    target = target_of(resource_type)
    authorize(platform, actor, *target.permission("create"))
    parsed = parse_values(target.model, values)
    _authorize_assign(platform, actor, target.model, parsed)
    check_new(target.model, parsed)
    check_together(target.model, parsed)
    wanted = AttemptedWrite("CREATED", target.model.resource_type, values=parsed, reason=reason)
    with (
        recorded_if_refused(platform, actor, wanted),
        direct(platform, actor, kind=target.guarded, verb="create", reason=reason) as running,
    ):
        resolved = resolve_references(running.db, actor.tenant_id, target.model, parsed)
        whole = _lock_whole(running, actor, target, resolved)
        # Only now: who waited for a row writes it later than whom they waited for.
        running.now = platform.clock(running.db)
        check_tour(running.db, actor.tenant_id, target.model, resolved)
        row_id = _insert(running, actor, target.model, resolved)
        trail = VersionedWrite(running, actor, target, reason)
        trail.leave("CREATED", row_id, 1, _created(target.model, resolved), whole)
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
    """Write values to one record; return its version, the old one if nothing was new.

    Raises:
        InvalidInput: A resource type, a field or a value is not what was expected.
        NotFound: The tenant has no such record, or a record that the values name isn't there.
        PermissionDenied: The actor may not; the denial is recorded.
        StaleVersion: The record has another version than expected.
        RuleRefused: It is, or it is a part of, work that changes no more, or whose state
            stands on it: the last line of what is completed. Or a tour would stand within
            another.
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
    wanted = AttemptedWrite("UPDATED", target.model.resource_type, row_id, parsed, reason)
    with (
        recorded_if_refused(platform, actor, wanted),
        direct(
            platform, actor, kind=target.guarded, verb="update_record", reason=reason
        ) as running,
    ):
        row, whole = _lock(running, actor, target, row_id)
        running.now = platform.clock(running.db)
        resolved = resolve_references(running.db, actor.tenant_id, target.model, parsed)
        new = {name: value for name, value in resolved.items() if getattr(row, name) != value}
        changes = {name: _change(getattr(row, name), value) for name, value in new.items()}
        _check_version(running, target.model, row, expected_version, changes)
        check_together(target.model, {**row._mapping, **new})
        if not new:
            return int(row.version)
        _check_settled(target.model, row, new)
        check_tour(running.db, actor.tenant_id, target.model, new, row_id)
        with keep_standing(running.db, actor.tenant_id, target.parent, whole):
            write_next(running, actor, target.model, row, new)
        if issubclass(target.model, Work):
            drop_warnings(running.db, target.model, actor.tenant_id, [row_id], running.now)
        trail = VersionedWrite(running, actor, target, reason)
        trail.leave("UPDATED", row_id, row.version + 1, changes, whole)
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
        RuleRefused: It is, or it is a part of, work that changes no more, or whose state
            stands on it: the last line of what is completed. Or open work names it, or the
            actor holds by it what they may do.
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
    wanted = AttemptedWrite("DELETED", target.model.resource_type, row_id, reason=reason)
    with (
        recorded_if_refused(platform, actor, wanted),
        direct(platform, actor, kind=target.guarded, verb="delete", reason=reason) as running,
    ):
        row, whole = _lock(running, actor, target, row_id)
        running.now = platform.clock(running.db)
        changes = {
            name: _change(getattr(row, name), None)
            for name in fields_of(target.model)
            if getattr(row, name) is not None
        }
        _check_version(running, target.model, row, expected_version, changes)
        check_deletable(running.db, actor, target.model, row)
        with keep_standing(running.db, actor.tenant_id, target.parent, whole):
            write_next(running, actor, target.model, row, {"deleted_at": running.now})
        trail = VersionedWrite(running, actor, target, reason)
        trail.leave("DELETED", row_id, row.version + 1, changes, whole)
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
    """Make sure that who gives work to somebody may do so."""
    if issubclass(model, Assignable) and not values.keys().isdisjoint(ASSIGNED):
        authorize(platform, actor, model.resource_type, "assign")


def _lock(
    running: InlineOperation, actor: Actor, target: Target, row_id: int
) -> tuple[Row[Any], Row[Any] | None]:
    """Lock a record and before it what it is a part of: the order that everybody keeps."""
    whole = None
    if target.parent is not None and target.model.parent is not None:
        table = table_of(target.model)
        parent_id = running.db.scalar(
            select(table.c[target.model.parent]).where(
                table.c.tenant_id == actor.tenant_id, table.c.id == row_id
            )
        )
        if parent_id is None:
            raise NotFound(what=target.model.resource_type, got=row_id)
        whole = _lock_row(running, actor, target.parent, parent_id)
    return _lock_row(running, actor, target.model, row_id), whole


def _lock_whole(
    running: InlineOperation, actor: Actor, target: Target, values: Values
) -> Row[Any] | None:
    if target.parent is None or target.model.parent is None:
        return None
    return _lock_row(running, actor, target.parent, values[target.model.parent])


def _lock_row(running: InlineOperation, actor: Actor, model: type[Record], row_id: int) -> Row[Any]:
    table = table_of(model)
    # No key is written, so those who only refer to the row needn't wait: whoever writes
    # anything refers to themselves, and two who change each other would wait for each other.
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
    told = conflict(expected, row.version, state=state, changes=changes, last=last)
    raise StaleVersion(message=STALE, **told)


def _insert(running: InlineOperation, actor: Actor, model: type[Record], values: Values) -> int:
    given = dict(values)
    if issubclass(model, Work):
        given |= {"state": model.machine.initial, "state_since": running.now}
    given |= {
        "tenant_id": actor.tenant_id,
        "created_at": running.now,
        "updated_at": running.now,
        "created_by": actor.person_id,
        "updated_by": actor.person_id,
    }
    statement = insert(table_of(model)).values(given).returning(table_of(model).c.id)
    return int(running.db.execute(statement).scalar_one())


def _created(model: type[Record], values: Values) -> dict[str, dict[str, Any]]:
    begun = {"state": model.machine.initial} if issubclass(model, Work) else {}
    return {
        name: _change(None, value)
        for name, value in {**begun, **values}.items()
        if value is not None
    }


def _change(before: Any, after: Any) -> dict[str, Any]:
    return {"before": plain(before), "after": plain(after)}
