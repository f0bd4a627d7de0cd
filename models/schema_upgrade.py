"""Schema upgrade: run the missing migrations, one process at a time, and say whether any is."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, delete, insert, text

from domain.machines.machine import Machine
from domain.machines.operation import OPERATION
from models.audit import MAKE_PARTITIONS
from models.base import kinds
from models.operation import MachineArrow

_LOCK = 5126790213
"""The advisory lock on which two upgrades at once wait for each other."""


def upgrade(engine: Engine) -> None:
    """Run the missing migrations and give the machines' transitions to the database guard.

    Everything is one transaction: an upgrade happens completely or not at all.
    """
    with engine.begin() as db:
        # A migration of many rows takes long, and waits for the chunks that run.
        db.execute(text("SET LOCAL statement_timeout = 0"))
        db.execute(text("SET LOCAL lock_timeout = '60s'"))
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(_config(db), "head")
        db.execute(MAKE_PARTITIONS)
        machines = [model.machine for model in kinds().values()]
        store_arrows(db, [*machines, OPERATION])


def store_arrows(db: Connection, machines: list[Machine]) -> None:
    """Store exactly the transitions of these machines for the guard."""
    arrows = [
        {"kind": m.kind, "source": t.source, "target": t.target, "undo": t.undo}
        for m in machines
        for t in m.transitions
    ]
    # Values may change in every state that isn't final: a transition to the same state.
    arrows += [
        {"kind": m.kind, "source": state, "target": state, "undo": False}
        for m in machines
        for state in m.states
        if state not in m.final
    ]
    # A new row's initial state is a transition from no state.
    arrows += [{"kind": m.kind, "source": "", "target": m.initial, "undo": False} for m in machines]
    db.execute(delete(MachineArrow))
    db.execute(insert(MachineArrow), arrows)


def missing_migrations(engine: Engine) -> tuple[str, ...]:
    """Return the revisions that the database lacks, oldest first."""
    with engine.connect() as db:
        current = MigrationContext.configure(db).get_current_revision()
    script = ScriptDirectory.from_config(_config(None))
    if current == script.get_current_head():
        return ()
    steps = script.iterate_revisions("head", current or "base")
    return tuple(reversed([step.revision for step in steps]))


def _config(db: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    # Not as a URL option, in which a percent sign would be an interpolation.
    config.attributes["connection"] = db
    return config
