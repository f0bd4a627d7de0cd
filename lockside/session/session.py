"""Session: connect to Lockside as one actor of one tenant."""

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from domain.errors import InvalidInput
from domain.permissions import Actor, Origin
from engine.access.cross_tenant_watch import watch_probes
from engine.input.checks import ROWS, check, known_operation_id
from engine.ports.platform import Platform
from lockside.session.configuration import check_addresses, read_settings
from lockside.session.server_errors import TROUBLES, refusal_of_server_error
from lockside.session.submit import Submit
from lockside.session.tenants import Tenants
from lockside.session.trail import AuditTrail
from worker.interface_app import InterfaceApp
from worker.platform_per_process import make_platform
from worker.publisher import Publisher
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
    """Return a session that acts for a person of a tenant.

    Args:
        tenant: The tenant's name; `LOCKSIDE_TENANT` or `demo` by default.
        actor: The person's name; `LOCKSIDE_ACTOR` or `admin` by default.
        settings: The settings, with the addresses of the servers; from the environment by default.
        origin: Where requests come from, for their records; with a new session id by default.

    Raises:
        Unavailable: No server runs, or PostgreSQL doesn't answer or isn't set up.
        InvalidInput: A setting is not what was expected.
        NotFound: There is no such tenant or person.
    """
    try:
        resolved = (settings or read_settings()).resolved()
        check_addresses(resolved)
        return _connect(resolved, tenant, actor, origin or Origin(session_id=str(uuid4())))
    except TROUBLES as error:
        refusal = refusal_of_server_error(error)
        if refusal is None:
            raise
        raise refusal from error


def _connect(
    settings: Settings, tenant: str | None, actor: str | None, origin: Origin
) -> "Session":
    app = InterfaceApp(settings)
    site = Session(settings, app, make_platform(settings, Publisher(app)), origin)
    person = settings.actor if actor is None else actor
    try:
        site.act_as(tenant or settings.tenant, person or None)
    except BaseException:
        site.close()
        raise
    return site


class Session(Submit, Tenants, AuditTrail):
    """The Python interface for one actor; made by `connect`, closed by `close` or `with`."""

    def __init__(
        self, settings: Settings, app: InterfaceApp, platform: Platform, origin: Origin
    ) -> None:
        """Keep the platform; use `connect` to make a session."""
        self.origin = origin
        self.settings = settings
        self._app = app
        self.platform = platform
        self.actor = Actor(0, None)

    @property
    def app(self) -> "Celery":
        """Return the Celery application, to poll results by its `AsyncResult`."""
        return self._app()

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the session.

        Raises:
            Unavailable: The block ended because PostgreSQL stopped answering.
        """
        self.close()
        refusal = refusal_of_server_error(error)
        if refusal is not None:
            raise refusal from error

    def close(self) -> None:
        """Close all connections."""
        self.platform.database.dispose()
        self._app.close()

    def act_as(self, tenant: str, person: str | None) -> None:
        """Act for a person of a tenant from now on; with None for the system.

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
        """Return the audit records as a whole, to verify and pin them."""
        from lockside.session.audit import Audit

        return Audit(self.platform, self.actor)

    @property
    def archives(self) -> "Archives":
        """Return the archives of old records, to list, search, restore and hold them."""
        from lockside.session.archives import Archives

        return Archives(self.platform, self.actor)

    @property
    def autoclose(self) -> "Autoclose":
        """Return the policies of auto-closure, to preview, run and steer them."""
        from lockside.session.autoclose import Autoclose

        return Autoclose(self.platform, self.actor)

    def operation(self, operation_id: str | UUID) -> "Operation":
        """Return the operation of an id; its methods raise NotFound if it doesn't exist.

        Raises:
            InvalidInput: The id isn't a UUID.
        """
        from lockside.session.operation import Operation

        known = known_operation_id("operation_id", operation_id)
        return Operation(self.platform, self.actor, known)

    def operations(self, *, state: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Return the newest operations that the actor may see, of one state or of all.

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
        """Explain why transitions are refused: for one row all reasons, for many how often each.

        Raises:
            NotFound: There is no such row.
            InvalidInput: The kind or state is not known, or there are many rows and no target.
        """
        from reads.records.explain import explain_row, explain_selection

        kind, target = self._authorize_kind(kind, to)
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
        """Return the ids of rows: all, those in one state or those that a filter matches.

        Raises:
            InvalidInput: The kind or state is not known, or the filter can't be read.
            NotFound: There is no record of a name in the filter.
        """
        from reads.records.records import list_ids

        if limit is not None:
            check("limit", limit, ROWS)
        kind, in_state = self._authorize_kind(kind, state)
        with self.platform.database.connect() as db:
            condition = None if where is None else self._condition(db, kind, where)
            return list_ids(
                db, self.actor.tenant_id, kind, state=in_state, meant=condition, limit=limit
            )

    def count(self, kind: str, where: str) -> int:
        """Return how many rows a filter matches now; errors are those of `ids`."""
        from reads.records.records import count_rows

        kind, _ = self._authorize_kind(kind)
        with self.platform.database.connect() as db:
            return count_rows(db, kind, self._condition(db, kind, where))

    def ids_by_reference(self, kind: str, references: Sequence[str]) -> dict[str, int]:
        """Return the ids of rows, by their reference: their name in another system."""
        from reads.records.records import ids_by_reference

        resource_type, _ = self._authorize_kind(kind)
        with self.platform.database.connect() as db:
            return ids_by_reference(db, self.actor.tenant_id, resource_type, references)

    def states(self, kind: str) -> dict[str, int]:
        """Return how many rows of a kind are in each state."""
        from reads.records.records import count_by_state

        resource_type, _ = self._authorize_kind(kind)
        with self.platform.database.connect() as db:
            return count_by_state(db, self.actor.tenant_id, resource_type)

    def row(self, kind: str, row_id: int) -> dict[str, Any]:
        """Return all columns of one row.

        Raises:
            NotFound: There is no such row.
        """
        return self.records(kind).get(row_id)

    def timeline(self, kind: str, row_id: int) -> list[dict[str, Any]]:
        """Return the changes and refusals of one record, oldest first."""
        from reads.audit.timeline import timeline

        records = self.records(kind)
        records.authorize_view()
        with self.platform.database.connect() as db:
            return timeline(db, self.actor.tenant_id, records.resource_type, row_id)

    def served_queues(self) -> dict[str, int]:
        """Return how many workers serve each queue; takes a second to collect their answers.

        Raises:
            Unavailable: The broker doesn't answer.
        """
        from lockside.session.served_queues import served_queues

        return served_queues(self.app)
