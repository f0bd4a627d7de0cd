"""Access: check permissions, and record what was denied or tried across tenants."""
