"""Benchmarks: measure what Lockside costs, as ratios of two things measured in turn in one run."""
