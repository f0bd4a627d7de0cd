"""What beat sends, and how often: bare ticks, which mean nothing by themselves.

A lost or a doubled tick does no harm; each expires before the next one comes. What is due once a
day is asked for hourly: a scheduler that was started anew counts a day from its start, and where
there is nothing to do it is a few queries.
"""

from typing import Any


def tick(task: str, every_s: float, queue: str) -> dict[str, Any]:
    """Return an entry of the schedule: a Celery task by its name, without arguments."""
    options = {"queue": queue, "expires": every_s}
    return {"task": task, "schedule": every_s, "options": options}


_MINUTE, _HOUR = 60.0, 3_600.0

BEAT_SCHEDULE = {
    # Sends lost dispatch messages again, buries chunks that kill their workers, ends what has
    # ended.
    "sweep": tick("upkeep.sweep", 5.0, "upkeep"),
    # Closes what is overdue: the shortest period of a policy is a minute.
    "autoclose": tick("autoclose.tick", 15.0, "upkeep"),
    # Makes the months of the records ahead; what has no month goes to the default partition.
    "partitions": tick("upkeep.partitions", _HOUR, "upkeep"),
    # Forgets idempotency keys, and operations of which only their records remain.
    "forget": tick("upkeep.forget", _HOUR, "upkeep"),
    # Takes cold months out of their tables.
    "archive": tick("audit.archive", _HOUR, "upkeep"),
    # Drops what is too old to be kept.
    "drop": tick("audit.drop", _HOUR, "upkeep"),
    # Drains the outbox even if every wake-up was lost.
    "write-audit": tick("audit.write", 30.0, "audit"),
    # Pins the newest seals outside; whoever sets a chain back has to do it within this time.
    "pin-seals": tick("audit.pin", 5 * _MINUTE, "audit"),
    # Counts what was sealed since into the hours that it belongs to.
    "roll-up": tick("audit.roll_up", _MINUTE, "upkeep"),
}
