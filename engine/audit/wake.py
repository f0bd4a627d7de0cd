"""Wake the audit writer: ask for the outbox to be drained soon."""

from engine.ports.platform import Platform

WRITE_AUDIT = "audit.write"


def wake_audit(platform: Platform, *, after_s: float = 0.0, surely: bool = False) -> None:
    """Have the outbox drained soon; one such message is on its way, or *surely* another."""
    if surely or platform.locks.once(WRITE_AUDIT, platform.pace.republish_after_s):
        platform.publish(WRITE_AUDIT, {}, queue="audit", countdown_s=after_s)
