"""A connection to Lockside for one actor of one tenant."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from celery import Celery

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.intake import add_vendors, import_work, open_tenant
from engine.platform import Platform
from engine.submission import Submission
from engine.submit import submit
from lockside.configuration import read_settings
from lockside.operation import Operation
from lockside.trouble import TROUBLES, refusal_of
from lockside.workers import served_queues
from models.base import kinds
from reads.explain import explain_row, explain_selection
from reads.operations import list_operations
from reads.people import find_actor
from reads.timeline import timeline
from reads.work import count_by_state, find_row, ids_by_reference, list_ids
from worker.app import make_app
from worker.processes import make_platform
from worker.settings import Settings


def connect(
    *, tenant: str | None = None, actor: str | None = None, settings: Settings | None = None
) -> "Site":
    """Return a site, acting for a person of a tenant.

    Args:
        tenant: The tenant's name; `LOCKSIDE_TENANT` or `demo` by default.
        actor: The person's name; `LOCKSIDE_ACTOR` or `admin` by default.
        settings: Where the servers are; from the environment by default.

    Raises:
        Unavailable: Nothing is running, or PostgreSQL doesn't answer or isn't set up.
        InvalidInput: A setting is not what was expected.
        NotFound: There is no such tenant or person.
    """
    try:
        return _connect((settings or read_settings()).resolved(), tenant, actor)
    except TROUBLES as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error


def _connect(known: Settings, tenant: str | None, actor: str | None) -> "Site":
    app = make_app(known)
    # A door gives up sooner than a worker: the row is stored, and the sweeper sends the hint.
    app.conf.broker_transport_options |= {"socket_timeout": 2, "socket_connect_timeout": 1}
    site = Site(known, app, make_platform(known, app))
    try:
        site.act_as(tenant or known.tenant, known.actor or None if actor is None else actor or None)
    except BaseException:
        site.close()
        raise
    return site


class Site:
    """What an actor may ask of Lockside; made by `connect`, closed by `close` or `with`."""

    def __init__(self, settings: Settings, app: Celery, platform: Platform) -> None:
        """Wrap a platform; `connect` is the way to get one."""
        self.settings = settings
        self.app = app
        self.platform = platform
        self.actor = Actor(0, None)

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
        refusal = refusal_of(error)
        if refusal is not None:
            raise refusal from error

    def close(self) -> None:
        """Give all connections back."""
        self.platform.database.dispose()
        self.app.close()

    def act_as(self, tenant: str, person: str | None) -> None:
        """Act for a person of a tenant from now on; without a person for the system.

        Raises:
            NotFound: There is no such tenant or person.
        """
        with self.platform.database.connect() as db:
            self.actor = find_actor(db, tenant, person)

    def transition(
        self, kind: str, *, to: str, ids: Iterable[int] | int, **options: Any
    ) -> Operation:
        """Submit the transition of rows to a state; return at once.

        Args:
            kind: The kind of work, e.g. `work_order`.
            to: The target state, in any case.
            ids: The rows, or one of them.
            options: As in `engine.submission.Submission`: comments, metadata, approved_by,
                atomic, dry_run, idempotency_key, expected_versions, lease_s, wait_s,
                isolation_level, max_retries, reason, chunk_items.

        Raises:
            InvalidInput: A value is not what was expected; nothing was stored.
            NotFound: There is no person of the name in `approved_by`.
            IdempotencyMismatch: The key was used for another content.
        """
        rows = [ids] if isinstance(ids, int) else list(ids)
        unknown = options.keys() - Submission.__dataclass_fields__.keys()
        if unknown:
            raise InvalidInput(
                field=min(unknown),
                got=options[min(unknown)],
                expected=f"an option among {', '.join(sorted(Submission.__dataclass_fields__))}",
            )
        wanted = Submission(kind=kind, target=to, ids=rows, **options)
        return Operation(self.platform, self.actor, submit(self.platform, self.actor, wanted))

    def operation(self, operation_id: str | UUID) -> Operation:
        """Return the operation of an id; whether it exists shows when it is asked.

        Raises:
            InvalidInput: That is no operation's id.
        """
        try:
            return Operation(self.platform, self.actor, UUID(str(operation_id)))
        except ValueError as error:
            raise InvalidInput(
                field="operation_id", got=operation_id, expected="a UUID such as submit printed"
            ) from error

    def operations(self, *, state: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Return the newest operations, of one state if it is given."""
        with self.platform.database.connect() as db:
            return list_operations(db, self.actor.tenant_id, state=state, limit=limit)

    def explain(
        self, kind: str, ids: Sequence[int] | int, *, to: str | None = None
    ) -> dict[str, Any]:
        """Say why transitions are blocked: for one row all reasons, for many how often each.

        Raises:
            NotFound: There is no such row.
            InvalidInput: The kind or state is not known, or many rows without a target.
        """
        kind, target = self._known(kind, to)
        with self.platform.database.connect() as db:
            if isinstance(ids, int):
                return explain_row(db, self.actor, kind, ids, to=target)
            if target is None:
                raise InvalidInput(field="to", got=None, expected="a target state for many rows")
            return explain_selection(db, self.actor, kind, ids, to=target)

    def ids(self, kind: str, *, state: str | None = None, limit: int | None = None) -> list[int]:
        """Return the ids of rows, of one state if it is given."""
        kind, known = self._known(kind, state)
        with self.platform.database.connect() as db:
            return list_ids(db, self.actor.tenant_id, kind, state=known, limit=limit)

    def ids_by_reference(self, kind: str, references: Sequence[str]) -> dict[str, int]:
        """Return the ids of rows by the reference that another system knows them by."""
        with self.platform.database.connect() as db:
            return ids_by_reference(db, self.actor.tenant_id, self._known(kind)[0], references)

    def states(self, kind: str) -> dict[str, int]:
        """Return how many rows of a kind are in each state."""
        with self.platform.database.connect() as db:
            return count_by_state(db, self.actor.tenant_id, self._known(kind)[0])

    def row(self, kind: str, row_id: int) -> dict[str, Any]:
        """Return all columns of one row.

        Raises:
            NotFound: There is no such row.
        """
        with self.platform.database.connect() as db:
            return find_row(db, self.actor.tenant_id, self._known(kind)[0], row_id)

    def timeline(self, kind: str, row_id: int) -> list[dict[str, Any]]:
        """Return the records of one row's transitions, done and refused, oldest first."""
        with self.platform.database.connect() as db:
            return timeline(db, self.actor.tenant_id, self._known(kind)[0], row_id)

    def import_work(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Bring new rows in, all or none; return the ids of those that were not there yet."""
        return import_work(self.platform, self.actor, self._known(kind)[0], rows)

    def open_tenant(self, name: str, people: Mapping[str, Sequence[str]]) -> int:
        """Make sure that a tenant with its roles and these people exists; return its id."""
        return open_tenant(self.platform, name, people)

    def add_vendors(self, names: Sequence[str]) -> list[int]:
        """Make sure that these vendors exist; return the ids of all vendors."""
        return add_vendors(self.platform, self.actor.tenant_id, names)

    def served_queues(self) -> dict[str, int]:
        """Return how many workers serve each queue; takes a second, to let all answer.

        Raises:
            Unavailable: The broker doesn't answer.
        """
        return served_queues(self.app)

    def _known(self, kind: str, state: str | None = None) -> tuple[str, str | None]:
        name = kind.replace("-", "_")
        if name not in kinds():
            raise InvalidInput(field="kind", got=kind, expected=f"one of {', '.join(kinds())}")
        states = kinds()[name].machine.states
        if state is not None and state.upper() not in states:
            raise InvalidInput(field="state", got=state, expected=f"one of {', '.join(states)}")
        return name, None if state is None else state.upper()
