"""Operation: follow, steer and read the results of a submitted operation."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from domain.bulk import Failure, Outcome
from domain.errors import LocksideError, NotFound
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.input.checks import check, one_of
from engine.ports.platform import Platform
from models.base import records

__all__ = ["Operation", "Paused", "StillRunning"]


class StillRunning(LocksideError):
    """The time to wait is over; the operation goes on, and one can wait for it again."""

    code = "still_running"
    retryable = True
    template = (
        "Operation {operation_id} is still running after {waited_s} s. "
        "It goes on; watch it with `lockside operations watch {operation_id}`."
    )


class Paused(StillRunning):
    """The operation's canary is done; it is paused until somebody resumes it."""

    code = "paused"
    template = (
        "Operation {operation_id} is paused by {paused_by} with {done:,} items done. Look at "
        "them, then `lockside operations resume {operation_id}`, or cancel it."
    )


class Operation:
    """A handle for one submitted operation, which doesn't depend on this object."""

    def __init__(
        self, platform: Platform, actor: Actor, operation_id: UUID, *, is_own: bool = False
    ) -> None:
        """Keep the id; nothing is read yet, and the actor's own needs no permission to view."""
        self._is_seen = self._is_own = is_own
        self._platform = platform
        self._actor = actor
        self._id = operation_id

    @property
    def id(self) -> str:
        """Return the operation's id."""
        return str(self._id)

    def __repr__(self) -> str:
        """Return the operation with its id."""
        return f"<Operation {self.id}>"

    def show(self) -> dict[str, Any]:
        """Return what is stored of the operation now, with its counts.

        Its `children` are its follow-up operations: an undo, retries, an executed plan, each with
        `id`, `purpose` and `state`; each of these has a `parent_id`.

        Raises:
            NotFound: The tenant has no such operation.
        """
        from reads.operations.operations import find_operation

        self._authorize_view()
        with self._platform.database.connect() as db:
            return find_operation(db, self._actor.tenant_id, self._id)

    def follow(self, timeout_s: float = float("inf")) -> Iterator[dict[str, Any]]:
        """Yield the progress whenever it has changed, and finally the result (it has a `state`).

        Raises:
            Paused: Its canary is done.
            NotFound: The tenant has no such operation.
        """
        from reads.operations.progress import follow

        self._authorize_view()
        for message in follow(
            self._platform.database,
            self._platform.results.hear,
            self._actor.tenant_id,
            self._id,
            timeout_s,
            is_known=self._is_own,
        ):
            yield message
            if message.get("held"):
                by = message["paused_by"]
                raise Paused(operation_id=self.id, paused_by=by, done=message["done"])

    def wait(
        self,
        timeout_s: float = float("inf"),
        on_progress: Callable[[dict[str, Any]], object] | None = None,
    ) -> dict[str, Any]:
        """Wait for the end of the operation and return its result.

        Args:
            timeout_s: How long to wait; without limit by default.
            on_progress: Called with each progress before the end.

        Raises:
            StillRunning: It hasn't ended in that time; the work goes on.
            Paused: Its canary is done.
            NotFound: The tenant has no such operation.
        """
        for message in self.follow(timeout_s):
            if "state" in message:
                return message
            if on_progress is not None:
                on_progress(message)
        raise StillRunning(operation_id=self.id, waited_s=timeout_s)

    def results(self, *, only: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the outcome of each item, or only of those with one outcome, such as `failed`.

        Raises:
            InvalidInput: There is no such outcome.
            NotFound: The tenant has no such operation.
        """
        from reads.operations.operations import iterate_results

        outcomes = {outcome.name: outcome for outcome in Outcome}
        if only is not None:
            check("only", only.upper(), one_of([*outcomes]))
        self._authorize_view()
        yield from iterate_results(
            self._platform.database,
            self._actor.tenant_id,
            self._id,
            only=None if only is None else outcomes[only.upper()],
        )

    def failures(self) -> Iterator[Failure]:
        """Yield the failed items, with code and message, in the order of their ids."""
        for item in self.results(only="FAILED"):
            own_columns = ("id", "outcome", "version", "code", "message", "codes", "retryable")
            yield Failure(
                id=int(item["id"] or -item["line"]),
                code=item["code"],
                message=item["message"],
                codes=tuple(item["codes"]),
                retryable=item["retryable"],
                facts={name: value for name, value in item.items() if name not in own_columns}
                or None,
            )

    def failure_groups(self, *, examples: int = 3) -> list[dict[str, Any]]:
        """Return the codes that items failed with, most frequent first; fast for any number.

        Returns:
            Dicts with `code`, how many `items`, how many of them are `lines` of a file without a
            row, the `message` of the first of them, and the first `ids`, as many as *examples*.

        Raises:
            NotFound: The tenant has no such operation.
        """
        from reads.operations.operations import group_failures

        self._authorize_view()
        with self._platform.database.connect() as db:
            return group_failures(db, self._actor.tenant_id, self._id, examples=examples)

    def age_s(self) -> float:
        """Return how many seconds ago it was submitted.

        If that is longer than the request took, it existed before, under the same idempotency
        key.

        Raises:
            NotFound: The tenant has no such operation, or the actor may not see it.
        """
        from reads.operations.operations import find_age_s

        self._authorize_view()
        with self._platform.database.connect() as db:
            return find_age_s(db, self._actor.tenant_id, self._id)

    def cancel(self) -> None:
        """Cancel all chunks that haven't begun; running ones finish.

        Whoever submitted it may, and whoever holds the permission `operation.cancel`.

        Raises:
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            IllegalTransition: It has ended already.
        """
        from engine.operations.cancel import cancel

        cancel(self._platform, self._actor, self._id)

    def pause(self) -> None:
        """Pause it: chunks that haven't begun wait, running ones finish.

        Whoever submitted it may, and whoever holds the permission `operation.pause`.

        Raises:
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            IllegalTransition: It has ended, or is being cancelled.
        """
        from engine.operations.pause import pause

        pause(self._platform, self._actor, self._id)

    def resume(self, *, rate: float | None = None) -> None:
        """Resume a paused operation, also one that is paused after its canary.

        Whoever submitted it may, and whoever holds the permission `operation.resume`.

        Args:
            rate: The most items a second from now on; None leaves the rate as it was.

        Raises:
            InvalidInput: The rate is not what was expected, or the operation is all or nothing.
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            IllegalTransition: It has ended, or is being cancelled.
        """
        from engine.operations.pause import resume

        resume(self._platform, self._actor, self._id, rate=rate)

    def execute(self) -> "Operation":
        """Execute this dry run's possible items, once, as a follow-up operation.

        Each item is judged again; a row that has changed since then is a conflict. The new
        operation has the canary and the rate that the dry run was submitted with.

        Raises:
            NotFound: The tenant has no such operation.
            InvalidInput: This is no dry run; or none of its items is possible, or not every one
                although it is all or nothing.
            IllegalTransition: It hasn't ended yet.
        """
        from engine.operations.follow_up import execute_plan

        self._authorize_view()
        return self._own(execute_plan(self._platform, self._actor, self._id))

    def retry(self, *, only: str | None = None) -> "Operation":
        """Retry the failed items, or those with one code, once, as a follow-up operation.

        A row that somebody has changed meanwhile is a conflict again. With
        `only="concurrency_conflict"` such rows are taken in their present version.

        Raises:
            NotFound: The tenant has no such operation.
            InvalidInput: Nothing failed, or nothing with that code; or this is a dry run.
            IllegalTransition: It hasn't ended yet.
        """
        from engine.operations.follow_up import retry

        self._authorize_view()
        return self._own(retry(self._platform, self._actor, self._id, only=only))

    def undo(self) -> "Operation":
        """Undo its changes to rows that nobody has changed since, once, as a follow-up operation.

        Whoever submitted it may, and whoever holds the permission `operation.undo`; each item
        needs the permission that its change needed.

        Raises:
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            InvalidInput: It changed nothing, or nothing that can be undone.
            IllegalTransition: It hasn't ended yet.
        """
        from engine.operations.follow_up import undo

        return self._own(undo(self._platform, self._actor, self._id))

    def _own(self, operation_id: UUID) -> "Operation":
        return Operation(self._platform, self._actor, operation_id, is_own=True)

    def _authorize_view(self) -> None:
        """Check once that it is the actor's own, or of a kind that they may view."""
        from engine.access.cross_tenant_watch import watch_probes
        from engine.operations.steering import operation_not_found
        from reads.operations.operations import find_owner

        if self._is_seen:
            return
        watch = watch_probes(self._platform, self._actor, "view")
        with watch, self._platform.database.connect() as db:
            try:
                kind, actor_id = find_owner(db, self._actor.tenant_id, self._id)
            except NotFound as error:
                raise operation_not_found(self._platform, self._id) from error
        if actor_id != self._actor.person_id and kind in records():
            authorize(self._platform, self._actor, kind, "view")
        self._is_seen = True
