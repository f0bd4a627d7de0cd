"""Auto-closure: preview, run and steer policies, and list their runs and alerts."""

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
    """A tenant's policies and their runs, for one actor; `site.autoclose`.

    Methods take a policy by its name or id. Policies are created and changed like other records,
    by `site.records("policy")`.
    """

    def __init__(self, platform: Platform, actor: Actor) -> None:
        """Keep the actor; nothing is read yet."""
        self._platform = platform
        self._actor = actor

    def policies(self) -> list[dict[str, Any]]:
        """Return the policies, each with its last run.

        Raises:
            PermissionDenied: The actor may not see policies.
        """
        self._authorize("view")
        with self._platform.database.connect() as db:
            return list_policies(db, self._actor.tenant_id)

    @contextmanager
    def preview(self, policy: str | int, *, at: datetime | None = None) -> Iterator[list[Preview]]:
        """Preview what a policy would do now, or at a time, with a reason for each row.

        A policy with a grace has two stages. The rows are read inside the `with` block.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: One of its filters isn't valid for its kind, or *at* has no zone.
            PermissionDenied: The actor may not see policies, or that kind of work.
        """
        self._authorize("view")
        if at is not None and at.tzinfo is None:
            raise InvalidInput(field="at", got=at, expected="a time with its zone")
        with self._platform.database.connect() as db:
            kind = policy_named(db, self._actor.tenant_id, policy)["kind"]
        # Before the next connection is taken: an authorization takes one of its own.
        authorize(self._platform, self._actor, kind, "view")
        with self._platform.database.connect() as db:
            stored = policy_named(db, self._actor.tenant_id, policy)
            yield preview_policy(db, stored, at or self._platform.clock(db))

    def run(self, policy: str | int) -> Run:
        """Run a policy now; in shadow mode it only counts what it would do.

        Raises:
            NotFound: There is no such policy.
            PermissionDenied: The actor may not change it.
            RuleRefused: It is off, it is stopped, or its last run hasn't ended.
        """
        return run_now(self._platform, self._actor, policy)

    def set_mode(self, policy: str | int, mode: str) -> int:
        """Set a policy's mode, `off`, `on` or `shadow`; return its new version.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: There is no such mode.
            PermissionDenied: The actor may not change it.
        """
        with self._platform.database.connect() as db:
            policy_id = policy_named(db, self._actor.tenant_id, policy)["id"]
        return update_record(self._platform, self._actor, RESOURCE_TYPE, policy_id, {"mode": mode})

    def resume(self, policy: str | int) -> int:
        """Resume a policy that was stopped or undone; return how many runs had stopped it.

        Raises:
            NotFound: There is no such policy.
            PermissionDenied: The actor may not change it.
        """
        return resume_policy(self._platform, self._actor, policy)

    def history(
        self, policy: str | int | None = None, *, idle: bool = False, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Return the newest runs, of one policy or of all; with *idle* also those without rows.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: The limit isn't a number above 0.
            PermissionDenied: The actor may not see policies.
        """
        return self._list(list_runs, policy, limit, idle=idle)

    def alerts(
        self, policy: str | int | None = None, *, everything: bool = False, limit: int = 20
    ) -> list[dict[str, Any]]:
        """Return the newest alerts that nobody has acknowledged, or with *everything* all.

        Raises:
            NotFound: There is no such policy.
            InvalidInput: The limit isn't a number above 0.
            PermissionDenied: The actor may not see policies.
        """
        return self._list(list_alerts, policy, limit, everything=everything)

    def acknowledge(self, ids: Sequence[int] | None = None) -> int:
        """Acknowledge these alerts, or all; return how many weren't acknowledged before.

        Raises:
            NotFound: There is no alert with one of these ids.
            InvalidInput: An id isn't a whole number above 0.
            PermissionDenied: The actor may not change policies.
        """
        invalid = next((alert_id for alert_id in ids or () if not is_id(alert_id)), None)
        if invalid is not None:
            raise InvalidInput(field="ids", got=invalid, expected="whole numbers from 1 on")
        return acknowledge(self._platform, self._actor, ids)

    def _list(
        self, read: Callable[..., PolicyRows], policy: str | int | None, limit: int, **how: bool
    ) -> PolicyRows:
        self._authorize("view")
        check("limit", limit, ROWS)
        tenant_id = self._actor.tenant_id
        with self._platform.database.connect() as db:
            policy_id = None if policy is None else policy_id_of(db, tenant_id, policy)
            return read(db, tenant_id, policy_id=policy_id, most=limit, **how)

    def _authorize(self, action: str) -> None:
        authorize(self._platform, self._actor, RESOURCE_TYPE, action)
