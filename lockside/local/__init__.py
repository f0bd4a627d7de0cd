"""Local servers: start, watch, set up and stop everything that runs on this machine."""
