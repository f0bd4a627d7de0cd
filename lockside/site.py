"""A connection to Lockside for one actor of one tenant."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from celery import Celery

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.platform import Platform
from engine.submission import Submission, known_kind
from engine.submit import submit
from lockside.configuration import read_settings
from lockside.operation import Operation
from lockside.records import Records
from lockside.tenancy import Tenancy
from lockside.transfer import Transfer
from lockside.trouble import TROUBLES, refusal_of
from lockside.workers import served_queues
from reads.explain import explain_row, explain_selection
from reads.operations import list_operations
from reads.people import find_actor, seen_by
from reads.timeline import timeline
from reads.work import count_by_state, ids_by_reference, list_ids
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


class Site(Transfer, Tenancy):
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
                isolation_level, max_retries, reason, chunk_items, run_at,
                stop_at_first_failure, parallel.

        Raises:
            InvalidInput: A value is not what was expected; nothing was stored.
            NotFound: There is no person of the name in `approved_by`.
            IdempotencyMismatch: The key was used for another content.
        """
        return self._submit(kind, ids, options | {"target": to})

    def perform(self, kind: str, verb: str, ids: Iterable[int] | int, **options: Any) -> Operation:
        """Submit a transition by its verb: to approve work orders, to lock attendance.

        Args and errors are those of `transition`; an unknown verb is an InvalidInput.
        """
        known = known_kind(kind).machine.verbs
        if verb not in known:
            raise InvalidInput(field="verb", got=verb, expected=f"one of {', '.join(known)}")
        return self.transition(kind, to=known[verb], ids=ids, **options)

    def assign(
        self,
        kind: str,
        ids: Iterable[int] | int,
        *,
        user: int | str | None = None,
        team: int | str | None = None,
        **options: Any,
    ) -> Operation:
        """Submit the assignment of rows to a person, a team or both, by id or by name.

        What isn't given stays as it is. Options and errors are those of `transition`.

        Raises:
            NotFound: There is no such person or team.
        """
        given = {"assigned_to_user": user, "assigned_to_team": team}
        values = {name: each for name, each in given.items() if each is not None}
        return self._submit(kind, ids, options | {"verb": "assign", "values": values})

    def update(
        self, kind: str, ids: Iterable[int] | int, values: Mapping[str, Any], **options: Any
    ) -> Operation:
        """Submit the same new values for rows, by field; None empties one.

        Options and errors are those of `transition`. One row at once, without an operation
        to wait for, is `records(kind).update`.
        """
        return self._submit(kind, ids, options | {"verb": "update", "values": values})

    def _submit(self, kind: str, ids: Iterable[int] | int, options: dict[str, Any]) -> Operation:
        rows: Any = [ids] if isinstance(ids, int) else ids
        known = Submission.__dataclass_fields__.keys()
        unknown = options.keys() - known
        if unknown:
            raise InvalidInput(
                field=min(unknown),
                got=options[min(unknown)],
                expected=f"an option among {', '.join(sorted(known))}",
            )
        wanted = Submission(kind=kind, ids=rows, **options)
        operation_id = submit(self.platform, self.actor, wanted)
        return Operation(self.platform, self.actor, operation_id, is_own=True)

    def records(self, noun: str) -> Records:
        """Return the records of a noun, to create, read, update, list and delete them.

        Raises:
            InvalidInput: There is no such noun.
        """
        return Records(self.platform, self.actor, noun)

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
            return list_operations(
                db, self.actor.tenant_id, seen_by=seen_by(db, self.actor), state=state, limit=limit
            )

    def explain(
        self, kind: str, ids: Sequence[int] | int, *, to: str | None = None
    ) -> dict[str, Any]:
        """Say why transitions are blocked: for one row all reasons, for many how often each.

        Raises:
            NotFound: There is no such row.
            InvalidInput: The kind or state is not known, or many rows without a target.
        """
        kind, target = self._seen(kind, to)
        with self.platform.database.connect() as db:
            if isinstance(ids, int):
                return explain_row(db, self.actor, kind, ids, to=target)
            if target is None:
                raise InvalidInput(field="to", got=None, expected="a target state for many rows")
            return explain_selection(db, self.actor, kind, ids, to=target)

    def ids(self, kind: str, *, state: str | None = None, limit: int | None = None) -> list[int]:
        """Return the ids of rows, of one state if it is given."""
        kind, known = self._seen(kind, state)
        with self.platform.database.connect() as db:
            return list_ids(db, self.actor.tenant_id, kind, state=known, limit=limit)

    def ids_by_reference(self, kind: str, references: Sequence[str]) -> dict[str, int]:
        """Return the ids of rows by the reference that another system knows them by."""
        seen, _ = self._seen(kind)
        with self.platform.database.connect() as db:
            return ids_by_reference(db, self.actor.tenant_id, seen, references)

    def states(self, kind: str) -> dict[str, int]:
        """Return how many rows of a kind are in each state."""
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
        records = self.records(kind)
        records.demand_view()
        with self.platform.database.connect() as db:
            return timeline(db, self.actor.tenant_id, records.noun, row_id)

    def served_queues(self) -> dict[str, int]:
        """Return how many workers serve each queue; takes a second, to let all answer.

        Raises:
            Unavailable: The broker doesn't answer.
        """
        return served_queues(self.app)
