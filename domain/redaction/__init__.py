"""Redaction: find personal data in text and JSON and put a mask in its place."""
