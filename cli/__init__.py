"""The command line: a door that speaks through `lockside` alone."""
