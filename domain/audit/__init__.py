"""Audit rules: digest, seal, replay and retain audit records, and rate denials and anomalies."""
