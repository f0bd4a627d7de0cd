"""Attendance is approved before the payroll cutoff and within the geofence, to the metre."""

from datetime import UTC, datetime, timedelta
from math import cos, pi, radians
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.machines.attendance import ATTENDANCE, lies_within_geofence
from domain.machines.geofence import EARTH_RADIUS_M, distance_m
from domain.machines.machine import Request, judge

CUTOFF = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DEGREE_M = EARTH_RADIUS_M * pi / 180
MUMBAI = (19.0760, 72.8777)
DELHI = (28.6139, 77.2090)

NOWHERE: dict[str, Any] = {
    "payroll_cutoff_at": None,
    "payroll_closed_at": None,
    "site_latitude": None,
    "site_longitude": None,
    "site_radius_m": None,
    "punchin_latitude": None,
    "punchin_longitude": None,
    "punchout_latitude": None,
    "punchout_longitude": None,
}
OFFICE = NOWHERE | {"site_latitude": 0.0, "site_longitude": 0.0, "site_radius_m": 100.0}


def reasons(facts: dict[str, Any], now: datetime | None = CUTOFF) -> list[str]:
    """Return the codes against an approval by the system."""
    asked = Request("APPROVED", by_system=True, now=now)
    return [each.code for each in judge(ATTENDANCE, "PENDING", NOWHERE | facts, asked).reasons]


def punched(north_m: float = 0.0, east_m: float = 0.0, *, out: bool = False) -> dict[str, Any]:
    """Return the coordinates of a punch so many metres from the office."""
    side = "punchout" if out else "punchin"
    return {f"{side}_latitude": north_m / DEGREE_M, f"{side}_longitude": east_m / DEGREE_M}


CUTOFFS = [
    pytest.param({}, CUTOFF, [], id="no period"),
    pytest.param({"payroll_cutoff_at": CUTOFF}, CUTOFF - SECOND, [], id="a second before"),
    pytest.param({"payroll_cutoff_at": CUTOFF}, CUTOFF, ["after_cutoff"], id="at the cutoff"),
    pytest.param({"payroll_cutoff_at": CUTOFF}, CUTOFF + SECOND, ["after_cutoff"], id="after"),
    pytest.param({"payroll_cutoff_at": CUTOFF}, None, [], id="nothing is decided yet"),
    pytest.param({"payroll_closed_at": CUTOFF}, CUTOFF - SECOND, ["after_cutoff"], id="closed"),
    pytest.param({"payroll_closed_at": CUTOFF}, None, ["after_cutoff"], id="closed, undecided"),
    pytest.param(
        {"payroll_closed_at": CUTOFF, "payroll_cutoff_at": CUTOFF + SECOND},
        CUTOFF,
        ["after_cutoff"],
        id="closed before its cutoff",
    ),
]


@pytest.mark.parametrize(("facts", "now", "told"), CUTOFFS)
def test_nothing_is_approved_from_the_cutoff_on(
    facts: dict[str, Any], now: datetime | None, told: list[str]
) -> None:
    assert reasons(facts, now) == told


@pytest.mark.parametrize("target", ["REJECTED", "APPROVED"])
def test_the_cutoff_is_a_rule_of_approval_alone(target: str) -> None:
    asked = Request(target, comments="Late", by_system=True, now=CUTOFF)

    verdict = judge(ATTENDANCE, "PENDING", NOWHERE | {"payroll_closed_at": CUTOFF}, asked)

    assert verdict.ok is (target == "REJECTED")


