"""Access: check permissions, and record denials, refused writes and cross-tenant probing."""
