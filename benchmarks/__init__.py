"""Measures what Lockside costs, each figure as a ratio of two things taken in turn in one run."""
