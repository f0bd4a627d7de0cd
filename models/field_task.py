"""Field tasks: store tasks, the jobs that they are made from, and their readings."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    column,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import between
from domain.machines.field_task import DONE, FIELD_TASK
from models.base import LIVE, Assignable, Readings, Record, Work, unique_name_index, work_table
from models.clock import Clock
from models.people import assignee_keys
from models.related import Related
from models.ticket import TicketCategory

READING_SORTS = ("observation", "meter")
_LONGEST_GRACE_MIN = 60 * 24 * 365


class Job(Record):
    """The template of field tasks: the readings to take, and what happens when a task is late.

    `asks_for` names the readings that completion requires, `grace_minutes` is how long after
    `due_at` a task stays open, and overdue tasks raise a ticket of `ticket_category_id`.
    """

    __tablename__ = "job"
    __table_args__ = (
        unique_name_index("job"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "ticket_category_id"],
            ["ticket_category.tenant_id", "ticket_category.id"],
        ),
        CheckConstraint("grace_minutes >= 0", name="grace_not_negative"),
    )
    resource_type = "job"
    checks = (between("grace_minutes", 0, _LONGEST_GRACE_MIN, "minutes"),)

    name: Mapped[str]
    asks_for: Mapped[list[str]] = mapped_column(server_default="{}")
    grace_minutes: Mapped[int] = mapped_column(server_default="0")
    ticket_category_id: Mapped[int | None] = mapped_column(BigInteger)


class FieldTask(Assignable, Work):
    """A technician's work at a site; a task with a parent is a checkpoint of a tour."""

    __tablename__ = "field_task"
    __table_args__ = work_table(
        "field_task",
        ForeignKeyConstraint(["tenant_id", "job_id"], ["job.tenant_id", "job.id"]),
        ForeignKeyConstraint(["tenant_id", "site_id"], ["site.tenant_id", "site.id"]),
        *assignee_keys(),
        CheckConstraint("parent_id <> id", name="no_own_parent"),
        # The checkpoints of a tour.
        Index(
            "ix_field_task_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")
        ),
        # Overdue tasks, longest due first.
        Index(
            "ix_field_task_due",
            "tenant_id",
            "state",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL AND deleted_at IS NULL"),
        ),
    )
    machine = FIELD_TASK

    title: Mapped[str]
    remarks: Mapped[str | None]
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("field_task.id"))
    site_id: Mapped[int | None] = mapped_column(BigInteger)
    planned_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]


class FieldTaskReading(Record):
    """An observation or a meter reading that was taken for a task."""

    __tablename__ = "field_task_reading"
    __table_args__ = (
        CheckConstraint(f"sort IN {READING_SORTS}", name="sort_known"),
        # Each name is read once for a task.
        Index(
            "uq_field_task_reading_task_id_name",
            "task_id",
            "name",
            unique=True,
            postgresql_where=LIVE,
        ),
    )
    resource_type = "reading"
    parent = "task_id"
    permit = "record"
    choices = {"sort": READING_SORTS}  # noqa: RUF012 -- declared as a ClassVar by Record

    task_id: Mapped[int] = mapped_column(ForeignKey("field_task.id"))
    name: Mapped[str]
    sort: Mapped[str] = mapped_column(server_default="observation")
    value: Mapped[str]
    unit: Mapped[str | None]
    taken_at: Mapped[datetime | None]


_required = func.unnest(Job.asks_for).table_valued(column("name")).render_derived("asked")

FieldTask.related = {
    "readings_missing": Related(
        # Names, because a file may bring some of these readings with the task.
        select(func.array_agg(_required.c.name))
        .select_from(_required)
        .where(
            ~select(FieldTaskReading.id)
            .where(
                FieldTaskReading.task_id == FieldTask.id,
                FieldTaskReading.name == _required.c.name,
                FieldTaskReading.deleted_at.is_(None),
            )
            .correlate(FieldTask, _required)
            .exists()
        )
        .correlate(FieldTask, Job)
        .scalar_subquery(),
        joined=Job,
        on=Job.id == FieldTask.job_id,
    )
}
_checkpoint = FieldTask.__table__.alias("checkpoint")
_checkpoints = (
    select(_checkpoint.c.id)
    .where(
        _checkpoint.c.parent_id == FieldTask.id,
        _checkpoint.c.tenant_id == FieldTask.tenant_id,
        _checkpoint.c.deleted_at.is_(None),
    )
    .correlate(FieldTask)
)
FieldTask.derived = {
    # A tour with some checkpoints done and some not.
    "partly_done": _checkpoints.where(_checkpoint.c.state.in_(DONE)).exists()
    & _checkpoints.where(_checkpoint.c.state.not_in(DONE)).exists(),
}
FieldTask.readings = Readings(FieldTaskReading, missing="readings_missing")
_of_job = Job.id == FieldTask.job_id
FieldTask.clocks = {
    "due": Clock(FieldTask.due_at, "due"),
    # The job's grace is added to the time.
    "overdue": Clock(FieldTask.due_at, "due", Job, _of_job, Job.grace_minutes),
    "planned": Clock(FieldTask.planned_at, "planned"),
}
FieldTask.words = {
    "ticket_category": select(TicketCategory.name)
    .join(Job, Job.ticket_category_id == TicketCategory.id)
    .where(_of_job)
    .correlate(FieldTask)
    .scalar_subquery()
}
