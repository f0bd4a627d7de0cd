"""Audit queries: the trail, past states, anomalies, verification and archives."""
