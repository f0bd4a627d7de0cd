"""Verbs: map the verb of an operation to the change that it makes."""

from typing import Any

from sqlalchemy import Row

from engine.changes.change import Change
from engine.changes.edit import Edit
from engine.changes.hook_run import VERB, HookRun
from engine.changes.transition import TransitionChange
from engine.changes.undo import undo_of
from engine.policies.alerts import VERB as ALERT
from engine.policies.alerts import RaiseAlerts
from engine.ports.platform import Platform

TRANSITION = "transition"
EDITS = ("assign", "update")
UNDO = "undo"


def change_for(platform: Platform, operation: Row[Any]) -> Change:
    """Return the change that an operation makes to the rows of its chunks.

    Raises:
        RuntimeError: This worker doesn't know the hook or the verb: another version submitted it.
    """
    if operation.verb == VERB:
        hook = next(
            (candidate for candidate in platform.hooks if candidate.name == operation.hook), None
        )
        if hook is None:
            raise RuntimeError(f"no hook {operation.hook} here: a worker of another version?")
        return HookRun(operation, hook)
    if operation.verb == TRANSITION:
        return TransitionChange(operation)
    if operation.verb in EDITS:
        return Edit(operation)
    if operation.verb == UNDO:
        return undo_of(operation)
    if operation.verb == ALERT:
        return RaiseAlerts(operation)
    raise RuntimeError(f"no verb {operation.verb} here: a worker of another version?")
