"""Attendance tables: who was at work where and when, and the payroll periods that settle it."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import Check, between, ordered
from domain.machines.attendance import ATTENDANCE, LONGEST_SHIFT, OFFSETS_MIN
from models.base import LIVE, Record, Work, unique_name_index, work_table
from models.clock import Clock
from models.related import Related
from models.site import SiteRow


class PayrollPeriod(Record):
    """Days that are paid together; after the cutoff nothing in them is approved."""

    __tablename__ = "payroll_period"
    __table_args__ = (
        unique_name_index("payroll_period"),
        CheckConstraint("starts_on <= ends_on", name="in_order"),
        # No day is in two periods.
        ExcludeConstraint(
            (literal_column("int8range(tenant_id, tenant_id, '[]')"), "&&"),
            (literal_column("daterange(starts_on, ends_on, '[]')"), "&&"),
            where=LIVE,
            name="ex_payroll_period_days",
        ),
    )
    resource_type = "payroll_period"
    checks = (ordered("starts_on", "ends_on"),)

    name: Mapped[str]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    cutoff_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class Attendance(Work):
    """A person's punches of one day; times are UTC, `ctzoffset` is the client's, in minutes."""

    __tablename__ = "attendance"
    __table_args__ = work_table(
        "attendance",
        ForeignKeyConstraint(["tenant_id", "person_id"], ["person.tenant_id", "person.id"]),
        ForeignKeyConstraint(["tenant_id", "site_id"], ["site.tenant_id", "site.id"]),
        CheckConstraint("punchouttime >= punchintime", name="punches_in_order"),
        CheckConstraint(
            f"punchouttime - punchintime <= interval '{LONGEST_SHIFT.total_seconds():.0f} seconds'",
            name="shift_not_too_long",
        ),
        CheckConstraint(
            f"ctzoffset BETWEEN {OFFSETS_MIN[0]} AND {OFFSETS_MIN[1]}", name="offset_known"
        ),
        # The days of a payroll period.
        Index("ix_attendance_tenant_id_datefor", "tenant_id", "datefor"),
    )
    machine = ATTENDANCE
    checks = (
        between("ctzoffset", *OFFSETS_MIN, "minutes"),
        between("punchin_latitude", -90, 90, "degrees"),
        between("punchout_latitude", -90, 90, "degrees"),
        between("punchin_longitude", -180, 180, "degrees"),
        between("punchout_longitude", -180, 180, "degrees"),
        ordered("punchintime", "punchouttime"),
        Check(
            "punchouttime",
            "at most 24 hours after punchintime",
            lambda values: (
                values.get("punchintime") is None
                or values.get("punchouttime") is None
                or values["punchouttime"] - values["punchintime"] <= LONGEST_SHIFT
            ),
        ),
    )

    person_id: Mapped[int] = mapped_column(BigInteger)
    site_id: Mapped[int | None] = mapped_column(BigInteger)
    datefor: Mapped[date]
    punchintime: Mapped[datetime]
    punchouttime: Mapped[datetime | None]
    ctzoffset: Mapped[int]
    punchin_latitude: Mapped[float | None]
    punchin_longitude: Mapped[float | None]
    punchout_latitude: Mapped[float | None]
    punchout_longitude: Mapped[float | None]
    remarks: Mapped[str | None]


_in_period = (
    (PayrollPeriod.tenant_id == Attendance.tenant_id)
    & Attendance.datefor.between(PayrollPeriod.starts_on, PayrollPeriod.ends_on)
    & PayrollPeriod.deleted_at.is_(None)
)
_days = (
    select(Attendance.datefor)
    .where(
        Attendance.tenant_id == bindparam("tenant_id"),
        Attendance.id == any_(bindparam("ids", type_=ARRAY(BigInteger))),
    )
    .distinct()
    .subquery("days")
)
# Approvals wait for a transaction that closes the period, and a period that they saw open stays
# open until they are committed.
_lock_periods = (
    select(PayrollPeriod.id)
    .where(
        PayrollPeriod.tenant_id == bindparam("tenant_id"),
        PayrollPeriod.deleted_at.is_(None),
        select(_days.c.datefor)
        .where(_days.c.datefor.between(PayrollPeriod.starts_on, PayrollPeriod.ends_on))
        .correlate(PayrollPeriod)
        .exists(),
    )
    .order_by(PayrollPeriod.id)
    .with_for_update(read=True)
)

Attendance.related = {
    "payroll_cutoff_at": Related(
        PayrollPeriod.cutoff_at, joined=PayrollPeriod, on=_in_period, lock=_lock_periods
    ),
    "payroll_closed_at": Related(
        PayrollPeriod.closed_at, joined=PayrollPeriod, on=_in_period, lock=_lock_periods
    ),
    "site_latitude": Related(SiteRow.latitude, joined=SiteRow, on=SiteRow.id == Attendance.site_id),
    "site_longitude": Related(
        SiteRow.longitude, joined=SiteRow, on=SiteRow.id == Attendance.site_id
    ),
    "site_radius_m": Related(SiteRow.radius_m, joined=SiteRow, on=SiteRow.id == Attendance.site_id),
}
Attendance.clocks = {
    "punched_in": Clock(Attendance.punchintime, "punched in"),
    # By a person or at its cutoff, whichever comes first.
    "payroll_closed": Clock(
        func.least(PayrollPeriod.closed_at, PayrollPeriod.cutoff_at),
        "payroll closed",
        PayrollPeriod,
        _in_period,
    ),
}
