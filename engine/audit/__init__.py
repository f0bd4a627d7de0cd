"""Audit: write to the outbox, turn it into sealed records, and pin and roll them up."""
