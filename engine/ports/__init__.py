"""Ports: interfaces to the outside world (database, locks, results, hooks) for use cases."""
