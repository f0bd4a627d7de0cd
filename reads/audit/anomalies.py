"""Anomalies: find hours with far more failures, denials or acts of a person than usual."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, any_, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.audit.anomaly import HISTORY, Spike, spikes_of
from models.people import Person

LEAST = {"failures": 10, "denials": 5, "activity": 100}
"""The least excess over the usual in an hour that counts, by what is counted."""

# Series are read with their history only if some hour reaches these numbers.
_SERIES = text("""
WITH hourly AS (
  SELECT 'failures' AS what, kind AS subject, hour, sum(failed + refused) AS number
    FROM audit_rollup WHERE tenant_id = :tenant_id AND hour >= :begin AND hour < :until
   GROUP BY kind, hour
  UNION ALL
  SELECT 'denials', NULL, hour, sum(denials)
    FROM audit_rollup WHERE tenant_id = :tenant_id AND hour >= :begin AND hour < :until
   GROUP BY hour
  UNION ALL
  SELECT 'activity', CAST(actor_id AS text), hour, sum(succeeded + failed + changed + refused)
    FROM audit_rollup WHERE tenant_id = :tenant_id AND hour >= :begin AND hour < :until
     AND actor_id <> 0
   GROUP BY actor_id, hour
)
SELECT what, subject, array_agg(hour ORDER BY hour) AS hours,
       array_agg(CAST(number AS bigint) ORDER BY hour) AS numbers
  FROM hourly WHERE number > 0 GROUP BY what, subject
HAVING max(number) FILTER (WHERE hour >= :since)
       >= CASE what WHEN 'failures' THEN :failures WHEN 'denials' THEN :denials
                    ELSE :activity END
""")

_FIRST = text("SELECT min(hour) FROM audit_rollup WHERE tenant_id = :tenant_id")

_NAMES = select(Person.id, Person.name).where(
    Person.id == any_(bindparam("ids", type_=ARRAY(BigInteger)))
)


def find_anomalies(
    db: Connection, tenant_id: int, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """Return a tenant's spikes in a span, newest first; whole hours are judged.

    Returns:
        Dicts with `what` came: `failures` of a `kind`, `denials`, `activity` of an `actor`;
        `since` and `until` when; how much is `usual` in such an hour, how much `came` in the worst
        hour and in `total`; its `score`, and what it was `compared_with`.
    """
    first = db.execute(_FIRST, {"tenant_id": tenant_id}).scalar_one()
    if first is None:
        return []
    begin = since.replace(minute=0, second=0, microsecond=0)
    span = {"tenant_id": tenant_id, "since": begin, "until": until, "begin": begin - HISTORY}
    anomalies: list[tuple[str, str | None, Spike]] = []
    for series in db.execute(_SERIES, span | LEAST):
        counts = dict(zip(series.hours, series.numbers, strict=True))
        least = LEAST[series.what]
        spikes = spikes_of(counts, first=first, since=begin, until=until, least=least)
        anomalies += [(series.what, series.subject, spike) for spike in spikes]
    actors = {subject for what, subject, _ in anomalies if what == "activity"}
    names = dict(db.execute(_NAMES, {"ids": [int(actor_id or 0) for actor_id in actors]}).all())
    anomalies.sort(key=lambda anomaly: (anomaly[2].since, anomaly[2].score), reverse=True)
    return [
        {
            "what": what,
            "kind": subject if what == "failures" else None,
            "actor": names.get(int(subject or 0)) if what == "activity" else None,
            **asdict(spike),
        }
        for what, subject, spike in anomalies
    ]
