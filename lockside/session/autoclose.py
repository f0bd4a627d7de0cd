"""Auto-closure: what the clock does with work, previewed, run and looked at."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.input.checks import ROWS, check, is_id
from engine.policies.preview import Preview, preview_policy
from engine.policies.runs import Run
from engine.ports.platform import Platform
from engine.records.crud import update_record
from engine.scheduling.policy_commands import (
    RESOURCE_TYPE,
    acknowledge,
    policy_named,
    resume_policy,
    run_now,
)
from reads.policies import PolicyRows, list_alerts, list_policies, list_runs, policy_id_of


class Autoclose:
    """What an actor may ask of a tenant's policies and their runs; `site.autoclose`.

    A policy is named by its name or id. It is created and changed as any record:
    `site.records("policy")`.
    """

    def __init__(self, platform: Platform, actor: Actor) -> None:
        """Name them; nothing is asked yet."""
        self._platform = platform
        self._actor = actor

    def policies(self) -> list[dict[str, Any]]:
        """Return the policies, each with its last run.

        Raises:
            PermissionDenied: The actor may not see policies.
        """
        self._demand("view")
        with self._platform.database.connect() as db:
            return list_policies(db, self._actor.tenant_id)

    @contextmanager
    def preview(self, policy: str | int, *, at: datetime | None = None) -> Iterator[list[Preview]]:
        """Tell what a policy would do now, or at a time, with a reason for each row.

        A policy with a grace has two stages. The rows are read while the block lasts.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: One of its filters isn't one of its kind, or *at* has no zone.
            PermissionDenied: The actor may not see policies, or that kind of work.
        """
        self._demand("view")
        if at is not None and at.tzinfo is None:
            raise InvalidInput(field="at", got=at, expected="a time with its zone")
        with self._platform.database.connect() as db:
            kind = policy_named(db, self._actor.tenant_id, policy)["kind"]
        # Before the next connection is taken: an authorization takes one of its own.
        authorize(self._platform, self._actor, kind, "view")
        with self._platform.database.connect() as db:
            found = policy_named(db, self._actor.tenant_id, policy)
            yield preview_policy(db, found, at or self._platform.clock(db))

    def run(self, policy: str | int) -> Run:
        """Run a policy now; in shadow mode it only judges.

        Raises:
            NotFound: There is no such policy.
            PermissionDenied: The actor may not change it.
            RuleRefused: It is off, it was stopped, or its last run hasn't ended.
        """
        return run_now(self._platform, self._actor, policy)

    def set_mode(self, policy: str | int, mode: str) -> int:
        """Turn a policy `off` or `on`, or let it only judge in `shadow`; return its version.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: There is no such mode.
            PermissionDenied: The actor may not change it.
        """
        with self._platform.database.connect() as db:
            policy_id = policy_named(db, self._actor.tenant_id, policy)["id"]
        return update_record(self._platform, self._actor, RESOURCE_TYPE, policy_id, {"mode": mode})

    def resume(self, policy: str | int) -> int:
        """Let a policy that was stopped, or undone, go on; return how many runs had stopped it.

        Raises:
            NotFound: There is no such policy.
            PermissionDenied: The actor may not change it.
        """
        return resume_policy(self._platform, self._actor, policy)

    def history(
        self, policy: str | int | None = None, *, idle: bool = False, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Return the newest runs, of one policy if it is given; with *idle* also empty ones.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: The limit isn't a number above 0.
            PermissionDenied: The actor may not see policies.
        """
        return self._listed(list_runs, policy, limit, idle=idle)

    def alerts(
        self, policy: str | int | None = None, *, everything: bool = False, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Return the newest alerts that nobody has looked at, or all of them.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: The limit isn't a number above 0.
            PermissionDenied: The actor may not see policies.
        """
        return self._listed(list_alerts, policy, limit, everything=everything)

    def acknowledge(self, ids: Sequence[int] | None = None) -> int:
        """Note that somebody has looked at these alerts, or at all; return at how many new ones.

        Raises:
            NotFound: There is no alert of one of these ids.
            InvalidInput: An id is none.
            PermissionDenied: The actor may not change policies.
        """
        wrong = next((each for each in ids or () if not is_id(each)), None)
        if wrong is not None:
            raise InvalidInput(field="ids", got=wrong, expected="whole numbers from 1 on")
        return acknowledge(self._platform, self._actor, ids)

    def _listed(
        self, read: Callable[..., PolicyRows], policy: str | int | None, limit: int, **how: bool
    ) -> PolicyRows:
        self._demand("view")
        check("limit", limit, ROWS)
        tenant_id = self._actor.tenant_id
        with self._platform.database.connect() as db:
            policy_id = None if policy is None else policy_id_of(db, tenant_id, policy)
            return read(db, tenant_id, policy_id=policy_id, most=limit, **how)

    def _demand(self, action: str) -> None:
        authorize(self._platform, self._actor, RESOURCE_TYPE, action)
