"""Geofence: the distance between two points on the ground."""

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS_M = 6_371_008.8
"""The mean radius of the Earth in metres, as the IUGG states it."""


def distance_m(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Return the distance of two points in metres, along the great circle (haversine).

    Latitudes and longitudes are in degrees. The error is at most half a per cent, because the
    Earth isn't a sphere.
    """
    north, to_north = radians(latitude), radians(to_latitude)
    half_chord = (
        sin((to_north - north) / 2) ** 2
        + cos(north) * cos(to_north) * sin(radians(to_longitude - longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(half_chord)))
