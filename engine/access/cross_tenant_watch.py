"""Watching who names what is another tenant's: the answer tells nothing, the record does."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from domain.audit.denial_risk import Denial
from domain.errors import NotFound
from domain.permissions import Actor
from engine.access.other_tenants import foreign_ids, foreign_operation, id_named
from engine.access.permissions import held_by, leave_denial
from engine.ports.platform import Platform

_OPERATION = "operation"
_log = logging.getLogger(__name__)


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
        watch_named(platform, actor, action, [(missing.facts["what"], missing.facts["got"])])
        raise


def watch_named(
    platform: Platform, actor: Actor, action: str, named: Iterable[tuple[str, Any]]
) -> None:
    """Leave a denial for each noun of which something of another tenant was named.

    Args:
        platform: The outside world.
        actor: Who asks.
        action: What they want to do with it.
        named: What wasn't found, by noun and what was given for it.
    """
    by_noun: dict[str, list[Any]] = defaultdict(list)
    for noun, given in named:
        by_noun[noun].append(given)
    if not by_noun:
        return
    try:
        with platform.database.begin() as db:
            for noun, given in by_noun.items():
                leave_foreign(platform, db, actor, action, noun=noun, given=given)
    except SQLAlchemyError as trouble:
        # Whoever asked is told what they would be told anyway.
        _log.error("denial_not_recorded", extra={"reason": type(trouble).__name__})


def leave_foreign(
    platform: Platform,
    db: Connection,
    actor: Actor,
    action: str,
    *,
    noun: str,
    given: Iterable[Any],
) -> bool:
    """Say whether something that wasn't found is another tenant's, and leave a denial if so."""
    tenant_id, operation_id, ids = actor.tenant_id, None, []
    if noun == _OPERATION:
        operations = (UUID(each) for each in given)
        theirs = (each for each in operations if foreign_operation(db, tenant_id, each))
        operation_id = next(theirs, None)
    else:
        named = {id_named(noun, each) for each in given}
        ids = foreign_ids(db, tenant_id, noun, (each for each in named if each is not None))
    if operation_id is None and not ids:
        return False
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
    return True
