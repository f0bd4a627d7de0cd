"""New rows, set-based: tenants with their people and vendors, and work in any state.

Work comes in under an operation of its own, so that the database's guard lets it begin in
another than the initial state, and so that it is known who brought it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.bulk import Counts, result
from domain.errors import InvalidInput
from domain.permissions import ROLES, Actor, permissions_of
from engine.platform import Platform
from models.base import Work, kinds
from models.operation import Operation
from models.people import Person, PersonRole, Role, Tenant, Vendor


def open_tenant(platform: Platform, name: str, people: Mapping[str, Sequence[str]]) -> int:
    """Make sure that a tenant, its standard roles and these people exist; return its id.

    Args:
        platform: The outside world.
        name: The tenant's name.
        people: The roles of each person, by name; roles are added, never taken away.
    """
    machines = [each.machine for each in kinds().values()]
    with platform.database.begin() as db:
        tenant_id = _one(db, Tenant, {"name": name}, ["name"])
        roles = [
            {"tenant_id": tenant_id, "name": role, "permissions": permissions_of(role, machines)}
            for role in ROLES
        ]
        db.execute(upsert(Role).on_conflict_do_nothing(), [_listed(each) for each in roles])
        for person, held in people.items():
            values = {"tenant_id": tenant_id, "name": person}
            person_id = _one(db, Person, values, ["tenant_id", "name"])
            db.execute(
                upsert(PersonRole).on_conflict_do_nothing(),
                [
                    {"tenant_id": tenant_id, "person_id": person_id, "role_name": role}
                    for role in held
                ],
            )
    return tenant_id


def add_vendors(platform: Platform, tenant_id: int, names: Sequence[str]) -> list[int]:
    """Make sure that these vendors exist; return the ids of all the tenant's vendors."""
    with platform.database.begin() as db:
        db.execute(
            upsert(Vendor).on_conflict_do_nothing(),
            [{"tenant_id": tenant_id, "name": name} for name in names],
        )
        return list(
            db.scalars(select(Vendor.id).filter_by(tenant_id=tenant_id).order_by(Vendor.id))
        )


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
        InvalidInput: A state or a column is not known, or a value is missing; nothing was
            stored.
    """
    model = kinds()[kind]
    if not rows:
        return []
    _check_rows(model, rows)
    with platform.database.begin() as db:
        now = platform.clock(db)
        operation_id = _open_import(db, actor, kind, len(rows), now)
        new = _insert_work(db, actor, model, rows, now)
        if new:
            _close_import(platform, db, operation_id, now, new=new, total=len(rows))
        else:
            # Nothing came in: leave no trace of an import either.
            db.rollback()
    return new


def _insert_work(
    db: Connection,
    actor: Actor,
    model: type[Work],
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[int]:
    # A column is one array: a placeholder for each value would take the driver longer to read
    # than the database to store.
    table: Any = model.__table__
    given = {name: [row[name] for row in rows] for name in rows[0]}
    arrays = [literal(values, ARRAY(table.c[name].type)) for name, values in given.items()]
    unnested = func.unnest(*arrays).table_valued(*given, name="given").render_derived()
    same = {
        "tenant_id": actor.tenant_id,
        "created_by": actor.person_id,
        "updated_by": actor.person_id,
        "state": model.machine.initial,
        "state_since": now,
    }
    shared = {name: value for name, value in same.items() if name not in given}
    constants = [literal(value, table.c[name].type) for name, value in shared.items()]
    statement = (
        upsert(model)
        .from_select([*given, *shared], select(*unnested.c, *constants))
        .on_conflict_do_nothing(
            index_elements=["tenant_id", "reference"], index_where=text("reference IS NOT NULL")
        )
        .returning(model.id)
    )
    return list(db.scalars(statement))


def _check_rows(model: type[Work], rows: Sequence[Mapping[str, Any]]) -> None:
    fixed = {"id", "uuid", "tenant_id", "version", "created_at", "created_by"}
    allowed = set(model.__table__.columns.keys()) - fixed
    unknown = {name for row in rows for name in row} - allowed
    if unknown:
        raise InvalidInput(
            field=min(unknown),
            got="a value for it",
            expected=f"one of {', '.join(sorted(allowed))}",
        )
    uneven = next((row for row in rows if row.keys() != rows[0].keys()), None)
    if uneven is not None:
        raise InvalidInput(
            field="rows",
            got=", ".join(sorted(uneven)),
            expected=f"the columns of the first row: {', '.join(sorted(rows[0]))}",
        )
    known = model.machine.states
    unknown_state = next((row for row in rows if row.get("state", known[0]) not in known), None)
    if unknown_state is not None:
        raise InvalidInput(
            field="state", got=unknown_state["state"], expected=f"one of {', '.join(known)}"
        )
    for name in _required(model):
        if any(row.get(name) is None for row in rows):
            raise InvalidInput(field=name, got=None, expected="a value in every row")


def _required(model: type[Work]) -> list[str]:
    ours = {"id", "tenant_id", "state"}
    columns = model.__table__.columns
    return [
        each.name
        for each in columns
        if not each.nullable and each.server_default is None and each.name not in ours
    ]


def _open_import(db: Connection, actor: Actor, kind: str, total: int, now: datetime) -> UUID:
    operation_id = uuid4()
    db.execute(
        insert(Operation),
        {
            "id": operation_id,
            "tenant_id": actor.tenant_id,
            "actor_id": actor.person_id,
            "kind": kind,
            "verb": "import",
            "operation_type": "import",
            "state": "RUNNING",
            "reason": "import",
            "atomic": True,
            "dry_run": False,
            "isolation_level": "READ COMMITTED",
            "max_retries": 0,
            "lease_seconds": 0.0,
            "wait_seconds": 0.0,
            "queue": "none",
            "total": total,
            "started_at": now,
        },
    )
    db.execute(
        text("SELECT set_config('lockside.operation_id', :id, true)"), {"id": str(operation_id)}
    )
    return operation_id


def _close_import(
    platform: Platform,
    db: Connection,
    operation_id: UUID,
    begun: datetime,
    *,
    new: list[int],
    total: int,
) -> None:
    now = platform.clock(db)
    told = result(
        operation_id=str(operation_id),
        operation_type="import",
        state="SUCCEEDED",
        counts=Counts(total, succeeded=len(new), skipped=total - len(new)),
        succeeded_ids=new,
        failures=(),
        failure_codes={},
        warnings=[],
        started_at=begun,
        finished_at=now,
    )
    # Whoever imports has the answer already; nobody polls for it.
    db.execute(
        update(Operation)
        .where(Operation.id == operation_id)
        .values(state="SUCCEEDED", finished_at=now, result=told, result_stored_at=now)
    )


def _one(db: Connection, model: Any, values: dict[str, Any], key: list[str]) -> int:
    # Setting a column to itself makes RETURNING answer for a row that was there already.
    statement = upsert(model).values(values)
    row_id: int = db.execute(
        statement.on_conflict_do_update(
            index_elements=key, set_={"name": values["name"]}
        ).returning(model.id)
    ).scalar_one()
    return row_id


def _listed(role: Mapping[str, Any]) -> dict[str, Any]:
    return {**role, "permissions": list(role["permissions"])}
