"""Wake-up messages: ask the audit writer to drain the outbox soon."""

from engine.ports.platform import Platform

WRITE_AUDIT = "audit.write"


def wake_audit(platform: Platform, *, after_s: float = 0.0, surely: bool = False) -> None:
    """Publish a message that the outbox is to be drained, unless one was published just now.

    With *surely* it is published in any case; *after_s* delays it by so many seconds.
    """
    if surely or platform.locks.once(WRITE_AUDIT, platform.pace.republish_after_s):
        platform.publish(WRITE_AUDIT, {}, queue="audit", countdown_s=after_s)
