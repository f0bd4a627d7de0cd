"""Chunk task: run one chunk, of one item or of thousands, by Celery."""

from uuid import UUID

from celery import Celery

from engine.operations.dispatch import RUN_CHUNK
from engine.operations.run_chunk import run_chunk
from tasks.base import PlatformOf


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `bulk.run_chunk` to *app*."""

    @app.task(name=RUN_CHUNK, shared=False)
    def _run_chunk(*, operation_id: str, chunk_no: int) -> str:
        return run_chunk(platform(), UUID(operation_id), int(chunk_no))
