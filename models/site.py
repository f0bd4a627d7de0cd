"""Sites: store where work is done, with a geofence."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import Check, between
from models.base import Record, unique_name_index

_FENCE = ("latitude", "longitude", "radius_m")


class SiteRow(Record):
    """A place; with a centre (degrees) and a radius (metres) it has a geofence.

    A site without a calendar of its own has the hours of the tenant's default.
    """

    __tablename__ = "site"
    __table_args__ = (
        unique_name_index("site"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id", "calendar_id"], ["calendar.tenant_id", "calendar.id"]),
        # A geofence has all three values or none.
        CheckConstraint("num_nulls(latitude, longitude, radius_m) IN (0, 3)", name="whole_fence"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude_in_range"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude_in_range"),
        CheckConstraint("radius_m > 0", name="radius_positive"),
    )
    resource_type = "site"
    checks = (
        between("latitude", -90, 90, "degrees"),
        between("longitude", -180, 180, "degrees"),
        between("radius_m", 1, 20_000_000, "metres"),
        Check(
            "radius_m",
            "latitude, longitude and radius_m together, or none of them",
            lambda values: len({values.get(name) is None for name in _FENCE}) == 1,
        ),
    )

    name: Mapped[str]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    radius_m: Mapped[float | None]
    calendar_id: Mapped[int | None] = mapped_column(BigInteger)
