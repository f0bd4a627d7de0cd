"""Insert new work: import rows in any state, a batch in one statement, all or none.

An import is an operation of its own, so that the database's guard lets work begin in another than
the initial state, and so that the records say who imported it.
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
from engine.importing.initial_states import authorize_import, authorize_states
from engine.input.fields import REFERENCE, column_of, plain, shown
from engine.input.nested_arrays import as_sent, as_stored, type_sent
from engine.ports.platform import Platform
from engine.records.inline_operation import InlineOperation, inline_operation
from engine.records.intake_warnings import note_warnings
from models.base import Work, kinds


def import_work(
    platform: Platform, actor: Actor, kind: str, rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows of one kind, all or none; return the ids of those that are new.

    A row whose `reference` the tenant has already is left unchanged, so that the same import
    can be repeated.

    Args:
        platform: The outside world.
        actor: Who imports the rows.
        kind: The kind of work.
        rows: Values by column; all with the same columns. `state` and `state_since` may be
            among them; their defaults are the machine's initial state and now.

    Raises:
        InvalidInput: A state or a column is unknown, or a value is missing or not what was
            expected; nothing was stored.
        NotFound: A record that a value refers to doesn't exist.
        PermissionDenied: The actor may not import, or may not move work to the state of a row;
            the denial is recorded.
    """
    model = kinds()[kind]
    if not rows:
        return []
    states = authorize_import(platform, actor, model)
    parsed = parse_columns(model, _columns_of_rows(model, rows))
    authorize_states(platform, actor, model, parsed.columns, states)
    if parsed.faults:
        raise _error_of_fault(model, parsed.faults[0])
    attempt = AttemptedWrite("CREATED", kind, reason="import", details={"rows": len(rows)})
    with recorded_if_refused(platform, actor, attempt):
        levels = _resolve_and_order(platform, actor, model, parsed.columns)
        with inline_operation(
            platform, actor, kind=kind, verb="import", reason="import", total=len(rows)
        ) as running:
            running.ids = insert_levels(running, actor, model, parsed.columns, levels)
    return list(running.ids)


def _resolve_and_order(
    platform: Platform, actor: Actor, model: type[Work], columns: dict[str, list[Any]]
) -> list[list[int]]:
    """Replace references by ids in *columns*; return the positions of rows in insertion order."""
    with platform.database.connect() as db:
        faults = resolve_columns(db, actor.tenant_id, model, columns)
        if not faults:
            levels, faults = order_rows(db, actor.tenant_id, model, columns)
    if faults:
        raise _error_of_fault(model, faults[0])
    return levels


def insert_levels(
    running: InlineOperation,
    actor: Actor,
    model: type[Work],
    columns: dict[str, list[Any]],
    levels: Sequence[Sequence[int]],
) -> list[int]:
    """Insert checked rows, one level of `order_rows` after the other; return the new ids."""
    if len(levels) == 1 and len(levels[0]) == len(next(iter(columns.values()))):
        return insert_work(running, actor, model, columns)
    ids = []
    for level in filter(None, levels):
        level_columns = {
            name: [values[position] for position in level] for name, values in columns.items()
        }
        replace_names(running.db, actor.tenant_id, model, level_columns)
        ids += insert_work(running, actor, model, level_columns)
    return ids


def insert_work(
    running: InlineOperation, actor: Actor, model: type[Work], columns: Columns
) -> list[int]:
    """Insert checked rows in one statement, with their records; return the new ids in order.

    A row whose `reference` exists already is left out. A row without `state_since` has been in
    its state since now.
    """
    new_columns = dict(columns)
    if SINCE in new_columns:
        new_columns[SINCE] = [since or running.now for since in new_columns[SINCE]]
    returned = running.db.execute(_statement(running, actor, model, new_columns)).all()
    ids = [row.id for row in returned]
    if not ids:
        return ids
    begun = [model.machine.initial] * len(next(iter(new_columns.values())))
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
        changes=_changes_as_json({STATE: begun, **new_columns}, _new_rows(new_columns, returned)),
        now=running.now,
        origin=actor.origin.as_dict,
    )
    note_warnings(running.db, model, actor.tenant_id, ids, running.now)
    return ids


