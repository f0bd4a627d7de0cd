"""Printing: tables, progress, results and files, for people or as JSON."""
