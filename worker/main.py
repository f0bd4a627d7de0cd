"""Celery's entry, `celery -A worker.main …`: the only module that acts on import."""

from worker.app import make_app
from worker.settings import Settings
from worker.signals import connect

settings = Settings()
app = make_app(settings)
connect(app, settings)
