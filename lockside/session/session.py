"""A connection to Lockside for one actor of one tenant."""

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from domain.errors import InvalidInput
from domain.permissions import Actor, Origin
from engine.access.cross_tenant_watch import watch_probes
from engine.input.checks import ROWS, check
from engine.ports.platform import Platform
from lockside.session.configuration import read_settings
from lockside.session.server_errors import TROUBLES, refusal_of_server_error
from lockside.session.submit import Submit
from lockside.session.tenants import Tenants
from lockside.session.trail import AuditTrail
from worker.processes import make_platform
from worker.publisher import InterfaceApp, Publisher
from worker.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

    from lockside.session.archives import Archives
    from lockside.session.audit import Audit
    from lockside.session.autoclose import Autoclose
    from lockside.session.operation import Operation
    from lockside.session.records import Records


def connect(
    *,
    tenant: str | None = None,
    actor: str | None = None,
    settings: Settings | None = None,
    origin: Origin | None = None,
) -> "Session":
    """Return a site, acting for a person of a tenant.

    Args:
        tenant: The tenant's name; `LOCKSIDE_TENANT` or `demo` by default.
        actor: The person's name; `LOCKSIDE_ACTOR` or `admin` by default.
        settings: Where the servers are; from the environment by default.
        origin: Where requests come from, for their records; a session of its own by default.

    Raises:
        Unavailable: Nothing is running, or PostgreSQL doesn't answer or isn't set up.
        InvalidInput: A setting is not what was expected.
        NotFound: There is no such tenant or person.
    """
    try:
        known = (settings or read_settings()).resolved()
        return _connect(known, tenant, actor, origin or Origin(session_id=str(uuid4())))
    except TROUBLES as error:
        refusal = refusal_of_server_error(error)
        if refusal is None:
            raise
        raise refusal from error


def _connect(known: Settings, tenant: str | None, actor: str | None, origin: Origin) -> "Session":
    app = InterfaceApp(known)
    site = Session(known, app, make_platform(known, Publisher(app)), origin)
    try:
        site.act_as(tenant or known.tenant, known.actor or None if actor is None else actor or None)
    except BaseException:
        site.close()
        raise
    return site


