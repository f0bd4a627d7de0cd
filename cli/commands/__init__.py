"""Commands: one module for each group of commands, which calls `lockside` and prints."""
