"""Audit rules: how records are digested, sealed, replayed, kept and weighed."""
