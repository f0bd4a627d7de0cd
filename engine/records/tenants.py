"""Tenants: create a tenant with its standard roles and first people, and records by name."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.errors import InvalidInput
from domain.permissions import ROLES, Actor
from domain.policies.defaults import DEFAULTS
from domain.policies.policy import SHADOW
from engine.access.permissions import authorize
from engine.access.refused_writes import AttemptedWrite, recorded_if_refused
from engine.audit.outbox import log_entities
from engine.input.record_types import known_resource_type, table_of
from engine.ports.platform import Platform
from engine.records.crud import create_record
from engine.records.standard_roles import standard_permissions
from models.base import Record
from models.people import Person, PersonRole, Role, Tenant
from models.policy import Policy


def open_tenant(
    platform: Platform,
    name: str,
    people: Mapping[str, Sequence[str]],
    *,
    by: Actor | None = None,
) -> int:
    """Ensure that a tenant, its standard roles and these people exist; return its id.

    Args:
        platform: The outside world.
        name: The tenant's name.
        people: The roles of each person, by name; roles are added, never removed.
        by: Who creates it; they may add to an existing tenant only if it is their own.

    Raises:
        InvalidInput: There is no such role, or the tenant is not the actor's; nothing is stored.
    """
    unknown = next((role for roles in people.values() for role in roles if role not in ROLES), None)
    if unknown is not None:
        raise InvalidInput(field="role", got=unknown, expected=f"one of {', '.join(ROLES)}")
    attempt = AttemptedWrite("CREATED", "tenant", values={"name": name}, reason=_cause(by))
    refusals = nullcontext() if by is None else recorded_if_refused(platform, by, attempt)
    with refusals, platform.database.begin() as db:
        statement = upsert(Tenant).values(name=name)
        inserted = statement.on_conflict_do_nothing().returning(Tenant.id)
        is_new = db.scalar(inserted) is not None
        tenant_id = db.scalars(select(Tenant.id).filter_by(name=name)).one()
        is_cross_tenant = by is not None and by.person_id is not None and tenant_id != by.tenant_id
        if is_cross_tenant and not is_new:
            raise InvalidInput(field="name", got=name, expected="a name that no tenant has")
        roles = [
            {
                "tenant_id": tenant_id,
                "name": role,
                "permissions": list(permissions),
            }
            for role, permissions in standard_permissions().items()
        ]
        now = platform.clock(db)
        if is_new:
            _log(db, now, by, "tenant", tenant_id=tenant_id, new={tenant_id: {"name": name}})
        _insert_missing(db, now, by, Role, roles)
        role_ids = ids_by_name(db, tenant_id, Role)
        _insert_missing(
            db, now, by, Person, [{"tenant_id": tenant_id, "name": person} for person in people]
        )
        person_ids = ids_by_name(db, tenant_id, Person)
        memberships = [
            {"tenant_id": tenant_id, "person_id": person_ids[person], "role_id": role_ids[role]}
            for person, role_names in people.items()
            for role in role_names
        ]
        _insert_missing(db, now, by, PersonRole, memberships)
        _insert_default_policies(db, now, by, tenant_id, is_new=is_new)
    return tenant_id


def add_default_policies(platform: Platform) -> int:
    """Add the default policies to tenants that never had policies; return to how many."""
    given_to = 0
    with platform.database.begin() as db:
        now = platform.clock(db)
        for tenant_id in db.scalars(select(Tenant.id).order_by(Tenant.id)).all():
            given_to += _insert_default_policies(db, now, None, tenant_id, is_new=False)
    return given_to


def add_named(
    platform: Platform, actor: Actor, resource_type: str, names: Sequence[str]
) -> dict[str, int]:
    """Ensure that records of these names exist; return the ids of all the tenant's, by name.

    Raises:
        InvalidInput: There is no such resource type, or a name is not text.
        PermissionDenied: The actor may not create them; the denial is recorded.
    """
    model = known_resource_type(resource_type)
    if "name" not in table_of(model).c:
        raise InvalidInput(field="kind", got=resource_type, expected="records that have a name")
    authorize(platform, actor, model.resource_type, "view")
    with platform.database.connect() as db:
        ids = ids_by_name(db, actor.tenant_id, model)
    for name in dict.fromkeys(names):
        if name not in ids:
            ids[name] = create_record(platform, actor, resource_type, {"name": name})
    return ids


def ids_by_name(db: Connection, tenant_id: int, model: type[Record]) -> dict[str, int]:
    """Return the ids of a tenant's records by name, in the order of ids."""
    table: Any = model.__table__
    rows = db.execute(
        select(table.c.name, table.c.id)
        .where(table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
        .order_by(table.c.id)
    )
    return dict(rows.all())


def _insert_default_policies(
    db: Connection, now: datetime, by: Actor | None, tenant_id: int, *, is_new: bool
) -> bool:
    """Add the default policies to a tenant that never had policies; say whether it was done.

    Where there is work already, they run in shadow mode until somebody turns them on.
    """
    if db.scalar(select(Policy.id).filter_by(tenant_id=tenant_id).limit(1)) is not None:
        return False
    for values in DEFAULTS:
        mode = values["mode"] if is_new else SHADOW
        _insert_missing(db, now, by, Policy, [{**values, "mode": mode, "tenant_id": tenant_id}])
    return True


def _insert_missing(
    db: Connection,
    now: datetime,
    by: Actor | None,
    model: type[Record],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Insert the rows that don't exist yet, and record it."""
    if not rows:
        return
    table = table_of(model)
    columns = [name for name in rows[0] if name != "tenant_id"]
    statement = (
        upsert(table)
        .on_conflict_do_nothing()
        .returning(table.c.id, table.c.tenant_id, *(table.c[name] for name in columns))
    )
    new = db.execute(statement, list(rows)).all()
    if new:
        values = {row.id: {name: getattr(row, name) for name in columns} for row in new}
        _log(db, now, by, model.resource_type, tenant_id=new[0].tenant_id, new=values)


def _log(
    db: Connection,
    now: datetime,
    by: Actor | None,
    kind: str,
    *,
    tenant_id: int,
    new: Mapping[int, Mapping[str, Any]],
) -> None:
    changes = [
        {name: {"before": None, "after": value} for name, value in values.items()}
        for values in new.values()
    ]
    log_entities(
        db,
        event_type="CREATED",
        kind=kind,
        tenant_id=tenant_id,
        actor_id=None if by is None else by.person_id,
        correlation_id=None,
        reason=_cause(by),
        ids=list(new),
        versions=[1] * len(new),
        changes=[json.dumps(change) for change in changes],
        now=now,
        origin=None if by is None else by.origin.as_dict,
    )


def _cause(by: Actor | None) -> str:
    return "system_auto" if by is None or by.person_id is None else "user_action"
