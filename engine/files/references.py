"""Columns of new rows that name other records: looked up together, a query a column."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from engine.files.columns import Columns, Fault, incoming
from engine.input.fields import REFERENCE, either, find_ids, find_named
from engine.input.tour_nesting import checkpoints_among, own_columns
from models.base import Work

UNKNOWN = "unknown_reference"
_UNSURE = "ambiguous_reference"


def resolve_columns(
    db: Connection, tenant_id: int, model: type[Work], columns: dict[str, list[Any]]
) -> list[Fault]:
    """Put ids in the place of names; return what isn't there, or could be either of two.

    What names work of the same kind is left: it may be about to come in.
    """
    faults: list[Fault] = []
    for name, known in incoming(model).items():
        resource_type = known.field.refers_to
        if resource_type is None or resource_type == model.resource_type:
            continue
        distinct = set(columns.get(name, ())) - {None}
        if not distinct:
            continue
        found, unsure = find_ids(db, tenant_id, resource_type, distinct)
        if unsure or len(found) < len(distinct):
            for position, value in enumerate(columns[name]):
                if value is not None and (value not in found or value in unsure):
                    code = _UNSURE if value in unsure else UNKNOWN
                    faults.append(_fault(model, position, name, value, code))
        columns[name] = [found.get(each) for each in columns[name]]
    return faults


def named_in(model: type[Work], faults: Iterable[Fault]) -> list[tuple[str, Any]]:
    """Return what faults say isn't there, by resource type and what was given for it."""
    fields = {name: known.field.refers_to for name, known in incoming(model).items()}
    unknown = ((fields.get(each.field or ""), each) for each in faults if each.code == UNKNOWN)
    return [
        (resource_type, each.value) for resource_type, each in unknown if resource_type is not None
    ]


def names_others(model: type[Work], columns: Columns) -> bool:
    """Say whether a row names other work of its kind, which has to be there before it."""
    return any(any(columns[name]) for name in _own(model, columns))


def order_rows(
    db: Connection, tenant_id: int, model: type[Work], columns: dict[str, list[Any]]
) -> tuple[list[list[int]], list[Fault]]:
    """Say in which order rows come in when some name others of them, as tours' checkpoints do.

    Ids are put in the place of what is there already; what comes in with the rows stays text.

    Returns:
        The positions of rows, those first that wait for none; and the faults of those that
        name what neither is there nor comes in.
    """
    faults: list[Fault] = []
    waiting: dict[int, set[str]] = {}
    for name in _own(model, columns):
        found, unsure = find_ids(db, tenant_id, model.resource_type, set(columns[name]) - {None})
        inner = checkpoints_among(db, model, name, set(found.values())) if found else set()
        coming = _checkpoints(columns, name)
        for position, value in enumerate(columns[name]):
            if value in unsure:
                faults.append(_fault(model, position, name, value, _UNSURE))
            elif found.get(value) in inner or (value not in found and str(value) in coming):
                faults.append(_nested(position, name, value))
            elif value in found:
                columns[name][position] = found[value]
            elif value is not None:
                columns[name][position] = str(value)
                waiting.setdefault(position, set()).add(str(value))
    unfit = {each.position for each in faults}
    rows = range(len(next(iter(columns.values()))))
    levels = [[each for each in rows if each not in waiting and each not in unfit]]
    if waiting:
        gone = _deleted(db, tenant_id, model, set().union(*waiting.values()))
        left = {each: names for each, names in waiting.items() if each not in unfit}
        levels += _levels(columns, levels[0], left, gone)
        faults += _left_behind(model, columns, left)
    return levels, faults


def replace_names(
    db: Connection, tenant_id: int, model: type[Work], columns: dict[str, list[Any]]
) -> None:
    """Put ids in the place of what names work that has come in meanwhile."""
    for name in _own(model, columns):
        names = {each for each in columns[name] if isinstance(each, str)}
        if names:
            found = find_named(db, tenant_id, model.resource_type, names)
            columns[name] = [found.get(each, each) for each in columns[name]]


def _levels(
    columns: Columns, first: Sequence[int], left: dict[int, set[str]], gone: set[str]
) -> list[list[int]]:
    """Return the levels after the *first*, and take what is in them out of *left*."""
    references = columns.get(REFERENCE) or [None] * len(next(iter(columns.values())))
    come = {references[each] for each in first} - gone
    levels = []
    while ready := [each for each, names in left.items() if names <= come]:
        levels.append(ready)
        come |= {references[each] for each in ready} - gone
        for each in ready:
            del left[each]
    return levels


def _left_behind(model: type[Work], columns: Columns, left: Iterable[int]) -> list[Fault]:
    return [
        _fault(model, position, name, columns[name][position], UNKNOWN)
        for position in left
        for name in _own(model, columns)
        if isinstance(columns[name][position], str)
    ]


def faults_of_deleted(
    db: Connection, tenant_id: int, model: type[Work], references: Mapping[int, str | None]
) -> list[Fault]:
    """Return a fault for each row, by position, whose reference belongs to deleted work."""
    gone = _deleted(db, tenant_id, model, set(references.values()) - {None})
    return [
        Fault(position, REFERENCE, each, "reference_deleted", "one that no deleted row has")
        for position, each in references.items()
        if each in gone
    ]


def _deleted(
    db: Connection, tenant_id: int, model: type[Work], references: Iterable[Any]
) -> set[str]:
    # The reference of deleted work stays its own: no other row comes in under it.
    wanted = literal(sorted(references), ARRAY(Text()))
    query = select(model.reference).where(
        model.tenant_id == tenant_id,
        model.reference == any_(wanted),
        model.deleted_at.is_not(None),
    )
    return set(map(str, db.scalars(query)))


def _checkpoints(columns: Columns, name: str) -> set[str]:
    """Return the references of those rows that name another by a column."""
    references = columns.get(REFERENCE, ())
    return {str(a) for a, b in zip(references, columns[name], strict=False) if a and b}


def _own(model: type[Work], columns: Columns) -> list[str]:
    return [name for name in own_columns(model) if name in columns]


def _nested(position: int, name: str, value: Any) -> Fault:
    return Fault(position, name, value, "tour_nested", "a tour that is no checkpoint itself")


def _fault(model: type[Work], position: int, name: str, value: Any, code: str) -> Fault:
    expected = either(value) if code == _UNSURE else incoming(model)[name].field.expected
    return Fault(position, name, value, code, expected)
