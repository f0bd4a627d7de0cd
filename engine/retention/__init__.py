"""Retention: archive, restore, forget and erase what was kept; nothing in engine imports it."""
