"""Demo data: a town's worth of work to try Lockside on, stored through the public import."""
