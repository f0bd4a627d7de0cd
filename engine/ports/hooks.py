"""Hooks: the interface by which other code acts before, inside and after changes of work."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError

from domain.machines.machine import Reason


class Hook:
    """Code that runs with changes of work; every method may be left out.

    A platform has any number of hooks (`Platform.hooks`). What must not be lost belongs into
    `after`: it runs as a durable follow-up operation of its own, which survives a crash like any
    other operation.

    Attributes:
        name: Identifies the hook; an operation is followed once by each name.
        wanted: SQL over the ended operation `o` that says whether `follow` is to be called; None
            for a hook that follows nothing. It costs every operation, so it should be cheap.
    """

    name: ClassVar[str]
    wanted: ClassVar[str | None] = None

    def before(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> Mapping[int, Reason] | None:
        """Return why rows that passed all rules may still not change, by id.

        Called under the rows' locks, in the transaction of the change.
        """

    def inside(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> None:
        """Write more in the transaction of the change; *rows* are as they were before it.

        An error undoes the change: the chunk is tried again, and given up in the end.
        """

    def follow(
        self, db: Connection, operation: Row[Any], result: Mapping[str, Any]
    ) -> Sequence[int] | None:
        """Return the items of the operation that is to run after this one; none to run none.

        Called in the transaction that ends *operation*, so that no follow-up operation is lost;
        *result* is its result.
        """

    def after(
        self, db: Connection, parent_id: UUID, tenant_id: int, ids: Sequence[int], now: datetime
    ) -> None:
        """Do what follows the operation *parent_id* for some of the items of `follow`.

        Called in the transaction of a chunk, so what it writes is written once. What it does
        outside the database may happen again after a crash.
        """


@contextmanager
def naming_hook(hook: Hook) -> Iterator[None]:
    """Put the hook's name into errors of the block: other people's code may raise anything.

    Raises:
        RuntimeError: The block raised something else than a database error.
    """
    try:
        yield
    except DBAPIError:
        raise
    except Exception as error:
        raise RuntimeError(f"the hook {hook.name} failed: {error!r}") from error