FENCES = [
    pytest.param(NOWHERE, True, id="no site"),
    pytest.param(OFFICE, False, id="a fence and a punch that doesn't say where"),
    pytest.param(OFFICE | {"punchin_latitude": 0.0}, False, id="half a place"),
    pytest.param(OFFICE | punched(), True, id="in the centre"),
    pytest.param(OFFICE | punched(99.9), True, id="just inside"),
    pytest.param(OFFICE | punched(100.1), False, id="just outside"),
    pytest.param(OFFICE | punched(east_m=-99.9), True, id="just inside, westward"),
    pytest.param(OFFICE | punched(east_m=-100.1), False, id="just outside, westward"),
    pytest.param(OFFICE | punched(75, 75), False, id="outside across the corner"),
    pytest.param(OFFICE | punched() | punched(50, out=True), True, id="both inside"),
    pytest.param(OFFICE | punched() | punched(500, out=True), False, id="out from elsewhere"),
    pytest.param(OFFICE | punched(500) | punched(out=True), False, id="in from elsewhere"),
    pytest.param(
        OFFICE | punched() | {"punchout_latitude": 45.0}, True, id="half a place of a punch out"
    ),
]


@pytest.mark.parametrize(("facts", "within"), FENCES)
def test_every_punch_lies_within_the_fence_of_its_site(facts: dict[str, Any], within: bool) -> None:
    assert lies_within_geofence(facts) is within


@pytest.mark.parametrize(("facts", "within"), FENCES)
def test_approval_refuses_what_lies_outside(facts: dict[str, Any], within: bool) -> None:
    assert reasons(facts) == ([] if within else ["outside_geofence"])


def test_outside_and_too_late_are_both_told() -> None:
    assert reasons(OFFICE | {"payroll_closed_at": CUTOFF}) == ["after_cutoff", "outside_geofence"]


def test_the_geofence_is_judged_at_intake_and_the_cutoff_is_not() -> None:
    assert [rule.reason.code for rule in ATTENDANCE.intake] == ["outside_geofence"]


DISTANCES = [
    pytest.param(MUMBAI, MUMBAI, 0.0, id="the same place"),
    pytest.param((0.0, 0.0), (1.0, 0.0), DEGREE_M, id="a degree of latitude"),
    pytest.param((0.0, 0.0), (0.0, 1.0), DEGREE_M, id="a degree at the equator"),
    pytest.param((60.0, 10.0), (60.0, 10.001), DEGREE_M * cos(radians(60)) / 1000, id="up north"),
    pytest.param((0.0, 179.5), (0.0, -179.5), DEGREE_M, id="across the date line"),
    pytest.param((90.0, 0.0), (90.0, 123.0), 0.0, id="the pole by any longitude"),
    pytest.param((90.0, 0.0), (-90.0, 0.0), EARTH_RADIUS_M * pi, id="pole to pole"),
    pytest.param((0.0, 0.0), (0.0, 180.0), EARTH_RADIUS_M * pi, id="to the other side"),
]


@pytest.mark.parametrize(("here", "there", "metres"), DISTANCES)
def test_a_distance_is_that_of_the_great_circle(
    here: tuple[float, float], there: tuple[float, float], metres: float
) -> None:
    assert distance_m(*here, *there) == pytest.approx(metres, rel=1e-6, abs=1e-3)


def test_a_distance_agrees_with_the_map() -> None:
    # Mumbai to Delhi is 1,148 km on the WGS 84 ellipsoid; the ball is half a per cent off at most.
    assert distance_m(*MUMBAI, *DELHI) == pytest.approx(1_148_100, rel=0.005)


places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=200, deadline=None)
@given(places, places)
def test_a_distance_is_the_same_both_ways_and_never_more_than_half_round(
    here: tuple[float, float], there: tuple[float, float]
) -> None:
    there_m, back_m = distance_m(*here, *there), distance_m(*there, *here)

    assert there_m == pytest.approx(back_m, rel=1e-9, abs=1e-3)
    assert 0 <= there_m <= EARTH_RADIUS_M * pi * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(places, st.floats(1, 20_000_000))
def test_who_stands_in_the_centre_is_within_every_fence(
    place: tuple[float, float], radius_m: float
) -> None:
    latitude, longitude = place
    site = {"site_latitude": latitude, "site_longitude": longitude, "site_radius_m": radius_m}

    here = {"punchin_latitude": latitude, "punchin_longitude": longitude}

    assert lies_within_geofence(NOWHERE | site | here)
