"""The command line: an interface that uses only the package `lockside`."""
