"""Use cases: what is done, and the only layer that opens a write transaction."""
