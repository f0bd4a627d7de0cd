"""Ports: the outside world (database, locks, results, hooks) as the values that use cases get."""
