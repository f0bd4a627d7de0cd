"""Reads: queries that change nothing, for what the interfaces show."""