def _statement(running: InlineOperation, actor: Actor, model: type[Work], columns: Columns) -> Any:
    # A column is one array: with a placeholder for each value the driver takes longer than the
    # database.
    table = cast("Table", model.__table__)
    arrays = [
        literal(as_sent(table.c[name], values), ARRAY(type_sent(table.c[name])))
        for name, values in columns.items()
    ]
    unnested = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
    new = [as_stored(table.c[name], unnested.c[name]) for name in columns]
    defaults = {
        "tenant_id": actor.tenant_id,
        "created_by": actor.person_id,
        "updated_by": actor.person_id,
        STATE: model.machine.initial,
        # Their records are of this time, too.
        **dict.fromkeys((SINCE, "created_at", "updated_at"), running.now),
    }
    shared = {name: value for name, value in defaults.items() if name not in columns}
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
    """Return the positions of the rows that were inserted, in the order of their new ids."""
    total = len(next(iter(columns.values())))
    if len(returned) == total:
        return range(total)
    inserted = {row.reference for row in returned}
    new = []
    for position, reference in enumerate(columns[REFERENCE]):
        if reference is None or reference in inserted:
            new.append(position)
            inserted.discard(reference)
    if [columns[REFERENCE][position] for position in new] != [row.reference for row in returned]:
        raise RuntimeError("PostgreSQL returned new rows in another order than they were given")
    return new


def _changes_as_json(columns: Columns, new: Sequence[int]) -> list[str]:
    # JSON by template: a dict for each row would take half of an import's time. Fields that
    # every row has are in the template, and fields that only some rows have follow them.
    always: dict[str, list[str]] = {}
    sometimes: dict[str, list[str]] = {}
    for name, values in columns.items():
        before = f'{json.dumps(name)}: {{"before": null, "after": '
        if None in values:
            documents = [value and f", {before}{value}}}" for value in _values_as_json(values)]
            sometimes[name] = (
                documents
                if len(new) == len(documents)
                else [documents[position] for position in new]
            )
        else:
            documents = _values_as_json(values)
            always[f"{before}%s}}"] = (
                documents if len(new) == len(documents) else [documents[n] for n in new]
            )
    template = f"{{{', '.join(always)}{'%s' * len(sometimes)}}}"
    return [template % row for row in zip(*always.values(), *sometimes.values(), strict=True)]


def _values_as_json(values: Sequence[Any]) -> list[str]:
    """Return values as JSON; an empty text for None."""
    types = set(map(type, values))
    if types == {str}:
        return list(map(quoted, values))
    if types == {datetime}:
        return [f'"{time.isoformat()}"' for time in values]
    if list in types:
        return ["" if value is None else json.dumps(value) for value in values]
    written = {value: json.dumps(plain(value)) for value in set(values) - {None}}
    return [written.get(value, "") for value in values]


def _columns_of_rows(model: type[Work], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    uneven = next((row for row in rows if row.keys() != rows[0].keys()), None)
    if uneven is not None:
        raise InvalidInput(
            field="rows",
            got=", ".join(sorted(uneven)),
            expected=f"the columns of the first row: {', '.join(sorted(rows[0]))}",
        )
    importable = incoming(model)
    columns = {}
    for name in rows[0]:
        column = name if name in importable else column_of(model, name)
        if column is None:
            expected = f"a field among {', '.join(importable)}"
            raise InvalidInput(field=name, got=shown(rows[0][name]), expected=expected)
        columns[column] = [row[name] for row in rows]
    missing = {
        column.field.name for column in importable.values() if column.field.required
    } - columns.keys()
    if missing or None in columns.get(STATE, ()):
        name = min(missing, default=STATE)
        raise InvalidInput(field=name, got=None, expected=importable[name].field.expected)
    return columns


def _error_of_fault(model: type[Work], fault: Fault) -> LocksideError:
    resource_type = incoming(model)[fault.field].field.refers_to if fault.field else None
    if resource_type is not None and fault.code == UNKNOWN:
        return NotFound(what=resource_type, got=fault.value)
    return InvalidInput(field=fault.field, got=shown(fault.value), expected=fault.expected)
