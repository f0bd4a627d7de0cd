"""Celery's entry point, `celery -A worker.main …`: the only module that acts on import."""

from importlib import import_module

from worker.app import make_app
from worker.logs import configure_logs
from worker.settings import Settings
from worker.signals import connect_signals

configure_logs()
# Compiled once, before the worker's processes fork.
import_module("engine.audit.outbox_redaction")
settings = Settings()
app = make_app(settings)
connect_signals(app, settings)
