"""The command line: an interface that speaks through `lockside` alone."""
