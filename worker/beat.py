"""Beat's scheduler, with a sign of life for health checks."""

from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler


class HeartbeatScheduler(PersistentScheduler):
    """Celery's own scheduler; touches the heartbeat file whenever it looked what is due."""

    def tick(self, *args: Any, **more: Any) -> float:
        """Send what is due, and return the seconds until the next look."""
        wait_s: float = super().tick(*args, **more)
        if file := self.app.conf.get("lockside_heartbeat_file"):
            Path(file).touch()
        return wait_s
