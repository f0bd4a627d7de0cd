"""Anomalies: spikes in the hours of real rollups, each with what was usual and since when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import lockside
from reads.audit.anomalies import find_anomalies
from tests.engine.steps import query

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)

_HOUR = """
INSERT INTO audit_rollup (tenant_id, hour, kind, actor_id, succeeded, failed, changed, refused,
                          denials, retried, execution_ms, lock_ms)
SELECT :tenant, CAST(:until AS timestamptz) - make_interval(hours => n), :kind, :actor, :succeeded,
       :failed, 0, 0, :denials, 0, 0, 0
  FROM generate_series(CAST(:last AS int), CAST(:first AS int)) AS n
"""


def fill(site: lockside.Session, *, first: int, last: int, **more: Any) -> None:
    """Fill hours, from so many before NOW to so many before it, with the same counts."""
    given: dict[str, Any] = {
        "kind": "ticket",
        "actor": site.actor.person_id,
        "succeeded": 0,
        "failed": 0,
    }
    given |= {"denials": 0, "tenant": site.actor.tenant_id, "until": NOW}
    query(site, _HOUR, **given | {"first": first, "last": last} | more)


def found(site: lockside.Session) -> list[dict[str, Any]]:
    with site.platform.database.connect() as db:
        return find_anomalies(db, site.actor.tenant_id, NOW - 24 * HOUR, NOW + HOUR)


def told(site: lockside.Session, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(each[name] for name in names) for each in found(site)]


def test_without_any_hour_there_is_no_anomaly(site: lockside.Session) -> None:
    assert found(site) == []


def test_a_spike_of_failures_names_its_kind(site: lockside.Session) -> None:
    fill(site, first=100, last=2, failed=3)
    fill(site, first=100, last=0, failed=3, kind="task")
    fill(site, first=1, last=0, failed=60)

    assert told(site, "what", "kind", "usual", "came", "total", "since", "until") == [
        ("failures", "ticket", 3.0, 60, 120, NOW - HOUR, NOW + HOUR)
    ]


def test_a_spike_of_denials_is_told_over_all_kinds(site: lockside.Session) -> None:
    fill(site, first=100, last=1)
    fill(site, first=0, last=0, denials=4)
    fill(site, first=0, last=0, denials=4, kind="task")

    assert told(site, "what", "kind", "actor", "came") == [("denials", None, None, 8)]


def test_a_spike_of_one_actor_names_them(site: lockside.Session) -> None:
    (dora,) = query(site, "SELECT id FROM person WHERE name = 'dora' AND tenant_id = :tenant",
                    tenant=site.actor.tenant_id)  # fmt: skip
    fill(site, first=100, last=0, succeeded=500)
    fill(site, first=5, last=5, succeeded=400, actor=dora["id"])

    assert told(site, "what", "actor", "usual", "came", "since") == [
        ("activity", "dora", 0.0, 400, NOW - 5 * HOUR)
    ]


def test_what_the_system_does_is_no_actors_spike(site: lockside.Session) -> None:
    fill(site, first=100, last=1, succeeded=1)
    fill(site, first=0, last=0, succeeded=9_000, actor=0)

    assert found(site) == []


def test_no_tenant_is_told_of_another_ones(site: lockside.Session) -> None:
    fill(site, first=100, last=1)
    fill(site, first=0, last=0, denials=50)
    site.act_as("other", "admin")

    assert found(site) == []
