"""Policies: find the rows that are due, and judge them again before they change."""
