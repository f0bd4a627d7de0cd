"""Tenants with their standard roles, their first people, and records that have but a name."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.errors import InvalidInput
from domain.permissions import ROLES, Actor, permissions_of
from domain.policies.defaults import DEFAULTS
from domain.policies.policy import SHADOW
from engine.access.permissions import authorize
from engine.access.refused_writes import AttemptedWrite, recorded_if_refused
from engine.audit.outbox import log_entities
from engine.input.record_types import known_resource_type, table_of
from engine.ports.platform import Platform
from engine.records.crud import create_record
from models.base import Record, kinds, records
from models.people import Person, PersonRole, Role, Tenant
from models.policy import Policy


def open_tenant(
    platform: Platform,
    name: str,
    people: Mapping[str, Sequence[str]],
    *,
    by: Actor | None = None,
) -> int:
    """Make sure that a tenant, its standard roles and these people exist; return its id.

    Args:
        platform: The outside world.
        name: The tenant's name.
        people: The roles of each person, by name; roles are added, never taken away.
        by: Who opens it; they may add to a tenant that is there only if it is their own.

    Raises:
        InvalidInput: There is no such role, or the tenant is another one's; nothing was stored.
    """
    unknown = next((each for given in people.values() for each in given if each not in ROLES), None)
    if unknown is not None:
        raise InvalidInput(field="role", got=unknown, expected=f"one of {', '.join(ROLES)}")
    machines = [each.machine for each in kinds().values()]
    wanted = AttemptedWrite("CREATED", "tenant", values={"name": name}, reason=_reason(by))
    refusals = nullcontext() if by is None else recorded_if_refused(platform, by, wanted)
    with refusals, platform.database.begin() as db:
        known = upsert(Tenant).values(name=name)
        made = known.on_conflict_do_nothing().returning(Tenant.id)
        is_new = db.scalar(made) is not None
        tenant_id = db.scalars(select(Tenant.id).filter_by(name=name)).one()
        is_cross_tenant = by is not None and by.person_id is not None and tenant_id != by.tenant_id
        if is_cross_tenant and not is_new:
            raise InvalidInput(field="name", got=name, expected="a name that no tenant has")
        roles = [
            {
                "tenant_id": tenant_id,
                "name": role,
                "permissions": list(permissions_of(role, machines, records())),
            }
            for role in ROLES
        ]
        now = platform.clock(db)
        if is_new:
            _log(db, now, by, "tenant", tenant_id=tenant_id, new={tenant_id: {"name": name}})
        _bring(db, now, by, Role, roles)
        ids = named_ids(db, tenant_id, Role)
        _bring(db, now, by, Person, [{"tenant_id": tenant_id, "name": each} for each in people])
        person_ids = named_ids(db, tenant_id, Person)
        held = [
            {"tenant_id": tenant_id, "person_id": person_ids[person], "role_id": ids[role]}
            for person, given in people.items()
            for role in given
        ]
        _bring(db, now, by, PersonRole, held)
        _bring_policies(db, now, by, tenant_id, is_new=is_new)
    return tenant_id


def give_policies(platform: Platform) -> int:
    """Give the tenants that were there before policies were theirs; return how many got some."""
    given = 0
    with platform.database.begin() as db:
        now = platform.clock(db)
        for tenant_id in db.scalars(select(Tenant.id).order_by(Tenant.id)).all():
            given += _bring_policies(db, now, None, tenant_id, is_new=False)
    return given


def add_named(
    platform: Platform, actor: Actor, resource_type: str, names: Sequence[str]
) -> dict[str, int]:
    """Make sure that records of these names exist; return the ids of all the tenant's, by name.

    Raises:
        InvalidInput: There is no such resource type, or a name is no text.
        PermissionDenied: The actor may not create them; the denial is recorded.
    """
    model = known_resource_type(resource_type)
    if "name" not in table_of(model).c:
        raise InvalidInput(field="kind", got=resource_type, expected="records that have a name")
    authorize(platform, actor, model.resource_type, "view")
    with platform.database.connect() as db:
        known = named_ids(db, actor.tenant_id, model)
    for name in dict.fromkeys(names):
        if name not in known:
            known[name] = create_record(platform, actor, resource_type, {"name": name})
    return known


def named_ids(db: Connection, tenant_id: int, model: type[Record]) -> dict[str, int]:
    """Return the ids of a tenant's records by their names, in the order of ids."""
    table: Any = model.__table__
    rows = db.execute(
        select(table.c.name, table.c.id)
        .where(table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
        .order_by(table.c.id)
    )
    return dict(rows.all())


def _bring_policies(
    db: Connection, now: datetime, by: Actor | None, tenant_id: int, *, is_new: bool
) -> bool:
    """Give a tenant the policies that it begins with, unless it ever had some; say whether.

    Where there is work already, they only look on until somebody turns them on.
    """
    if db.scalar(select(Policy.id).filter_by(tenant_id=tenant_id).limit(1)) is not None:
        return False
    for values in DEFAULTS:
        mode = values["mode"] if is_new else SHADOW
        _bring(db, now, by, Policy, [{**values, "mode": mode, "tenant_id": tenant_id}])
    return True


def _bring(
    db: Connection,
    now: datetime,
    by: Actor | None,
    model: type[Record],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Insert what isn't there yet, with its records."""
    if not rows:
        return
    table = table_of(model)
    shown = [name for name in rows[0] if name != "tenant_id"]
    statement = (
        upsert(table)
        .on_conflict_do_nothing()
        .returning(table.c.id, table.c.tenant_id, *(table.c[name] for name in shown))
    )
    new = db.execute(statement, list(rows)).all()
    if new:
        told = {row.id: {name: getattr(row, name) for name in shown} for row in new}
        _log(db, now, by, model.resource_type, tenant_id=new[0].tenant_id, new=told)


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
        {name: {"before": None, "after": value} for name, value in each.items()}
        for each in new.values()
    ]
    log_entities(
        db,
        event_type="CREATED",
        kind=kind,
        tenant_id=tenant_id,
        actor_id=None if by is None else by.person_id,
        correlation_id=None,
        reason=_reason(by),
        ids=list(new),
        versions=[1] * len(new),
        changes=[json.dumps(each) for each in changes],
        now=now,
        origin=None if by is None else by.origin.as_dict,
    )


def _reason(by: Actor | None) -> str:
    return "system_auto" if by is None or by.person_id is None else "user_action"
