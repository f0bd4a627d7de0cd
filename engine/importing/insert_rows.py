"""New work, set-based and in any state: a batch is one statement, whole or not at all.

Work comes in under an operation of its own, so that the database's guard lets it begin in
another than the initial state, and so that it is known who brought it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, cast

from sqlalchemy import Table, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.errors import InvalidInput, LocksideError, NotFound
from domain.permissions import Actor
from engine.access.refused_writes import AttemptedWrite, recorded_if_refused
from engine.audit.outbox import log_entities
from engine.files.columns import (
    SINCE,
    STATE,
    Columns,
    Fault,
    incoming,
    parse_columns,
)
from engine.files.references import UNKNOWN, order_rows, replace_names, resolve_columns
from engine.importing.initial_states import authorize_import, demand_states
from engine.input.fields import REFERENCE, column_of, plain, shown
from engine.input.nested_arrays import as_sent, as_stored, travels_as
from engine.ports.platform import Platform
from engine.records.inline_operation import InlineOperation, direct
from engine.records.intake_warnings import note_warnings
from models.base import Work, kinds


def import_work(
    platform: Platform, actor: Actor, kind: str, rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Bring rows of one kind in, all or none; return the ids of those that are new.

    A row whose `reference` the tenant has already is left as it is, so that the same import
    can be sent again.

    Args:
        platform: The outside world.
        actor: Who brings them.
        kind: The kind of work.
        rows: Values by column; all with the same columns. `state` and `state_since` may be
            among them, the machine's initial state and now are the defaults.

    Raises:
        InvalidInput: A state or a column is not known, or a value is missing or not what was
            expected; nothing was stored.
        NotFound: A record that a value names isn't there.
        PermissionDenied: The actor may not, or may not move work to a state that is among the
            rows; the denial is recorded.
    """
    model = kinds()[kind]
    if not rows:
        return []
    states = authorize_import(platform, actor, model)
    parsed = parse_columns(model, _columns(model, rows))
    demand_states(platform, actor, model, parsed.columns, states)
    if parsed.faults:
        raise _refusal(model, parsed.faults[0])
    wanted = AttemptedWrite("CREATED", kind, reason="import", details={"rows": len(rows)})
    with recorded_if_refused(platform, actor, wanted):
        levels = _levels(platform, actor, model, parsed.columns)
        with direct(
            platform, actor, kind=kind, verb="import", reason="import", total=len(rows)
        ) as running:
            running.ids = insert_levels(running, actor, model, parsed.columns, levels)
    return list(running.ids)


def _levels(
    platform: Platform, actor: Actor, model: type[Work], columns: dict[str, list[Any]]
) -> list[list[int]]:
    """Put ids in the place of names; return in which order the rows come in."""
    with platform.database.connect() as db:
        faults = resolve_columns(db, actor.tenant_id, model, columns)
        if not faults:
            levels, faults = order_rows(db, actor.tenant_id, model, columns)
    if faults:
        raise _refusal(model, faults[0])
    return levels


def insert_levels(
    running: InlineOperation,
    actor: Actor,
    model: type[Work],
    columns: dict[str, list[Any]],
    levels: Sequence[Sequence[int]],
) -> list[int]:
    """Insert the checked rows of some levels, one level after the other; return the new ids."""
    if len(levels) == 1 and len(levels[0]) == len(next(iter(columns.values()))):
        return insert_work(running, actor, model, columns)
    ids = []
    for level in filter(None, levels):
        given = {name: [values[each] for each in level] for name, values in columns.items()}
        replace_names(running.db, actor.tenant_id, model, given)
        ids += insert_work(running, actor, model, given)
    return ids


def insert_work(
    running: InlineOperation, actor: Actor, model: type[Work], columns: Columns
) -> list[int]:
    """Insert checked rows in one statement, with their records; return the new ids in order.

    A row whose `reference` is there already is left out. A row without `state_since` came
    into its state now.
    """
    given = dict(columns)
    if SINCE in given:
        given[SINCE] = [each or running.now for each in given[SINCE]]
    returned = running.db.execute(_statement(running, actor, model, given)).all()
    ids = [each.id for each in returned]
    if not ids:
        return ids
    begun = [model.machine.initial] * len(next(iter(given.values())))
    log_entities(
        running.db,
        event_type="CREATED",
        kind=model.resource_type,
        tenant_id=actor.tenant_id,
        actor_id=actor.person_id,
        correlation_id=running.operation_id,
        reason="import",
        ids=ids,
        versions=[1] * len(ids),
        changes=_created({STATE: begun, **given}, _new_rows(given, returned)),
        now=running.now,
        origin=actor.origin.as_dict,
    )
    note_warnings(running.db, model, actor.tenant_id, ids, running.now)
    return ids


