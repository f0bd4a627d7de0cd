"""Beat schedule: the periodic tasks and their intervals, all without arguments.

A tick that is lost or sent twice does no harm; each expires before the next one is sent. What is
due once a day runs hourly: a restarted scheduler counts a day from its start, and a task that
finds nothing to do costs a few queries.
"""

from typing import Any


def tick(task: str, every_s: float, queue: str) -> dict[str, Any]:
    """Return an entry of the schedule: a Celery task by its name, without arguments."""
    options = {"queue": queue, "expires": every_s}
    return {"task": task, "schedule": every_s, "options": options}


_MINUTE, _HOUR = 60.0, 3_600.0

BEAT_SCHEDULE = {
    # The sweeper: sends lost dispatch messages again, dead-letters chunks that kill their workers,
    # finishes operations whose chunks have all ended.
    "sweep": tick("upkeep.sweep", 5.0, "upkeep"),
    # Starts the runs of policies that are due: the shortest period of a policy is a minute.
    "autoclose": tick("autoclose.tick", 15.0, "upkeep"),
    # Creates the partitions of coming months; records without one go to the default partition.
    "partitions": tick("upkeep.partitions", _HOUR, "upkeep"),
    # Deletes old idempotency keys, and old operations, of which the audit records remain.
    "forget": tick("upkeep.forget", _HOUR, "upkeep"),
    # Archives cold months of the audit records.
    "archive": tick("audit.archive", _HOUR, "upkeep"),
    # Drops archives that are too old to be kept.
    "drop": tick("audit.drop", _HOUR, "upkeep"),
    # Drains the outbox even if every wake-up message was lost.
    "write-audit": tick("audit.write", 30.0, "audit"),
    # Pins the newest seals outside the database: a chain can only be set back unnoticed within
    # this interval.
    "pin-seals": tick("audit.pin", 5 * _MINUTE, "audit"),
    # Adds newly sealed records to the hourly counts.
    "roll-up": tick("audit.roll_up", _MINUTE, "upkeep"),
}
