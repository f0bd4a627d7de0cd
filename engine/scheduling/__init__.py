"""Scheduling: run policies when their period comes, and what people do with policies."""