def _statement(running: InlineOperation, actor: Actor, model: type[Work], columns: Columns) -> Any:
    # A column is one array: a placeholder for each value would take the driver longer to read
    # than the database to store.
    table = cast("Table", model.__table__)
    arrays = [
        literal(as_sent(table.c[name], each), ARRAY(travels_as(table.c[name])))
        for name, each in columns.items()
    ]
    unnested = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
    new = [as_stored(table.c[name], unnested.c[name]) for name in columns]
    same = {
        "tenant_id": actor.tenant_id,
        "created_by": actor.person_id,
        "updated_by": actor.person_id,
        STATE: model.machine.initial,
        SINCE: running.now,
    }
    shared = {name: value for name, value in same.items() if name not in columns}
    constants = [literal(value, table.c[name].type) for name, value in shared.items()]
    return (
        upsert(table)
        .from_select([*columns, *shared], select(*new, *constants))
        .on_conflict_do_nothing(
            index_elements=["tenant_id", REFERENCE], index_where=text("reference IS NOT NULL")
        )
        .returning(table.c.id, table.c.reference)
    )


def _new_rows(columns: Columns, returned: Sequence[Any]) -> Sequence[int]:
    """Return the positions of the given rows that came in, in the order of their new ids."""
    total = len(next(iter(columns.values())))
    if len(returned) == total:
        return range(total)
    waiting = {each.reference for each in returned}
    new = []
    for position, reference in enumerate(columns[REFERENCE]):
        if reference is None or reference in waiting:
            new.append(position)
            waiting.discard(reference)
    if [columns[REFERENCE][each] for each in new] != [each.reference for each in returned]:
        raise RuntimeError("PostgreSQL returned new rows in another order than they were given")
    return new


def _created(columns: Columns, new: Sequence[int]) -> list[str]:
    # Written by hand around each value: a dict and a document for each row would take half
    # of an import's time. What every row has is a template, what some have is put behind it.
    always: dict[str, list[str]] = {}
    sometimes: dict[str, list[str]] = {}
    for name, values in columns.items():
        before = f'{json.dumps(name)}: {{"before": null, "after": '
        if None in values:
            told = [each and f", {before}{each}}}" for each in _written(values)]
            sometimes[name] = told if len(new) == len(told) else [told[each] for each in new]
        else:
            told = _written(values)
            always[f"{before}%s}}"] = told if len(new) == len(told) else [told[n] for n in new]
    template = f"{{{', '.join(always)}{'%s' * len(sometimes)}}}"
    return [template % row for row in zip(*always.values(), *sometimes.values(), strict=True)]


def _written(values: Sequence[Any]) -> list[str]:
    """Return values as JSON; empty for nothing."""
    types = set(map(type, values))
    if types == {str}:
        return list(map(quoted, values))
    if types == {datetime}:
        return [f'"{each.isoformat()}"' for each in values]
    if list in types:
        return ["" if each is None else json.dumps(each) for each in values]
    written = {each: json.dumps(plain(each)) for each in set(values) - {None}}
    return [written.get(each, "") for each in values]


def _columns(model: type[Work], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    uneven = next((row for row in rows if row.keys() != rows[0].keys()), None)
    if uneven is not None:
        raise InvalidInput(
            field="rows",
            got=", ".join(sorted(uneven)),
            expected=f"the columns of the first row: {', '.join(sorted(rows[0]))}",
        )
    known = incoming(model)
    columns = {}
    for name in rows[0]:
        column = name if name in known else column_of(model, name)
        if column is None:
            expected = f"a field among {', '.join(known)}"
            raise InvalidInput(field=name, got=shown(rows[0][name]), expected=expected)
        columns[column] = [row[name] for row in rows]
    missing = {each.field.name for each in known.values() if each.field.required} - columns.keys()
    if missing or None in columns.get(STATE, ()):
        name = min(missing, default=STATE)
        raise InvalidInput(field=name, got=None, expected=known[name].field.expected)
    return columns


def _refusal(model: type[Work], fault: Fault) -> LocksideError:
    resource_type = incoming(model)[fault.field].field.refers_to if fault.field else None
    if resource_type is not None and fault.code == UNKNOWN:
        return NotFound(what=resource_type, got=fault.value)
    return InvalidInput(field=fault.field, got=shown(fault.value), expected=fault.expected)
