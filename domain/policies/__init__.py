"""Policies: which work is due and when, and the policies that a new tenant starts with."""
