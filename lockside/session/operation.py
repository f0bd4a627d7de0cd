"""An operation in the hand of whoever submitted it."""

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
    """The time to wait is over; the operation goes on, and can be waited for again."""

    code = "still_running"
    retryable = True
    template = (
        "Operation {operation_id} is still running after {waited_s} s. "
        "It goes on; watch it with `lockside operations watch {operation_id}`."
    )


class Paused(StillRunning):
    """Its canary is done; it waits until somebody looks at the outcome and resumes it."""

    code = "paused"
    template = (
        "Operation {operation_id} is paused by {paused_by} with {done:,} items done. Look at "
        "them, then `lockside operations resume {operation_id}`, or cancel it."
    )


class Operation:
    """One submitted piece of work; it lives on without this object."""

    def __init__(
        self, platform: Platform, actor: Actor, operation_id: UUID, *, is_own: bool = False
    ) -> None:
        """Name an operation; nothing is asked yet, not even of one's own whether it is seen."""
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

        Its `children` are what came out of it: an undo, retries, a plan executed, each with `id`,
        `purpose` and `state`; and each of these has its `parent_id`.

        Raises:
            NotFound: The tenant has no such operation.
        """
        from reads.operations.operations import find_operation

        self._authorize_view()
        with self._platform.database.connect() as db:
            return find_operation(db, self._actor.tenant_id, self._id)

    def follow(self, timeout_s: float = float("inf")) -> Iterator[dict[str, Any]]:
        """Yield the progress whenever it moved, and at last the result (it has a `state`).

        Raises:
            Paused: Its canary is done.
            NotFound: The tenant has no such operation.
        """
        from reads.operations.progress import follow

        self._authorize_view()
        for told in follow(
            self._platform.database,
            self._platform.results.hear,
            self._actor.tenant_id,
            self._id,
            timeout_s,
            is_known=self._is_own,
        ):
            yield told
            if told.get("held"):
                by = told["paused_by"]
                raise Paused(operation_id=self.id, paused_by=by, done=told["done"])

    def wait(
        self,
        timeout_s: float = float("inf"),
        on_progress: Callable[[dict[str, Any]], object] | None = None,
    ) -> dict[str, Any]:
        """Return the operation's result when it has ended.

        Args:
            timeout_s: How long to wait; for ever by default.
            on_progress: Called with each progress before the end.

        Raises:
            StillRunning: The time is over before the end; the work goes on.
            Paused: Its canary is done.
            NotFound: The tenant has no such operation.
        """
        for told in self.follow(timeout_s):
            if "state" in told:
                return told
            if on_progress is not None:
                on_progress(told)
        raise StillRunning(operation_id=self.id, waited_s=timeout_s)

    def results(self, *, only: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the outcome of each item, or only those of one, such as `failed`, in any case.

        Raises:
            InvalidInput: There is no such outcome.
            NotFound: The tenant has no such operation.
        """
        from reads.operations.operations import iterate_results

        known = {each.name: each for each in Outcome}
        if only is not None:
            check("only", only.upper(), one_of([*known]))
        self._authorize_view()
        yield from iterate_results(
            self._platform.database,
            self._actor.tenant_id,
            self._id,
            only=None if only is None else known[only.upper()],
        )

    def failures(self) -> Iterator[Failure]:
        """Yield what failed, with code and sentence, in the order of ids."""
        for each in self.results(only="FAILED"):
            known = ("id", "outcome", "version", "code", "message", "codes", "retryable")
            yield Failure(
                id=int(each["id"] or -each["line"]),
                code=each["code"],
                message=each["message"],
                codes=tuple(each["codes"]),
                retryable=each["retryable"],
                facts={name: value for name, value in each.items() if name not in known} or None,
            )

    def failure_groups(self, *, examples: int = 3) -> list[dict[str, Any]]:
        """Return each code that items failed with, the most frequent first.

        Quick however many there are.

        Returns:
            Dicts with `code`, how many `items`, how many of them are `lines` of a file that name
            no row, the `message` of the first of them, and the first `ids`, as many as *examples*.

        Raises:
            NotFound: The tenant has no such operation.
        """
        from reads.operations.operations import group_failures

        self._authorize_view()
        with self._platform.database.connect() as db:
            return group_failures(db, self._actor.tenant_id, self._id, examples=examples)

    def age_s(self) -> float:
        """Return how many seconds ago it was handed in.

        More than the request took means that it was there before, under the same idempotency
        key.

        Raises:
            NotFound: The tenant has no such operation, or the actor may not see it.
        """
        from reads.operations.operations import find_age_s

        self._authorize_view()
        with self._platform.database.connect() as db:
            return find_age_s(db, self._actor.tenant_id, self._id)

    def cancel(self) -> None:
        """Cancel what has not begun; chunks that run end as they are.

        Who handed it in may, and who holds the permission `operation.cancel`.

        Raises:
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            IllegalTransition: It has ended already.
        """
        from engine.operations.cancel import cancel

        cancel(self._platform, self._actor, self._id)

    def pause(self) -> None:
        """Pause it: chunks that wait go on waiting, one that runs ends as it is.

        Who handed it in may, and who holds the permission `operation.pause`.

        Raises:
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            IllegalTransition: It has ended, or is being cancelled.
        """
        from engine.operations.pause import pause

        pause(self._platform, self._actor, self._id)

    def resume(self, *, rate: float | None = None) -> None:
        """Let a paused operation go on, after its canary too.

        Who handed it in may, and who holds the permission `operation.resume`.

        Args:
            rate: At most so many items a second from now on; None leaves it as it was.

        Raises:
            InvalidInput: The rate is not what was expected, or it is all or nothing.
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            IllegalTransition: It has ended, or is being cancelled.
        """
        from engine.operations.pause import resume

        resume(self._platform, self._actor, self._id, rate=rate)

    def execute(self) -> "Operation":
        """Do what this dry run found that can be done, as an operation of its own, once.

        Each item is judged again; what has changed since then is a conflict. It begins with the
        canary that the dry run was handed in with, and keeps to its rate.

        Raises:
            NotFound: The tenant has no such operation.
            InvalidInput: This is no dry run, or it found nothing that can be done, or not all
                of what is all or nothing.
            IllegalTransition: It hasn't ended yet.
        """
        from engine.operations.follow_up import execute_plan

        self._authorize_view()
        return self._own(execute_plan(self._platform, self._actor, self._id))

    def retry(self, *, only: str | None = None) -> "Operation":
        """Try again what failed, or what failed by one code, as an operation of its own, once.

        A row that somebody changed meanwhile is a conflict again. With *only* at
        `concurrency_conflict` such rows are taken as they are now.

        Raises:
            NotFound: The tenant has no such operation.
            InvalidInput: Nothing failed, or nothing by that code; or this is a dry run.
            IllegalTransition: It hasn't ended yet.
        """
        from engine.operations.follow_up import retry

        self._authorize_view()
        return self._own(retry(self._platform, self._actor, self._id, only=only))

    def undo(self) -> "Operation":
        """Take back what it did where nobody changed it since, as an operation of its own, once.

        Who handed it in may, and who holds the permission `operation.undo`; each item needs the
        permission that its change needed.

        Raises:
            NotFound: The tenant has no such operation.
            PermissionDenied: It is somebody else's.
            InvalidInput: It did nothing, or nothing that can be taken back.
            IllegalTransition: It hasn't ended yet.
        """
        from engine.operations.follow_up import undo

        return self._own(undo(self._platform, self._actor, self._id))

    def _own(self, operation_id: UUID) -> "Operation":
        return Operation(self._platform, self._actor, operation_id, is_own=True)

    def _authorize_view(self) -> None:
        """Make sure, once, that it is the actor's own, or of a kind that they may view."""
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
