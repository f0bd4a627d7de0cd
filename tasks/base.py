"""Platform access: how a Celery task gets the platform of its process."""

from collections.abc import Callable

from engine.ports.platform import Platform

PlatformOf = Callable[[], Platform]
"""Returns the platform of this process: connections don't survive a fork.

Tasks are registered with `shared=False`: a shared task would be added to every other application
of the process, together with a platform that isn't its own.
"""
