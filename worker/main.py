"""Celery's entry point, `celery -A worker.main …`: the only module that acts on import."""

from engine.audit.outbox_redaction import compile_patterns
from worker.app import make_app
from worker.logs import configure_logs
from worker.settings import Settings
from worker.signals import connect_signals

configure_logs()
# Once, before the worker's processes fork.
compile_patterns()
settings = Settings()
app = make_app(settings)
connect_signals(app, settings)
