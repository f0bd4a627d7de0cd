"""References: replace the names of other records in new rows by ids, with one query a column."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from engine.files.columns import Columns, Fault, incoming
from engine.input.fields import REFERENCE, either, find_ids, find_named
from engine.input.tour_nesting import checkpoints_among, own_columns
from models.base import Work

UNKNOWN = "unknown_reference"
_AMBIGUOUS = "ambiguous_reference"


def resolve_columns(
    db: Connection, tenant_id: int, model: type[Work], columns: dict[str, list[Any]]
) -> list[Fault]:
    """Replace references by ids in *columns*; return the faults of unknown and ambiguous ones.

    References to work of the same kind are left: they may refer to other new rows.
    """
    faults: list[Fault] = []
    for name, column in incoming(model).items():
        resource_type = column.field.refers_to
        if resource_type is None or resource_type == model.resource_type:
            continue
        distinct = set(columns.get(name, ())) - {None}
        if not distinct:
            continue
        ids, ambiguous = find_ids(db, tenant_id, resource_type, distinct)
        if ambiguous or len(ids) < len(distinct):
            for position, value in enumerate(columns[name]):
                if value is not None and (value not in ids or value in ambiguous):
                    code = _AMBIGUOUS if value in ambiguous else UNKNOWN
                    faults.append(_fault(model, position, name, value, code))
        columns[name] = [ids.get(value) for value in columns[name]]
    return faults


def unknown_references(model: type[Work], faults: Iterable[Fault]) -> list[tuple[str, Any]]:
    """Return the references that faults call unknown: their resource type and value."""
    fields = {name: column.field.refers_to for name, column in incoming(model).items()}
    unknown = ((fields.get(fault.field or ""), fault) for fault in faults if fault.code == UNKNOWN)
    return [
        (resource_type, fault.value)
        for resource_type, fault in unknown
        if resource_type is not None
    ]


def refers_to_own_kind(model: type[Work], columns: Columns) -> bool:
    """Return whether a row refers to work of its own kind, which must be inserted before it."""
    return any(any(columns[name]) for name in _own_kind_columns(model, columns))


def order_rows(
    db: Connection, tenant_id: int, model: type[Work], columns: dict[str, list[Any]]
) -> tuple[list[list[int]], list[Fault]]:
    """Return the order of inserting rows that refer to each other, as checkpoints to their tour.

    References to existing rows are replaced by ids; references to new rows stay text.

    Returns:
        The positions of rows by level, first the rows that wait for none; and the faults of rows
        that refer to a row that neither exists nor is new.
    """
    faults: list[Fault] = []
    waiting: dict[int, set[str]] = {}
    for name in _own_kind_columns(model, columns):
        ids, ambiguous = find_ids(db, tenant_id, model.resource_type, set(columns[name]) - {None})
        nested = checkpoints_among(db, model, name, set(ids.values())) if ids else set()
        new_checkpoints = _checkpoints(columns, name)
        for position, value in enumerate(columns[name]):
            if value in ambiguous:
                faults.append(_fault(model, position, name, value, _AMBIGUOUS))
            elif ids.get(value) in nested or (value not in ids and str(value) in new_checkpoints):
                faults.append(_tour_nested(position, name, value))
            elif value in ids:
                columns[name][position] = ids[value]
            elif value is not None:
                columns[name][position] = str(value)
                waiting.setdefault(position, set()).add(str(value))
    unfit = {fault.position for fault in faults}
    rows = range(len(next(iter(columns.values()))))
    levels = [[row for row in rows if row not in waiting and row not in unfit]]
    if waiting:
        gone = _deleted_references(db, tenant_id, model, set().union(*waiting.values()))
        left = {row: names for row, names in waiting.items() if row not in unfit}
        levels += _levels(columns, levels[0], left, gone)
        faults += _faults_of_unresolved(model, columns, left)
    return levels, faults


def replace_names(
    db: Connection, tenant_id: int, model: type[Work], columns: dict[str, list[Any]]
) -> None:
    """Replace references to rows of earlier levels, which are inserted by now, by ids."""
    for name in _own_kind_columns(model, columns):
        names = {value for value in columns[name] if isinstance(value, str)}
        if names:
            ids = find_named(db, tenant_id, model.resource_type, names)
            columns[name] = [ids.get(value, value) for value in columns[name]]


def _levels(
    columns: Columns, first: Sequence[int], left: dict[int, set[str]], gone: set[str]
) -> list[list[int]]:
    """Return the levels after the *first*, and remove their rows from *left*."""
    references = columns.get(REFERENCE) or [None] * len(next(iter(columns.values())))
    inserted = {references[row] for row in first} - gone
    levels = []
    while ready := [row for row, names in left.items() if names <= inserted]:
        levels.append(ready)
        inserted |= {references[row] for row in ready} - gone
        for row in ready:
            del left[row]
    return levels


def _faults_of_unresolved(model: type[Work], columns: Columns, left: Iterable[int]) -> list[Fault]:
    return [
        _fault(model, position, name, columns[name][position], UNKNOWN)
        for position in left
        for name in _own_kind_columns(model, columns)
        if isinstance(columns[name][position], str)
    ]


def faults_of_deleted(
    db: Connection, tenant_id: int, model: type[Work], references: Mapping[int, str | None]
) -> list[Fault]:
    """Return a fault for each row, by position, whose reference belongs to deleted work."""
    gone = _deleted_references(db, tenant_id, model, set(references.values()) - {None})
    return [
        Fault(position, REFERENCE, reference, "reference_deleted", "one that no deleted row has")
        for position, reference in references.items()
        if reference in gone
    ]


def _deleted_references(
    db: Connection, tenant_id: int, model: type[Work], references: Iterable[Any]
) -> set[str]:
    # Deleted work keeps its reference: no other row can have it.
    requested = literal(sorted(references), ARRAY(Text()))
    query = select(model.reference).where(
        model.tenant_id == tenant_id,
        model.reference == any_(requested),
        model.deleted_at.is_not(None),
    )
    return set(map(str, db.scalars(query)))


def _checkpoints(columns: Columns, name: str) -> set[str]:
    """Return the references of the rows that are checkpoints by the column *name*."""
    references = columns.get(REFERENCE, ())
    return {str(a) for a, b in zip(references, columns[name], strict=False) if a and b}


def _own_kind_columns(model: type[Work], columns: Columns) -> list[str]:
    return [name for name in own_columns(model) if name in columns]


def _tour_nested(position: int, name: str, value: Any) -> Fault:
    return Fault(position, name, value, "tour_nested", "a tour that is no checkpoint itself")


def _fault(model: type[Work], position: int, name: str, value: Any, code: str) -> Fault:
    expected = either(value) if code == _AMBIGUOUS else incoming(model)[name].field.expected
    return Fault(position, name, value, code, expected)
