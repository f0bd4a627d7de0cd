"""Beat: Celery's scheduler with a heartbeat file for health checks."""

from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler


class HeartbeatScheduler(PersistentScheduler):
    """Celery's own scheduler; touches the heartbeat file at every tick."""

    def tick(self, *args: Any, **keywords: Any) -> float:
        """Send what is due; return the seconds until the next tick."""
        wait_s: float = super().tick(*args, **keywords)
        if file := self.app.conf.get("lockside_heartbeat_file"):
            Path(file).touch()
        return wait_s
