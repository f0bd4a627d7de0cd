"""F9: measure the verification of records against the bare hash of the same rows in SQL."""

from time import perf_counter

import psutil
import psycopg

import lockside
from benchmarks.bulk import QUICK_ITEMS
from benchmarks.house import Announce, House, libpq
from benchmarks.measure import Figure, in_turn, medians
from domain.audit.verification import Verified
from worker.settings import Settings

MEGABYTE = 2**20

_BARE = "SELECT count(sha256(convert_to(CAST(r AS text), 'UTF8'))) FROM audit_log r"


def measure_f9(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare the rates at which the same records are verified and merely hashed."""
    records, turns = (QUICK_ITEMS, 1) if quick else (400_000, 3)
    house.build(work_order=records + house.warm_up_rows)
    with house.database() as settings:
        grown: list[float] = []
        rates = in_turn(
            {
                "bare": lambda: _hash(settings, records),
                "verified": lambda: _verify(settings, records, grown),
            },
            turns,
            announce,
        )
    typical = medians(rates)
    detail = {
        "records": records,
        "records_per_s": {name: [round(rate) for rate in taken] for name, taken in rates.items()},
        "grown_mb": grown,
    }
    return [
        Figure(
            id="F9a",
            what=f"records verified a second of {records:,}, against their bare hash in SQL",
            ratio=typical["verified"] / typical["bare"],
            goal=0.3,
            side="at least",
            detail=detail,
        ),
        Figure(
            id="F9b",
            what=f"megabytes by which the process grows while it verifies {records:,} records",
            ratio=max(grown),
            goal=50.0,
            side="at most",
            detail=detail,
        ),
    ]


def _hash(settings: Settings, records: int) -> float:
    with psycopg.connect(libpq(settings.database_url)) as db:
        begun = perf_counter()
        row = db.execute(_BARE).fetchone()
        taken_s = perf_counter() - begun
    assert row is not None
    assert row[0] >= records
    return float(row[0]) / taken_s


def _verify(settings: Settings, records: int, grown: list[float]) -> float:
    """Return the records a second; note how far the process grew beyond its first batch."""
    process = psutil.Process()
    sizes: list[int] = []

    def weigh(_verified: Verified) -> None:
        sizes.append(process.memory_info().rss)

    with lockside.connect(settings=settings) as site:
        begun = perf_counter()
        verified = site.audit.verify(on_progress=weigh)
        taken_s = perf_counter() - begun
    assert not verified.findings, verified.findings
    assert verified.records >= records
    grown.append((max(sizes) - sizes[0]) / MEGABYTE)
    return verified.records / taken_s
