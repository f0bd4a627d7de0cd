"""Celery tasks: shells that unpack a message, call one use case and return."""