class Session(Submit, Tenants, AuditTrail):
    """What an actor may ask of Lockside; made by `connect`, closed by `close` or `with`."""

    def __init__(
        self, settings: Settings, app: InterfaceApp, platform: Platform, origin: Origin
    ) -> None:
        """Wrap a platform; `connect` is the way to get one."""
        self.origin = origin
        self.settings = settings
        self._app = app
        self.platform = platform
        self.actor = Actor(0, None)

    @property
    def app(self) -> "Celery":
        """Return the Celery application, for whoever polls results by its `AsyncResult`."""
        return self._app()

    def __enter__(self) -> Self:
        """Return the site."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the site.

        Raises:
            Unavailable: The block ended because PostgreSQL stopped answering.
        """
        self.close()
        refusal = refusal_of_server_error(error)
        if refusal is not None:
            raise refusal from error

    def close(self) -> None:
        """Give all connections back."""
        self.platform.database.dispose()
        self._app.close()

    def act_as(self, tenant: str, person: str | None) -> None:
        """Act for a person of a tenant from now on; without a person for the system.

        Raises:
            NotFound: There is no such tenant or person.
        """
        from reads.people import find_actor

        with self.platform.database.connect() as db:
            self.actor = replace(find_actor(db, tenant, person), origin=self.origin)

    def records(self, resource_type: str) -> "Records":
        """Return the records of a resource type, to create, read, update, list and delete them.

        Raises:
            InvalidInput: There is no such resource type.
        """
        from lockside.session.records import Records

        return Records(self.platform, self.actor, resource_type)

    @property
    def audit(self) -> "Audit":
        """Return the records as a whole, to verify and to pin them."""
        from lockside.session.audit import Audit

        return Audit(self.platform, self.actor)

    @property
    def archives(self) -> "Archives":
        """Return the archives of old records, to list, search, restore and hold them."""
        from lockside.session.archives import Archives

        return Archives(self.platform, self.actor)

    @property
    def autoclose(self) -> "Autoclose":
        """Return what the clock does with work, to preview, run and look at."""
        from lockside.session.autoclose import Autoclose

        return Autoclose(self.platform, self.actor)

    def operation(self, operation_id: str | UUID) -> "Operation":
        """Return the operation of an id; whether it exists shows when it is asked.

        Raises:
            InvalidInput: That is no operation's id.
        """
        from lockside.session.operation import Operation

        try:
            return Operation(self.platform, self.actor, UUID(str(operation_id)))
        except ValueError as error:
            raise InvalidInput(
                field="operation_id", got=operation_id, expected="a UUID such as submit printed"
            ) from error

    def operations(self, *, state: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Return the newest operations, of one state if it is given.

        Raises:
            InvalidInput: There is no such state, or *limit* is out of its range.
        """
        check("limit", limit, ROWS)
        from reads.operations.operations import list_operations
        from reads.people import find_viewer

        with self.platform.database.connect() as db:
            return list_operations(
                db,
                self.actor.tenant_id,
                viewer=find_viewer(db, self.actor),
                state=state,
                limit=limit,
            )

    def explain(
        self, kind: str, ids: Sequence[int] | int, *, to: str | None = None
    ) -> dict[str, Any]:
        """Say why transitions are blocked: for one row all reasons, for many how often each.

        Raises:
            NotFound: There is no such row.
            InvalidInput: The kind or state is not known, or many rows without a target.
        """
        from reads.records.explain import explain_row, explain_selection

        kind, target = self._seen(kind, to)
        watch = watch_probes(self.platform, self.actor, "view")
        with watch, self.platform.database.connect() as db:
            if isinstance(ids, int):
                return explain_row(db, self.actor, kind, ids, to=target)
            if target is None:
                raise InvalidInput(field="to", got=None, expected="a target state for many rows")
            return explain_selection(db, self.actor, kind, ids, to=target)

    def ids(
        self,
        kind: str,
        *,
        state: str | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> list[int]:
        """Return the ids of rows, of one state or those that a filter matches.

        Raises:
            InvalidInput: The kind or state is not known, or the filter can't be read.
            NotFound: There is no record of a name in the filter.
        """
        from reads.records.records import list_ids

        if limit is not None:
            check("limit", limit, ROWS)
        kind, known = self._seen(kind, state)
        with self.platform.database.connect() as db:
            meant = None if where is None else self._meant(db, kind, where)
            return list_ids(db, self.actor.tenant_id, kind, state=known, meant=meant, limit=limit)

    def count(self, kind: str, where: str) -> int:
        """Return how many rows a filter matches now; errors are those of `ids`."""
        from reads.records.records import count_rows

        kind, _ = self._seen(kind)
        with self.platform.database.connect() as db:
            return count_rows(db, kind, self._meant(db, kind, where))

    def ids_by_reference(self, kind: str, references: Sequence[str]) -> dict[str, int]:
        """Return the ids of rows by the reference that another system knows them by."""
        from reads.records.records import ids_by_reference

        seen, _ = self._seen(kind)
        with self.platform.database.connect() as db:
            return ids_by_reference(db, self.actor.tenant_id, seen, references)

    def states(self, kind: str) -> dict[str, int]:
        """Return how many rows of a kind are in each state."""
        from reads.records.records import count_by_state

        seen, _ = self._seen(kind)
        with self.platform.database.connect() as db:
            return count_by_state(db, self.actor.tenant_id, seen)

    def row(self, kind: str, row_id: int) -> dict[str, Any]:
        """Return all columns of one row.

        Raises:
            NotFound: There is no such row.
        """
        return self.records(kind).get(row_id)

    def timeline(self, kind: str, row_id: int) -> list[dict[str, Any]]:
        """Return what happened to one record, done and refused, oldest first."""
        from reads.audit.timeline import timeline

        records = self.records(kind)
        records.authorize_view()
        with self.platform.database.connect() as db:
            return timeline(db, self.actor.tenant_id, records.resource_type, row_id)

    def served_queues(self) -> dict[str, int]:
        """Return how many workers serve each queue; takes a second, to let all answer.

        Raises:
            Unavailable: The broker doesn't answer.
        """
        from lockside.session.served_queues import served_queues

        return served_queues(self.app)
