"""Input: parse and check what callers send, before anything is looked up or stored."""
