"""Commands: one module a group of commands; each asks `lockside` and prints."""
