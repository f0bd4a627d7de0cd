"""R1 to R3: measure recall, precision and speed of the redaction.

Recall and precision are those of the labelled corpus. Speed is processor time of one core for
documents such as interfaces receive: a few short fields and a comment of about 60 characters, one
in a hundred with a phone number.
"""

from time import process_time
from typing import Any

from benchmarks.corpus import files, items, judge
from benchmarks.house import Announce, House
from benchmarks.measure import Figure
from domain.redaction.redact import redact

GOAL_A_SECOND = 20_000
PERSONAL_EVERY = 100
TURNS = 5
COMMENTS = (
    "Replaced the filter of AHU-{n}, pressure is back to 250 Pa now",
    "Tenant on floor {n} asked to come back at 10:30 tomorrow, please",
    "Pump P-{n} checked, bearing noise is gone after 40 minutes of run",
    "Door {n} of block B adjusted, closer replaced, 12 screws are new",
)


def measure_redaction(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Judge every file of the corpus, and measure documents a second."""
    del house
    announce("the labelled corpus")
    outcomes = {item.name: judge(items(item)) for item in files()}
    documents = [_document(n) for n in range(1_000 if quick else 20_000)]
    taken_s = []
    for turn in range(TURNS):
        announce(f"{len(documents):,} documents, turn {turn + 1} of {TURNS}")
        begun = process_time()
        for item in documents:
            redact(item)
        taken_s.append(process_time() - begun)
    a_second = [len(documents) / item for item in taken_s]
    return [
        Figure(
            id="R1",
            what="personal values found, of those labelled; the worst file of the corpus",
            ratio=min(item.recall for item in outcomes.values()),
            goal=0.99,
            side="at least",
            detail={name: [item.recall, item.labelled] for name, item in outcomes.items()},
        ),
        Figure(
            id="R2",
            what="masks put rightly, of all masks; the worst file of the corpus",
            ratio=min(item.precision for item in outcomes.values()),
            goal=0.98,
            side="at least",
            detail={name: [item.precision, item.masks] for name, item in outcomes.items()},
        ),
        Figure(
            id="R3",
            what=f"documents redacted a second on one core, against {GOAL_A_SECOND:,}",
            ratio=sorted(a_second)[TURNS // 2] / GOAL_A_SECOND,
            goal=1.0,
            side="at least",
            detail={"a_second": a_second, "documents": len(documents)},
        ),
    ]


def _document(n: int) -> dict[str, Any]:
    comment = COMMENTS[n % len(COMMENTS)].format(n=n)
    if n % PERSONAL_EVERY == 0:
        comment = f"Call Ramesh on 98204 1{n % 10_000:04} before you go to flat 12"
    return {
        "source": "mobile-app",
        "shift": "B",
        "floor": n % 40,
        "duration_min": n % 90,
        "reference": f"WO-2026-{n:06}",
        "arrived": "2026-01-14T04:11:09Z",
        "comment": comment,
    }
