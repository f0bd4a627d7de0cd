"""Program: what all commands share: the session, errors, submitting and waiting."""
