"""Importing: bring files of new work in, batch by batch, each exactly once."""
