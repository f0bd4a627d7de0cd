"""Program: what all commands share: the session, errors, and waiting for what was submitted."""
