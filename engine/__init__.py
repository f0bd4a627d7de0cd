"""What is done: the only floor that opens a write transaction."""
