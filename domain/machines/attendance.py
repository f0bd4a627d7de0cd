"""The attendance record's machine, as in the contract."""

from datetime import timedelta

from domain.machines.geofence import distance_m
from domain.machines.machine import (
    Facts,
    Machine,
    Reason,
    Request,
    Rule,
    arrow,
    needs_comments,
    needs_manager,
)

_PUNCHED = frozenset(
    {
        *("person_id", "site_id", "datefor", "punchintime", "punchouttime", "ctzoffset"),
        *("punchin_latitude", "punchin_longitude", "punchout_latitude", "punchout_longitude"),
    }
)
LONGEST_SHIFT = timedelta(hours=24)
OFFSETS_MIN = (-720, 840)
"""The time zones of clients, in minutes east of UTC."""

_FENCE = ("site_latitude", "site_longitude", "site_radius_m")
_PUNCHES = (
    ("punchin_latitude", "punchin_longitude"),
    ("punchout_latitude", "punchout_longitude"),
)


def lies_within_geofence(facts: Facts) -> bool:
    """Say whether every punch lies within the fence of its site.

    Every punch lies within a site without a fence. A punch in must have a position; a punch out
    counts only if it has one.
    """
    latitude, longitude, radius_m = (facts[name] for name in _FENCE)
    if radius_m is None:
        return True
    places = [(facts[north], facts[east]) for north, east in _PUNCHES]
    if None in places[0]:
        return False
    recorded = (place for place in places if None not in place)
    return all(distance_m(*place, latitude, longitude) <= radius_m for place in recorded)


def _is_before_cutoff(facts: Facts, request: Request) -> bool:
    if facts["payroll_closed_at"] is not None:
        return False
    cutoff = facts["payroll_cutoff_at"]
    return cutoff is None or request.now is None or request.now < cutoff


_before_cutoff = Rule(
    Reason("after_cutoff", "Cannot approve after the payroll cutoff of its period"),
    _is_before_cutoff,
    ("payroll_cutoff_at", "payroll_closed_at"),
    mark="cutoff",
)
_within_geofence = Rule(
    Reason("outside_geofence", "The punch doesn't lie within the geofence of its site"),
    lambda facts, _: lies_within_geofence(facts),
    (*_FENCE, *(name for place in _PUNCHES for name in place)),
    mark="geofence",
)

ATTENDANCE = Machine(
    kind="attendance",
    initial="PENDING",
    final=("LOCKED",),
    intake=(_within_geofence,),
    # Approved punches are adjusted by a manager with comments, and never just overwritten.
    settled={"APPROVED": _PUNCHED},
    transitions=(
        arrow("PENDING", "APPROVED", "approve", _before_cutoff, _within_geofence, undo=True),
        arrow("PENDING", "REJECTED", "reject", needs_comments, undo=True),
        arrow("REJECTED", "PENDING", "resubmit"),
        arrow("APPROVED", "ADJUSTED", "adjust", needs_comments, needs_manager, undo=True),
        arrow("APPROVED", "LOCKED", "lock", needs_comments),
        arrow("ADJUSTED", "LOCKED", "lock", needs_comments),
    ),
)
