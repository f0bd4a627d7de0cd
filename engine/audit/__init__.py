"""Audit: write to the outbox, turn it into sealed records, pin the seals, and count rollups."""
