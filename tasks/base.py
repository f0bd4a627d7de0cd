"""What all Celery tasks share: how they get at the platform of their process."""

from collections.abc import Callable

from engine.ports.platform import Platform

PlatformOf = Callable[[], Platform]
"""Returns the present process's platform: connections don't survive a fork.

Tasks are registered with `shared=False`: a shared one would be handed to every other
application of the process, together with a platform that isn't its own.
"""
