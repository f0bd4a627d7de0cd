"""What beat sends, and how often: bare ticks, which mean nothing by themselves.

A lost or a doubled tick does no harm; each expires before the next one comes.
"""

BEAT_SCHEDULE = {
    # Sends lost hints again, buries chunks that kill their workers, ends what has ended.
    "sweep": {
        "task": "upkeep.sweep",
        "schedule": 5.0,
        "options": {"queue": "upkeep", "expires": 5.0},
    },
    # Closes what is overdue: the shortest period of a policy is a minute.
    "autoclose": {
        "task": "autoclose.tick",
        "schedule": 15.0,
        "options": {"queue": "upkeep", "expires": 15.0},
    },
    # Makes the months of the records ahead; what has no month goes to the default partition.
    "partitions": {
        "task": "upkeep.partitions",
        "schedule": 86_400.0,
        "options": {"queue": "upkeep", "expires": 86_400.0},
    },
    # Takes cold months out of their tables, hourly: a scheduler that was started anew counts a day
    # from its start. Where there is nothing to do it is a few queries.
    "archive": {
        "task": "audit.archive",
        "schedule": 3_600.0,
        "options": {"queue": "upkeep", "expires": 3_600.0},
    },
    # Drops what is too old to be kept.
    "drop": {
        "task": "audit.drop",
        "schedule": 3_600.0,
        "options": {"queue": "upkeep", "expires": 3_600.0},
    },
    # Drains the outbox even if every wake-up was lost.
    "write-audit": {
        "task": "audit.write",
        "schedule": 30.0,
        "options": {"queue": "audit", "expires": 30.0},
    },
    # Pins the newest seals outside; whoever sets a chain back has to do it within this time.
    "pin-seals": {
        "task": "audit.pin",
        "schedule": 300.0,
        "options": {"queue": "audit", "expires": 300.0},
    },
    # Counts what was sealed since into the hours that it belongs to.
    "roll-up": {
        "task": "audit.roll_up",
        "schedule": 60.0,
        "options": {"queue": "upkeep", "expires": 60.0},
    },
}
