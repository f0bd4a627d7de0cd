"""Importing: import files of new work, batch by batch, each batch exactly once."""
