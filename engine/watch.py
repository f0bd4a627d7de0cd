"""Watching who names what is another tenant's: the answer tells nothing, the record does."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import NotFound
from domain.permissions import Actor
from domain.risk import Denial
from engine.denials import held_by, leave_denial
from engine.foreign import foreign_ids, foreign_operation, id_named
from engine.platform import Platform

_OPERATION = "operation"
_log = structlog.get_logger(__name__)


@contextmanager
def watched(platform: Platform, actor: Actor, action: str) -> Iterator[None]:
    """Let a NotFound through as it is; leave a denial if what it names is another tenant's.

    Args:
        platform: The outside world.
        actor: Who asks.
        action: What they want to do with it, e.g. `view`.
    """
    try:
        yield
    except NotFound as missing:
        try:
            with platform.database.begin() as db:
                leave_foreign(platform, db, actor, action, missing)
        except SQLAlchemyError as trouble:
            # Whoever asked is told what they would be told anyway.
            _log.error("denial_not_recorded", reason=type(trouble).__name__)
        raise


def leave_foreign(
    platform: Platform, db: Connection, actor: Actor, action: str, missing: NotFound
) -> bool:
    """Say whether what wasn't found is another tenant's, and leave a denial if it is."""
    noun, named = missing.facts["what"], id_named(missing)
    operation_id = UUID(missing.facts["got"]) if noun == _OPERATION else None
    if operation_id is not None:
        ids: list[int] = []
        is_foreign = foreign_operation(db, actor.tenant_id, operation_id)
    else:
        ids = foreign_ids(db, actor.tenant_id, noun, [] if named is None else [named])
        is_foreign = bool(ids)
    if is_foreign:
        # No permission would have helped.
        denial = Denial(
            kind=noun,
            action=action,
            required=frozenset(),
            held=held_by(db, actor),
            ids=ids,
            is_foreign=True,
        )
        leave_denial(db, actor, denial, platform.clock(db), correlation_id=operation_id)
    return is_foreign
